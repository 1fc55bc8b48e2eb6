"""Recognise, with a look at the picture: UMT reads all of it, UMGF and BARTMNER its candidate regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from gmner.data.candidates import Regions
from gmner.errors import CheckpointError
from gmner.image import Picture
from gmner.models.h_index.codec import HIndexCodec
from gmner.models.h_index.model import HIndex
from gmner.models.h_index.weights import load as load_h_index
from gmner.models.umgf.codec import UMGFCodec
from gmner.models.umgf.model import UMGF
from gmner.models.umgf.weights import load as load_umgf
from gmner.models.umt.codec import UMTCodec
from gmner.models.umt.model import UMT
from gmner.models.umt.weights import load as load_umt
from gmner.stages.stage import Stage, with_left_out
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class UMTRecogniser(Stage):
    """A UMT as the recognise stage. A post without a picture is read as with a grey one."""

    model: UMT
    codec: UMTCodec
    batch_size: int = 16
    name: str = "recognise"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A recogniser with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or an encoder that it builds on, is missing or damaged.
        """
        return cls(*load_umt(folder))

    def check(self, example: Example) -> None:
        self.codec.encode([example], [None])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples = [draft.example for draft in drafts]
        found = self.codec.predict(self.model, examples, pictures, self.batch_size)
        return [replace(draft, entities=entities) for draft, entities in zip(drafts, found, strict=True)]


@dataclass(frozen=True)
class UMGFRecogniser(Stage):
    """A UMGF as the recognise stage. It looks at `candidates`, so that these must be found before."""

    model: UMGF
    codec: UMGFCodec
    batch_size: int = 16
    name: str = "recognise"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A recogniser with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or an encoder that it builds on, is missing or damaged.
        """
        return cls(*load_umgf(folder))

    def check(self, example: Example) -> None:
        self.codec.encode([example], [None])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples = [replace(draft.example, candidates=draft.candidates) for draft in drafts]
        found = self.codec.predict(self.model, self.codec.encode(examples, pictures), self.batch_size)
        return [replace(draft, entities=entities) for draft, entities in zip(drafts, found, strict=True)]


@dataclass(frozen=True)
class BARTMNERRecogniser(Stage):
    """A BARTMNER as the recognise stage: an H-Index without regions in its answer. `regions` have features, by post id.

    It reads `candidates`, so that these must be found before.
    """

    model: HIndex
    codec: HIndexCodec
    regions: Mapping[str, Regions] = field(default_factory=dict)
    batch_size: int = 32
    name: str = "recognise"

    @classmethod
    def load(cls, folder: Path, regions: Mapping[str, Regions] | None = None) -> Self:
        """A recogniser with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or the tokenizer that it names, is missing or damaged, or it holds an H-Index.
        """
        model, codec = load_h_index(folder)
        if codec.config.grounded:
            raise CheckpointError(
                f"{folder} holds an H-Index, which answers with regions",
                allowed="BARTMNER is one that was trained with `model.grounded` off",
                todo="take the system `h-index`, or train a BARTMNER",
            )
        return cls(model, codec, regions or {})

    def check(self, example: Example) -> None:
        self.codec.encode([replace(example, entities=None)], [None])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples = [replace(draft.example, entities=None, candidates=draft.candidates) for draft in drafts]
        stored = [self.regions.get(draft.id) for draft in drafts]
        features = [None if found is None else found.features for found in stored]
        encoded = self.codec.encode(examples, pictures, features)
        found = self.codec.predict(self.model, encoded, self.batch_size)
        return [
            with_left_out(replace(draft, entities=entities), item.left_out)
            for draft, entities, item in zip(drafts, found, encoded, strict=True)
        ]
