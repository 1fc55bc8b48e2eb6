"""Regions seen by their pixels, where no detector's features are at hand: a small convolutional network reads crops."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gmner.image import Picture
from gmner.nn.regions import Regions
from gmner.types import Box

CHANNELS: Final = (3, 32, 64, 96, 128)
GROUPS: Final = 8
PLACE: Final = 5
"""Numbers that say where a region is: its sides as shares of the picture's, and its share of the picture's area."""


def crop_width(side: int) -> int:
    """Numbers of a region's feature: its crop of `side` x `side` pixels, and its place."""
    return CHANNELS[0] * side * side + PLACE


def look(picture: Picture, boxes: Sequence[Box], side: int) -> Regions:
    """The regions of a picture with their crops, stretched to `side` x `side`, and places as features."""
    import cv2

    height, width = picture.shape[:2]
    features = np.zeros((len(boxes), crop_width(side)), np.float16)
    for row, box in zip(features, boxes, strict=True):
        left, top = (min(max(int(start), 0), end - 1) for start, end in ((box.x1, width), (box.y1, height)))
        right, bottom = max(round(box.x2), left + 1), max(round(box.y2), top + 1)
        crop = cv2.resize(picture[top:bottom, left:right], (side, side), interpolation=cv2.INTER_AREA)
        row[:-PLACE] = crop.transpose(2, 0, 1).ravel() / 255
        row[-PLACE:] = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height,
                        box.area / (width * height))  # fmt: skip
    return Regions(boxes, features)


class CropEncoder(nn.Module):
    """Features of `look` to states: four convolutions of stride 2, then all that is left and the place, projected."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        layers: list[nn.Module] = []
        for before, after in pairwise(CHANNELS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        left = -(-side // 2 ** (len(CHANNELS) - 1))
        self.out = nn.Linear(CHANNELS[-1] * left * left + PLACE, width)

    def forward(self, features: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch width"]:
        rows = features.reshape(-1, features.shape[-1])
        pixels = rows[:, :-PLACE].reshape(len(rows), CHANNELS[0], self.side, self.side)
        seen = self.layers(2 * pixels - 1).flatten(1)
        out: Tensor = self.out(torch.cat([seen, rows[:, -PLACE:]], 1))
        return out.reshape(*features.shape[:-1], -1)
