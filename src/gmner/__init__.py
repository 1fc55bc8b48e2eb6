"""Grounded and segmented multimodal named entity recognition.

A post (text and a picture) goes in; its named entities come out, each with its span, type, boxes and masks::

    import gmner

    lite = gmner.load("lite")
    [post] = lite.predict([gmner.Example(text="Grace Hopper of the US Navy", image="hopper.jpg")])
    for entity in post.entities:
        print(entity.text, entity.type, entity.boxes)

Importing this loads no torch: what needs it is fetched at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gmner.errors import GmnerError
from gmner.types import Box, Candidate, Entity, Example, Mask, Prediction

if TYPE_CHECKING:
    from gmner.data import read, read_predictions, write
    from gmner.metrics import evaluate
    from gmner.show import draw
    from gmner.systems import load

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Candidate",
    "Entity",
    "Example",
    "GmnerError",
    "Mask",
    "Prediction",
    "draw",
    "evaluate",
    "load",
    "read",
    "read_predictions",
    "write",
]

_HOMES = {
    "draw": "gmner.show",
    "evaluate": "gmner.metrics",
    "load": "gmner.systems",
    "read": "gmner.data",
    "read_predictions": "gmner.data",
    "write": "gmner.data",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gmner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
