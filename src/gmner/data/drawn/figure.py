"""What a figure is: a kind with a look, how the kind is drawn, and the traits by which words can point at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from numpy.random import Generator

from gmner.data.drawn.colours import alike
from gmner.data.drawn.pen import Brush, Patch, Pen, Ruler
from gmner.types import Box

Look = Mapping[str, str]
"""Everything that a figure's drawing depends on, by name."""

Pool = Literal["person", "place", "emblem", "object"]
"""What a figure may stand for: people for PER and for teams, places for LOC, emblems for ORG, objects for OTHER."""

Standing = Literal["far", "wall", "ground"]
"""Where a figure is in the picture: behind at the horizon, high up on a wall, or in front on the ground."""


class Trait(NamedTuple):
    """One way to point at a figure: `words` stand before or after its noun, if there is something to say.

    `key` is what is compared: two figures are told apart by it if one of its values differs beyond doubt. It can be
    made out where at least `least` pixels and the share `enough` of the figure's `part` are seen.
    """

    name: str
    key: tuple[str, ...]
    words: str | None
    before: bool = False
    part: int = 1
    least: int = 40
    enough: float = 0.5


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    `heights` are the least and the most of a picture's height that one takes. `nouns` say what it is. `families` are
    parts of a look that go together, so that a look-alike can take one of them over.
    """

    pool: Pool
    standing: Standing
    heights: tuple[float, float]
    look: Callable[[Generator], Look]
    draw: Callable[[Pen, Look], None]
    nouns: tuple[str, ...]
    traits: Callable[[Look], tuple[Trait, ...]]
    families: tuple[tuple[str, ...], ...]
    bottom: Callable[[Look], float] = lambda look: 1.0
    """Where the figure is cut off below, in its own units: a half-length portrait ends at the waist."""


def extent(kind: Kind, look: Look) -> Box:
    """The rectangle that a figure fills, in its own units."""
    ruler = Ruler(kind.bottom(look))
    kind.draw(ruler, look)
    return ruler.extent


def paint(kind: Kind, look: Look, size: tuple[int, int]) -> Patch:
    """A figure that fills `size` (width, height) pixels."""
    brush = Brush(extent(kind, look), size)
    kind.draw(brush, look)
    return brush.patch()


def differ(one: Trait, other: Trait) -> bool:
    """Whether two traits of one name tell their figures apart beyond doubt."""
    return len(one.key) != len(other.key) or any(not alike(a, b) for a, b in zip(one.key, other.key, strict=True))
