"""The plain signs that emblems, posters and objects bear."""

from typing import Final

from gmner.data.drawn.colours import Colour
from gmner.data.drawn.pen import Pen

SYMBOLS: Final = ("star", "cross", "heart", "moon", "bolt", "tree", "crown", "anchor", "flower", "fish")


def draw_symbol(pen: Pen, name: str, x: float, y: float, radius: float, ink: Colour, ground: Colour) -> None:
    """A sign within `radius` of (x, y); `ground` is the colour that it lies on."""
    r = radius

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + px * r, y + py * r) for px, py in points]

    if name == "star":
        pen.star(x, y, r, ink)
    elif name == "cross":
        pen.rectangle(x - 0.3 * r, y - 0.95 * r, x + 0.3 * r, y + 0.95 * r, ink)
        pen.rectangle(x - 0.95 * r, y - 0.3 * r, x + 0.95 * r, y + 0.3 * r, ink)
    elif name == "heart":
        pen.ellipse(x - 0.42 * r, y - 0.3 * r, 0.48 * r, 0.46 * r, ink)
        pen.ellipse(x + 0.42 * r, y - 0.3 * r, 0.48 * r, 0.46 * r, ink)
        pen.polygon(at((-0.85, -0.1), (0, -0.3), (0.85, -0.1), (0, 0.9)), ink)
    elif name == "moon":
        pen.ellipse(x, y, 0.92 * r, 0.92 * r, ink)
        pen.ellipse(x + 0.42 * r, y - 0.16 * r, 0.74 * r, 0.74 * r, ground)
    elif name == "bolt":
        pen.polygon(at((0.25, -1), (-0.6, 0.15), (-0.08, 0.15), (-0.3, 1), (0.6, -0.25), (0.08, -0.25)), ink)
    elif name == "tree":
        pen.rectangle(x - 0.13 * r, y + 0.5 * r, x + 0.13 * r, y + r, ink)
        for top, width, low in ((-1.0, 0.45, -0.3), (-0.6, 0.62, 0.15), (-0.2, 0.8, 0.6)):
            pen.polygon(at((0, top), (width, low), (-width, low)), ink)
    elif name == "crown":
        pen.polygon(
            at((-0.9, -0.55), (-0.45, 0.05), (0, -0.8), (0.45, 0.05), (0.9, -0.55), (0.75, 0.7), (-0.75, 0.7)), ink
        )
        for px, py in ((-0.9, -0.6), (0, -0.85), (0.9, -0.6)):
            pen.ellipse(x + px * r, y + py * r, 0.14 * r, 0.14 * r, ink)
        pen.rectangle(x - 0.72 * r, y + 0.38 * r, x + 0.72 * r, y + 0.5 * r, ground)
    elif name == "anchor":
        pen.ellipse(x, y - 0.72 * r, 0.26 * r, 0.26 * r, ink)
        pen.ellipse(x, y - 0.72 * r, 0.12 * r, 0.12 * r, ground)
        pen.line(at((0, -0.5), (0, 0.8)), 0.2 * r, ink)
        pen.line(at((-0.42, -0.22), (0.42, -0.22)), 0.17 * r, ink)
        pen.line(at((-0.82, 0.25), (-0.55, 0.68), (0, 0.86), (0.55, 0.68), (0.82, 0.25)), 0.2 * r, ink)
    elif name == "flower":
        for px, py in ((0, -0.55), (0.52, -0.17), (0.32, 0.45), (-0.32, 0.45), (-0.52, -0.17)):
            pen.ellipse(x + px * r, y + py * r, 0.4 * r, 0.4 * r, ink)
        pen.ellipse(x, y, 0.27 * r, 0.27 * r, ground)
    else:  # fish
        pen.curve(at((-0.65, 0), (-0.25, -0.55), (0.5, -0.55), (1.05, 0), (0.5, 0.55), (-0.25, 0.55)), ink)
        pen.polygon(at((-0.45, 0), (-1.0, -0.5), (-0.85, 0), (-1.0, 0.5)), ink)
        pen.ellipse(x + 0.5 * r, y - 0.12 * r, 0.1 * r, 0.1 * r, ground)
