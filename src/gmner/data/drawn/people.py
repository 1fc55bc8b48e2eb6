"""People: faces, hair, hats, clothes with colour and pattern; whole, to the knees, to the waist or to the chest.

Units: a standing person is 1 high, soles at y = 1, the middle of the body at x = 0.
"""

from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.colours import Colour, another, colour, shade
from gmner.data.drawn.figure import Kind, Look, Trait
from gmner.data.drawn.pen import Paint, Pattern, Pen

HEAD, BODY, LIMBS = 1, 2, 3

CLOTHES: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white", "grey")
PATTERNED: Final = ("red", "orange", "green", "blue", "purple", "pink", "black")
PATTERNS: Final = ("striped", "checked", "dotted")
HATS: Final = ("cap", "beanie", "top hat", "sun hat")

_SKINS: Final[tuple[Colour, ...]] = (
    *((250, 218, 190), (240, 196, 160), (222, 170, 128), (190, 132, 92), (148, 98, 66), (106, 68, 46)),
)
_VIEWS: Final = {"whole": 1.0, "knees": 0.76, "waist": 0.53, "chest": 0.4}
_TROUSERS: Final = ((46, 56, 84), (70, 72, 80), (104, 88, 70), (36, 38, 42), (88, 104, 128), (150, 140, 120))
_POSES: Final = {"down": 5, "hips": 2, "wave": 2, "cheer": 1}


def clothes(rng: Generator, *avoid: str) -> dict[str, str]:
    """A colour and pattern of clothes; the colour is not alike those to avoid."""
    if happens(rng, 0.45):
        return {"colour": another(rng, PATTERNED, *avoid), "pattern": pick(rng, PATTERNS)}
    return {"colour": another(rng, CLOTHES, *avoid), "pattern": "plain"}


def look(rng: Generator) -> dict[str, str]:
    """Any person."""
    woman = happens(rng, 0.5)
    hair = {"long": 6, "bun": 3, "curly": 3, "short": 2} if woman else {"short": 7, "curly": 3, "bald": 3, "long": 1}
    garment = {"sweater": 4, "t-shirt": 4, "jacket": 2} | ({"dress": 4} if woman else {})
    hat = pick(rng, HATS) if happens(rng, 0.3) else "none"
    chosen = clothes(rng)
    return chosen | {
        "sex": "woman" if woman else "man",
        "hair": weighted(rng, hair),
        "hair colour": weighted(rng, {"black": 4, "brown": 4, "blond": 3, "ginger": 2, "grey": 2}),
        "hat": hat,
        "hat colour": another(rng, ("red", "yellow", "green", "blue", "purple", "black", "white"), chosen["colour"]),
        "glasses": weighted(rng, {"none": 7, "glasses": 2, "sunglasses": 2}),
        "beard": "beard" if not woman and happens(rng, 0.3) else "none",
        "garment": weighted(rng, garment),
        "pose": weighted(rng, _POSES),
        "view": weighted(rng, {"whole": 6, "knees": 2, "waist": 3, "chest": 2}),
        "side": pick(rng, ("left", "right")),
        "skin": str(int(rng.integers(len(_SKINS)))),
        "trousers": str(int(rng.integers(len(_TROUSERS)))),
        "mouth": weighted(rng, {"smile": 4, "laugh": 2, "calm": 2}),
        "build": pick(rng, ("slim", "medium", "broad")),
    }


