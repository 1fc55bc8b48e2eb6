"""Pictures as networks of ImageNet see them: 224 x 224 pixels in its colours."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gmner.image import Picture

SIDE: Final = 224
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""Of the colours of ImageNet, in [0, 1]."""

View = UInt8[np.ndarray, "224 224 3"]


def middle(picture: Picture | None) -> View:
    """The middle square of a picture, resized. No picture is one of ImageNet's mean colour, nearly 0 for the network.

    The released UMT crops without resizing and so sees a random corner of most pictures.
    """
    if picture is None:
        return np.broadcast_to(np.round(np.array(MEAN) * 255).astype(np.uint8), (SIDE, SIDE, 3))
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    view: View = cv2.resize(square, (SIDE, SIDE), interpolation=method)
    return view


def normalise(views: Sequence[View]) -> Float[Tensor, "batch 3 224 224"]:
    """Views as a ResNet takes them: channels first, by ImageNet's mean and deviation."""
    scaled = torch.from_numpy(np.stack(views)).float() / 255
    return ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()
