"""Objects: cars, vans, balls, posters, trophies, phones, books and guitars.

Units: an object is 1 high, y from 0 to 1, its middle at x = 0.
"""

from collections.abc import Callable
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick
from gmner.data.drawn.colours import Colour, another, colour, ink, shade
from gmner.data.drawn.figure import Kind, Look, Standing, Trait
from gmner.data.drawn.pen import Paint, Pattern, Pen
from gmner.data.drawn.symbols import SYMBOLS, draw_symbol

_MAIN: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white")
_GLASS: Final = (176, 214, 228)
_TYRE: Final = (34, 34, 38)


def _draw_car(pen: Pen, look: Look) -> None:
    main, side = _plain(look), _side(look)
    dark, light = shade(main, -0.28), shade(main, 0.25)
    pen.line([(-0.7, 0.86), (0.7, 0.86)], 0.1, (40, 40, 44))
    pen.curve(
        [
            (side * -0.62, 0.42),
            (side * -0.5, 0.12),
            (side * -0.3, 0.03),
            (side * 0.2, 0.03),
            (side * 0.48, 0.16),
            (side * 0.76, 0.46),
        ],
        dark,
    )
    pen.polygon([(side * -0.5, 0.42), (side * -0.4, 0.16), (side * -0.04, 0.12), (side * -0.04, 0.42)], _GLASS)
    pen.polygon(
        [(side * 0.03, 0.42), (side * 0.03, 0.12), (side * 0.3, 0.15), (side * 0.58, 0.42)], shade(_GLASS, 0.25)
    )
    pen.curve(
        [
            (side * -1.24, 0.5),
            (side * -1.15, 0.4),
            (side * -0.6, 0.36),
            (side * 0.6, 0.36),
            (side * 1.1, 0.45),
            (side * 1.27, 0.6),
            (side * 1.27, 0.84),
            (side * 1.1, 0.9),
            (side * -1.15, 0.9),
            (side * -1.27, 0.8),
        ],
        main,
    )
    pen.line([(side * -1.1, 0.46), (side * 0.6, 0.43)], 0.03, light)
    pen.line([(side * 0.0, 0.42), (side * 0.0, 0.82)], 0.012, dark)
    pen.line([(side * -0.16, 0.52), (side * -0.06, 0.52)], 0.03, dark)
    pen.ellipse(side * 1.15, 0.57, 0.085, 0.06, (255, 240, 180))
    pen.ellipse(side * -1.2, 0.56, 0.05, 0.06, (196, 40, 40))
    _draw_mark(pen, look, -0.46 * side, 0.64, 0.16, main)
    for wheel in (-0.72, 0.76):
        _draw_wheel(pen, side * wheel, 0.83, 0.17)


def _draw_van(pen: Pen, look: Look) -> None:
    main, side = _plain(look), _side(look)
    dark = shade(main, -0.28)
    pen.line([(-0.6, 0.86), (0.6, 0.86)], 0.1, (40, 40, 44))
    pen.curve(
        [
            (side * -0.98, 0.08),
            (side * -0.9, 0.02),
            (side * 0.5, 0.02),
            (side * 0.66, 0.1),
            (side * 0.84, 0.4),
            (side * 1.0, 0.5),
            (side * 1.03, 0.86),
            (side * 0.95, 0.91),
            (side * -0.95, 0.91),
            (side * -1.02, 0.84),
        ],
        main,
    )
    pen.polygon([(side * 0.36, 0.14), (side * 0.56, 0.14), (side * 0.74, 0.42), (side * 0.36, 0.42)], _GLASS)
    pen.polygon(
        [(side * -0.04, 0.14), (side * 0.28, 0.14), (side * 0.28, 0.42), (side * -0.04, 0.42)], shade(_GLASS, 0.2)
    )
    pen.rectangle(min(side * -1.0, side * 0.98), 0.55, max(side * -1.0, side * 0.98), 0.6, dark)
    pen.ellipse(side * 0.96, 0.67, 0.05, 0.06, (255, 240, 180))
    _draw_mark(pen, look, -0.5 * side, 0.32, 0.2, main)
    for wheel in (-0.6, 0.62):
        _draw_wheel(pen, side * wheel, 0.84, 0.155)


def _draw_wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.ellipse(x, y, radius, radius, _TYRE)
    pen.ellipse(x, y, radius * 0.58, radius * 0.58, (186, 190, 198))
    pen.ellipse(x, y, radius * 0.2, radius * 0.2, (90, 92, 98))


