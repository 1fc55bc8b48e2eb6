"""What a post brings along in the place of a stage: the file of an earlier run to go on from, or gold as an oracle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gmner.errors import EntityError, MismatchError
from gmner.image import Picture
from gmner.stages.stage import Stage
from gmner.types import Entity, Example, Prediction

GOLD: Final = "gold"


@dataclass(frozen=True)
class GivenEntities(Stage):
    """The entities, candidates and notes of a post as they stand in its row, with all that earlier stages found."""

    name: str = "given"

    def check(self, example: Example) -> None:
        if example.entities is None:
            raise EntityError(
                f"post {example.id!r} has no entities",
                allowed="an earlier run leaves entities in its rows, `[]` where it found none",
                todo="predict the posts first",
            )

    def check_picture(self, example: Example, picture: Picture) -> None:
        """Refuse boxes and masks of a picture of another size than the one that was opened."""
        height, width = picture.shape[:2]
        sizes = {example.image_size} | {mask.size[::-1] for entity in example.entities or () for mask in entity.masks}
        if others := sizes - {None, (width, height)}:
            raise MismatchError(
                f"regions of a picture of {others.pop()} pixels and a picture of {(width, height)}",
                allowed="regions are in pixels of the picture that the post names",
                todo="give the picture in which they were found",
            )

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            replace(
                draft,
                entities=draft.example.entities or (),
                candidates=draft.example.candidates or (),
                notes=tuple(dict.fromkeys((*draft.example.extra.get("notes", ()), *draft.notes))),
            )
            for draft in drafts
        ]


@dataclass(frozen=True)
class GoldEntities(Stage):
    """Recognition that is always right: gold spans and types, and nothing else of gold."""

    name: str = "recognise"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            replace(
                draft,
                entities=tuple(
                    Entity(e.text, e.type, e.start, e.end, provenance={self.name: GOLD})
                    for e in draft.example.entities or ()
                ),
            )
            for draft in drafts
        ]


@dataclass(frozen=True)
class GoldGroundable(Stage):
    """Entailment that is always right: 1 for an entity whose span is that of a gold entity with a region, else 0."""

    name: str = "entail"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            replace(draft, entities=tuple(self._judge(entity, _gold_of(entity, draft)) for entity in draft.entities))
            for draft in drafts
        ]

    def _judge(self, entity: Entity, gold: Entity | None) -> Entity:
        visible = gold is not None and gold.visible
        return replace(entity, groundable=float(visible), provenance={**entity.provenance, self.name: GOLD})


@dataclass(frozen=True)
class GoldBoxes(Stage):
    """Grounding that is always right where something can be: the gold boxes of an entity that is judged visible.

    An entity that has no gold box keeps none, although it was judged visible: there is nowhere right to point.
    """

    threshold: float = 0.5
    name: str = "ground"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            replace(draft, entities=tuple(self._place(entity, _gold_of(entity, draft)) for entity in draft.entities))
            for draft in drafts
        ]

    def _place(self, entity: Entity, gold: Entity | None) -> Entity:
        seen = entity.groundable is None or entity.groundable >= self.threshold
        boxes = gold.boxes if gold is not None and seen else ()
        return replace(entity, boxes=boxes, masks=(), provenance={**entity.provenance, self.name: GOLD})


def _gold_of(entity: Entity, draft: Prediction) -> Entity | None:
    """The gold entity with an entity's span (its surface string, where a span is not known)."""
    gold = draft.example.entities or ()
    if entity.start is None:
        return next((other for other in gold if other.text == entity.text), None)
    return next((other for other in gold if (other.start, other.end) == (entity.start, entity.end)), None)
