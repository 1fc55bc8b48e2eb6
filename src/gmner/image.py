"""The only file that opens images: any reference to an RGB array, upright, within the caps."""

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = UInt8[np.ndarray, "height width 3"]
"""A decoded picture: 8-bit RGB, EXIF orientation applied, in the frame of all boxes."""


def open_image(reference: "str | PathLike[str] | bytes | Image | np.ndarray") -> Picture:
    """Open a file, the bytes of a file, or take a decoded picture."""
    raise NotImplementedError
