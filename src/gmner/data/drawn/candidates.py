"""Candidate regions as a detector would propose them: around all figures, twice for some, and where nothing is."""

from collections.abc import Sequence
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import between, happens, pick
from gmner.geometry import clip_box, hull
from gmner.types import Box, Candidate

MOST: Final = 24
"""Regions of a picture at most."""


def propose(rng: Generator, boxes: Sequence[Box], size: tuple[int, int]) -> tuple[Candidate, ...]:
    """Regions with scores, best first: jittered boxes of the figures (one in twenty is missed), doubles, parts,
    pairs, and boxes of the background."""
    width, height = size
    found: list[tuple[Box | None, float]] = []
    for box in boxes:
        if happens(rng, 0.95):
            found.append((_jitter(rng, box, 0.06, size), between(rng, 0.55, 0.99)))
        if happens(rng, 0.35):
            found.append((_jitter(rng, box, 0.16, size), between(rng, 0.3, 0.75)))
        if happens(rng, 0.25):
            part = Box(box.x1, box.y1, box.x2, box.y1 + box.height * between(rng, 0.25, 0.5))
            found.append((_jitter(rng, part, 0.05, size), between(rng, 0.2, 0.7)))
    if len(boxes) > 1 and happens(rng, 0.4):
        first = pick(rng, boxes)
        found.append((hull([first, pick(rng, boxes)]), between(rng, 0.2, 0.5)))
    for _ in range(int(rng.integers(3, 9))):
        wide, tall = between(rng, 0.08, 0.6) * width, between(rng, 0.08, 0.6) * height
        x, y = between(rng, 0, width - wide), between(rng, 0, height - tall)
        found.append((_whole(Box(x, y, x + wide, y + tall), size), between(rng, 0.05, 0.45)))
    regions = [Candidate(box, "object", round(score, 3)) for box, score in found if box is not None]
    return tuple(sorted(regions, key=lambda region: -region.score)[:MOST])


def _jitter(rng: Generator, box: Box, amount: float, size: tuple[int, int]) -> Box | None:
    """The box with each side moved by up to `amount` of its width or height."""
    moves = [between(rng, -amount, amount) * side for side in (box.width, box.height) * 2]
    return _whole(Box(*(side + move for side, move in zip(box, moves, strict=True))), size)


def _whole(box: Box, size: tuple[int, int]) -> Box | None:
    """The box in tenths of pixels, inside the picture."""
    return clip_box(Box(*(round(side, 1) for side in box)), *size)
