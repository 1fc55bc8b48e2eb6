"""A scene, and the picture that it gives: what is drawn where, and which pixels of every figure stay visible."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int16, UInt8
from PIL import Image, ImageFilter

from gmner.data.drawn.chance import generator
from gmner.data.drawn.figure import Look, paint
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.pen import Brush, Patch
from gmner.data.drawn.scenery import BACKDROPS, PROPS, paint_backdrop
from gmner.geometry import encode_mask, mask_box
from gmner.types import Box, Mask


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
    """All that a picture depends on. `items` are drawn in order, so that later ones hide earlier ones."""

    size: tuple[int, int]
    backdrop: str
    items: tuple[Placed, ...]
    light: Light
    seed: tuple[int, ...]


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


def sight_alone(kind: str, look: Look, place: Place) -> Sight:
    """About what would be seen of a figure with nothing before it; painted small, as only the counts are asked for."""
    shrink = max(1, max(place.width, place.height) // 60)
    patch = paint(KINDS[kind], look, (max(2, place.width // shrink), max(2, place.height // shrink)))
    counts = {part: count * shrink * shrink for part, count in _counts(patch.parts[patch.coverage >= HALF]).items()}
    return Sight(None, None, counts, counts)


class View(NamedTuple):
    """A scene as a picture. `sights` has an entry for every item of the scene, None for props.

    `owner` says whose each pixel is: the index of the item that covers at least half of it last, -1 for none.
    """

    picture: UInt8[np.ndarray, "height width 3"]
    owner: Int16[np.ndarray, "height width"]
    sights: tuple[Sight | None, ...]


HALF: Final = 128
"""The coverage (of 255) from which on a pixel belongs to a figure."""


def compose(scene: Scene) -> View:
    """Draw a scene."""
    width, height = scene.size
    picture = paint_backdrop(BACKDROPS[scene.backdrop], generator(*scene.seed, 1), scene.size)
    owner = np.full((height, width), -1, dtype=np.int16)
    drawn: list[tuple[Patch, tuple[slice, slice]] | None] = []
    for index, item in enumerate(scene.items):
        patch = _paint(item)
        inner = _meet(item.place, scene.size)
        _lay(picture, patch, item.place, inner, 255 if item.look is not None else PROPS[item.kind].opacity)
        solid = patch.coverage >= HALF
        if item.look is not None:
            owner[inner][_cut(solid, item.place, inner)] = index
            drawn.append((patch, inner))
        else:
            if PROPS[item.kind].opacity == 255:
                owner[inner][_cut(solid, item.place, inner)] = -1
            drawn.append(None)
    sights = tuple(
        None if entry is None else _sight(owner, index, scene.items[index].place, *entry)
        for index, entry in enumerate(drawn)
    )
    return View(_lit(picture, scene.light, scene.seed), owner, sights)


def _paint(item: Placed) -> Patch:
    size = (item.place.width, item.place.height)
    if item.look is not None:
        return paint(KINDS[item.kind], item.look, size)
    brush = Brush(Box(0, 0, 1, 1), size)
    PROPS[item.kind].draw(brush)
    return brush.patch()


def _meet(place: Place, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of the picture that a place covers."""
    width, height = size
    rows = slice(max(place.y, 0), min(max(place.y + place.height, 0), height))
    return rows, slice(max(place.x, 0), min(max(place.x + place.width, 0), width))


def _cut(array: np.ndarray, place: Place, inner: tuple[slice, slice]) -> np.ndarray:
    """The part of a patch's array that lies in the picture."""
    rows, columns = inner
    return array[rows.start - place.y : rows.stop - place.y, columns.start - place.x : columns.stop - place.x]


def _lay(picture: np.ndarray, patch: Patch, place: Place, inner: tuple[slice, slice], opacity: int) -> None:
    """Lay a patch over the picture, in place; whole numbers only."""
    under = picture[inner]
    coverage = _cut(patch.coverage, place, inner).astype(np.uint16)
    colour = _cut(patch.colour, place, inner)
    if opacity < 255:
        coverage, colour = coverage * opacity // 255, colour.astype(np.uint16) * opacity // 255
    rest = 256 - (coverage + (coverage >> 7))
    under[:] = np.minimum(colour + (under * rest[..., None] >> 8), 255)


def _sight(owner: np.ndarray, index: int, place: Place, patch: Patch, inner: tuple[slice, slice]) -> Sight:
    visible: Bool[np.ndarray, "height width"] = owner == index
    parts = _cut(patch.parts, place, inner)[visible[inner]]
    whole = patch.parts[patch.coverage >= HALF]
    mask = encode_mask(visible) if len(parts) else None
    return Sight(mask, None if mask is None else mask_box(mask), _counts(parts), _counts(whole))


def _counts(parts: np.ndarray) -> dict[int, int]:
    return {part: int(count) for part, count in enumerate(np.bincount(parts)) if count}


def _lit(picture: np.ndarray, light: Light, seed: tuple[int, ...]) -> UInt8[np.ndarray, "height width 3"]:
    """The picture under its light, with noise. Whole numbers only."""
    height, width = picture.shape[:2]
    if light.soft:
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(1)))
    across = np.arange(width, dtype=np.int32) * 256 // width - 128
    down = np.arange(height, dtype=np.int32)[:, None] * 256 // height - 128
    fall = 256 + across * light.tilt // 128 - light.vignette * (across * across + down * down) // (2 * 128 * 128)
    gain = np.array(light.gain, dtype=np.int32)
    lit = (picture * (fall[..., None] * gain >> 8)) >> 8
    if light.noise:
        rng = generator(*seed, 2)
        shape = (height, width, 1)
        lit += rng.integers(-light.noise, light.noise + 1, shape, dtype=np.int8)
        lit += rng.integers(-light.noise, light.noise + 1, shape, dtype=np.int8)
    return np.asarray(lit.clip(0, 255), dtype=np.uint8)