def traits(look: Look) -> tuple[Trait, ...]:
    pattern = "" if look["pattern"] == "plain" else f"{look['pattern']} "
    least = 80 if look["pattern"] == "plain" else 500
    hair = None
    if look["hat"] == "none" or look["hair"] in ("long", "bald"):
        hair = {
            "long": f"with long {look['hair colour']} hair",
            "short": f"with short {look['hair colour']} hair",
            "bun": f"with {look['hair colour']} hair in a bun",
            "curly": f"with a mop of curly {look['hair colour']} hair",
            "bald": "with a bald head" if look["hat"] == "none" else None,
        }[look["hair"]]
    poses = {"wave": "waving", "cheer": "with both arms up", "hips": "with hands on hips", "down": None}
    arms = look["view"] in ("whole", "knees") or look["pose"] in ("wave", "cheer")
    return (
        Trait(
            "colour",
            (look["colour"], look["pattern"]),
            f"in a {look['colour']} {pattern}{look['garment']}".replace("a orange", "an orange"),
            part=BODY,
            least=least,
        ),
        Trait(
            "hat",
            (look["hat"], look["hat colour"] if look["hat"] != "none" else "none"),
            None if look["hat"] == "none" else f"wearing a {look['hat colour']} {look['hat']}",
            part=HEAD,
            least=200,
        ),
        # A hat hides what hair there is, so that nothing can be told from it.
        Trait("hair", (look["hair"], look["hair colour"] if look["hair"] != "bald" else "none"), hair, part=HEAD, least=250)
        if hair is not None
        else Trait("hair", ("?",), None, part=HEAD, least=1 << 30),
        Trait(
            "glasses",
            (look["glasses"],),
            None if look["glasses"] == "none" else f"with {look['glasses']}",
            part=HEAD,
            least=900,
        ),
        Trait("beard", (look["beard"],), None if look["beard"] == "none" else "with a beard", part=HEAD, least=700),
        Trait("pose", (look["pose"],), poses[look["pose"]] if arms else None, part=LIMBS, least=60 if arms else 1 << 30),
    )


def draw(pen: Pen, look: Look) -> None:
    """The person, from the back to the front."""
    side = 1.0 if look["side"] == "right" else -1.0
    skin = _SKINS[int(look["skin"])]
    broad = {"slim": 0.9, "medium": 1.0, "broad": 1.12}[look["build"]] * (0.92 if look["sex"] == "woman" else 1.0)
    fabric = _fabric(look)
    _draw_back_hair(pen, look)
    _draw_legs(pen, look, skin, broad)
    raised = {"wave": (side,), "cheer": (-1.0, 1.0)}.get(look["pose"], ())
    pen.part = HEAD
    pen.line([(0, 0.19), (0, 0.275)], 0.07, shade(skin, -0.14))
    for arm in (-1.0, 1.0):
        if arm not in raised:
            _draw_arm(pen, look, skin, broad, arm, "hips" if look["pose"] == "hips" else "down")
    _draw_torso(pen, look, skin, broad, fabric)
    for arm in raised:
        _draw_arm(pen, look, skin, broad, arm, "up")
    _draw_head(pen, look, skin, side)


def _fabric(look: Look) -> Paint:
    base = colour(look["colour"])
    if look["pattern"] == "plain":
        return base
    return Pattern(base, (250, 248, 242), look["pattern"], {"striped": 0.05, "checked": 0.058, "dotted": 0.046}[look["pattern"]])


def _outline(look: Look) -> Colour:
    """Dark lines on the clothes, light ones where the cloth itself is dark."""
    return shade(colour(look["colour"]), 0.3 if look["colour"] == "black" else -0.32)


def _draw_legs(pen: Pen, look: Look, skin: Colour, broad: float) -> None:
    pen.part = LIMBS
    bare = look["garment"] == "dress"
    cloth = skin if bare else _TROUSERS[int(look["trousers"])]
    for leg in (-1.0, 1.0):
        x = 0.05 * broad * leg
        pen.line([(x * 0.95, 0.53), (x * 1.05, 0.74), (x * 1.15, 0.95)], 0.092 * broad, shade(cloth, -0.1 if leg < 0 else 0.0), 0.058)
        shoe = shade(_TROUSERS[(int(look["trousers"]) + 3) % len(_TROUSERS)], -0.3)
        pen.curve([(x - 0.04, 0.945), (x + 0.035, 0.94), (x + 0.05 * leg + 0.035, 0.975), (x + 0.05 * leg + 0.03, 1.004), (x - 0.035 + 0.03 * leg, 1.004)], shoe)


