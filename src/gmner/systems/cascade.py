"""The cascade: a post goes through the stages in order. Read this first."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gmner.errors import GmnerError, MismatchError
from gmner.image import Picture, open_image
from gmner.stages.stage import Stage
from gmner.systems.system import System, refuse_others
from gmner.types import Example, Prediction

Admitted = tuple[Prediction, Picture | GmnerError | None]
"""A draft with its opened picture, None if it has none, or what is wrong with it."""

PIXELS_AT_ONCE: Final = 32_000_000
"""Pixels from which on no further picture is opened until the stages have seen those that are: about 100 MB."""

NO_PICTURE: Final = "the post has no picture: its entities are not grounded"


@dataclass(frozen=True)
class Cascade(System):
    """Stages in order, each of which takes what the one before gives.

    text + picture -> recognise -> propose -> entail -> ground -> segment -> Prediction

    Pictures are opened once however many posts share them. A post that can not be read (text or picture) is
    set aside with its error before the first stage, so that no stage ever meets it.
    """

    name: str
    stages: tuple[Stage, ...]

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        refuse_others(examples)
        return self.resume([Prediction(example=example) for example in examples])

    def resume(self, drafts: Sequence[Prediction]) -> list[Prediction | GmnerError]:
        """Go on from what other stages or another system found; one prediction or error for every draft, in order.

        A draft whose boxes are of a picture of another size than the one that is opened is an error.
        """
        return [result for posts in self._admitted(drafts) for result in self._run(posts)]

    def _run(self, posts: Sequence[Admitted]) -> list[Prediction | GmnerError]:
        """Send the posts that could be read through the stages; the others keep their errors."""
        good = [(draft, picture) for draft, picture in posts if not isinstance(picture, GmnerError)]
        pictures = [picture for _, picture in good]
        drafts = [_framed(draft, picture) for draft, picture in good]
        for stage in self.stages:
            drafts = stage(drafts, pictures) if drafts else drafts
        finished = iter(drafts)
        return [picture if isinstance(picture, GmnerError) else next(finished) for _, picture in posts]

    def _admitted(self, drafts: Sequence[Prediction]) -> Iterator[list[Admitted]]:
        """Every draft with its opened picture, in stretches whose pictures fit the memory together."""
        posts: list[Admitted] = []
        opened: dict[object, Picture | GmnerError] = {}
        for draft in drafts:
            picture = self._admit(draft.example, opened)
            if isinstance(picture, np.ndarray) and draft.image_size not in (None, _size(picture)):
                posts.append((draft, _other_size(draft, picture)))
            else:
                posts.append((draft, picture))
            pixels = sum(p.shape[0] * p.shape[1] for p in opened.values() if not isinstance(p, GmnerError))
            if pixels >= PIXELS_AT_ONCE:
                yield posts
                posts, opened = [], {}
        yield posts

    def _admit(self, example: Example, opened: dict[object, Picture | GmnerError]) -> Picture | GmnerError | None:
        """Check the text and open the picture, or say what is wrong with either."""
        try:
            for stage in self.stages:
                stage.check(example)
        except GmnerError as error:
            return error
        if example.image is None:
            return None
        image = os.fspath(example.image) if isinstance(example.image, os.PathLike) else example.image
        key = image if isinstance(image, str | bytes) else id(image)
        if key not in opened:
            try:
                opened[key] = open_image(example.image)
            except GmnerError as error:
                opened[key] = error
        return opened[key]


def _framed(draft: Prediction, picture: Picture | None) -> Prediction:
    """The draft with the size of its picture, or with the note that it has none."""
    if picture is not None:
        return replace(draft, image_size=_size(picture))
    return draft if NO_PICTURE in draft.notes else replace(draft, notes=(*draft.notes, NO_PICTURE))


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1], picture.shape[0]


def _other_size(draft: Prediction, picture: Picture) -> MismatchError:
    return MismatchError(
        f"boxes of a picture of {draft.image_size} pixels and a picture of {_size(picture)}",
        allowed="boxes are in pixels of the picture that the post names",
        todo="give the picture from which the boxes were predicted",
    )
