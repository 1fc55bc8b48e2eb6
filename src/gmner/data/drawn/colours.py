"""Colours by the names that an expansion calls them, and which of them a glance may take for each other."""

from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import pick

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

COLOURS: Final[dict[str, Colour]] = {
    "red": (204, 42, 46),
    "orange": (240, 130, 32),
    "yellow": (247, 208, 56),
    "green": (52, 150, 74),
    "blue": (44, 92, 196),
    "purple": (122, 62, 168),
    "pink": (244, 140, 184),
    "brown": (126, 80, 46),
    "black": (40, 40, 46),
    "white": (244, 242, 238),
    "grey": (142, 145, 152),
    "blond": (232, 198, 112),
    "ginger": (198, 88, 34),
    "dark": (38, 30, 30),
    "gold": (226, 176, 50),
    "silver": (186, 192, 202),
}


def _pairs(text: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair.split()) for pair in text.split(","))


_ALIKE: Final = _pairs("""
    red orange, red brown, red pink, orange yellow, orange brown, orange gold, yellow gold, yellow blond,
    blue purple, purple pink, brown black, brown gold, brown dark, brown ginger, brown grey, black grey, black dark,
    grey white, grey silver, white silver, blond grey, plain striped, plain checked, plain dotted, checked dotted,
    left middle, middle right, car van, tower skyscraper, tower church, glasses sunglasses, wave cheer, down hips,
    cap beanie, bun long, bun short,
    shield-shaped triangular, diamond-shaped square
""")


def alike(one: str, other: str) -> bool:
    """Whether what two words say may be taken for each other at a glance.

    They are the same, or near: orange and red, a car and a van, left and middle. What is plain fits any pattern, as
    nobody says "plain": the green ball may be dotted.
    """
    return one == other or frozenset((one, other)) in _ALIKE


def colour(name: str) -> Colour:
    """The plain colour of a name."""
    return COLOURS[name]


def shade(base: Colour, amount: float) -> Colour:
    """The colour moved towards black (negative) or white (positive) by `amount`, -1 to 1.

    >>> shade((100, 100, 100), -0.5)
    (50, 50, 50)
    """
    end = 255 if amount > 0 else 0
    red, green, blue = (round(value + (end - value) * abs(amount)) for value in base)
    return red, green, blue


def ink(base: Colour) -> Colour:
    """What is read best on a colour: near white or near black."""
    return (30, 30, 34) if sum(base) > 3 * 150 else (248, 246, 240)


def another(rng: Generator, names: tuple[str, ...], *avoid: str) -> str:
    """One of the names that is not alike any of those to avoid."""
    return pick(rng, [name for name in names if not any(alike(name, other) for other in avoid)])
