"""Where everything stands: figures at the horizon, on the wall and on the ground, with props and shadows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import between, happens, pick, shuffled, weighted
from gmner.data.drawn.figure import Look, extent
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.scene import Light, Place, Placed, Scene
from gmner.data.drawn.scenery import BACKDROPS, PROPS
from gmner.types import Box


@dataclass(frozen=True)
class Figure:
    """A figure to be drawn; `entities` are the indices of those that it shows, none for a bystander."""

    kind: str
    look: Look
    entities: tuple[int, ...] = ()


def arrange(
    rng: Generator,
    figures: Sequence[Figure],
    size: tuple[int, int],
    seed: tuple[int, ...],
    fixed: Sequence[tuple[Figure, Place]] = (),
) -> tuple[Scene, tuple[Figure | None, ...]]:
    """A scene with the figures in it, and which figure each of its items is (None for props).

    Those whose place is `fixed` stand before all others, the smaller before the larger, and no prop before them.
    """
    outdoors = any(KINDS[figure.kind].standing == "far" for figure in (*figures, *(figure for figure, _ in fixed)))
    names = [name for name, backdrop in BACKDROPS.items() if backdrop.outdoors or not outdoors]
    backdrop = pick(rng, names)
    horizon, total = BACKDROPS[backdrop].horizon, len(figures) + len(fixed)
    stood: list[tuple[Figure, Place]] = []
    for figure in sorted(shuffled(rng, figures), key=_depth):
        stood.append((figure, _stand(rng, figure, size, horizon, [place for _, place in stood], total)))
    stood.sort(key=lambda one: (_depth(one[0]), one[1].y + one[1].height))
    stood += sorted(fixed, key=lambda one: -one[1].width * one[1].height)
    items: list[Placed] = []
    owners: list[Figure | None] = []
    for figure, place in stood:
        if (shadow := _shadow(figure, place, size)) is not None:
            items.append(shadow)
            owners.append(None)
        items.append(Placed(figure.kind, place, figure.look))
        owners.append(figure)
    if not fixed and happens(rng, 0.25):
        items.append(_prop(rng, size))
        owners.append(None)
    return Scene(size, backdrop, tuple(items), light(rng), seed), tuple(owners)


def place_anywhere(rng: Generator, figure: Figure, size: tuple[int, int], count: int) -> Place:
    """Where a figure could have stood in a picture of so many figures."""
    return _place(rng, figure, extent(KINDS[figure.kind], figure.look), size, between(rng, 0.6, 0.8), count)


def light(rng: Generator) -> Light:
    """The light of a picture: mostly a little off white, sometimes dim, noisy or soft."""
    level = int(rng.integers(228, 280))
    red, green, blue = (level + int(rng.integers(-14, 15)) for _ in range(3))
    return Light(
        gain=(red, green, blue),
        tilt=int(rng.integers(-36, 37)),
        vignette=int(rng.integers(0, 60)),
        noise=weighted(rng, {0: 3, 3: 4, 6: 4, 10: 2}),
        soft=happens(rng, 0.15),
    )


def _depth(figure: Figure) -> int:
    """What is further behind is drawn first."""
    return ("far", "wall", "ground").index(KINDS[figure.kind].standing)


_TRIES: Final = 30


def _stand(
    rng: Generator, figure: Figure, size: tuple[int, int], horizon: float, others: Sequence[Place], count: int
) -> Place:
    """The first of some places that hides little of those behind it, or the one that hides least.

    How much may be hidden is drawn for each figure: mostly next to nothing, now and then a good part.
    """
    allowed = pick(rng, (0.02, 0.02, 0.1, 0.3))
    own = extent(KINDS[figure.kind], figure.look)
    places = [_place(rng, figure, own, size, horizon, count) for _ in range(_TRIES)]
    hidden = [max((_covered(other, place) for other in others), default=0.0) for place in places]
    good = [place for place, part in zip(places, hidden, strict=True) if part <= allowed]
    return good[0] if good else places[hidden.index(min(hidden))]


def _place(rng: Generator, figure: Figure, own: Box, size: tuple[int, int], horizon: float, count: int) -> Place:
    """Any place for a figure of the extent `own` in a picture of `size` that holds `count` figures."""
    width, height = size
    kind = KINDS[figure.kind]
    low, high = kind.heights
    crowd = (1.0, 1.0, 1.0, 0.9, 0.82, 0.74, 0.68)[min(count, 6)]
    share = between(rng, low, high) * crowd * min(1.0, own.height)
    portrait = kind.pool == "person" and own.y2 < 0.9
    if portrait:
        share = between(rng, 0.55, 1.0) * crowd
    tall = share * height
    wide = tall * own.width / own.height
    widest = width * {"person": 0.72, "place": 0.9, "emblem": 0.45, "object": 0.55}[kind.pool] * crowd
    if wide > widest:
        tall, wide = tall * widest / wide, widest
    over = wide * 0.12
    x = between(rng, -over, max(width - wide + over, -over + 1))
    if portrait:
        y = height - tall * between(rng, 0.9, 0.995)
    elif kind.standing == "far":
        y = (horizon + between(rng, 0.0, 0.1)) * height - tall
    elif kind.standing == "wall":
        y = between(rng, 0.03, max(0.6 - tall / height, 0.05)) * height
    else:
        foot = between(rng, min(max(horizon + 0.06, tall / height), 0.97), 0.985)  # heads are seldom cut off
        y = foot * height - tall
    return Place(round(x), round(y), max(4, round(wide)), max(4, round(tall)))


def _covered(behind: Place, front: Place) -> float:
    """The part of one place's rectangle that another covers."""
    wide = min(behind.x + behind.width, front.x + front.width) - max(behind.x, front.x)
    tall = min(behind.y + behind.height, front.y + front.height) - max(behind.y, front.y)
    return max(wide, 0) * max(tall, 0) / (behind.width * behind.height)


def _shadow(figure: Figure, place: Place, size: tuple[int, int]) -> Placed | None:
    """The shadow on the ground of what stands there."""
    foot = place.y + place.height
    if KINDS[figure.kind].standing == "wall" or foot >= size[1]:
        return None
    high = max(2, place.height // 20)
    return Placed("shadow", Place(place.x - place.width // 20, foot - high * 2 // 3, place.width * 11 // 10, high))


def _prop(rng: Generator, size: tuple[int, int]) -> Placed:
    """Something at the lower edge, before everything else."""
    width, height = size
    name = pick(rng, [name for name in PROPS if name != "shadow"])
    prop = PROPS[name]
    tall = round(between(rng, *prop.height) * height)
    wide = max(3, round(tall * prop.aspect))
    x = round(between(rng, -wide * 0.2, width - wide * 0.8))
    return Placed(name, Place(x, height - round(tall * between(rng, 0.85, 1.0)), wide, tall))
