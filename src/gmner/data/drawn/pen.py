"""Shapes in a figure's own units, measured by a `Ruler` or painted by a `Brush` into an antialiased `Patch`.

Identical pixels everywhere: corners are computed with the four basic operations only, rounded to sixteenths of a
subpixel, filled by OpenCV's fixed-point polygon filler and averaged over whole numbers by Pillow.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from gmner.data.drawn.colours import Colour
from gmner.types import Box

Points = Float[np.ndarray, "points 2"]


class Pattern(NamedTuple):
    """A paint of two colours; `period` is how far it goes until it repeats, in the figure's units."""

    base: Colour
    second: Colour
    kind: str
    period: float


Paint = Colour | Pattern


class Patch(NamedTuple):
    """A painted figure: colour times coverage, coverage, and which part of the figure each pixel shows (0 none)."""

    colour: UInt8[np.ndarray, "height width 3"]
    coverage: UInt8[np.ndarray, "height width"]
    parts: UInt8[np.ndarray, "height width"]

    @property
    def solid(self) -> Bool[np.ndarray, "height width"]:
        """The pixels that are covered by half or more, and so belong to the figure."""
        return np.asarray(self.coverage >= 128)

    def cut(self, rows: slice, columns: slice) -> "Patch":
        return Patch(*(array[rows, columns] for array in self))

    def over(
        self, below: UInt8[np.ndarray, "height width 3"], opacity: int = 255
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The patch laid over what is below it; whole numbers only."""
        colour, coverage = self.colour.astype(np.uint16), self.coverage.astype(np.uint16)
        if opacity < 255:
            colour, coverage = colour * opacity // 255, coverage * opacity // 255
        rest = 256 - (coverage + (coverage >> 7))
        return np.asarray(np.minimum(colour + (below * rest[..., None] >> 8), 255), dtype=np.uint8)


class Pen(ABC):
    """What figures are drawn with. y grows downwards. `part` is set by the figure while it draws."""

    part: int = 1

    @abstractmethod
    def polygon(self, points: Sequence[tuple[float, float]] | Points, paint: Paint) -> None:
        """Fill a closed polygon."""

    @abstractmethod
    def letters(self, text: str, x1: float, y1: float, x2: float, y2: float, ink: Colour) -> None:
        """Letter one line as large as fits into a rectangle; only what is painted already takes the ink."""

    def curve(self, points: Sequence[tuple[float, float]], paint: Paint) -> None:
        """Fill a closed smooth curve near the points (Chaikin's corner cutting, three rounds)."""
        corners = np.asarray(points, dtype=np.float64)
        for _ in range(3):
            following = np.concatenate([corners[1:], corners[:1]])
            cut = np.stack([corners * 0.75 + following * 0.25, corners * 0.25 + following * 0.75], axis=1)
            corners = cut.reshape(-1, 2)
        self.polygon(corners, paint)

    def ellipse(self, x: float, y: float, rx: float, ry: float, paint: Paint) -> None:
        self.polygon(_CIRCLE * (rx, ry) + (x, y), paint)

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, paint: Paint) -> None:
        self.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], paint)

    def rounded(self, x1: float, y1: float, x2: float, y2: float, radius: float, paint: Paint) -> None:
        """Fill a rectangle with round corners."""
        quarter = len(_CIRCLE) // 4
        centres = [(x2 - radius, y2 - radius), (x1 + radius, y2 - radius), (x1 + radius, y1 + radius)]
        centres.append((x2 - radius, y1 + radius))
        arcs = [
            np.roll(_CIRCLE, -quarter * turn, axis=0)[: quarter + 1] * radius + centre
            for turn, centre in enumerate(centres)
        ]
        self.polygon(np.concatenate(arcs), paint)

    def line(self, points: Sequence[tuple[float, float]], width: float, paint: Paint, end: float | None = None) -> None:
        """Fill a line with round ends and joints, whose width goes from `width` to `end`."""
        last = width if end is None else end
        widths = [width + (last - width) * step / (len(points) - 1) for step in range(len(points))]
        for (x1, y1), (x2, y2), w1, w2 in zip(points[:-1], points[1:], widths[:-1], widths[1:], strict=True):
            dx, dy = x2 - x1, y2 - y1
            length = math.sqrt(dx * dx + dy * dy) or 1.0
            nx, ny = -dy / length / 2, dx / length / 2
            sides = [(x1 + nx * w1, y1 + ny * w1), (x2 + nx * w2, y2 + ny * w2)]
            sides += [(x2 - nx * w2, y2 - ny * w2), (x1 - nx * w1, y1 - ny * w1)]
            self.polygon(sides, paint)
        for (x, y), breadth in zip(points, widths, strict=True):
            self.ellipse(x, y, breadth / 2, breadth / 2, paint)

    def star(self, x: float, y: float, radius: float, paint: Paint, inner: float = 0.42, points: int = 5) -> None:
        """Fill a star that stands on two of its points."""
        turns = len(_CIRCLE) * np.arange(2 * points) // (2 * points) - len(_CIRCLE) // 4
        radii = np.where(np.arange(2 * points) % 2 == 0, radius, radius * inner)
        self.polygon(_CIRCLE[turns] * radii[:, None] + (x, y), paint)


