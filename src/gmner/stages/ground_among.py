"""Ground among candidates: EVG says which candidate region shows an entity, or that none does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from gmner.data.candidates import Regions
from gmner.image import Picture
from gmner.models.evg.codec import EVGCodec
from gmner.models.evg.model import EVG
from gmner.models.evg.weights import load
from gmner.stages.stage import Stage, with_left_out
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class GroundAmongCandidates(Stage):
    """Fills `groundable` and, where a candidate scores higher than "none", `boxes` with it.

    It asks no entailment stage. `regions` have features, by post id, for models that read them.
    """

    model: EVG
    codec: EVGCodec
    regions: Mapping[str, Regions] = field(default_factory=dict)
    batch_size: int = 16
    name: str = "ground"

    @classmethod
    def load(cls, folder: Path, regions: Mapping[str, Regions] | None = None) -> Self:
        """A grounder with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or the encoder that it builds on, is missing or damaged.
        """
        return cls(*load(folder), regions or {})

    def check(self, example: Example) -> None:
        self.codec.encode([example], [()], [None])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples = [replace(draft.example, candidates=draft.candidates) for draft in drafts]
        stored = [self.regions.get(draft.id) for draft in drafts]
        features = [None if found is None else found.features for found in stored]
        encoded = self.codec.encode(examples, [draft.entities for draft in drafts], pictures, features)
        found = self.codec.predict(self.model, encoded, self.batch_size)
        drafts = [
            replace(draft, entities=tuple(replace(e, provenance={**e.provenance, self.name: "evg"}) for e in entities))
            for draft, entities in zip(drafts, found, strict=True)
        ]
        return [with_left_out(draft, item.left_out) for draft, item in zip(drafts, encoded, strict=True)]
