"""The id of a post's picture, by which captions are found and leaks are."""

import os
from pathlib import Path

from gmner.types import Example


def image_id(example: Example) -> str:
    """The stem of the picture's file name; where there is no file, the id of the post.

    The Twitter sets call a tweet after its picture, so that both are the same. Other posts may share a picture.
    """
    return Path(example.image).stem if isinstance(example.image, str | os.PathLike) else example.id
