"""Places: buildings, bridges, mountains, and signs with a place's name.

Units: a place is 1 high, y from 0 to 1, its middle at x = 0.
"""

from collections.abc import Callable
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick
from gmner.data.drawn.colours import Colour, another, colour, ink, shade
from gmner.data.drawn.figure import Kind, Look, Trait
from gmner.data.drawn.pen import Pattern, Pen

_WALLS: Final = ("white", "yellow", "red", "brown", "grey", "pink", "blue", "green", "orange")
_ROOFS: Final = ("red", "blue", "green", "black", "purple", "brown", "yellow")
_PANE: Final = (94, 128, 160)
_DOOR: Final = (92, 60, 44)


def _draw_house(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    pen.rectangle(0.28, 0.1, 0.4, 0.4, shade(walls, -0.35))
    pen.rectangle(-0.55, 0.42, 0.55, 1, walls)
    pen.rectangle(0.3, 0.42, 0.55, 1, shade(walls, -0.12))
    pen.polygon([(-0.66, 0.46), (-0.36, 0.06), (0.36, 0.06), (0.66, 0.46)], roof)
    pen.polygon([(-0.66, 0.46), (0.66, 0.46), (0.64, 0.43), (-0.64, 0.43)], shade(roof, -0.35))
    for y in (0.16, 0.25, 0.34):
        pen.line([(-0.42 - y * 0.25, y), (0.42 + y * 0.25, y)], 0.008, shade(roof, -0.2))
    for x in (-0.38, 0.14):
        _draw_window(pen, x, 0.56, 0.2, 0.2)
    pen.rounded(-0.09, 0.64, 0.07, 1.02, 0.02, _DOOR)
    pen.rectangle(-0.12, 0.985, 0.1, 1.0, shade(walls, -0.4))
    pen.ellipse(0.04, 0.83, 0.012, 0.012, (230, 200, 90))


def _draw_tower(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    pen.polygon([(-0.17, 0.92), (0.17, 0.92), (0.2, 1), (-0.2, 1)], shade(walls, -0.3))
    pen.rectangle(-0.14, 0.26, 0.14, 0.95, walls)
    pen.rectangle(0.06, 0.26, 0.14, 0.95, shade(walls, -0.15))
    pen.rectangle(-0.17, 0.25, 0.17, 0.29, shade(walls, -0.3))
    pen.rectangle(-0.155, 0.47, 0.155, 0.49, shade(walls, -0.25))
    pen.polygon([(-0.17, 0.26), (0, 0.0), (0.17, 0.26)], roof)
    pen.polygon([(0.03, 0.26), (0, 0.0), (0.17, 0.26)], shade(roof, -0.2))
    pen.ellipse(0, 0.38, 0.085, 0.075, shade(walls, -0.45))
    pen.ellipse(0, 0.38, 0.073, 0.064, (250, 248, 238))
    pen.line([(0, 0.38), (0, 0.335)], 0.012, (40, 40, 46))
    pen.line([(0, 0.38), (0.035, 0.395)], 0.012, (40, 40, 46))
    for y in (0.55, 0.67, 0.79):
        pen.rounded(-0.035, y, 0.035, y + 0.08, 0.03, _PANE)


def _draw_castle(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    for step in range(-4, 5):
        pen.rectangle(step * 0.09 - 0.025, 0.43, step * 0.09 + 0.025, 0.52, shade(walls, -0.08))
    pen.rectangle(-0.42, 0.48, 0.42, 1, walls)
    for x, y in ((-0.2, 0.58), (0.16, 0.62), (-0.12, 0.72), (0.22, 0.78), (-0.28, 0.86), (0.24, 0.93)):
        pen.rectangle(x - 0.04, y, x + 0.04, y + 0.03, shade(walls, -0.1))
    for side in (-1.0, 1.0):
        pen.rectangle(side * 0.48 - 0.12, 0.3, side * 0.48 + 0.12, 1, shade(walls, 0.08))
        pen.rectangle(side * 0.48 + 0.03, 0.3, side * 0.48 + 0.12, 1, shade(walls, -0.14))
        pen.rectangle(side * 0.48 - 0.14, 0.29, side * 0.48 + 0.14, 0.34, shade(walls, -0.3))
        pen.polygon([(side * 0.48 - 0.155, 0.3), (side * 0.48, 0.06), (side * 0.48 + 0.155, 0.3)], roof)
        pen.line([(side * 0.48, 0.08), (side * 0.48, 0.0)], 0.012, (70, 60, 54))
        pen.polygon([(side * 0.48, 0.0), (side * 0.48 + 0.1, 0.03), (side * 0.48, 0.06)], shade(roof, 0.3))
        pen.rounded(side * 0.48 - 0.03, 0.44, side * 0.48 + 0.03, 0.56, 0.028, _PANE)
    pen.rounded(-0.12, 0.7, 0.12, 1.1, 0.12, (52, 40, 36))
    pen.rectangle(-0.6, 0.985, 0.6, 1.0, shade(walls, -0.35))


def _draw_lighthouse(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    banded = Pattern(walls, (248, 246, 240), "striped", 0.3)
    pen.curve(
        [
            (-0.3, 0.98),
            (-0.26, 0.89),
            (-0.1, 0.86),
            (0.12, 0.87),
            (0.28, 0.9),
            (0.32, 0.985),
            (0.2, 1.004),
            (-0.2, 1.004),
        ],
        (116, 110, 106),
    )
    pen.polygon([(-0.105, 0.24), (0.105, 0.24), (0.165, 0.92), (-0.165, 0.92)], banded)
    pen.polygon([(0.05, 0.24), (0.105, 0.24), (0.165, 0.92), (0.09, 0.92)], shade(walls, -0.22))
    pen.rectangle(-0.14, 0.22, 0.14, 0.25, (64, 62, 66))
    pen.rectangle(-0.075, 0.12, 0.075, 0.22, (252, 228, 130))
    for x in (-0.075, 0.0, 0.075):
        pen.line([(x, 0.12), (x, 0.22)], 0.01, (64, 62, 66))
    pen.curve([(-0.11, 0.125), (-0.09, 0.06), (0, 0.0), (0.09, 0.06), (0.11, 0.125)], roof)
    for y in (0.38, 0.56):
        pen.rounded(-0.025, y, 0.025, y + 0.07, 0.022, _PANE)
    pen.rounded(-0.04, 0.79, 0.04, 0.92, 0.035, _DOOR)


def _draw_skyscraper(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    pen.line([(0, 0.0), (0, 0.12)], 0.014, (80, 82, 90))
    pen.polygon([(-0.14, 0.17), (-0.07, 0.1), (0.07, 0.1), (0.14, 0.17)], roof)
    pen.rectangle(-0.2, 0.16, 0.2, 1, walls)
    pen.rectangle(0.1, 0.16, 0.2, 1, shade(walls, -0.2))
    pen.rectangle(-0.2, 0.16, 0.2, 0.185, roof)
    for row in range(13):
        for column in range(5):
            lit = (row * 7 + column * 5) % 4 == 0
            x, y = -0.165 + column * 0.072, 0.22 + row * 0.057
            pen.rectangle(x, y, x + 0.045, y + 0.034, (255, 232, 150) if lit else _PANE)
    pen.rectangle(-0.05, 0.94, 0.05, 1, (50, 52, 60))


def _draw_church(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    pen.polygon([(-0.02, 0.52), (0.06, 0.4), (0.6, 0.4), (0.66, 0.6), (-0.02, 0.6)], roof)
    pen.rectangle(0.0, 0.59, 0.62, 1, shade(walls, -0.1))
    for x in (0.2, 0.36, 0.52):
        pen.rounded(x - 0.04, 0.67, x + 0.04, 0.86, 0.038, _PANE)
    pen.rectangle(-0.3, 0.36, 0.06, 1, walls)
    pen.polygon([(-0.34, 0.38), (-0.12, 0.1), (0.1, 0.38)], roof)
    pen.polygon([(-0.08, 0.38), (-0.12, 0.1), (0.1, 0.38)], shade(roof, -0.2))
    pen.line([(-0.12, 0.0), (-0.12, 0.11)], 0.016, (70, 60, 54))
    pen.line([(-0.155, 0.035), (-0.085, 0.035)], 0.016, (70, 60, 54))
    pen.ellipse(-0.12, 0.5, 0.06, 0.06, _PANE)
    pen.rounded(-0.19, 0.72, -0.05, 1.06, 0.07, _DOOR)
    pen.rectangle(-0.3, 0.985, 0.62, 1.0, shade(walls, -0.35))


def _draw_windmill(pen: Pen, look: Look) -> None:
    walls, roof = _walls(look), _roof(look)
    pen.polygon([(-0.15, 0.36), (0.15, 0.36), (0.25, 1), (-0.25, 1)], walls)
    pen.polygon([(0.07, 0.36), (0.15, 0.36), (0.25, 1), (0.13, 1)], shade(walls, -0.18))
    pen.curve([(-0.19, 0.39), (-0.15, 0.28), (0, 0.2), (0.15, 0.28), (0.19, 0.39)], roof)
    pen.rounded(-0.05, 0.82, 0.05, 1.02, 0.05, _DOOR)
    for y in (0.5, 0.66):
        pen.rounded(-0.03, y, 0.03, y + 0.07, 0.02, _PANE)
    for dx, dy in ((0.62, -0.36), (-0.62, 0.36), (0.36, 0.62), (-0.36, -0.62)):
        tip = (dx * 0.5, 0.345 + dy * 0.5)
        across = (-dy * 0.14, dx * 0.14)
        start = (dx * 0.12, 0.345 + dy * 0.12)
        pen.polygon(
            [start, tip, (tip[0] + across[0], tip[1] + across[1]), (start[0] + across[0], start[1] + across[1])],
            (236, 228, 208),
        )
        pen.line([(0, 0.345), tip], 0.02, (96, 76, 60))
    pen.ellipse(0, 0.345, 0.035, 0.035, (96, 76, 60))


def _draw_mountain(pen: Pen, look: Look) -> None:
    rock = _walls(look)
    ridge = [
        (-1.0, 1.0),
        (-0.66, 0.6),
        (-0.5, 0.66),
        (-0.16, 0.14),
        (-0.06, 0.05),
        (0.02, 0.0),
        (0.1, 0.09),
        (0.3, 0.38),
        (0.42, 0.34),
        (0.7, 0.7),
        (1.0, 1.0),
    ]
    pen.polygon(ridge, rock)
    pen.polygon(
        [
            *ridge[5:],
            (0.25, 1.0),
            (0.12, 0.7),
            (0.18, 0.45),
            (0.05, 0.25),
        ],
        shade(rock, -0.25),
    )
    pen.polygon([(-0.5, 0.66), (-0.4, 0.8), (-0.5, 1.0), (-0.62, 0.85)], shade(rock, -0.18))
    if look["top"] == "snowy":
        pen.polygon(
            [
                (0.02, 0.0),
                (0.1, 0.09),
                (0.22, 0.27),
                (0.14, 0.24),
                (0.1, 0.33),
                (0.02, 0.22),
                (-0.06, 0.34),
                (-0.12, 0.24),
                (-0.23, 0.26),
                (-0.16, 0.14),
                (-0.06, 0.05),
            ],
            (250, 250, 252),
        )
        pen.polygon([(0.42, 0.34), (0.5, 0.44), (0.42, 0.42), (0.36, 0.46), (0.33, 0.375)], (236, 240, 246))


def _draw_bridge(pen: Pen, look: Look) -> None:
    deck, tower = _walls(look), shade(_walls(look), -0.2)
    for x in (-0.85, 0.85):
        pen.rectangle(x - 0.07, 0.0, x + 0.07, 1, tower)
        pen.rectangle(x - 0.1, 0.0, x + 0.1, 0.06, shade(tower, -0.2))
        pen.rectangle(x - 0.11, 0.9, x + 0.11, 1.0, (120, 116, 112))
    sag = [(-0.85 + 0.085 * step, 0.57 - 0.0053 * (step - 10) * (step - 10)) for step in range(21)]
    pen.line(sag, 0.035, tower)
    for x, y in sag[2:-1:2]:
        pen.line([(x, y), (x, 0.64)], 0.014, tower)
    for side in (-1.0, 1.0):
        pen.line([(side * 0.85, 0.04), (side * 1.38, 0.64)], 0.035, tower)
        for step in (0.25, 0.5, 0.75):
            pen.line(
                [(side * (0.85 + 0.53 * step), 0.04 + 0.6 * step), (side * (0.85 + 0.53 * step), 0.64)], 0.014, tower
            )
    pen.rectangle(-1.45, 0.62, 1.45, 0.74, deck)
    pen.rectangle(-1.45, 0.7, 1.45, 0.74, shade(deck, -0.3))


def _draw_sign(pen: Pen, look: Look) -> None:
    board = _walls(look)
    for x in (-0.5, 0.5):
        pen.rectangle(x - 0.04, 0.1, x + 0.04, 1, (112, 114, 120))
    pen.rounded(-0.86, 0.0, 0.86, 0.52, 0.06, (246, 244, 238))
    pen.rounded(-0.83, 0.03, 0.83, 0.49, 0.05, board)
    if look["lettering"]:
        pen.letters(look["lettering"], -0.76, 0.09, 0.76, 0.43, ink(board))
    else:
        for y, length in ((0.2, 0.6), (0.34, 0.4)):
            pen.line([(-length, y), (length, y)], 0.06, ink(board))


def _draw_window(pen: Pen, x: float, y: float, width: float, height: float) -> None:
    pen.rectangle(x - 0.02, y - 0.02, x + width + 0.02, y + height + 0.02, (244, 242, 236))
    pen.rectangle(x, y, x + width, y + height, _PANE)
    pen.line([(x + width / 2, y), (x + width / 2, y + height)], 0.014, (244, 242, 236))
    pen.line([(x, y + height / 2), (x + width, y + height / 2)], 0.014, (244, 242, 236))


def _walls(look: Look) -> Colour:
    return colour(look["colour"])


def _roof(look: Look) -> Colour:
    return colour(look["roof"])


def _kind(
    name: str,
    draw: Callable[[Pen, Look], None],
    heights: tuple[float, float],
    colours: tuple[str, ...] = _WALLS,
    roofed: bool = True,
) -> Kind:
    """A place whose look is its colour, and that of its roof if it has one."""

    def look(rng: Generator) -> dict[str, str]:
        walls = pick(rng, colours)
        return {
            "kind": name,
            "colour": walls,
            "roof": another(rng, _ROOFS, walls) if roofed else "none",
            "top": "snowy" if happens(rng, 0.5) else "bare",
            "lettering": "",
        }

    def traits(look: Look) -> tuple[Trait, ...]:
        pattern = "striped" if name == "lighthouse" else "plain"
        words = look["colour"] if pattern == "plain" else f"{pattern} {look['colour']}"
        found = [Trait("colour", (look["colour"], pattern), words, before=True, least=60)]
        if roofed:
            found.append(Trait("roof", (look["roof"],), f"with a {look['roof']} roof", least=1200))
        if name == "mountain":
            top = "with snow on its top" if look["top"] == "snowy" else "without snow"
            found.append(Trait("top", (look["top"],), top, least=1500))
        if name == "sign":
            found.append(
                Trait(
                    "lettering", (look["lettering"],), "with its name on it" if look["lettering"] else None, least=2500
                )
            )
        return tuple(found)

    return Kind(
        pool="place",
        standing="ground" if name == "sign" else "far",
        heights=heights,
        look=look,
        draw=draw,
        nouns=_NOUNS.get(name, (name,)),
        traits=traits,
        families=(("colour",), ("roof", "top")),
    )


_NOUNS: Final = {
    "tower": ("clock tower",),
    "sign": ("road sign", "sign"),
    "skyscraper": ("skyscraper", "high-rise"),
    "house": ("house", "cottage"),
}

PLACES: Final = {
    "house": _kind("house", _draw_house, (0.35, 0.64)),
    "tower": _kind("tower", _draw_tower, (0.55, 0.95)),
    "castle": _kind("castle", _draw_castle, (0.4, 0.7)),
    "lighthouse": _kind("lighthouse", _draw_lighthouse, (0.55, 0.95), ("red", "blue", "green", "orange", "brown")),
    "skyscraper": _kind("skyscraper", _draw_skyscraper, (0.6, 0.95)),
    "church": _kind("church", _draw_church, (0.45, 0.75)),
    "windmill": _kind("windmill", _draw_windmill, (0.45, 0.75)),
    "mountain": _kind(
        "mountain", _draw_mountain, (0.4, 0.66), ("grey", "brown", "green", "purple", "blue"), roofed=False
    ),
    "bridge": _kind(
        "bridge", _draw_bridge, (0.24, 0.42), ("red", "grey", "green", "blue", "orange", "white"), roofed=False
    ),
    "sign": _kind("sign", _draw_sign, (0.18, 0.36), ("green", "blue", "white", "yellow", "brown"), roofed=False),
}
