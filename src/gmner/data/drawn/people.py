"""People: how they may look, and by what words they are told apart.

Units: a standing person is 1 high, soles at y = 1, the middle of the body at x = 0. A portrait is the same person,
cut off at the knees, the waist or the chest.
"""

from typing import Final

from numpy.random import Generator

from gmner.data.drawn.body import BODY, LIMBS, TROUSERS, draw_arm, draw_legs, draw_torso, raised_arms
from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.colours import Colour, another, shade
from gmner.data.drawn.figure import Kind, Look, Trait
from gmner.data.drawn.head import HEAD, draw_back_hair, draw_head
from gmner.data.drawn.pen import Pen

_CLOTHES: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white", "grey")
_PATTERNED: Final = ("red", "orange", "green", "blue", "purple", "pink", "black")
_HAT_COLOURS: Final = ("red", "yellow", "green", "blue", "purple", "black", "white")
_BOTTOMS: Final = {"whole": 1.1, "knees": 0.76, "waist": 0.53, "chest": 0.4}
_SKINS: Final[tuple[Colour, ...]] = (
    (250, 218, 190),
    (240, 196, 160),
    (222, 170, 128),
    (190, 132, 92),
    (148, 98, 66),
    (106, 68, 46),
)


def _look(rng: Generator) -> dict[str, str]:
    woman = happens(rng, 0.5)
    hair = {"long": 6, "bun": 3, "curly": 3, "short": 2} if woman else {"short": 7, "curly": 3, "bald": 3, "long": 1}
    garment = {"sweater": 4, "t-shirt": 4, "jacket": 2} | ({"dress": 4} if woman else {})
    pattern = weighted(rng, {"plain": 12, "striped": 3, "checked": 3, "dotted": 3})
    colour = pick(rng, _CLOTHES if pattern == "plain" else _PATTERNED)
    return {
        "colour": colour,
        "pattern": pattern,
        "garment": weighted(rng, garment),
        "sex": "woman" if woman else "man",
        "build": pick(rng, ("slim", "medium", "broad")),
        "skin": str(int(rng.integers(len(_SKINS)))),
        "trousers": str(int(rng.integers(len(TROUSERS)))),
        "hair": weighted(rng, hair),
        "hair colour": weighted(rng, {"black": 4, "brown": 4, "blond": 3, "ginger": 2, "grey": 2}),
        "beard": "beard" if not woman and happens(rng, 0.3) else "none",
        "hat": weighted(rng, {"none": 28, "cap": 3, "beanie": 3, "top hat": 3, "sun hat": 3}),
        "hat colour": another(rng, _HAT_COLOURS, colour),
        "glasses": weighted(rng, {"none": 7, "glasses": 2, "sunglasses": 2}),
        "mouth": weighted(rng, {"smile": 4, "laugh": 2, "calm": 2}),
        "pose": weighted(rng, {"down": 5, "hips": 2, "wave": 2, "cheer": 1}),
        "view": weighted(rng, {"whole": 5, "knees": 2, "waist": 4, "chest": 3}),
        "side": pick(rng, ("left", "right")),
    }


def _traits(look: Look) -> tuple[Trait, ...]:
    colour, pattern, hat, hair = look["colour"], look["pattern"], look["hat"], look["hair"]
    cloth = f"{colour} {look['garment']}" if pattern == "plain" else f"{colour} {pattern} {look['garment']}"
    found = [
        Trait(
            "colour",
            (colour, pattern),
            f"in {'an' if colour == 'orange' else 'a'} {cloth}",
            part=BODY,
            least=80 if pattern == "plain" else 700,
        ),
        Trait(
            "hat",
            (hat, "none" if hat == "none" else look["hat colour"]),
            None if hat == "none" else f"wearing a {look['hat colour']} {hat}",
            part=HEAD,
            least=200,
            enough=0.85,
        ),
        _worn("glasses", look["glasses"], f"with {look['glasses']}", 900),
        _worn("beard", look["beard"], "with a beard", 700),
    ]
    if hat == "none" or hair == "long":  # a hat hides what other hair there is
        words = {
            "long": f"with long {look['hair colour']} hair",
            "short": f"with short {look['hair colour']} hair",
            "bun": f"with {look['hair colour']} hair in a bun",
            "curly": f"with a mop of curly {look['hair colour']} hair",
            "bald": "with a bald head",
        }[hair]
        key = (hair, "none" if hair == "bald" else look["hair colour"])
        found.append(Trait("hair", key, words, part=HEAD, least=250, enough=0.85))
    if look["view"] in ("whole", "knees") or raised_arms(look):
        words_of_pose = {"wave": "waving", "cheer": "with both arms up", "hips": "with hands on hips"}
        found.append(Trait("pose", (look["pose"],), words_of_pose.get(look["pose"]), part=LIMBS, least=60, enough=0.8))
    return tuple(found)


def _worn(name: str, value: str, words: str, least: int) -> Trait:
    """Something in the face that is there or not."""
    return Trait(name, (value,), None if value == "none" else words, part=HEAD, least=least)


def _draw(pen: Pen, look: Look) -> None:
    """The person, from the back to the front."""
    skin = _SKINS[int(look["skin"])]
    raised = raised_arms(look)
    draw_back_hair(pen, look)
    draw_legs(pen, look, skin)
    pen.part = HEAD
    pen.line([(0, 0.19), (0, 0.275)], 0.07, shade(skin, -0.14))
    for side in (-1.0, 1.0):
        if side not in raised:
            draw_arm(pen, look, skin, side)
    draw_torso(pen, look, skin)
    for side in raised:
        draw_arm(pen, look, skin, side)
    draw_head(pen, look, skin)


PERSON: Final = Kind(
    pool="person",
    standing="ground",
    heights=(0.55, 0.98),
    look=_look,
    draw=_draw,
    nouns=("person",),
    traits=_traits,
    families=(
        ("colour", "pattern"),
        ("hair", "hair colour", "beard", "sex", "garment"),
        ("hat", "hat colour", "glasses", "pose"),
    ),
    bottom=lambda look: _BOTTOMS[look["view"]],
)