def _draw_torso(pen: Pen, look: Look, skin: Colour, broad: float, fabric: Paint) -> None:
    pen.part = BODY
    s = broad
    hem = 0.57
    if look["garment"] == "dress":
        pen.curve([(-0.08 * s, 0.46), (0.08 * s, 0.46), (0.13 * s, 0.64), (0.165 * s, 0.75), (0.0, 0.775), (-0.165 * s, 0.75), (-0.13 * s, 0.64)], fabric)
        waist = 0.078
    else:
        waist = 0.092
    outline = [(-0.045, 0.247), (0.045, 0.247), (0.105 * s, 0.262), (0.132 * s, 0.30), (0.115 * s, 0.38), (waist * s, 0.47), (0.1 * s, hem)]
    outline += [(0.1 * s, hem + 0.005), (-0.1 * s, hem + 0.005), (-0.1 * s, hem), (-waist * s, 0.47), (-0.115 * s, 0.38), (-0.132 * s, 0.30), (-0.105 * s, 0.262)]
    if look["garment"] == "dress":
        outline = [(x, min(y, 0.53)) for x, y in outline]
    pen.curve(outline, fabric)
    line = _outline(look)
    if look["garment"] == "jacket":
        pen.polygon([(-0.036, 0.25), (0.036, 0.25), (0.012, 0.41), (-0.012, 0.41)], (246, 244, 238) if look["colour"] != "white" else (90, 96, 110))
        pen.polygon([(-0.009, 0.262), (0.009, 0.262), (0.014, 0.36), (0, 0.385), (-0.014, 0.36)], (60, 62, 74) if look["colour"] != "black" else (150, 60, 60))
        for edge in (-1.0, 1.0):
            pen.polygon([(edge * 0.036, 0.246), (edge * 0.066, 0.262), (edge * 0.058, 0.315), (edge * 0.012, 0.42)], line)
        pen.line([(0, 0.415), (0, hem)], 0.006, line)
        for y in (0.44, 0.48, 0.52):
            pen.ellipse(0.012, y, 0.006, 0.006, line)
    else:
        pen.part = HEAD
        pen.ellipse(0, 0.248, 0.045, 0.024 if look["garment"] != "dress" else 0.04, shade(skin, -0.06))
        pen.part = BODY
        if look["garment"] == "dress":
            pen.line([(-0.078 * s, 0.47), (0.078 * s, 0.47)], 0.02, line)
        elif look["garment"] == "sweater":
            pen.line([(-0.046, 0.252), (-0.025, 0.268), (0, 0.273), (0.025, 0.268), (0.046, 0.252)], 0.014, line)
            pen.line([(-0.094 * s, hem - 0.006), (0.094 * s, hem - 0.006)], 0.014, line)
        else:
            pen.line([(-0.046, 0.252), (-0.025, 0.268), (0, 0.273), (0.025, 0.268), (0.046, 0.252)], 0.007, line)


def _draw_arm(pen: Pen, look: Look, skin: Colour, broad: float, side: float, pose: str) -> None:
    shoulder = (0.105 * broad * side, 0.298)
    elbow, hand = {
        "down": ((0.138 * broad * side, 0.43), (0.132 * broad * side, 0.555)),
        "hips": ((0.225 * side, 0.415), (0.112 * side * broad, 0.505)),
        "up": ((0.205 * side, 0.27), (0.205 * side, 0.115)),
    }[pose]
    fabric, line = _fabric(look), _outline(look)
    long = look["garment"] in ("sweater", "jacket")
    pen.part = LIMBS
    pen.line([elbow, hand], 0.047, shade(skin, -0.05), 0.036)
    pen.ellipse(hand[0], hand[1] + (-0.012 if pose == "up" else 0.012), 0.026, 0.03, skin)
    if pose == "up":
        pen.line([hand, (hand[0] - 0.026 * side, hand[1] - 0.022)], 0.013, skin)
        for finger in (-0.014, 0.0, 0.014):
            pen.line([(hand[0] + finger, hand[1] - 0.02), (hand[0] + finger * 1.6, hand[1] - 0.052)], 0.012, skin)
    pen.part = BODY
    cuff = (elbow[0] + (hand[0] - elbow[0]) * 0.8, elbow[1] + (hand[1] - elbow[1]) * 0.8)
    sleeve = [shoulder, elbow, cuff] if long else [shoulder, (shoulder[0] + (elbow[0] - shoulder[0]) * 0.7, shoulder[1] + (elbow[1] - shoulder[1]) * 0.7)]
    if not long:
        pen.part = LIMBS
        pen.line([shoulder, elbow], 0.05, shade(skin, -0.05), 0.046)
        pen.part = BODY
    pen.line(sleeve, 0.075, line, 0.062 if long else 0.075)
    pen.line(sleeve, 0.066, fabric, 0.053 if long else 0.066)


