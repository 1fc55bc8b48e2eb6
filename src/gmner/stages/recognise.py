"""Recognise: named entities in the text, with their types, and how probably each can be seen judging by the text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from gmner.image import Picture
from gmner.models.tagger import weights
from gmner.models.tagger.codec import Encoded, TaggerCodec
from gmner.models.tagger.model import Tagger
from gmner.stages.stage import Stage, with_left_out, with_note
from gmner.types import Example, Prediction

LONG: Final = "the text is long: it was read in {} windows"


@dataclass(frozen=True)
class TaggerRecogniser(Stage):
    """A tagger as the recognise stage.

    It reads the text only and finds no nested or broken-up names. `check` raises a TextError for a text past the
    model's window, unless `windows` is set: then it is read in overlapping stretches, and a note says so.
    With a `batch_size` of 1 not a last digit of a score depends on the other texts of the call; in larger batches
    matrix products round differently.
    """

    model: Tagger
    codec: TaggerCodec
    batch_size: int = 1
    windows: bool = False
    name: str = "recognise"

    @classmethod
    def load(cls, folder: Path, *, windows: bool = False) -> Self:
        """A recogniser with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or the encoder that it builds on, is missing or damaged.
        """
        return cls(*weights.load(folder), windows=windows)

    def check(self, example: Example) -> None:
        self._stretches([example])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        posts = self._stretches([draft.example for draft in drafts])
        found = self.codec.predict_stretches(self.model, posts, self.batch_size)
        return [
            _noted(replace(draft, entities=entities), stretches)
            for draft, entities, stretches in zip(drafts, found, posts, strict=True)
        ]

    def _stretches(self, examples: Sequence[Example]) -> list[list[Encoded]]:
        """What is read of every example at a time."""
        return self.codec.windows(examples) if self.windows else [[item] for item in self.codec.encode(examples)]


def _noted(draft: Prediction, stretches: Sequence[Encoded]) -> Prediction:
    """The draft with what its reader must know: each stretch reads the beginning of the same knowledge."""
    draft = with_note(draft, LONG.format(len(stretches))) if len(stretches) > 1 else draft
    return with_left_out(draft, min(item.left_out for item in stretches))
