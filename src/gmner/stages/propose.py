"""Propose: candidate regions of a picture, from whatever detectors are at hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gmner.image import Picture
from gmner.stages.stage import Stage, once_per_picture
from gmner.types import Candidate, Prediction


class Detector(Protocol):
    """A picture to candidate regions in its frame."""

    def __call__(self, picture: Picture) -> list[Candidate]: ...


@dataclass(frozen=True)
class Propose(Stage):
    """Fills `candidates` with what all `detectors` find, once for posts that share a picture.

    It looks at pictures only: what the post says about them is for later stages.
    """

    detectors: tuple[Detector, ...]
    name: str = "propose"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        found = once_per_picture(self._detect, pictures)
        return [replace(draft, candidates=regions or ()) for draft, regions in zip(drafts, found, strict=True)]

    def _detect(self, picture: Picture) -> tuple[Candidate, ...]:
        return tuple(candidate for detect in self.detectors for candidate in detect(picture))