def _draw_back_hair(pen: Pen, look: Look) -> None:
    pen.part = HEAD
    tone = shade(_hair(look), -0.18)
    if look["hair"] == "long":
        pen.curve([(-0.06, 0.035), (0.06, 0.035), (0.108, 0.1), (0.112, 0.2), (0.125, 0.31), (0.07, 0.335), (-0.07, 0.335), (-0.125, 0.31), (-0.112, 0.2), (-0.108, 0.1)], tone)
    elif look["hair"] == "curly":
        for x, y in ((-0.085, 0.1), (-0.09, 0.15), (0.085, 0.1), (0.09, 0.15), (-0.06, 0.045), (0.06, 0.045), (0, 0.02), (-0.075, 0.19), (0.075, 0.19)):
            pen.ellipse(x, y, 0.044, 0.042, tone)
    elif look["hair"] == "bun" and look["hat"] == "none":
        pen.ellipse(0, 0.004, 0.042, 0.038, tone)
        pen.ellipse(0.004, 0.0, 0.032, 0.027, shade(_hair(look), 0.05))


def _hair(look: Look) -> Colour:
    return (58, 42, 36) if look["hair colour"] == "black" else {"brown": (110, 70, 42), "grey": (176, 176, 180)}.get(look["hair colour"]) or colour(look["hair colour"])


def _draw_head(pen: Pen, look: Look, skin: Colour, side: float) -> None:
    pen.part = HEAD
    for ear in (-1.0, 1.0):
        pen.ellipse(ear * 0.078, 0.138, 0.014, 0.021, shade(skin, -0.1))
    pen.curve([(-0.05, 0.045), (0.05, 0.045), (0.088, 0.085), (0.084, 0.155), (0.055, 0.21), (0.02, 0.233), (-0.02, 0.233), (-0.055, 0.21), (-0.084, 0.155), (-0.088, 0.085)], skin)
    turn = 0.007 * side
    if look["beard"] == "beard":
        tone = _hair(look)
        pen.curve([(-0.08, 0.13), (-0.066, 0.165), (-0.03, 0.172), (0.03, 0.172), (0.066, 0.165), (0.08, 0.13), (0.082, 0.18), (0.05, 0.235), (0.0, 0.252), (-0.05, 0.235), (-0.082, 0.18)], tone)
    for cheek in (-1.0, 1.0):
        if look["beard"] == "none":
            pen.ellipse(turn + cheek * 0.046, 0.166, 0.013, 0.008, _mix(skin, (226, 110, 100), 0.3))
        pen.ellipse(turn + cheek * 0.03, 0.132, 0.0155, 0.0125, (252, 250, 246))
        pen.ellipse(turn * 1.7 + cheek * 0.03, 0.133, 0.0078, 0.0088, (44, 34, 32))
        brow = shade(_hair(look), -0.3) if look["hair"] != "bald" else (70, 56, 48)
        pen.line([(turn + cheek * 0.046, 0.109), (turn + cheek * 0.03, 0.104), (turn + cheek * 0.016, 0.108)], 0.0075, brow)
    pen.line([(turn * 2, 0.145), (turn * 2.4 + 0.004 * side, 0.164), (turn * 2, 0.167)], 0.007, shade(skin, -0.22))
    lips = (176, 66, 66) if look["sex"] == "woman" else shade(_mix(skin, (150, 60, 56), 0.6), -0.1)
    if look["mouth"] == "calm":
        pen.line([(turn - 0.02, 0.196), (turn + 0.02, 0.195)], 0.009, lips)
    elif look["mouth"] == "smile":
        pen.line([(turn - 0.027, 0.188), (turn - 0.012, 0.199), (turn + 0.012, 0.199), (turn + 0.027, 0.188)], 0.0085, lips)
    else:
        pen.curve([(turn - 0.036, 0.184), (turn + 0.036, 0.184), (turn + 0.022, 0.207), (turn - 0.022, 0.207)], shade(lips, -0.35))
        pen.rectangle(turn - 0.02, 0.187, turn + 0.02, 0.193, (250, 248, 244))
    _draw_front_hair(pen, look, side)
    if look["glasses"] != "none":
        _draw_glasses(pen, look["glasses"], turn, skin)
    if look["hat"] != "none":
        _draw_hat(pen, look, side)


