"""The cascade: a post goes through the stages in order. Read this first."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gmner.errors import GmnerError
from gmner.image import Picture, open_image
from gmner.stages.stage import Stage
from gmner.systems.system import System
from gmner.types import Example, Prediction

NO_PICTURE = "the post has no picture: its entities are not grounded"


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
        opened: dict[object, Picture | GmnerError] = {}
        results: list[Prediction | GmnerError] = []
        drafts: list[Prediction] = []
        pictures: list[Picture | None] = []
        for example in examples:
            try:
                picture = self._admit(example, opened)
            except GmnerError as error:
                results.append(error)
                continue
            draft = Prediction(
                example=example,
                image_size=None if picture is None else (picture.shape[1], picture.shape[0]),
                notes=(NO_PICTURE,) if picture is None else (),
            )
            results.append(draft)
            drafts.append(draft)
            pictures.append(picture)
        for stage in self.stages:
            drafts = stage(drafts, pictures) if drafts else drafts
        finished = iter(drafts)
        return [result if isinstance(result, GmnerError) else next(finished) for result in results]

    def _admit(self, example: Example, opened: dict[object, Picture | GmnerError]) -> Picture | None:
        """Check the text, then open the picture, or raise what is wrong with either."""
        for stage in self.stages:
            stage.check(example)
        if example.image is None:
            return None
        image = os.fspath(example.image) if isinstance(example.image, os.PathLike) else example.image
        key = image if isinstance(image, str | bytes) else id(image)
        if key not in opened:
            try:
                opened[key] = open_image(example.image)
            except GmnerError as error:
                opened[key] = error
        picture = opened[key]
        if isinstance(picture, GmnerError):
            raise picture
        return picture
