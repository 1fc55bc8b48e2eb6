"""Regions seen by their pixels, where no detector's features are at hand: a small convolutional network reads crops."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gmner.image import Picture
from gmner.nn.regions import Regions, places
from gmner.types import Box

CHANNELS: Final = (3, 32, 64, 96, 128)
GROUPS: Final = 8


def crop_width(side: int) -> int:
    """Numbers of a crop of `side` x `side` pixels."""
    return CHANNELS[0] * side * side


def look(picture: Picture, boxes: Sequence[Box], side: int) -> Regions:
    """The regions of a picture, each stretched to `side` x `side` pixels, whose colours in [0, 1] are its feature."""
    import cv2

    height, width = picture.shape[:2]
    crops = np.zeros((len(boxes), crop_width(side)), np.float16)
    for row, box in zip(crops, boxes, strict=True):
        left, top = (min(max(int(start), 0), end - 1) for start, end in ((box.x1, width), (box.y1, height)))
        right, bottom = max(round(box.x2), left + 1), max(round(box.y2), top + 1)
        crop = cv2.resize(picture[top:bottom, left:right], (side, side), interpolation=cv2.INTER_AREA)
        row[:] = crop.transpose(2, 0, 1).ravel() / 255
    return Regions(boxes, crops, places(boxes, width, height))


class CropEncoder(nn.Module):
    """Crops to states: four convolutions of stride 2, and what is left of the picture, projected."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        layers: list[nn.Module] = []
        for before, after in pairwise(CHANNELS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.ReLU()]
        left = -(-side // 2 ** (len(CHANNELS) - 1))
        self.layers = nn.Sequential(*layers, nn.Flatten(1), nn.Linear(CHANNELS[-1] * left * left, width))

    def forward(self, crops: Float[Tensor, "crops pixels"]) -> Float[Tensor, "crops width"]:
        out: Tensor = self.layers(2 * crops.view(len(crops), CHANNELS[0], self.side, self.side) - 1)
        return out


class RegionEncoder(nn.Module):
    """Features of regions to states: a detector's features by one projection, crops by convolutions.

    Crops are looked at only where a region is `present`; the others become zeros.
    """

    def __init__(self, feature_width: int, crop: int, width: int) -> None:
        super().__init__()
        self.crop = crop
        self.encoder = CropEncoder(crop, width) if crop else nn.Linear(feature_width, width)

    def forward(
        self, features: Float[Tensor, "batch regions feature"], present: Bool[Tensor, "batch regions"]
    ) -> Float[Tensor, "batch regions width"]:
        if not self.crop:
            projected: Tensor = self.encoder(features)
            return projected
        seen: Tensor = self.encoder(features[present])
        return seen.new_zeros(*present.shape, seen.shape[-1]).masked_scatter(present[..., None], seen)
