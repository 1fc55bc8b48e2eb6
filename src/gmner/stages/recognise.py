"""Recognise: named entities in the text, with their types, and how probably each can be seen judging by the text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from gmner.image import Picture
from gmner.models.tagger import codec, weights
from gmner.models.tagger.model import Tagger
from gmner.stages.stage import Stage
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
    codec: codec.TaggerCodec
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
        if self.windows:
            self.codec.windows([example])
        else:
            self.codec.encode([example])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples = [draft.example for draft in drafts]
        found = self.codec.predict(self.model, examples, self.batch_size, windows=self.windows)
        drafts = [replace(draft, entities=entities) for draft, entities in zip(drafts, found, strict=True)]
        if not self.windows:
            return drafts
        parts = [len(windows) for windows in self.codec.windows(examples)]
        return [
            replace(draft, notes=(*draft.notes, LONG.format(number))) if number > 1 else draft
            for draft, number in zip(drafts, parts, strict=True)
        ]
