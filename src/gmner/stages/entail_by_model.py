"""Entail, as RiVEG does it: a model of visual entailment reads the expression and sees the picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gmner.image import Picture
from gmner.stages.asking import Entailer, ask_entities
from gmner.stages.stage import Stage
from gmner.types import Prediction


@dataclass(frozen=True)
class EntailByModel(Stage):
    """Fills `groundable` with P(the picture shows the expression): papers/riveg.txt, section IV-C1.

    A post without a picture shows nothing: 0. `source` names the model in the provenance.
    """

    model: Entailer
    source: str
    name: str = "entail"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        said = ask_entities(drafts, pictures, lambda entity: True, self.model.entail)
        return [
            replace(
                draft,
                entities=tuple(
                    replace(
                        entity,
                        groundable=0.0 if probability is None else probability,
                        provenance={
                            **entity.provenance,
                            self.name: "no picture" if probability is None else self.source,
                        },
                    )
                    for entity, probability in zip(draft.entities, probabilities, strict=True)
                ),
            )
            for draft, probabilities in zip(drafts, said, strict=True)
        ]
