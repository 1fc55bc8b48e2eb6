"""A scene: all that a picture and its gold depend on."""

from dataclasses import dataclass
from typing import NamedTuple

from gmner.data.drawn.figure import Look
from gmner.types import Box


class Place(NamedTuple):
    """Whole pixels that a figure or prop fills; it may lie partly outside the picture."""

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        return Box(self.x, self.y, self.x + self.width, self.y + self.height)


@dataclass(frozen=True)
class Placed:
    """A figure (`look` given) or a prop (no look) at its place."""

    kind: str
    place: Place
    look: Look | None = None


@dataclass(frozen=True)
class Light:
    """What happens to the whole picture: brightness of each channel and fall-off (in 256ths), noise, softness."""

    gain: tuple[int, int, int] = (256, 256, 256)
    tilt: int = 0
    vignette: int = 0
    noise: int = 0
    soft: bool = False


@dataclass(frozen=True)
class Scene:
    """What is drawn where. `items` are drawn in order, so that later ones hide earlier ones."""

    size: tuple[int, int]
    backdrop: str
    items: tuple[Placed, ...]
    light: Light
    seed: tuple[int, ...]