def _draw_ball(pen: Pen, look: Look) -> None:
    main = _plain(look)
    second = (248, 246, 240)
    steps = ((0.0, 0.5, -0.3), (0.02, 0.47, -0.12), (0.05, 0.42, 0.0))
    for shift, radius, amount in steps:
        tone: Paint = shade(main, amount)
        if look["pattern"] != "plain":
            tone = Pattern(
                shade(main, amount),
                shade(second, min(amount, 0.0)),
                look["pattern"],
                {"striped": 0.36, "checked": 0.3, "dotted": 0.3}[look["pattern"]],
            )
        pen.ellipse(-shift, 0.5 - shift, radius, radius, tone)
    if look["pattern"] == "plain":
        _draw_mark(pen, look, 0, 0.52, 0.24, main)
    pen.ellipse(-0.2, 0.24, 0.1, 0.06, shade(main, 0.75))


def _draw_poster(pen: Pen, look: Look) -> None:
    main = _plain(look)
    pen.rectangle(-0.37, 0, 0.37, 1, (58, 50, 48))
    pen.rectangle(-0.345, 0.025, 0.345, 0.975, shade(main, -0.12))
    pen.rectangle(-0.345, 0.025, 0.345, 0.5, main)
    pen.curve(
        [(-0.345, 0.78), (-0.345, 0.62), (-0.15, 0.5), (0.1, 0.64), (0.345, 0.54), (0.345, 0.78)], shade(main, -0.35)
    )
    pen.rectangle(-0.345, 0.7, 0.345, 0.78, shade(main, -0.35))
    _draw_mark(pen, look, 0.0, 0.33, 0.2, main)
    pen.rectangle(-0.345, 0.76, 0.345, 0.975, (246, 240, 226))
    if look["lettering"]:
        pen.letters(look["lettering"].upper(), -0.32, 0.79, 0.32, 0.95, (34, 32, 40))
    else:
        for y, length in ((0.83, 0.24), (0.9, 0.16)):
            pen.line([(-length, y), (length, y)], 0.025, (130, 124, 120))


def _draw_trophy(pen: Pen, look: Look) -> None:
    main = _plain(look)
    dark, light = shade(main, -0.3), shade(main, 0.45)
    for side in (-1.0, 1.0):
        pen.line(
            [(side * 0.27, 0.1), (side * 0.44, 0.12), (side * 0.45, 0.28), (side * 0.3, 0.42), (side * 0.14, 0.46)],
            0.06,
            dark,
        )
    pen.polygon([(-0.05, 0.5), (0.05, 0.5), (0.07, 0.76), (-0.07, 0.76)], dark)
    pen.ellipse(0, 0.62, 0.075, 0.035, main)
    pen.curve([(-0.33, 0.02), (0.33, 0.02), (0.31, 0.3), (0.16, 0.53), (0, 0.57), (-0.16, 0.53), (-0.31, 0.3)], main)
    pen.ellipse(0, 0.035, 0.3, 0.035, dark)
    pen.curve([(-0.25, 0.09), (-0.19, 0.09), (-0.17, 0.3), (-0.08, 0.46), (-0.16, 0.42), (-0.23, 0.28)], light)
    pen.curve([(-0.19, 0.77), (0.19, 0.77), (0.16, 0.72), (-0.16, 0.72)], main)
    base = (60, 46, 44)
    pen.rounded(-0.24, 0.77, 0.24, 1, 0.02, base)
    pen.rectangle(-0.14, 0.83, 0.14, 0.93, shade(main, 0.2))
    _draw_mark(pen, look, 0.03, 0.27, 0.13, main)


def _draw_phone(pen: Pen, look: Look) -> None:
    main = _plain(look)
    pen.rounded(-0.26, 0, 0.26, 1, 0.07, shade(main, -0.25))
    pen.rounded(-0.25, 0.006, 0.25, 0.99, 0.065, main)
    pen.rounded(-0.215, 0.07, 0.215, 0.93, 0.03, (30, 34, 52))
    pen.polygon([(-0.215, 0.62), (0.215, 0.4), (0.215, 0.9), (-0.215, 0.9)], (54, 70, 110))
    pen.line([(-0.05, 0.035), (0.05, 0.035)], 0.014, shade(main, -0.5))
    _draw_mark(pen, look, 0, 0.38, 0.15, (30, 34, 52))


def _draw_book(pen: Pen, look: Look) -> None:
    main = _plain(look)
    pen.polygon([(-0.34, 0.03), (0.42, 0.03), (0.42, 1), (-0.34, 1)], (236, 230, 214))
    for x in (0.385, 0.4):
        pen.line([(x, 0.05), (x, 0.98)], 0.004, (190, 182, 164))
    pen.polygon([(-0.38, 0), (0.37, 0), (0.37, 0.975), (-0.38, 0.975)], main)
    pen.rectangle(-0.38, 0, -0.29, 0.975, shade(main, -0.3))
    pen.rectangle(-0.22, 0.07, 0.31, 0.09, ink(main))
    pen.rectangle(-0.22, 0.88, 0.31, 0.9, ink(main))
    _draw_mark(pen, look, 0.045, 0.36 if look["lettering"] else 0.45, 0.19, main)
    if look["lettering"]:
        pen.letters(look["lettering"].upper(), -0.25, 0.63, 0.34, 0.83, ink(main))


