"""The pictures of training posts: a bad one stops the training before it begins, and says whose it is."""

from typing import Any

from gmner.errors import ImageError
from gmner.image import Picture, open_image
from gmner.types import Example


def open_picture(example: Example) -> Picture | None:
    """The picture of a post, if it has one.

    Raises:
        ImageError: it is missing or damaged; the post is named.
    """
    return None if example.image is None else open_reference(example.id, example.image)


def open_reference(post: str, reference: Any) -> Picture:
    """The picture of the post with the id `post`, by its reference.

    Raises:
        ImageError: it is missing or damaged; the post is named.
    """
    try:
        return open_image(reference)
    except ImageError as error:
        raise ImageError(f"post {post!r}: {error.given}", allowed=error.allowed, todo=error.todo) from None
