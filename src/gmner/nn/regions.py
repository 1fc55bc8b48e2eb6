"""Candidate regions as models read them: what is seen of each and where it is, and how gold is spread over them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gmner.errors import ConfigError
from gmner.geometry import box_array, box_iou
from gmner.image import Picture
from gmner.nn.crops import crop
from gmner.types import Box, Example

PLACE: Final = 5
"""Numbers that say where a region is (`places`)."""
COVERS: Final = 0.5
"""A candidate region covers an entity if it overlaps one of its boxes by more than this."""


class Seen(NamedTuple):
    """What a model sees of a post's candidates, the detector's surest first."""

    boxes: list[Box]
    looks: Float[np.ndarray, "regions feature"] | UInt8[np.ndarray, "regions side side 3"]
    """A detector's features, or crops."""
    places: Float[np.ndarray, "regions 5"]

    def first(self, count: int) -> "Seen":
        """The surest `count` of them."""
        return Seen(self.boxes[:count], self.looks[:count], self.places[:count])

    def at(self, numbers: list[int]) -> "Seen":
        """Those with these numbers."""
        return Seen([self.boxes[number] for number in numbers], self.looks[numbers], self.places[numbers])


def see(example: Example, picture: Picture | None, features: np.ndarray | None, *, width: int, side: int) -> Seen:
    """What there is to see of a post's candidates: crops of `side` pixels, or with 0 `features` of `width` numbers.

    Nothing without candidates, nor without the picture or the features. Places need the picture and are zeros without
    it. The size that a post states is not taken: Twitter-GMNER states it for annotated pictures only, which would tell
    the model whether there is something to be seen.

    Raises:
        ConfigError: the features are not one row of `width` numbers for each candidate.
    """
    boxes = [candidate.box for candidate in example.candidates or ()]
    if side:
        crops = [] if picture is None else [crop(picture, box, side) for box in boxes]
        looks: np.ndarray = np.stack(crops) if crops else np.zeros((0, side, side, 3), np.uint8)
    elif features is not None and features.shape != (len(boxes), width):
        raise ConfigError(
            f"post {example.id!r} has features of shape {features.shape} for {len(boxes)} candidates",
            allowed=f"the model reads one row of {width} numbers for each candidate",
            todo="give the features of the detector that the model was trained with",
        )
    else:
        looks = np.zeros((0, width), np.float32) if features is None else features.astype(np.float32)
    where = (
        np.zeros((len(boxes), PLACE), np.float32)
        if picture is None
        else places(boxes, width=picture.shape[1], height=picture.shape[0])
    )
    return Seen(boxes[: len(looks)], looks, where[: len(looks)])


def places(boxes: Sequence[Box], width: int, height: int) -> Float[np.ndarray, "boxes 5"]:
    """Where regions are in a picture of so many pixels: their sides and areas as shares of the picture's.

    >>> places([Box(50, 0, 100, 100)], 100, 200).tolist()
    [[0.5, 0.0, 1.0, 0.5, 0.25]]
    """
    corners = box_array(boxes) / (width, height, width, height)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return np.concatenate([corners, areas[:, None]], 1).astype(np.float32)


def region_tensors(
    seen: Sequence[Seen], slots: int
) -> tuple[
    Float[Tensor, "batch slots feature"] | UInt8[Tensor, "batch slots side side 3"], Float[Tensor, "batch slots 5"]
]:
    """Looks and places, filled up with zeros to `slots` regions each."""
    looks = np.zeros((len(seen), slots, *seen[0].looks.shape[1:]), seen[0].looks.dtype)
    where = np.zeros((len(seen), slots, PLACE), np.float32)
    for number, one in enumerate(seen):
        looks[number, : len(one.looks)] = one.looks
        where[number, : len(one.looks)] = one.places
    return torch.from_numpy(looks), torch.from_numpy(where)


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