def mirrored(right: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The outline whose right half goes down through the points: the same again, mirrored at x = 0, back up."""
    return [*right, *((-x, y) for x, y in reversed(right))]


_ANGLES: Final = np.arange(120) * (2 * np.pi / 120)
# Rounded, so that machines whose sine differs in the last bit agree.
_CIRCLE: Final = np.round(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), 9)


class Ruler(Pen):
    """Draws nothing and keeps the extent of what would be drawn above `bottom`."""

    def __init__(self, bottom: float) -> None:
        self.bottom = bottom
        self.outlines: list[Points] = []

    def polygon(self, points: Sequence[tuple[float, float]] | Points, paint: Paint) -> None:
        self.outlines.append(np.asarray(points, dtype=np.float64))

    def letters(self, text: str, x1: float, y1: float, x2: float, y2: float, ink: Colour) -> None:
        pass

    @property
    def extent(self) -> Box:
        corners = np.concatenate(self.outlines)
        above = corners[corners[:, 1] <= self.bottom]
        (left, top), (right, low) = above.min(0).tolist(), above.max(0).tolist()
        return Box(left, top, right, self.bottom if len(above) < len(corners) else low)


class Brush(Pen):
    """Paints `frame`, a rectangle in the figure's units, onto a patch of `size` (width, height) pixels."""

    def __init__(self, frame: Box, size: tuple[int, int]) -> None:
        width, height = size
        self.samples = next(samples for samples, most in _SAMPLES if width * height <= most)
        self.origin = np.array([frame.x1, frame.y1])
        self.scale = np.array([width / frame.width, height / frame.height]) * self.samples
        self.paint = np.zeros((height * self.samples, width * self.samples, 4), dtype=np.uint8)
        self.parts = np.zeros(self.paint.shape[:2], dtype=np.uint8)

    def polygon(self, points: Sequence[tuple[float, float]] | Points, paint: Paint) -> None:
        corners = (np.asarray(points, dtype=np.float64) - self.origin) * self.scale - 0.5
        fixed = np.round(corners.clip(-30_000, 30_000) * (1 << _SHIFT)).astype(np.int32)
        base = paint.base if isinstance(paint, Pattern) else paint
        cv2.fillPoly(self.paint, [fixed], (*base, 255), cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.parts, [fixed], (self.part,), cv2.LINE_8, _SHIFT)
        if isinstance(paint, Pattern):
            self._fill_second(fixed, paint)

    def _fill_second(self, fixed: np.ndarray, pattern: Pattern) -> None:
        """Fill what of a polygon has the second colour of its pattern."""
        low = (fixed.min(0) >> _SHIFT).clip(0)
        high = ((fixed.max(0) >> _SHIFT) + 2).clip(0, self.parts.shape[::-1])
        if (high <= low).any():
            return
        inside = np.zeros(tuple((high - low)[::-1]), dtype=np.uint8)
        cv2.fillPoly(inside, [fixed - (low << _SHIFT).astype(np.int32)], (1,), cv2.LINE_8, _SHIFT)
        period = max(2 * self.samples, round(pattern.period * float(self.scale[1])))
        start = np.round(self.origin * self.scale).astype(np.int64) + (1 << 20) // period * period
        columns, rows = (np.arange(low[axis], high[axis]) + start[axis] for axis in (0, 1))
        second = (inside > 0) & _in_second_colour(pattern.kind, rows[:, None], columns[None], period)
        # Four bytes a pixel, written as one number.
        pixels = self.paint.view(np.uint32)[low[1] : high[1], low[0] : high[0], 0]
        pixels[second] = np.array((*pattern.second, 255), dtype=np.uint8).view(np.uint32)[0]

    def letters(self, text: str, x1: float, y1: float, x2: float, y2: float, ink: Colour) -> None:
        left, top, right, bottom = np.round(
            (np.array([x1, y1, x2, y2]) - np.tile(self.origin, 2)) * np.tile(self.scale, 2)
        )
        width, height = int(right - left), int(bottom - top)
        reference = _font(100).getbbox(text, stroke_width=_BOLD)
        wide, high = reference[2] - reference[0], reference[3] - reference[1]
        size = int(min(100 * width // wide, 100 * height // high, 400))
        if size < _SMALLEST_LETTERS * self.samples // 2:
            return
        font, stroke = _font(size), size * _BOLD // 100
        box = font.getbbox(text, stroke_width=stroke)
        canvas = Image.new("L", (self.parts.shape[1], self.parts.shape[0]))
        position = (left + (width - box[2] + box[0]) // 2 - box[0], top + (height - box[3] + box[1]) // 2 - box[1])
        ImageDraw.Draw(canvas).text(position, text, fill=255, font=font, stroke_width=stroke)
        found = canvas.getbbox()
        if found is None:
            return
        area = np.s_[found[1] : found[3], found[0] : found[2]]
        coverage = np.asarray(canvas)[area].astype(np.int32)[..., None] * (self.paint[area][..., 3:] > 0)
        under = self.paint[area][..., :3].astype(np.int32)
        self.paint[area][..., :3] = under + (np.array(ink) - under) * coverage // 255

    def patch(self) -> Patch:
        """What was painted, averaged over the subpixels; a pixel's part is that of its middle."""
        height, width = self.parts.shape
        # RGBa, as Pillow would take the colours of RGBA apart from their coverage.
        whole = Image.frombuffer("RGBa", (width, height), self.paint, "raw", "RGBa", 0, 1).reduce(self.samples)
        pixels = np.frombuffer(whole.tobytes(), dtype=np.uint8).reshape(whole.height, whole.width, 4)
        middle = self.samples // 2
        parts = self.parts[middle :: self.samples, middle :: self.samples]
        return Patch(pixels[..., :3], pixels[..., 3], parts.copy())


_SHIFT: Final = 4
_SAMPLES: Final = ((4, 60_000), (3, 250_000), (2, 10**9))
"""Subpixels a side of a pixel, for patches of up to so many pixels."""
_BOLD: Final = 4
"""Stroke of letters in hundredths of their size."""
_SMALLEST_LETTERS: Final = 12
"""Half-pixels: smaller letters can't be read and are left out."""


def _in_second_colour(
    kind: str, rows: np.ndarray, columns: np.ndarray, period: int
) -> Bool[np.ndarray, "height width"]:
    """Where a pattern shows its second colour, at subpixels counted from the figure's origin."""
    half = period // 2
    if kind == "striped":
        second = np.broadcast_to(rows % period >= half, np.broadcast_shapes(rows.shape, columns.shape))
    elif kind == "checked":
        second = (rows % period >= half) ^ (columns % period >= half)
    else:  # dotted, every other row moved by half a step
        offset = np.where(rows // period % 2 == 0, 0, half)
        down, across = 2 * (rows % period) - period, 2 * ((columns + offset) % period) - period
        second = 9 * (down * down + across * across) < 4 * period * period
    return np.asarray(second)


@lru_cache(maxsize=256)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which comes with it and is laid out by its own simple rules."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType")
    return font
