"""The pictures of training posts: a bad one stops the training before it begins, and says whose it is."""

from gmner.errors import ImageError
from gmner.image import Picture, open_image
from gmner.types import Example


def open_picture(example: Example) -> Picture | None:
    """The picture of a post, if it has one.

    Raises:
        ImageError: it is missing or damaged; the post is named.
    """
    if example.image is None:
        return None
    try:
        return open_image(example.image)
    except ImageError as error:
        raise ImageError(f"post {example.id!r}: {error.given}", allowed=error.allowed, todo=error.todo) from None
