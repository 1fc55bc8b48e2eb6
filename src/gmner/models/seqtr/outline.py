"""A mask as the vertices of its outline, and back (specs/seqtr.md, "Mask output" and "Mask targets")."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32
from pycocotools import mask as coco

from gmner.geometry import decode_mask
from gmner.types import Mask

UNUSED = -1.0
"""Both coordinates of a vertex that is not there."""


def sample_outline(pixels: Bool[np.ndarray, "high wide"], points: int) -> Float32[np.ndarray, "points 2"]:
    """At most `points` vertices (x, y) of a mask's largest part, evenly along its edge; the others are `UNUSED`.

    Of an edge with more pixels every n-th is taken, which seldom gives all the vertices. All are `UNUSED` if the
    largest part has no area (a line, a dot, nothing).
    """
    vertices = np.full((points, 2), UNUSED, dtype=np.float32)
    contours, _ = cv2.findContours(pixels.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is not None and cv2.contourArea(largest) > 0:
        taken = largest[:: math.ceil(len(largest) / points), 0]
        vertices[: len(taken)] = taken
    return vertices


def fill_outline(
    vertices: Float[np.ndarray, "vertices 2"], size: tuple[int, int], two_as_box: bool = False
) -> Bool[np.ndarray, "high wide"]:
    """The pixels in an outline, on a canvas of this width and height, as COCO draws it.

    Fewer than three vertices are no outline. With `two_as_box` two of them are drawn as a box: the second is its
    width and height.
    """
    width, height = size
    if len(vertices) == 2 and two_as_box:
        [code] = coco.frPyObjects(vertices.reshape(1, 4).astype(np.float64), height, width)
    elif len(vertices) > 2:
        [code] = coco.frPyObjects([vertices.ravel().tolist()], height, width)
    else:
        return np.zeros((height, width), dtype=bool)
    return decode_mask(Mask((height, width), code["counts"].decode()))
