"""What is seen in a scene: whose each pixel is, and how much of every figure stays visible."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16

from gmner.data.drawn.figure import Look, paint
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.pen import Brush, Patch
from gmner.data.drawn.scene import Place, Placed, Scene
from gmner.data.drawn.scenery import PROPS
from gmner.geometry import encode_mask, mask_box
from gmner.types import Box, Mask


class Sight(NamedTuple):
    """What is seen of one figure: its mask and tight box (None where nothing is), and how much of it and its parts.

    `seen` and `whole` are pixels by part; `whole` counts what is hidden or outside the picture as well.
    """

    mask: Mask | None
    box: Box | None
    seen: Mapping[int, int]
    whole: Mapping[int, int]

    @property
    def share(self) -> float:
        """The part of the figure that can be seen."""
        return sum(self.seen.values()) / max(1, sum(self.whole.values()))


class Layer(NamedTuple):
    """A painted item, the part of it that lies in the picture, and the rows and columns of the picture it covers."""

    whole: Patch
    inside: Patch
    area: tuple[slice, slice]


class View(NamedTuple):
    """A scene as it is seen. `sights` and `layers` have an entry for each of its items; a prop has no sight.

    `owner` says whose each pixel is: the index of the figure that covers at least half of it last, -1 for none.
    """

    owner: Int16[np.ndarray, "height width"]
    sights: tuple[Sight | None, ...]
    layers: tuple[Layer, ...]


def observe(scene: Scene) -> View:
    """Paint the items of a scene and see which of their pixels stay visible."""
    width, height = scene.size
    owner = np.full((height, width), -1, dtype=np.int16)
    layers = tuple(_layer(item, scene.size) for item in scene.items)
    for index, (item, layer) in enumerate(zip(scene.items, layers, strict=True)):
        if item.look is not None:
            owner[layer.area][layer.inside.solid] = index
        elif PROPS[item.kind].opacity == 255:
            owner[layer.area][layer.inside.solid] = -1
    sights = tuple(
        None if item.look is None else _sight(owner, index, layer)
        for index, (item, layer) in enumerate(zip(scene.items, layers, strict=True))
    )
    return View(owner, sights, layers)


def sight_alone(kind: str, look: Look, place: Place) -> Sight:
    """About what would be seen of a figure with nothing before it; painted small, as only the counts are asked for."""
    shrink = max(1, max(place.width, place.height) // 60)
    patch = paint(KINDS[kind], look, (max(2, place.width // shrink), max(2, place.height // shrink)))
    counts = {part: count * shrink * shrink for part, count in _counts(patch.parts[patch.solid]).items()}
    return Sight(None, None, counts, counts)


def _layer(item: Placed, size: tuple[int, int]) -> Layer:
    x, y, width, height = item.place
    if item.look is not None:
        patch = paint(KINDS[item.kind], item.look, (width, height))
    else:
        brush = Brush(Box(0, 0, 1, 1), (width, height))
        PROPS[item.kind].draw(brush)
        patch = brush.patch()
    left, right = (min(max(side, 0), size[0]) for side in (x, x + width))
    top, bottom = (min(max(side, 0), size[1]) for side in (y, y + height))
    inside = patch.cut(slice(top - y, bottom - y), slice(left - x, right - x))
    return Layer(patch, inside, (slice(top, bottom), slice(left, right)))


def _sight(owner: Int16[np.ndarray, "height width"], index: int, layer: Layer) -> Sight:
    visible = owner == index
    parts = layer.inside.parts[visible[layer.area]]
    mask = encode_mask(visible) if len(parts) else None
    whole = layer.whole.parts[layer.whole.solid]
    return Sight(mask, None if mask is None else mask_box(mask), _counts(parts), _counts(whole))


def _counts(parts: np.ndarray) -> dict[int, int]:
    return {part: int(count) for part, count in enumerate(np.bincount(parts)) if count}
