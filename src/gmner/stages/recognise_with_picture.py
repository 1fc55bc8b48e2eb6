"""Recognise, with a look at the picture: UMT reads all of it, UMGF and BARTMNER its candidate regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from gmner.data.candidates import Regions
from gmner.errors import CheckpointError
from gmner.image import Picture
from gmner.models.h_index.weights import load as load_h_index
from gmner.stages.stage import Stage, with_left_out
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class PictureRecogniser(Stage):
    """A UMT or a UMGF with its codec as the recognise stage. A post without a picture is read as with a grey one.

    A UMGF looks at `candidates`, so that these must be found before.
    """

    model: Any
    codec: Any
    batch_size: int = 16
    name: str = "recognise"

    def check(self, example: Example) -> None:
        self.codec.encode([replace(example, entities=None)], [None])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return self._recognised(drafts, self._encode(drafts, pictures))

    def _encode(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Any]:
        encoded: list[Any] = self.codec.encode(_examples(drafts), pictures)
        return encoded

    def _recognised(self, drafts: Sequence[Prediction], encoded: Sequence[Any]) -> list[Prediction]:
        found = self.codec.predict(self.model, encoded, self.batch_size)
        return [replace(draft, entities=entities) for draft, entities in zip(drafts, found, strict=True)]


@dataclass(frozen=True)
class BARTMNERRecogniser(PictureRecogniser):
    """A BARTMNER as the recognise stage: an H-Index without regions in its answer. `regions` have features, by post id.

    It reads `candidates`, so that these must be found before.
    """

    batch_size: int = 32
    regions: Mapping[str, Regions] = field(default_factory=dict)

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
        return cls(model, codec, regions=regions or {})

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        encoded = self._encode(drafts, pictures)
        found = self._recognised(drafts, encoded)
        return [with_left_out(draft, item.left_out) for draft, item in zip(found, encoded, strict=True)]

    def _encode(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Any]:
        stored = [self.regions.get(draft.id) for draft in drafts]
        features = [None if found is None else found.features for found in stored]
        encoded: list[Any] = self.codec.encode(_examples(drafts), pictures, features)
        return encoded


def _examples(drafts: Sequence[Prediction]) -> list[Example]:
    """What is read of drafts."""
    return [replace(draft.example, entities=None, candidates=draft.candidates) for draft in drafts]
