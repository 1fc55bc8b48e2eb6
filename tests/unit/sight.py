"""Photographs of the examples, and drafts made by hand, for the tests of the stages that look at pictures."""

from pathlib import Path

import numpy as np
from PIL import Image

from gmner.image import Picture
from gmner.types import Box, Candidate, Entity, EntityType, Example, Prediction

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


def photo(name: str) -> Picture:
    return np.asarray(Image.open(PHOTOS / f"{name}.jpg").convert("RGB"))


def blank(width: int = 400, height: int = 300) -> Picture:
    return np.full((height, width, 3), 128, np.uint8)


def named(
    text: str, *names: tuple[str, EntityType, float | None], candidates: tuple[Candidate, ...] = ()
) -> Prediction:
    """A post whose names, in text order, are recognised as (name, type, prior)."""
    entities, reached = [], 0
    for name, kind, prior in names:
        reached = text.index(name, reached)
        entities.append(Entity(name, kind, reached, reached + len(name), groundable=prior))
    return Prediction(example=Example(text=text), entities=tuple(entities), candidates=candidates)


def face(x: float, y: float = 100, side: float = 60) -> Candidate:
    return Candidate(Box(x, y, x + side, y + side), "face", 0.9)


def line(text: str, x: float = 10, y: float = 10, height: float = 20) -> Candidate:
    return Candidate(Box(x, y, x + 0.6 * height * len(text), y + height), "lettering", 0.95, text)
