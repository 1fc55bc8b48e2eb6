"""Training pictures that vary: a random piece, perhaps mirrored, with two random changes of colour or shape.

RandomAugment of the released ALBEF, two operations of strength 7 out of 10 (specs/albef.md, section 7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

from gmner.image import Picture

GREY: Final = (128, 128, 128)
"""What fills the corners that a shear or a turn leaves empty."""

STRENGTH: Final = 0.7
SHEAR: Final = 0.3 * STRENGTH
SHIFT: Final = 10 * STRENGTH
"""Pixels, whatever the picture's size."""
TURN: Final = 30 * STRENGTH
"""Degrees."""
FACTOR: Final = 1.8 * STRENGTH + 0.1
"""Of brightness and sharpness."""


@dataclass(frozen=True)
class Augmentation:
    """How training pictures vary.

    Args:
        smallest: least share of the picture's area that the random piece covers; 1 takes the whole picture.
        operations: random changes of a picture, each of which is left out in one case of two.
        mirror: mirror every second picture, as published, although expressions may say left or right.
        wrap: do as the released code where its 8-bit numbers wrap round: AutoContrast turns a channel without black
            into 255 everywhere, Sharpness turns too bright into dark. Otherwise both stop at 0 and 255.
    """

    smallest: float = 0.5
    operations: int = 2
    mirror: bool = False
    wrap: bool = False

    def __call__(self, picture: Picture, side: int, draw: np.random.Generator) -> Picture:
        """A square of `side` pixels from `picture`, by the random numbers of `draw`."""
        left, top, right, bottom = random_piece(picture.shape[1], picture.shape[0], self.smallest, draw)
        image = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC, (left, top, right, bottom))
        square = np.asarray(image)
        if self.mirror and draw.random() < 0.5:
            square = np.ascontiguousarray(square[:, ::-1])
        names = list(OPERATIONS)
        for _ in range(self.operations):
            name = names[draw.integers(len(names))]
            if draw.random() < 0.5:
                square = OPERATIONS[name](square, 1.0 if draw.random() < 0.5 else -1.0, self.wrap)
        return square


def random_piece(width: int, height: int, smallest: float, draw: np.random.Generator) -> tuple[int, int, int, int]:
    """A piece (left, top, right, bottom) of `smallest` to 1 of the area, its sides in proportion 3:4 to 4:3.

    As torchvision's RandomResizedCrop: ten tries, then the middle of the picture in the nearest allowed proportion.
    With `smallest` 1 it is the whole picture.
    """
    if smallest >= 1:
        return 0, 0, width, height
    for _ in range(10):
        area = width * height * draw.uniform(smallest, 1)
        proportion = np.exp(draw.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round(np.sqrt(area * proportion)), round(np.sqrt(area / proportion))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draw.integers(width - w + 1)), int(draw.integers(height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width * 4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def auto_contrast(square: Picture, wrap: bool = False) -> Picture:
    """Each channel stretched to 0..255; one that has a single value stays as it is.

    With `wrap`, a channel whose least value is not 0 becomes 255 everywhere, as in the released code, which negates an
    8-bit number.
    """

    def table(channel: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, " 256"]:
        low, high = int(channel.min()), int(channel.max())
        if low == high:
            return np.arange(256.0)
        return (np.arange(256) + (-low % 256 if wrap else -low)) * (255 / (high - low))

    return np.stack([_look_up(square[..., c], table(square[..., c])) for c in range(3)], -1)


def equalise(square: Picture) -> Picture:
    """Each channel's histogram made flat."""
    return np.asarray(ImageOps.equalize(Image.fromarray(square)))


def brighten(square: Picture) -> Picture:
    """All values times `FACTOR`."""
    return _look_up(square, np.arange(256) * FACTOR)


def sharpen(square: Picture, wrap: bool = False) -> Picture:
    """Edges stronger; the outermost pixels stay. With `wrap`, values past 0..255 go round, as in the released code."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13
    smooth = cv2.filter2D(square, -1, kernel)[1:-1, 1:-1].astype(np.float64)
    blend = smooth + FACTOR * (square[1:-1, 1:-1] - smooth)
    out = square.copy()
    out[1:-1, 1:-1] = blend.astype(np.int64) % 256 if wrap else blend.clip(0, 255)
    return out


def shear(square: Picture, across: float, down: float) -> Picture:
    """The content at (x, y) moved to (x + across * y, y + down * x)."""
    return _move(square, np.array([[1, across, 0], [down, 1, 0]], dtype=np.float64))


def shift(square: Picture, left: float, up: float) -> Picture:
    """The content moved by so many pixels."""
    return _move(square, np.array([[1, 0, -left], [0, 1, -up]], dtype=np.float64))


def turn(square: Picture, degrees: float) -> Picture:
    """The content turned counter-clockwise about the middle."""
    height, width = square.shape[:2]
    return _move(square, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1))


OPERATIONS: Final[Mapping[str, Callable[[Picture, float, bool], Picture]]] = {
    "Identity": lambda square, sign, wrap: square,
    "AutoContrast": lambda square, sign, wrap: auto_contrast(square, wrap),
    "Equalize": lambda square, sign, wrap: equalise(square),
    "Brightness": lambda square, sign, wrap: brighten(square),
    "Sharpness": lambda square, sign, wrap: sharpen(square, wrap),
    "ShearX": lambda square, sign, wrap: shear(square, sign * SHEAR, 0),
    "ShearY": lambda square, sign, wrap: shear(square, 0, sign * SHEAR),
    "TranslateX": lambda square, sign, wrap: shift(square, sign * SHIFT, 0),
    "TranslateY": lambda square, sign, wrap: shift(square, 0, sign * SHIFT),
    "Rotate": lambda square, sign, wrap: turn(square, sign * TURN),
}
"""By their published names: a square, the sign of the change, and whether 8-bit numbers wrap round."""


def _look_up(values: UInt8[np.ndarray, "..."], table: Float[np.ndarray, " 256"]) -> UInt8[np.ndarray, "..."]:
    """Every value replaced by that of a table, clipped and truncated to 8 bits."""
    replaced: UInt8[np.ndarray, "..."] = table.clip(0, 255).astype(np.uint8)[values]
    return replaced


def _move(square: Picture, matrix: Float[np.ndarray, "2 3"]) -> Picture:
    height, width = square.shape[:2]
    moved: Picture = cv2.warpAffine(square, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=GREY)
    return moved
