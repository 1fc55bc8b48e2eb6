"""Propose: candidate regions of a picture, from whatever detectors are at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gmner.data.candidates import Regions
from gmner.image import Picture
from gmner.stages.stage import Stage, once_per_picture, with_note
from gmner.types import Candidate, Prediction

NO_CANDIDATES: Final = "the post has no candidate regions and no detector was given: its entities are not grounded"


class Detector(Protocol):
    """A picture to candidate regions in its frame."""

    def __call__(self, picture: Picture) -> list[Candidate]: ...


@dataclass(frozen=True)
class Propose(Stage):
    """Fills `candidates` with what all `detectors` find, once for posts that share a picture.

    A post without entities has nothing to be looked for: its picture is passed over, which is most of the work where
    most posts name nobody and nothing. Otherwise what the post says does not matter here; it is for later stages.
    """

    detectors: tuple[Detector, ...]
    name: str = "propose"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        asked = [picture if draft.entities else None for draft, picture in zip(drafts, pictures, strict=True)]
        found = once_per_picture(self._detect, asked)
        return [replace(draft, candidates=regions or ()) for draft, regions in zip(drafts, found, strict=True)]

    def _detect(self, picture: Picture) -> tuple[Candidate, ...]:
        return tuple(candidate for detect in self.detectors for candidate in detect(picture))


@dataclass(frozen=True)
class GivenCandidates(Stage):
    """Fills `candidates`: by post id from `regions`, else with the post's own, else with what `detector` finds.

    A post that none of these has any for gets none, and a note that says so if it has a picture.
    """

    regions: Mapping[str, Regions] = field(default_factory=dict)
    detector: Detector | None = None
    name: str = "propose"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        given = [self._given(draft) for draft in drafts]
        if self.detector is not None:
            unseen = [picture if known is None else None for known, picture in zip(given, pictures, strict=True)]
            found = once_per_picture(self.detector, unseen)
            given = [known if new is None else tuple(new) for known, new in zip(given, found, strict=True)]
        filled = [replace(draft, candidates=known or ()) for draft, known in zip(drafts, given, strict=True)]
        return [
            with_note(draft, NO_CANDIDATES) if known is None and picture is not None else draft
            for draft, known, picture in zip(filled, given, pictures, strict=True)
        ]

    def _given(self, draft: Prediction) -> tuple[Candidate, ...] | None:
        stored = self.regions.get(draft.id)
        return draft.example.candidates if stored is None else stored.candidates()