def _draw_guitar(pen: Pen, look: Look) -> None:
    main, side = _plain(look), _side(look)
    pen.line([(side * 0.16, 0.5), (side * 0.34, 0.08)], 0.045, (96, 64, 44))
    pen.line([(side * 0.335, 0.09), (side * 0.37, 0.02)], 0.075, (54, 38, 30))
    pen.ellipse(side * 0.1, 0.57, 0.15, 0.15, shade(main, -0.25))
    pen.ellipse(side * -0.02, 0.79, 0.23, 0.21, shade(main, -0.25))
    pen.ellipse(side * 0.1, 0.57, 0.135, 0.135, main)
    pen.ellipse(side * -0.02, 0.79, 0.212, 0.195, main)
    pen.ellipse(side * 0.055, 0.66, 0.062, 0.062, (44, 32, 28))
    pen.line([(side * -0.03, 0.87), (side * 0.345, 0.075)], 0.012, (226, 222, 210))
    pen.line([(side * -0.1, 0.84), (side * 0.03, 0.9)], 0.035, (54, 38, 30))


def _draw_mark(pen: Pen, look: Look, x: float, y: float, radius: float, ground: Colour) -> None:
    if look["sign"] != "none":
        draw_symbol(pen, look["sign"], x, y, radius, colour(look["sign colour"]), ground)


def _plain(look: Look) -> Colour:
    return colour(look["colour"])


def _side(look: Look) -> float:
    return 1.0 if look["side"] == "right" else -1.0


def _kind(
    name: str,
    draw: Callable[[Pen, Look], None],
    heights: tuple[float, float],
    standing: Standing = "ground",
    colours: tuple[str, ...] = _MAIN,
    patterns: tuple[str, ...] = (),
    signs: float = 0.6,
) -> Kind:
    """An object whose look is a colour, sometimes a pattern, and sometimes a sign."""

    def look(rng: Generator) -> dict[str, str]:
        main = pick(rng, colours)
        patterned = bool(patterns) and main != "white" and happens(rng, 0.6)
        signed = not patterned and happens(rng, signs)
        return {
            "kind": name,
            "colour": main,
            "pattern": pick(rng, patterns) if patterned else "plain",
            "sign": pick(rng, SYMBOLS) if signed else "none",
            "sign colour": another(rng, ("white", "yellow", "black"), main, *(("black",) if name == "phone" else ())),
            "side": pick(rng, ("left", "right")),
            "lettering": "",
        }

    return Kind(
        pool="object",
        standing=standing,
        heights=heights,
        look=look,
        draw=draw,
        nouns=(name,),
        traits=_traits,
        families=(("colour", "pattern", "sign colour"), ("sign",)),
    )


def _traits(look: Look) -> tuple[Trait, ...]:
    words = look["colour"] if look["pattern"] == "plain" else f"{look['pattern']} {look['colour']}"
    signed = look["sign"] != "none" and look["pattern"] == "plain"
    return (
        Trait(
            "colour",
            (look["colour"], look["pattern"]),
            words,
            before=True,
            least=40 if look["pattern"] == "plain" else 300,
        ),
        Trait(
            "sign",
            (look["sign"],),
            f"with a {look['sign colour']} {look['sign']}".replace("a a", "an a") if signed else None,
            least=900,
        ),
        Trait("lettering", (look["lettering"],), "with its name on it" if look["lettering"] else None, least=4000),
    )


OBJECTS: Final = {
    "car": _kind("car", _draw_car, (0.18, 0.36)),
    "van": _kind("van", _draw_van, (0.22, 0.42)),
    "ball": _kind("ball", _draw_ball, (0.1, 0.26), patterns=("striped", "checked", "dotted"), signs=0.4),
    "poster": _kind("poster", _draw_poster, (0.24, 0.55), standing="wall", signs=1.0),
    "trophy": _kind("trophy", _draw_trophy, (0.22, 0.5), colours=("gold", "silver", "blue", "red", "green"), signs=0.5),
    "phone": _kind("phone", _draw_phone, (0.2, 0.45), signs=0.8),
    "book": _kind("book", _draw_book, (0.2, 0.45), signs=0.8),
    "guitar": _kind("guitar", _draw_guitar, (0.3, 0.62), signs=0.0),
}
