"""When a predicted region is right: overlap of two entities' regions, and the threshold it must pass."""

import math
from typing import NamedTuple

from gmner.geometry import mask_box, mask_iou, pair_iou
from gmner.metrics.tasks import RegionKind
from gmner.types import Box, Entity


class Threshold(NamedTuple):
    """An IoU that must be exceeded, or (`inclusive`) reached."""

    iou: float
    inclusive: bool

    def passed(self, overlap: float) -> bool:
        return overlap >= self.iou if self.inclusive else overlap > self.iou

    def __str__(self) -> str:
        return f"IoU {'>=' if self.inclusive else '>'} {self.iou:g}"


def entity_boxes(entity: Entity) -> tuple[Box, ...]:
    """An entity's boxes; where it has masks only, the tight boxes around them (an empty mask has none)."""
    if entity.boxes or not entity.masks:
        return entity.boxes
    return tuple(box for mask in entity.masks if (box := mask_box(mask)) is not None)


def first_box(entity: Entity) -> Box | None:
    """The one box of a prediction that is scored: its first, or the tight box around its first mask."""
    if entity.boxes:
        return entity.boxes[0]
    return mask_box(entity.masks[0]) if entity.masks else None


def overlap(gold: Entity, predicted: Entity, kind: RegionKind) -> float:
    """The best IoU of the predicted region with any gold region, as a number that any threshold can be held against.

    Infinite where neither entity is in the picture (right at every threshold), minus infinite where only one is, or
    where one has no region of this kind (wrong at every threshold).
    """
    if not (gold.visible and predicted.visible):
        return -math.inf if gold.visible or predicted.visible else math.inf
    if kind == "mask":
        return float(mask_iou(predicted.masks[:1], gold.masks).max(initial=-math.inf))
    box = first_box(predicted)
    return -math.inf if box is None else max((pair_iou(box, other) for other in entity_boxes(gold)), default=-math.inf)
