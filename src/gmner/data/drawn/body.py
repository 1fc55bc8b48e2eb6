"""The body of a person: legs, torso, arms, and the clothes on them. Units as in `people`."""

from typing import Final

from gmner.data.drawn.colours import Colour, colour, shade
from gmner.data.drawn.figure import Look
from gmner.data.drawn.head import HEAD
from gmner.data.drawn.pen import Paint, Pattern, Pen, mirrored

BODY, LIMBS = 2, 3
"""The parts of a figure that are its clothes, and its legs, bare arms and hands."""

TROUSERS: Final[tuple[Colour, ...]] = (
    (46, 56, 84),
    (70, 72, 80),
    (104, 88, 70),
    (36, 38, 42),
    (88, 104, 128),
    (150, 140, 120),
)

_PERIODS: Final = {"striped": 0.05, "checked": 0.058, "dotted": 0.046}
_HEM: Final = 0.57
_NECKLINE: Final = ((-0.046, 0.252), (-0.025, 0.268), (0.0, 0.273), (0.025, 0.268), (0.046, 0.252))


def breadth(look: Look) -> float:
    """How broad the body is, 1 in the middle."""
    build = {"slim": 0.9, "medium": 1.0, "broad": 1.12}[look["build"]]
    return build * (0.92 if look["sex"] == "woman" else 1.0)


def raised_arms(look: Look) -> tuple[float, ...]:
    """Which arms are up: -1 is the one on the left of the picture, 1 the other."""
    side = 1.0 if look["side"] == "right" else -1.0
    return {"wave": (side,), "cheer": (-1.0, 1.0)}.get(look["pose"], ())


def draw_legs(pen: Pen, look: Look, skin: Colour) -> None:
    pen.part = LIMBS
    trousers = int(look["trousers"])
    cloth = skin if look["garment"] == "dress" else TROUSERS[trousers]
    shoe = shade(TROUSERS[trousers - 3], -0.3)
    for leg in (-1.0, 1.0):
        x = 0.05 * breadth(look) * leg
        tone = shade(cloth, -0.1 if leg < 0 else 0.0)
        pen.line([(x * 0.95, 0.53), (x * 1.05, 0.74), (x * 1.15, 0.95)], 0.092 * breadth(look), tone, 0.058)
        heel, toe = x - 0.035 + 0.03 * leg, x + 0.03 + 0.05 * leg
        pen.curve([(x - 0.04, 0.945), (x + 0.035, 0.94), (toe + 0.005, 0.975), (toe, 1.004), (heel, 1.004)], shoe)


def draw_torso(pen: Pen, look: Look, skin: Colour) -> None:
    pen.part = BODY
    broad, fabric, line = breadth(look), _fabric(look), _line(look)
    dress = look["garment"] == "dress"
    if dress:
        skirt = ((0.08, 0.46), (0.13, 0.64), (0.165, 0.75), (0.0, 0.775))
        pen.curve(mirrored([(x * broad, y) for x, y in skirt]), fabric)
    waist, hem = (0.078, 0.53) if dress else (0.092, _HEM)
    trunk = ((0.105, 0.262), (0.132, 0.30), (0.115, 0.38), (waist, 0.47), (0.1, hem), (0.1, min(hem + 0.005, 0.575)))
    pen.curve(mirrored([(0.045, 0.247), *((x * broad, y) for x, y in trunk)]), fabric)
    if look["garment"] == "jacket":
        _draw_jacket(pen, look, line)
        return
    pen.part = HEAD
    pen.ellipse(0, 0.248, 0.045, 0.04 if dress else 0.024, shade(skin, -0.06))
    pen.part = BODY
    if dress:
        pen.line([(-0.078 * broad, 0.47), (0.078 * broad, 0.47)], 0.02, line)
    elif look["garment"] == "sweater":
        pen.line(_NECKLINE, 0.014, line)
        pen.line([(-0.094 * broad, hem - 0.006), (0.094 * broad, hem - 0.006)], 0.014, line)
    else:
        pen.line(_NECKLINE, 0.007, line)


def draw_arm(pen: Pen, look: Look, skin: Colour, side: float) -> None:
    """One arm, on the side -1 or 1, as the pose has it."""
    broad = breadth(look)
    up = side in raised_arms(look)
    shoulder = (0.105 * broad * side, 0.298)
    if up:
        elbow, hand = (0.205 * side, 0.27), (0.205 * side, 0.115)
    elif look["pose"] == "hips":
        elbow, hand = (0.225 * side, 0.415), (0.112 * side * broad, 0.505)
    else:
        elbow, hand = (0.138 * broad * side, 0.43), (0.132 * broad * side, 0.555)
    pen.part = LIMBS
    pen.line([elbow, hand], 0.047, shade(skin, -0.05), 0.036)
    pen.ellipse(hand[0], hand[1] + (-0.012 if up else 0.012), 0.026, 0.03, skin)
    if up:
        pen.line([hand, (hand[0] - 0.026 * side, hand[1] - 0.022)], 0.013, skin)
        for finger in (-0.014, 0.0, 0.014):
            pen.line([(hand[0] + finger, hand[1] - 0.02), (hand[0] + finger * 1.6, hand[1] - 0.052)], 0.012, skin)
    if look["garment"] in ("sweater", "jacket"):
        sleeve, end, cuff = [shoulder, elbow, _between(elbow, hand, 0.8)], 0.053, 0.062
    else:
        pen.line([shoulder, elbow], 0.05, shade(skin, -0.05), 0.046)
        sleeve, end, cuff = [shoulder, _between(shoulder, elbow, 0.7)], 0.066, 0.075
    pen.part = BODY
    pen.line(sleeve, 0.075, _line(look), cuff)
    pen.line(sleeve, 0.066, _fabric(look), end)


def _draw_jacket(pen: Pen, look: Look, line: Colour) -> None:
    """What makes clothes a jacket: shirt, tie, lapels and buttons."""
    shirt = (90, 96, 110) if look["colour"] == "white" else (246, 244, 238)
    tie = (150, 60, 60) if look["colour"] == "black" else (60, 62, 74)
    pen.polygon(mirrored([(0.036, 0.25), (0.012, 0.41)]), shirt)
    pen.polygon(mirrored([(0.009, 0.262), (0.014, 0.36), (0.0, 0.385)]), tie)
    for edge in (-1.0, 1.0):
        lapel = ((0.036, 0.246), (0.066, 0.262), (0.058, 0.315), (0.012, 0.42))
        pen.polygon([(edge * x, y) for x, y in lapel], line)
    pen.line([(0, 0.415), (0, _HEM)], 0.006, line)
    for y in (0.44, 0.48, 0.52):
        pen.ellipse(0.012, y, 0.006, 0.006, line)


def _fabric(look: Look) -> Paint:
    base = colour(look["colour"])
    if look["pattern"] == "plain":
        return base
    return Pattern(base, (250, 248, 242), look["pattern"], _PERIODS[look["pattern"]])


def _line(look: Look) -> Colour:
    """Dark lines on the clothes, light ones where the cloth itself is dark."""
    return shade(colour(look["colour"]), 0.3 if look["colour"] == "black" else -0.32)


def _between(one: tuple[float, float], other: tuple[float, float], share: float) -> tuple[float, float]:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share
