"""A picture as SeqTR sees it: scaled to one length, padded to whole cells. Boxes go there and come back."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from gmner.image import Picture
from gmner.models.seqtr.darknet import STRIDE
from gmner.types import Box


class Frame(NamedTuple):
    """Widths and heights of a picture: as it is, as it is seen, and with padding on the right and below."""

    original: tuple[int, int]
    seen: tuple[int, int]
    padded: tuple[int, int]

    @property
    def scale(self) -> Float[np.ndarray, "2"]:
        """Seen pixels of an original one, in float32 as published."""
        return np.array(self.seen, np.float32) / np.array(self.original, np.float32)

    def seen_box(self, box: Box, inclusive: bool = False) -> Box:
        """A box of the original picture in seen pixels, clipped; `inclusive`: to the last pixel's index."""
        corners = np.clip(np.reshape(box, (2, 2)), 0, np.array(self.original) - int(inclusive))
        return Box(*(corners * self.scale.astype(np.float64)).ravel().tolist())


class View(NamedTuple):
    """The seen pixels, without padding, and their frame."""

    pixels: Picture
    frame: Frame


def frame_of(original: tuple[int, int], seen: tuple[int, int]) -> Frame:
    """The frame of a picture that is seen in this size: padding fills the last cells up."""
    width, height = (-(-length // STRIDE) * STRIDE for length in seen)
    return Frame(original, seen, (width, height))


def scaled_size(original: tuple[int, int], side: float) -> tuple[int, int]:
    """Width and height when the longer of them becomes `side`; a picture never loses all of a side."""
    factor = side / max(original)
    width, height = (max(int(length * factor + 0.5), 1) for length in original)
    return width, height


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture in this width and height, bilinear without smoothing, as published."""
    resized: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return resized


def view(picture: Picture, side: int) -> View:
    """A picture as it is seen at inference."""
    original = (picture.shape[1], picture.shape[0])
    frame = frame_of(original, scaled_size(original, side))
    return View(resize(picture, frame.seen), frame)
