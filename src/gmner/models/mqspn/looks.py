"""What the network sees of a region beside `nn.crops`: where it is, the released crop, a small encoder of crops."""

from typing import Final

import numpy as np
from PIL import Image
from torch import nn

from gmner.image import Picture
from gmner.models.mqspn.batch import PLACE
from gmner.models.mqspn.config import FreshCrops
from gmner.nn.crops import Crop
from gmner.types import Box


def released_crop(picture: Picture, box: Box, side: int) -> Crop:
    """The middle square of a region, its shorter side scaled to `side` (bicubic), as CLIP prepares whole pictures."""
    left, top, right, bottom = (round(value) for value in box)
    piece = Image.fromarray(picture).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    scale = side / min(piece.size)
    width, height = (max(int(length * scale), side) for length in piece.size)
    piece = piece.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(piece.crop((left, top, left + side, top + side)))


def place(box: Box, picture: Picture) -> list[float]:
    """Where a region is: its corners as shares of the picture's sides, and its share of the area."""
    height, width = picture.shape[:2]
    return [box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height, box.area / (width * height)]


NOWHERE: Final = [0.0] * PLACE
"""The place of the blank picture."""


class CropEncoder(nn.Sequential):
    """A small convolutional network from crops to vectors: the side is halved four times.

    Normalised by groups of channels, so that a crop's vector does not depend on the others.
    """

    def __init__(self, config: FreshCrops, width: int) -> None:
        first, second, third, last = (config.channels * times for times in (1, 2, 3, 4))
        cells = -(-config.side // 16)
        super().__init__(
            *_convolution(3, first, stride=2),
            *_convolution(first, second),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolution(second, third),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolution(third, last),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(last * cells * cells, width),
        )


def _convolution(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(4, after), nn.ReLU()
