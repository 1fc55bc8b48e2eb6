"""The head of a person: face, hair, beard, glasses and hats. Units as in `people`."""

from typing import Final

from gmner.data.drawn.colours import Colour, colour, shade
from gmner.data.drawn.figure import Look
from gmner.data.drawn.pen import Pen, mirrored

HEAD = 1
"""The part of a figure that is its head, with all that is on it."""

_HAIR: Final[dict[str, Colour]] = {"black": (58, 42, 36), "brown": (110, 70, 42), "grey": (176, 176, 180)}
_EYE: Final = (44, 34, 32)
_BACK_CURLS: Final = ((0.085, 0.1), (0.09, 0.15), (0.06, 0.045), (0.075, 0.19))
_FRONT_CURLS: Final = ((0.07, 0.07), (0.042, 0.045), (0.022, 0.06))


def draw_back_hair(pen: Pen, look: Look) -> None:
    """The hair behind the body."""
    pen.part = HEAD
    tone = shade(_hair(look), -0.18)
    if look["hair"] == "long":
        pen.curve(mirrored([(0.06, 0.035), (0.108, 0.1), (0.112, 0.2), (0.125, 0.31), (0.07, 0.335)]), tone)
    elif look["hair"] == "curly":
        for x, y in (*mirrored(_BACK_CURLS), (0, 0.02)):
            pen.ellipse(x, y, 0.044, 0.042, tone)
    elif look["hair"] == "bun" and look["hat"] == "none":
        pen.ellipse(0, 0.004, 0.042, 0.038, tone)
        pen.ellipse(0.004, 0.0, 0.032, 0.027, shade(_hair(look), 0.05))


def draw_head(pen: Pen, look: Look, skin: Colour) -> None:
    pen.part = HEAD
    side = 1.0 if look["side"] == "right" else -1.0
    turn = 0.007 * side
    for ear in (-1.0, 1.0):
        pen.ellipse(ear * 0.078, 0.138, 0.014, 0.021, shade(skin, -0.1))
    outline = ((0.05, 0.045), (0.088, 0.085), (0.084, 0.155), (0.055, 0.21), (0.02, 0.233))
    pen.curve(mirrored(outline), skin)
    if look["beard"] == "beard":
        _draw_beard(pen, look)
    for cheek in (-1.0, 1.0):
        x = turn + cheek * 0.03
        if look["beard"] == "none":
            pen.ellipse(turn + cheek * 0.046, 0.166, 0.013, 0.008, _mixed(skin, (226, 110, 100), 0.3))
        pen.ellipse(x, 0.132, 0.0155, 0.0125, (252, 250, 246))
        pen.ellipse(x + turn * 0.7, 0.133, 0.0078, 0.0088, _EYE)
        brow = (70, 56, 48) if look["hair"] == "bald" else shade(_hair(look), -0.3)
        pen.line([(turn + cheek * 0.046, 0.109), (x, 0.104), (turn + cheek * 0.016, 0.108)], 0.0075, brow)
    pen.line([(turn * 2, 0.145), (turn * 3, 0.164), (turn * 2, 0.167)], 0.007, shade(skin, -0.22))
    _draw_mouth(pen, look, skin, turn)
    _draw_front_hair(pen, look, skin, side)
    if look["glasses"] != "none":
        _draw_glasses(pen, look["glasses"], turn)
    if look["hat"] != "none":
        _draw_hat(pen, look, side)


def _draw_mouth(pen: Pen, look: Look, skin: Colour, turn: float) -> None:
    lips = (176, 66, 66) if look["sex"] == "woman" else shade(_mixed(skin, (150, 60, 56), 0.6), -0.1)
    if look["mouth"] == "calm":
        pen.line([(turn - 0.02, 0.196), (turn + 0.02, 0.195)], 0.009, lips)
    elif look["mouth"] == "smile":
        smile = ((-0.027, 0.188), (-0.012, 0.199), (0.012, 0.199), (0.027, 0.188))
        pen.line([(turn + x, y) for x, y in smile], 0.0085, lips)
    else:
        laugh = ((-0.036, 0.184), (0.036, 0.184), (0.022, 0.207), (-0.022, 0.207))
        pen.curve([(turn + x, y) for x, y in laugh], shade(lips, -0.35))
        pen.rectangle(turn - 0.02, 0.187, turn + 0.02, 0.193, (250, 248, 244))


