"""Regions of a picture cut out for vision encoders, and CLIP's vector of each."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gmner.image import Picture
from gmner.types import Box

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours that CLIP was trained with, in [0, 1]."""

Crop = UInt8[np.ndarray, "side side 3"]


def blank(side: int) -> Crop:
    """A picture of nothing: CLIP's mean colour, nearly 0 for the network."""
    return np.broadcast_to(np.round(np.array(MEAN) * 255).astype(np.uint8), (side, side, 3))


def cut(picture: Picture, box: Box) -> Picture:
    """A region of a picture, to whole pixels outwards, at least one; nothing outside the picture."""
    height, width = picture.shape[:2]
    left, top = min(max(int(box.x1), 0), width - 1), min(max(int(box.y1), 0), height - 1)
    right = min(max(int(np.ceil(box.x2)), left + 1), width)
    bottom = min(max(int(np.ceil(box.y2)), top + 1), height)
    return picture[top:bottom, left:right]


def crop(picture: Picture, box: Box, side: int) -> Crop:
    """The whole of a region as a square, width and height each scaled by themselves; nothing outside the picture."""
    piece = cut(picture, box)
    method = cv2.INTER_AREA if min(piece.shape[:2]) > side else cv2.INTER_LINEAR
    square: Crop = cv2.resize(piece, (side, side), interpolation=method)
    return square


def normalise(crops: UInt8[Tensor, "crops side side 3"]) -> Float[Tensor, "crops 3 side side"]:
    """Crops as networks take them: channels first (though last in memory), by CLIP's mean and deviation."""
    mean, deviation = (torch.tensor(numbers, device=crops.device) for numbers in (MEAN, STD))
    return ((crops.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


@torch.inference_mode()
def clip_features(vision: Any, crops: Sequence[Crop], batch_size: int = 32) -> Float[np.ndarray, "crops width"]:
    """The pooled state of CLIP's vision encoder for every crop, which has the side that the encoder takes."""
    rows = [np.zeros((0, vision.config.hidden_size), np.float32)]
    for start in range(0, len(crops), batch_size):
        pixels = normalise(torch.from_numpy(np.stack(crops[start : start + batch_size])).to(vision.device))
        rows.append(vision(pixel_values=pixels).pooler_output.float().cpu().numpy())
    return np.concatenate(rows)
