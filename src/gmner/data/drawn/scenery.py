"""Backdrops and what may stand before the figures: bushes, tables, railings, lamp posts, shadows.

Units of a backdrop: 1 high, y from 0 to 1, x from 0 to the picture's aspect. Nothing here looks like a figure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy.random import Generator

from gmner.data.drawn.chance import between, happens, pick
from gmner.data.drawn.colours import Colour, shade
from gmner.data.drawn.pen import Brush, Pen
from gmner.types import Box


@dataclass(frozen=True)
class Backdrop:
    """A kind of scene: where it is in words, how it is drawn, where its ground begins, and whether it is outdoors."""

    words: str
    draw: Callable[[Pen, Generator, float], None]
    skies: tuple[tuple[Colour, Colour], ...]
    horizon: float
    outdoors: bool


def paint_backdrop(backdrop: Backdrop, rng: Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    """The backdrop in `size` (width, height) pixels: a sky that goes from one colour to another, and what is in it."""
    width, height = size
    top, low = (np.array(end, dtype=np.int32) for end in pick(rng, backdrop.skies))
    rows = np.arange(height, dtype=np.int32)[:, None]
    column = (top + (low - top) * rows // height).astype(np.uint8)
    brush = Brush(Box(0, 0, width / height, 1), size)
    backdrop.draw(brush, rng, width / height)
    return brush.patch().over(np.broadcast_to(column[:, None], (height, width, 3)))


def _draw_park(pen: Pen, rng: Generator, aspect: float) -> None:
    _draw_clouds(pen, rng, aspect, (250, 252, 254))
    if happens(rng, 0.5):
        pen.ellipse(between(rng, 0.1, 0.9) * aspect, 0.13, 0.065, 0.065, (255, 240, 176))
    _draw_hills(pen, rng, aspect, 0.5, (150, 190, 140))
    _draw_hills(pen, rng, aspect, 0.58, (126, 176, 112))
    _draw_ground(pen, aspect, 0.62, (104, 160, 86), (84, 138, 72))
    for _ in range(int(rng.integers(2, 5))):
        _draw_tree(
            pen, between(rng, 0, 1) * aspect, between(rng, 0.6, 0.68), between(rng, 0.12, 0.24), pick(rng, _LEAVES)
        )
    _draw_tufts(pen, rng, aspect, 0.66, (76, 128, 66))


def _draw_beach(pen: Pen, rng: Generator, aspect: float) -> None:
    _draw_clouds(pen, rng, aspect, (252, 248, 240))
    pen.rectangle(0, 0.48, aspect, 0.7, (66, 146, 178))
    for _ in range(14):
        x, y = between(rng, 0, 1) * aspect, between(rng, 0.5, 0.66)
        pen.line([(x, y), (x + 0.07, y)], 0.005, (126, 190, 210))
    pen.curve(
        [
            (-0.1, 1.1),
            (-0.1, 0.67),
            (aspect * 0.3, 0.64),
            (aspect * 0.7, 0.68),
            (aspect + 0.1, 0.65),
            (aspect + 0.1, 1.1),
        ],
        (246, 246, 240),
    )
    pen.curve(
        [
            (-0.1, 1.1),
            (-0.1, 0.69),
            (aspect * 0.3, 0.66),
            (aspect * 0.7, 0.7),
            (aspect + 0.1, 0.67),
            (aspect + 0.1, 1.1),
        ],
        (232, 212, 164),
    )
    _draw_tufts(pen, rng, aspect, 0.74, (212, 190, 140))


def _draw_desert(pen: Pen, rng: Generator, aspect: float) -> None:
    pen.ellipse(between(rng, 0.2, 0.8) * aspect, 0.36, 0.1, 0.1, (255, 228, 170))
    _draw_hills(pen, rng, aspect, 0.52, (214, 150, 104))
    _draw_hills(pen, rng, aspect, 0.6, (200, 134, 90))
    _draw_ground(pen, aspect, 0.66, (222, 170, 116), (196, 144, 96))
    for _ in range(int(rng.integers(1, 4))):
        x, y, size = between(rng, 0, 1) * aspect, between(rng, 0.66, 0.74), between(rng, 0.08, 0.16)
        for points in (
            [(0, 0), (0, -1)],
            [(0, -0.4), (0.3, -0.45), (0.3, -0.75)],
            [(0, -0.3), (-0.28, -0.35), (-0.28, -0.6)],
        ):
            pen.line([(x + px * size, y + py * size) for px, py in points], 0.18 * size, (92, 128, 84))
    _draw_tufts(pen, rng, aspect, 0.74, (182, 130, 86))


def _draw_snow(pen: Pen, rng: Generator, aspect: float) -> None:
    _draw_hills(pen, rng, aspect, 0.52, (206, 216, 230))
    _draw_ground(pen, aspect, 0.62, (240, 244, 250), (214, 222, 236))
    for _ in range(int(rng.integers(2, 6))):
        x, y, size = between(rng, 0, 1) * aspect, between(rng, 0.6, 0.68), between(rng, 0.1, 0.2)
        pen.rectangle(x - 0.02 * size, y - 0.2 * size, x + 0.02 * size, y, (94, 74, 62))
        for top, low, half in ((1.2, 0.65, 0.26), (0.95, 0.4, 0.34), (0.7, 0.15, 0.42)):
            pen.polygon(
                [(x, y - top * size), (x + half * size, y - low * size), (x - half * size, y - low * size)],
                (88, 122, 116),
            )
    for _ in range(60):
        radius = between(rng, 0.003, 0.008)
        pen.ellipse(between(rng, 0, 1) * aspect, between(rng, 0, 1), radius, radius, (250, 252, 255))


def _draw_night(pen: Pen, rng: Generator, aspect: float) -> None:
    for _ in range(50):
        radius = between(rng, 0.0015, 0.004)
        pen.ellipse(between(rng, 0, 1) * aspect, between(rng, 0, 0.55), radius, radius, (226, 230, 250))
    x = between(rng, 0.1, 0.9) * aspect
    pen.ellipse(x, 0.15, 0.06, 0.06, (244, 240, 214))
    pen.ellipse(x - 0.018, 0.14, 0.012, 0.012, (222, 216, 186))
    pen.ellipse(x + 0.02, 0.165, 0.009, 0.009, (222, 216, 186))
    _draw_hills(pen, rng, aspect, 0.56, (52, 66, 96))
    _draw_ground(pen, aspect, 0.62, (64, 84, 90), (46, 62, 70))
    _draw_tufts(pen, rng, aspect, 0.68, (42, 58, 64))


def _draw_street(pen: Pen, rng: Generator, aspect: float) -> None:
    brick = pick(rng, ((178, 120, 100), (190, 164, 140), (150, 150, 156)))
    pen.rectangle(0, 0, aspect, 0.66, brick)
    for row in range(12):
        y = row * 0.055
        pen.rectangle(0, y, aspect, y + 0.005, shade(brick, -0.16))
        for column in range(int(aspect / 0.13) + 2):
            x = column * 0.13 - (row % 2) * 0.065
            pen.rectangle(x, y, x + 0.005, y + 0.055, shade(brick, -0.16))
            if happens(rng, 0.12):
                pen.rectangle(x + 0.005, y + 0.005, x + 0.13, y + 0.055, shade(brick, between(rng, -0.1, 0.12)))
    _draw_ground(pen, aspect, 0.66, (176, 174, 170), (160, 158, 154))
    pen.rectangle(0, 0.66, aspect, 0.675, (130, 126, 122))
    pen.rectangle(0, 0.8, aspect, 1, (92, 94, 100))
    pen.rectangle(0, 0.8, aspect, 0.812, (206, 204, 198))
    for column in range(int(aspect / 0.24) + 1):
        pen.rectangle(column * 0.24 + 0.04, 0.9, column * 0.24 + 0.16, 0.915, (222, 218, 200))


def _draw_room(pen: Pen, rng: Generator, aspect: float) -> None:
    wall = pick(rng, ((214, 204, 186), (186, 206, 206), (206, 196, 214), (222, 206, 196), (196, 208, 188)))
    pen.rectangle(0, 0, aspect, 0.74, wall)
    if happens(rng, 0.5):
        for column in range(int(aspect / 0.08) + 1):
            pen.rectangle(column * 0.08, 0, column * 0.08 + 0.035, 0.74, shade(wall, 0.1))
    floor = pick(rng, ((170, 128, 92), (150, 140, 130), (188, 152, 110)))
    _draw_ground(pen, aspect, 0.74, floor, shade(floor, -0.12))
    for column in range(int(aspect / 0.2) + 2):
        pen.line(
            [(column * 0.2, 0.74), ((column * 0.2 - aspect / 2) * 1.7 + aspect / 2, 1.0)], 0.004, shade(floor, -0.2)
        )
    pen.rectangle(0, 0.72, aspect, 0.745, shade(wall, 0.5))
    if happens(rng, 0.6):
        x = between(rng, 0.08, 0.75) * aspect
        pen.rectangle(x - 0.012, 0.1, x + 0.262, 0.45, (248, 246, 240))
        pen.rectangle(x, 0.112, x + 0.25, 0.438, (176, 212, 232))
        pen.line([(x + 0.125, 0.112), (x + 0.125, 0.438)], 0.01, (248, 246, 240))
        pen.line([(x, 0.275), (x + 0.25, 0.275)], 0.01, (248, 246, 240))


def _draw_stage(pen: Pen, rng: Generator, aspect: float) -> None:
    glow = pick(rng, ((84, 62, 120), (52, 78, 128), (122, 58, 76), (60, 102, 98)))
    for _ in range(int(rng.integers(2, 5))):
        x, foot = between(rng, 0.1, 0.9) * aspect, between(rng, 0.1, 0.9) * aspect
        for width, amount in ((0.2, 0.0), (0.13, 0.12), (0.06, 0.26)):
            pen.polygon(
                [(x - 0.015, 0), (x + 0.015, 0), (foot + width, 0.82), (foot - width, 0.82)], shade(glow, amount)
            )
    curtain = pick(rng, ((122, 34, 44), (70, 40, 86), (38, 60, 96)))
    for side in (0.0, 1.0):
        for fold in range(5):
            left = side * aspect + (fold - 5 * side) * 0.035
            pen.rectangle(left, 0, left + 0.036, 0.84, shade(curtain, -0.18 if fold % 2 else 0.06))
    _draw_ground(pen, aspect, 0.8, (104, 82, 70), (74, 58, 52))
    for row in (0.85, 0.91, 0.97):
        pen.line([(0, row), (aspect, row)], 0.004, (66, 50, 44))


def _draw_stadium(pen: Pen, rng: Generator, aspect: float) -> None:
    pen.rectangle(0, 0.14, aspect, 0.5, (92, 96, 112))
    for _ in range(int(240 * min(aspect, 2.0))):
        x, y = between(rng, 0, 1) * aspect, between(rng, 0.16, 0.48)
        pen.rectangle(x, y, x + 0.014, y + 0.018, pick(rng, _CROWD))
    for y in (0.14, 0.26, 0.38, 0.5):
        pen.rectangle(0, y - 0.008, aspect, y + 0.004, (70, 74, 88))
    pen.rectangle(0, 0.5, aspect, 0.56, (226, 228, 232))
    _draw_ground(pen, aspect, 0.56, (92, 160, 82), (78, 142, 70))
    for row, y in enumerate((0.56, 0.62, 0.7, 0.8, 0.92)):
        if row % 2:
            pen.rectangle(0, y, aspect, (0.62, 0.7, 0.8, 0.92, 1.0)[row], (104, 172, 92))
    pen.line([(0, 0.6), (aspect, 0.6)], 0.007, (236, 242, 232))
    x = between(rng, 0.2, 0.8) * aspect
    pen.line([(x, 0.6), (x - 0.12, 1.0)], 0.009, (236, 242, 232))


def _draw_studio(pen: Pen, rng: Generator, aspect: float) -> None:
    tone = pick(rng, ((166, 184, 200), (200, 186, 168), (174, 196, 180), (196, 180, 198), (204, 204, 200)))
    x = between(rng, 0.3, 0.7) * aspect
    for step in range(6):
        pen.ellipse(x, 0.42, (1.1 - step * 0.17) * max(aspect, 1), 0.95 - step * 0.14, shade(tone, -0.06 + step * 0.05))
    if happens(rng, 0.5):
        for _ in range(14):
            radius = between(rng, 0.02, 0.07)
            pen.ellipse(
                between(rng, 0, 1) * aspect, between(rng, 0, 1), radius, radius, shade(tone, between(rng, 0.12, 0.3))
            )


def _draw_press_wall(pen: Pen, rng: Generator, aspect: float) -> None:
    tone = pick(rng, ((232, 234, 238), (206, 216, 228), (60, 66, 84), (226, 220, 206)))
    pen.rectangle(0, 0, aspect, 0.86, tone)
    faint = shade(tone, -0.08 if sum(tone) > 380 else 0.12)
    for row in range(6):
        for column in range(int(aspect / 0.16) + 1):
            x, y = column * 0.16 + (row % 2) * 0.08, 0.07 + row * 0.14
            if (row + column) % 2:
                pen.line([(x - 0.035, y), (x + 0.035, y)], 0.024, faint)
            else:
                pen.line([(x - 0.02, y - 0.015), (x, y + 0.015), (x + 0.02, y - 0.015)], 0.014, faint)
    _draw_ground(pen, aspect, 0.86, (150, 60, 64), (128, 48, 52))


def _draw_ground(pen: Pen, aspect: float, top: float, near: Colour, far: Colour) -> None:
    """The ground, in bands that come nearer."""
    for step in range(6):
        y = top + (1 - top) * step * step / 36
        mix = step / 5
        red, green, blue = (round(a + (b - a) * mix) for a, b in zip(far, near, strict=True))
        pen.rectangle(-0.01, y, aspect + 0.01, 1.01, (red, green, blue))


def _draw_hills(pen: Pen, rng: Generator, aspect: float, top: float, tone: Colour) -> None:
    ridge = [(x * aspect / 5, top + between(rng, -0.06, 0.05)) for x in range(-1, 7)]
    pen.curve([*ridge, (aspect * 1.3, 1.1), (-aspect * 0.3, 1.1)], tone)


def _draw_clouds(pen: Pen, rng: Generator, aspect: float, tone: Colour) -> None:
    for _ in range(int(rng.integers(1, 5))):
        x, y, size = between(rng, 0, 1) * aspect, between(rng, 0.04, 0.3), between(rng, 0.03, 0.06)
        for dx, dy, radius in ((-1.3, 0.2, 0.75), (-0.4, -0.3, 1.0), (0.6, -0.1, 0.9), (1.4, 0.25, 0.7)):
            pen.ellipse(x + dx * size, y + dy * size, radius * size, radius * size * 0.8, tone)
        pen.line([(x - 1.5 * size, y + 0.55 * size), (x + 1.5 * size, y + 0.55 * size)], 0.6 * size, tone)


def _draw_tree(pen: Pen, x: float, y: float, size: float, leaves: Colour) -> None:
    pen.line([(x, y), (x, y - size * 0.6)], size * 0.12, (116, 88, 66))
    for dx, dy, radius in ((0, -0.75, 0.34), (-0.22, -0.58, 0.26), (0.22, -0.58, 0.26)):
        pen.ellipse(x + dx * size, y + dy * size, radius * size, radius * size, leaves)
    pen.ellipse(x - 0.08 * size, y - 0.82 * size, 0.18 * size, 0.16 * size, shade(leaves, 0.12))


def _draw_tufts(pen: Pen, rng: Generator, aspect: float, top: float, tone: Colour) -> None:
    for _ in range(18):
        x, y = between(rng, 0, 1) * aspect, between(rng, top, 1)
        size = 0.006 + 0.02 * (y - top)
        for lean in (-1.0, 0.0, 1.0):
            pen.line([(x + lean * size * 0.5, y), (x + lean * size * 1.3, y - size * 1.6)], size * 0.4, tone)


_LEAVES: Final = ((96, 146, 84), (116, 156, 82), (84, 132, 92), (142, 150, 80))
_CROWD: Final = ((150, 126, 116), (176, 152, 140), (124, 130, 150), (160, 160, 168), (136, 112, 120), (196, 180, 168))
_DAY: Final = (
    ((122, 178, 226), (216, 234, 246)),
    ((150, 190, 214), (238, 236, 226)),
    ((244, 178, 140), (250, 226, 196)),
    ((168, 182, 200), (222, 226, 230)),
)

BACKDROPS: Final = {
    "park": Backdrop("in a park", _draw_park, _DAY, 0.64, True),
    "beach": Backdrop("on a beach", _draw_beach, _DAY, 0.7, True),
    "desert": Backdrop(
        "in a desert",
        _draw_desert,
        (((240, 168, 120), (252, 222, 176)), ((140, 190, 220), (246, 226, 200))),
        0.68,
        True,
    ),
    "snow": Backdrop(
        "in the snow", _draw_snow, (((176, 196, 220), (230, 236, 244)), ((196, 190, 210), (236, 230, 236))), 0.64, True
    ),
    "night": Backdrop(
        "at night", _draw_night, (((20, 26, 56), (62, 66, 112)), ((26, 20, 50), (96, 66, 104))), 0.64, True
    ),
    "street": Backdrop("in a street", _draw_street, _DAY, 0.7, True),
    "room": Backdrop("in a room", _draw_room, _DAY, 0.76, False),
    "stage": Backdrop(
        "on a stage", _draw_stage, (((30, 24, 44), (56, 44, 66)), ((22, 28, 44), (40, 56, 78))), 0.82, False
    ),
    "stadium": Backdrop("in a stadium", _draw_stadium, _DAY, 0.6, True),
    "studio": Backdrop("against a plain wall", _draw_studio, (((178, 178, 178), (150, 150, 150)),), 0.8, False),
    "press wall": Backdrop(
        "in front of a press wall", _draw_press_wall, (((200, 200, 200), (180, 180, 180)),), 0.86, False
    ),
}


# What stands before the figures, each filling the unit square. It belongs to no figure.


def _draw_bush(pen: Pen) -> None:
    for x, y, radius, amount in (
        (0.15, 0.75, 0.24, -0.12),
        (0.85, 0.75, 0.24, -0.12),
        (0.35, 0.55, 0.3, -0.05),
        (0.66, 0.52, 0.3, -0.05),
        (0.5, 0.42, 0.3, 0.05),
        (0.5, 0.8, 0.4, 0.0),
    ):
        pen.ellipse(x, y, radius * 0.75, radius, shade((74, 124, 70), amount))
    for x, y in ((0.3, 0.5), (0.55, 0.3), (0.7, 0.6), (0.45, 0.65), (0.2, 0.8), (0.8, 0.85)):
        pen.ellipse(x, y, 0.04, 0.05, (112, 158, 92))


def _draw_table(pen: Pen) -> None:
    pen.rectangle(0.02, 0.12, 0.98, 1.0, (126, 92, 66))
    for x in (0.26, 0.5, 0.74):
        pen.line([(x, 0.14), (x, 1.0)], 0.006, (98, 70, 50))
    pen.rectangle(0, 0, 1, 0.14, (164, 122, 86))
    pen.rectangle(0, 0.14, 1, 0.18, (92, 66, 48))


def _draw_railing(pen: Pen) -> None:
    for bar in range(11):
        pen.rectangle(bar * 0.0975, 0.05, bar * 0.0975 + 0.025, 1.0, (84, 88, 96))
    pen.rectangle(0, 0, 1, 0.1, (104, 108, 116))
    pen.rectangle(0, 0.8, 1, 0.88, (84, 88, 96))


def _draw_lamp_post(pen: Pen) -> None:
    pen.rectangle(0.4, 0.12, 0.6, 1.0, (72, 74, 80))
    pen.rectangle(0.25, 0.94, 0.75, 1.0, (60, 62, 68))
    pen.polygon([(0.1, 0.12), (0.2, 0.02), (0.8, 0.02), (0.9, 0.12)], (60, 62, 68))
    pen.rectangle(0.18, 0.03, 0.82, 0.1, (252, 236, 176))


def _draw_plant(pen: Pen) -> None:
    for x, y in ((0.1, 0.2), (0.3, 0.05), (0.5, 0.0), (0.7, 0.05), (0.9, 0.2)):
        pen.curve(
            [(0.5, 0.72), (x - 0.09, y + 0.2), (x, y), (x + 0.09, y + 0.2)],
            shade((72, 128, 84), 0.1 if x == 0.5 else -0.05),
        )
    pen.polygon([(0.22, 0.64), (0.78, 0.64), (0.7, 1.0), (0.3, 1.0)], (188, 112, 80))
    pen.rectangle(0.18, 0.6, 0.82, 0.7, (166, 94, 66))


def _draw_shadow(pen: Pen) -> None:
    pen.ellipse(0.5, 0.5, 0.5, 0.5, (20, 20, 34))


@dataclass(frozen=True)
class Prop:
    """Something that is no figure: how it is drawn, how opaque it is (0 to 255), how high and wide it stands."""

    draw: Callable[[Pen], None]
    opacity: int = 255
    height: tuple[float, float] = (0.0, 0.0)
    aspect: float = 1.0


PROPS: Final = {
    "bush": Prop(_draw_bush, height=(0.12, 0.26), aspect=1.5),
    "table": Prop(_draw_table, height=(0.12, 0.22), aspect=4.0),
    "railing": Prop(_draw_railing, height=(0.16, 0.26), aspect=3.4),
    "lamp post": Prop(_draw_lamp_post, height=(0.6, 0.85), aspect=0.1),
    "plant": Prop(_draw_plant, height=(0.2, 0.36), aspect=0.6),
    "shadow": Prop(_draw_shadow, opacity=80),
}
