"""Candidate regions as joint models read them: boxes with features, and how a gold region is spread over them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float

from gmner.geometry import box_array, box_iou
from gmner.types import Box

PLACE: Final = 5
"""Numbers that say where a region is (`places`)."""
COVERS: Final = 0.5
"""A candidate region covers an entity if it overlaps one of its boxes by more than this."""


class Regions(NamedTuple):
    """A post's candidate regions as a detector gives them, the surest first."""

    boxes: Sequence[Box]
    features: Float[np.ndarray, "regions feature"]
    places: Float[np.ndarray, "regions 5"]
    """See `places`."""


def places(boxes: Sequence[Box], width: int, height: int) -> Float[np.ndarray, "boxes 5"]:
    """Where regions are in a picture of so many pixels: their sides and areas as shares of the picture's.

    >>> places([Box(50, 0, 100, 100)], 100, 200).tolist()
    [[0.5, 0.0, 1.0, 0.5, 0.25]]
    """
    corners = box_array(boxes) / (width, height, width, height)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return np.concatenate([corners, areas[:, None]], 1).astype(np.float32)


def region_shares(gold: Sequence[Box], candidates: Sequence[Box]) -> Float[np.ndarray, " candidates"]:
    """How an entity's region is spread over the candidates: by their largest overlap with one of its boxes.

    An overlap of exactly 0.5 is none, as in the score. (H-Index's released code takes the box for covered and then
    divides zero by zero; there is nothing to reproduce.) All zero where no candidate covers a box.

    >>> region_shares([Box(0, 0, 4, 4)], [Box(0, 0, 4, 3), Box(0, 0, 4, 2), Box(0, 0, 4, 4)]).round(3).tolist()
    [0.429, 0.0, 0.571]
    """
    if not gold or not candidates:
        return np.zeros(len(candidates), np.float32)
    overlap = box_iou(gold, candidates).max(0)
    covering = np.where(overlap > COVERS, overlap, 0.0)
    return np.asarray(covering / max(float(covering.sum()), COVERS), np.float32)