def _draw_beard(pen: Pen, look: Look) -> None:
    inner = ((-0.08, 0.13), (-0.066, 0.165), (-0.03, 0.172), (0.03, 0.172), (0.066, 0.165), (0.08, 0.13))
    outer = ((0.082, 0.18), (0.05, 0.235), (0.0, 0.252), (-0.05, 0.235), (-0.082, 0.18))
    pen.curve([*inner, *outer], _hair(look))


def _draw_front_hair(pen: Pen, look: Look, skin: Colour, side: float) -> None:
    tone = _hair(look)
    if look["hair"] == "bald":
        pen.ellipse(-0.025 * side, 0.068, 0.018, 0.009, shade(skin, 0.35))
        return
    if look["hair"] == "curly":
        for x, y in (*mirrored(_FRONT_CURLS), (0, 0.038)):
            pen.ellipse(x, y, 0.031, 0.028, tone)
        return
    low = 0.185 if look["hair"] == "long" else 0.13
    crown = ((-0.089, low), (-0.097, 0.1), (-0.075, 0.04), (0, 0.016), (0.075, 0.04), (0.097, 0.1), (0.089, low))
    fringe = ((0.06, 0.078), (0.03, 0.062), (-0.01, 0.085))
    parted = [(x * side, y) for x, y in fringe]
    if side < 0:
        parted.reverse()
    pen.curve([*crown, (0.078, low - 0.01), (0.07, 0.1), *parted, (-0.07, 0.1), (-0.078, low - 0.01)], tone)
    pen.line([(-0.045, 0.045), (0.0, 0.033), (0.04, 0.042)], 0.008, shade(tone, 0.22))


def _draw_glasses(pen: Pen, kind: str, turn: float) -> None:
    frame = (26, 26, 30)
    pen.line([(-0.078, 0.126), (0.078, 0.126)], 0.008, frame)
    for eye in (-1.0, 1.0):
        x = turn + eye * 0.034
        if kind == "sunglasses":
            pen.rounded(x - 0.031, 0.112, x + 0.031, 0.155, 0.015, frame)
            pen.line([(x - 0.016, 0.124), (x - 0.006, 0.142)], 0.006, (110, 116, 130))
        else:
            pen.ellipse(x, 0.133, 0.028, 0.026, frame)
            pen.ellipse(x, 0.133, 0.021, 0.019, (226, 238, 244))
            pen.ellipse(x, 0.134, 0.008, 0.009, _EYE)


def _draw_hat(pen: Pen, look: Look, side: float) -> None:
    tone = colour(look["hat colour"])
    dark, light = shade(tone, 0.25 if look["hat colour"] == "black" else -0.28), shade(tone, 0.2)
    if look["hat"] == "cap":
        pen.curve(mirrored([(0.06, 0.0), (0.1, 0.05), (0.097, 0.1), (0.05, 0.09)]), tone)
        peak = ((0.01, 0.078), (0.09, 0.075), (0.185, 0.1), (0.09, 0.106), (0.02, 0.1))
        pen.curve([(x * side, y) for x, y in peak], dark)
        pen.ellipse(0, 0.009, 0.01, 0.007, dark)
        pen.line([(-0.05, 0.03), (-0.06, 0.07)], 0.006, light)
    elif look["hat"] == "beanie":
        pen.curve(mirrored([(0.05, -0.03), (0.105, 0.04), (0.1, 0.1)]), tone)
        pen.rounded(-0.098, 0.063, 0.098, 0.098, 0.016, dark)
        pen.ellipse(0, -0.028, 0.03, 0.028, light)
    elif look["hat"] == "top hat":
        pen.polygon(mirrored([(0.082, -0.1), (0.074, 0.065)]), tone)
        pen.ellipse(0, -0.1, 0.082, 0.014, light)
        pen.polygon(mirrored([(0.077, 0.022), (0.075, 0.058)]), dark)
        pen.ellipse(0, 0.066, 0.135, 0.024, tone)
    else:  # sun hat
        pen.ellipse(0, 0.078, 0.2, 0.034, dark)
        pen.ellipse(0, 0.072, 0.2, 0.03, tone)
        pen.curve(mirrored([(0.05, -0.03), (0.092, 0.03), (0.09, 0.08)]), tone)
        pen.line([(-0.084, 0.062), (0, 0.07), (0.084, 0.062)], 0.018, shade(tone, -0.45))


def _hair(look: Look) -> Colour:
    return _HAIR.get(look["hair colour"]) or colour(look["hair colour"])


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
