"""Large-scale jitter: a training picture smaller, or larger and cut, around what is to be found (specs/seqtr.md, 6)."""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool

from gmner.geometry import clip_box, shared_area
from gmner.models.seqtr.frame import View, frame_of, resize
from gmner.types import Box

Pixels = Bool[np.ndarray, "high wide"]

FACTORS: Final = (0.3, 1.4)
"""The smallest and largest factor that a view is scaled by."""

SHARES: Final = (0.9, 0.8, 0.7, 0.6, 0.5)
"""How much of the box a cut must keep; each is tried in turn, with a hundred places."""

PLACES: Final = 100
LEAST: Final = 0.3


def jitter(view: View, box: Box, mask: Pixels | None, random: np.random.Generator) -> tuple[View, Box, Pixels | None]:
    """The view at a random scale, with the box and the mask (of the seen size) in its new pixels.

    An enlarged view is cut back to its size, at a random place that keeps most of the box. Where no place keeps
    enough, the view stays as it is. Released code shifts the box by another place than the best one's then, or
    records sizes that the picture does not have.
    """
    width, height = view.frame.seen
    factor = random.uniform(*FACTORS)
    size = (max(int(width * factor + 0.5), 1), max(int(height * factor + 0.5), 1))
    across, down = size[0] / width, size[1] / height
    scaled = Box(box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down)
    left, top = 0, 0
    if factor > 1:
        place = _place(scaled, size, view.frame.seen, random)
        if place is None:
            return view, box, mask
        left, top = place
    seen = (min(size[0], width), min(size[1], height))
    moved = clip_box(Box(scaled.x1 - left, scaled.y1 - top, scaled.x2 - left, scaled.y2 - top), *seen)
    if moved is None:
        return view, box, mask
    window = slice(top, top + seen[1]), slice(left, left + seen[0])
    pixels = np.ascontiguousarray(resize(view.pixels, size)[window])
    if mask is not None:
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[window].astype(bool)
    return View(pixels, frame_of(view.frame.original, seen)), moved, mask


def _place(
    box: Box, size: tuple[int, int], window: tuple[int, int], random: np.random.Generator
) -> tuple[int, int] | None:
    """The upper left corner of a window that keeps most of the box, if there is one."""
    best, best_share = None, LEAST
    for least in SHARES:
        corners = random.integers(0, np.array(size) - np.array(window) + 1, (PLACES, 2))
        for left, top in corners.tolist():
            kept = Box(left, top, left + window[0], top + window[1])
            share = shared_area(box, kept) / box.area
            if share >= least:
                return left, top
            if share > best_share:
                best, best_share = (left, top), share
    return best
