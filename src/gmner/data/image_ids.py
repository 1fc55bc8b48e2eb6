"""The id of a post's picture, by which captions are found and leaks are."""

import os
from pathlib import Path
from typing import Final

from gmner.types import Example

SAMPLE_KEY: Final = "sample"
"""The key of a row (of `Example.extra`) that holds the id of the post that it is a copy of."""


def image_id(example: Example) -> str:
    """The stem of the picture's file name; where there is no file, the id of the post, of a copy that of its original.

    The Twitter sets call a tweet after its picture, so that both are the same. Other posts may share a picture.
    """
    if isinstance(example.image, str | os.PathLike):
        return Path(example.image).stem
    return str(example.extra.get(SAMPLE_KEY, example.id))
