"""Ground, as RiVEG does it: a model of visual grounding finds the one box of each expression."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gmner.image import Picture
from gmner.stages.asking import Grounder, ask_entities, judged_visible
from gmner.stages.stage import Stage
from gmner.types import Box, Prediction


@dataclass(frozen=True)
class GroundByModel(Stage):
    """Fills `boxes`, one each, of the entities whose `groundable` is at least `threshold`; the others get none.

    Where no stage has judged (RiVEG without visual entailment) every entity is looked for. Papers/riveg.txt,
    section IV-C2. `source` names the model in the provenance.
    """

    model: Grounder
    source: str
    threshold: float = 0.5
    name: str = "ground"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        def ask(
            pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], captions: Sequence[str | None]
        ) -> list[list[Box]]:
            return self.model.ground(pictures, expressions)

        found = ask_entities(drafts, pictures, lambda entity: judged_visible(entity, self.threshold), ask)
        return [
            replace(
                draft,
                entities=tuple(
                    replace(
                        entity,
                        boxes=() if box is None else (box,),
                        masks=(),
                        provenance=entity.provenance if box is None else {**entity.provenance, self.name: self.source},
                    )
                    for entity, box in zip(draft.entities, boxes, strict=True)
                ),
            )
            for draft, boxes in zip(drafts, found, strict=True)
        ]