def _draw_front_hair(pen: Pen, look: Look, side: float) -> None:
    tone = _hair(look)
    if look["hair"] == "bald":
        pen.ellipse(-0.025 * side, 0.068, 0.018, 0.009, shade(_SKINS[int(look["skin"])], 0.35))
        return
    if look["hair"] == "curly":
        for x, y in ((-0.07, 0.07), (-0.042, 0.045), (0, 0.038), (0.042, 0.045), (0.07, 0.07), (-0.022, 0.06), (0.022, 0.06)):
            pen.ellipse(x, y, 0.031, 0.028, tone)
        return
    low = 0.185 if look["hair"] == "long" else 0.13
    part = 0.03 * side
    pen.curve(
        [(-0.089, low), (-0.097, 0.1), (-0.075, 0.04), (0, 0.016), (0.075, 0.04), (0.097, 0.1), (0.089, low), (0.078, low - 0.01), (0.07, 0.1), (part + 0.03 * side, 0.078), (part, 0.062), (part - 0.04 * side, 0.085), (-0.07, 0.1), (-0.078, low - 0.01)],
        tone,
    )
    pen.line([(-0.045, 0.045), (0.0, 0.033), (0.04, 0.042)], 0.008, shade(tone, 0.22))


def _draw_glasses(pen: Pen, kind: str, turn: float, skin: Colour) -> None:
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
            pen.ellipse(x, 0.134, 0.008, 0.009, (44, 34, 32))


def _draw_hat(pen: Pen, look: Look, side: float) -> None:
    tone = colour(look["hat colour"])
    dark, light = shade(tone, -0.28 if look["hat colour"] != "black" else 0.25), shade(tone, 0.2)
    dome = [(-0.097, 0.1), (-0.1, 0.05), (-0.06, 0.0), (0.06, 0.0), (0.1, 0.05), (0.097, 0.1), (0.05, 0.09), (-0.05, 0.09)]
    if look["hat"] == "cap":
        pen.curve(dome, tone)
        pen.curve([(0.01 * side, 0.078), (0.09 * side, 0.075), (0.185 * side, 0.1), (0.09 * side, 0.106), (0.02 * side, 0.1)], dark)
        pen.ellipse(0, 0.009, 0.01, 0.007, dark)
        pen.line([(-0.05, 0.03), (-0.06, 0.07)], 0.006, light)
    elif look["hat"] == "beanie":
        pen.curve([(-0.1, 0.1), (-0.105, 0.04), (-0.05, -0.03), (0.05, -0.03), (0.105, 0.04), (0.1, 0.1)], tone)
        pen.rounded(-0.098, 0.063, 0.098, 0.098, 0.016, dark)
        pen.ellipse(0, -0.028, 0.03, 0.028, light)
    elif look["hat"] == "top hat":
        pen.polygon([(-0.074, 0.065), (-0.082, -0.1), (0.082, -0.1), (0.074, 0.065)], tone)
        pen.ellipse(0, -0.1, 0.082, 0.014, light)
        pen.polygon([(-0.075, 0.058), (-0.077, 0.022), (0.077, 0.022), (0.075, 0.058)], dark)
        pen.ellipse(0, 0.066, 0.135, 0.024, tone)
    else:
        pen.ellipse(0, 0.078, 0.2, 0.034, dark)
        pen.ellipse(0, 0.072, 0.2, 0.03, tone)
        pen.curve([(-0.09, 0.08), (-0.092, 0.03), (-0.05, -0.03), (0.05, -0.03), (0.092, 0.03), (0.09, 0.08)], tone)
        pen.line([(-0.084, 0.062), (0, 0.07), (0.084, 0.062)], 0.018, shade(tone, -0.45))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def bottom(look: Look) -> float:
    return _VIEWS[look["view"]] if look["view"] != "whole" else 1.1


PERSON: Final = Kind(
    pool="person",
    standing="ground",
    heights=(0.55, 0.98),
    look=look,
    draw=draw,
    nouns=("person",),
    traits=traits,
    families=(
        ("colour", "pattern"),
        ("hair", "hair colour", "beard", "sex", "garment"),
        ("hat", "hat colour", "glasses", "pose"),
    ),
    bottom=bottom,
)
