"""What the network sees of a region: crops, and how one vector comes of a crop or of stored features."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from gmner.image import Picture
from gmner.models.mqspn.batch import PLACE
from gmner.models.mqspn.config import FreshCrops
from gmner.types import Box

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours that CLIP was trained with, in [0, 1]."""

Crop = UInt8[np.ndarray, "side side 3"]


def blank(side: int) -> Crop:
    """The picture that stands for "can not be seen": CLIP's mean colour, nearly 0 for the network.

    The release has a file 0.jpg for it, which is not at hand.
    """
    return np.broadcast_to(np.round(np.array(MEAN) * 255).astype(np.uint8), (side, side, 3))


def crop(picture: Picture, box: Box, side: int) -> Crop:
    """The whole of a region as a square, its sides scaled each by itself; what lies outside the picture is left out."""
    height, width = picture.shape[:2]
    left, top = min(max(int(box.x1), 0), width - 1), min(max(int(box.y1), 0), height - 1)
    right = min(max(int(np.ceil(box.x2)), left + 1), width)
    bottom = min(max(int(np.ceil(box.y2)), top + 1), height)
    piece = picture[top:bottom, left:right]
    method = cv2.INTER_AREA if min(piece.shape[:2]) > side else cv2.INTER_LINEAR
    square: Crop = cv2.resize(piece, (side, side), interpolation=method)
    return square


def released_crop(picture: Picture, box: Box, side: int) -> Crop:
    """The middle square of a region, its shorter side scaled to `side` (bicubic), as CLIP prepares whole pictures."""
    left, top, right, bottom = (round(value) for value in box)
    piece = Image.fromarray(picture).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    scale = side / min(piece.size)
    piece = piece.resize([max(int(length * scale), side) for length in piece.size], Image.Resampling.BICUBIC)
    left, top = (piece.width - side) // 2, (piece.height - side) // 2
    return np.asarray(piece.crop((left, top, left + side, top + side)))


def place(box: Box, picture: Picture) -> list[float]:
    """Where a region is: its corners as shares of the picture's sides, and its share of the area."""
    height, width = picture.shape[:2]
    return [box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height, box.area / (width * height)]


NOWHERE: Final = [0.0] * PLACE
"""The place of the blank picture."""


def normalise(crops: UInt8[np.ndarray, "crops side side 3"]) -> Float[Tensor, "crops 3 side side"]:
    """Crops as networks take them: channels first, by CLIP's mean and deviation."""
    scaled = torch.from_numpy(np.ascontiguousarray(crops)).float() / 255
    return ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


@torch.inference_mode()
def clip_features(vision: Any, crops: Sequence[Crop], batch_size: int = 32) -> Float[np.ndarray, "crops width"]:
    """One vector a crop from CLIP's vision encoder, frozen: its pooled state."""
    rows = []
    for start in range(0, len(crops), batch_size):
        pixels = normalise(np.stack(crops[start : start + batch_size])).to(vision.device)
        rows.append(vision(pixel_values=pixels).pooler_output.float().cpu().numpy())
    return np.concatenate(rows)


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
            nn.MaxPool2d(2),
            *_convolution(second, third),
            nn.MaxPool2d(2),
            *_convolution(third, last),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(last * cells * cells, width),
        )


def _convolution(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(4, after), nn.ReLU()
