"""Boxes to choose from: those that overlap the regions of the training split best. All are shares of the picture."""

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from gmner.geometry import box_array, box_iou
from gmner.types import Box, Entity, Example

OVERLAP: Final = 0.5
"""The overlap that a right box exceeds (protocol `span`)."""
STEPS: Final = 12
"""Corners lie on twelfths of the picture; sides are three twelfths or longer."""
SHORTEST: Final = 3
FADING: Final = 0.7
"""What a region still counts for each time that a chosen box covers it: thick places get more boxes."""


def relative_boxes(example: Example, entity: Entity) -> list[Box]:
    """The regions of a gold entity as shares of the picture; none if it has none or the picture's size is unknown."""
    if example.image_size is None:
        return []
    width, height = example.image_size
    return [Box(box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height) for box in entity.boxes]


def overlapping(regions: Sequence[Sequence[Box]], boxes: Sequence[Box]) -> Bool[np.ndarray, "names boxes"]:
    """Which boxes are right for which names: those that overlap any region of the name by more than half."""
    found = np.zeros((len(regions), len(boxes)), dtype=bool)
    for row, own in enumerate(regions):
        if own:
            found[row] = (box_iou(own, boxes) > OVERLAP).any(0)
    return found


def grid() -> list[Box]:
    """Every box with corners on the grid."""
    sides = [(a / STEPS, b / STEPS) for a in range(STEPS) for b in range(a + SHORTEST, STEPS + 1)]
    return [Box(x1, y1, x2, y2) for (x1, x2), (y1, y2) in product(sides, sides)]


def choose_boxes(regions: Sequence[Sequence[Box]], number: int) -> Float[np.ndarray, "boxes 4"]:
    """`number` boxes of the grid, greedily: each covers the most regions, those count less that are covered already."""
    candidates = grid()
    covers = overlapping(regions, candidates)
    weights = np.ones(len(regions))
    chosen: list[int] = []
    for _ in range(number):
        gains = weights @ covers
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        weights = np.where(covers[:, chosen[-1]], weights * FADING, weights)
    return box_array([candidates[index] for index in chosen])
