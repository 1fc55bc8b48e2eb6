"""The candidate regions of training posts, with what a model sees of them."""

from collections.abc import Sequence

from gmner.nn.crops import look
from gmner.nn.regions import Regions
from gmner.training.pictures import open_picture
from gmner.types import Example


def see_regions(examples: Sequence[Example], crop: int) -> list[Regions | None]:
    """The candidates of every post as crops of `crop` pixels a side; None for a post without picture or candidates.

    Raises:
        ImageError: a picture is missing or damaged; the post is named.
    """
    return [_see(example, crop) for example in examples]


def _see(example: Example, crop: int) -> Regions | None:
    picture = open_picture(example) if example.candidates else None
    return None if picture is None else look(picture, [found.box for found in example.candidates or ()], crop)
