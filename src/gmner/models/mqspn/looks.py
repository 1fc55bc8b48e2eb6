"""What the network sees of a region beside `nn.crops`: where it is, and the released crop."""

from typing import Final

import numpy as np
from PIL import Image

from gmner.image import Picture
from gmner.models.mqspn.batch import PLACE
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
