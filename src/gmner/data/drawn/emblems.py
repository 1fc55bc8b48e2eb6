"""Emblems: shields, badges, pennants and wordmarks with a sign on them, some with their name.

Units: an emblem is about 1 high, its middle at (0, 0).
"""

from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.colours import another, colour, ink, shade
from gmner.data.drawn.figure import Kind, Look, Trait
from gmner.data.drawn.pen import Paint, Pen
from gmner.data.drawn.symbols import SYMBOLS, draw_symbol

MAIN: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white")

_SHAPES: Final = {
    "shield-shaped": 4,
    "round": 4,
    "six-sided": 2,
    "diamond-shaped": 2,
    "square": 2,
    "triangular": 2,
    "wide": 3,
}


def look(rng: Generator) -> dict[str, str]:
    """Any emblem, without lettering."""
    main = pick(rng, MAIN)
    return {
        "shape": weighted(rng, _SHAPES),
        "colour": main,
        "sign": pick(rng, SYMBOLS),
        "sign colour": another(rng, ("white", "yellow", "black", "red", "blue"), main),
        "border": pick(rng, ("sign", "dark", "light")),
        "divided": "yes" if happens(rng, 0.3) else "no",
        "lettering": "",
    }


def traits(look: Look) -> tuple[Trait, ...]:
    return (
        Trait("colour", (look["colour"], "plain"), look["colour"], before=True, least=30),
        Trait("shape", (look["shape"],), look["shape"], before=True, least=150),
        Trait(
            "sign", (look["sign"],), f"with a {look['sign colour']} {look['sign']}".replace("a a", "an a"), least=400
        ),
        Trait("lettering", (look["lettering"],), "with its name on it" if look["lettering"] else None, least=2500),
    )


def draw(pen: Pen, look: Look) -> None:
    main, sign = colour(look["colour"]), colour(look["sign colour"])
    border = {"sign": sign, "dark": shade(main, -0.45), "light": shade(main, 0.6)}[look["border"]]
    name = look["lettering"]
    if look["shape"] == "wide":
        _draw_wide(pen, look)
        return
    for scale, paint in ((1.0, shade(border, -0.15)), (0.985, border), (0.89, main)):
        _draw_shape(pen, look["shape"], scale, paint)
    if look["divided"] == "yes":
        pen.polygon([(-0.012, -0.4), (0.012, -0.4), (0.012, 0.4), (-0.012, 0.4)], shade(main, -0.2))
        pen.rectangle(-0.3, -0.018, 0.3, 0.008, shade(main, -0.2))
    radius, middle = {"triangular": (0.17, -0.18)}.get(
        look["shape"], (0.25 if name else 0.29, -0.09 if name else -0.01)
    )
    draw_symbol(pen, look["sign"], 0, middle, radius, sign, main)
    if name:
        ribbon = (248, 244, 232)
        low, high = (0.19, 0.37) if look["shape"] != "triangular" else (0.12, 0.3)
        for end in (-1.0, 1.0):
            pen.polygon(
                [
                    (end * 0.5, low + 0.04),
                    (end * 0.66, low + 0.04),
                    (end * 0.61, (low + high) / 2 + 0.04),
                    (end * 0.66, high + 0.05),
                    (end * 0.5, high + 0.05),
                ],
                shade(ribbon, -0.22),
            )
        pen.rectangle(-0.56, low, 0.56, high, ribbon)
        pen.letters(name.upper(), -0.53, low + 0.015, 0.53, high - 0.015, (34, 32, 40))


def _draw_shape(pen: Pen, shape: str, scale: float, paint: Paint) -> None:
    s = scale * 0.5
    if shape == "shield-shaped":
        pen.polygon(
            [
                (-0.86 * s, -0.96 * s),
                (0.86 * s, -0.96 * s),
                (0.86 * s, 0.1 * s),
                (0.78 * s, 0.4 * s),
                (0.56 * s, 0.68 * s),
                (0.26 * s, 0.88 * s),
                (0, s),
                (-0.26 * s, 0.88 * s),
                (-0.56 * s, 0.68 * s),
                (-0.78 * s, 0.4 * s),
                (-0.86 * s, 0.1 * s),
            ],
            paint,
        )
    elif shape == "round":
        pen.ellipse(0, 0, s, s, paint)
    elif shape == "six-sided":
        pen.polygon(
            [(0, -s), (0.87 * s, -0.5 * s), (0.87 * s, 0.5 * s), (0, s), (-0.87 * s, 0.5 * s), (-0.87 * s, -0.5 * s)],
            paint,
        )
    elif shape == "diamond-shaped":
        pen.polygon([(0, -1.06 * s), (1.06 * s, 0), (0, 1.06 * s), (-1.06 * s, 0)], paint)
    elif shape == "square":
        pen.rounded(-0.9 * s, -0.9 * s, 0.9 * s, 0.9 * s, 0.2 * s, paint)
    else:  # triangular
        inset = (1 - scale) * 1.1
        pen.polygon(
            [(-0.5 + inset, -0.5 + inset * 0.55), (0.5 - inset, -0.5 + inset * 0.55), (0, 0.5 - inset * 1.3)], paint
        )


def _draw_wide(pen: Pen, look: Look) -> None:
    main, sign = colour(look["colour"]), colour(look["sign colour"])
    pen.rounded(-0.84, -0.3, 0.84, 0.3, 0.1, shade(main, -0.35))
    pen.rounded(-0.825, -0.285, 0.825, 0.285, 0.09, main)
    if look["lettering"]:
        draw_symbol(pen, look["sign"], -0.58, 0, 0.19, sign, main)
        pen.letters(look["lettering"].upper(), -0.34, -0.2, 0.78, 0.2, ink(main))
    else:
        draw_symbol(pen, look["sign"], -0.5, 0, 0.22, sign, main)
        for y, length in ((-0.12, 0.62), (0.0, 0.5), (0.12, 0.56)):
            pen.line([(-0.14, y), (length, y)], 0.055, sign)


EMBLEM: Final = Kind(
    pool="emblem",
    standing="wall",
    heights=(0.12, 0.38),
    look=look,
    draw=draw,
    nouns=("badge", "emblem", "logo"),
    traits=traits,
    families=(("colour", "sign colour", "border", "divided"), ("shape", "sign")),
)
