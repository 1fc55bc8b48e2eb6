"""Segment from the expression alone, without a box: the text-query masks of the paper's Table XI."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gmner.image import Picture
from gmner.stages.asking import Segmenter, ask_entities, judged_visible
from gmner.stages.stage import Stage
from gmner.types import Mask, Prediction


@dataclass(frozen=True)
class SegmentByQuery(Stage):
    """Fills `masks`, one each, of the entities whose `groundable` is at least `threshold`; the others get none.

    A mask comes from a text query, so that it is not one for each box. `source` names the model in the provenance.
    """

    model: Segmenter
    source: str
    threshold: float = 0.5
    name: str = "segment"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        def ask(
            pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], captions: Sequence[str | None]
        ) -> list[list[Mask]]:
            return self.model.segment(pictures, expressions)

        found = ask_entities(drafts, pictures, lambda entity: judged_visible(entity, self.threshold), ask)
        return [
            replace(
                draft,
                entities=tuple(
                    replace(entity, masks=())
                    if mask is None
                    else replace(entity, masks=(mask,), provenance={**entity.provenance, self.name: self.source})
                    for entity, mask in zip(draft.entities, masks, strict=True)
                ),
            )
            for draft, masks in zip(drafts, found, strict=True)
        ]
