"""Entities drawn over their picture with the text below, and entities as a table for the terminal."""

import re
from collections.abc import Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from gmner.errors import EntityError, ImageError
from gmner.fonts import Letters
from gmner.geometry import clip_box, decode_mask, mask_area, mask_box, shared_area
from gmner.image import Picture, open_image
from gmner.types import Box, Entity, Example, Mask, Prediction

if TYPE_CHECKING:
    from rich.table import Table

COLOURS: Final = (
    *("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
    *("#332288", "#999933", "#882255", "#44AA99"),
)
"""One colour an entity, in order: those of Okabe and Ito, then four of Paul Tol's, which stay apart for the
colour-blind. Past the last they begin again; every entity also carries its number."""

WIDE: Final = 120
"""Columns of a terminal from which on a table has room for reasons."""

_INK: Final = "#1A1A1A"
_QUIET: Final = "#5A5A5A"
_LONGEST_SIDE: Final = (800, 1600)  # pictures are shown no smaller and no larger than this
_NARROWEST: Final = 640  # what the text needs to be read


class Segment(NamedTuple):
    """Characters `start` to `end` of a text, all inside the same `entities` (their indices, outermost first)."""

    start: int
    end: int
    entities: tuple[int, ...]


def segments(text: str, entities: Sequence[Entity]) -> list[Segment]:
    """The text cut wherever an entity begins or ends.

    >>> segments("Bob Lee", [Entity("Bob Lee", "PER", 0, 7), Entity("Lee", "PER", 4, 7)])
    [Segment(start=0, end=4, entities=(0,)), Segment(start=4, end=7, entities=(0, 1))]
    """
    spans = [(e.start, e.end, i) for i, e in enumerate(entities) if e.start is not None and e.end is not None]
    cuts = sorted({0, len(text), *(cut for start, end, _ in spans for cut in (start, end))})
    outermost_first = sorted(spans, key=lambda span: (span[0], -span[1]))
    return [
        Segment(left, right, tuple(i for start, end, i in outermost_first if start <= left and right <= end))
        for left, right in pairwise(cuts)
    ]


def colour(index: int) -> str:
    """The colour of the entity at `index`, as #RRGGBB."""
    return COLOURS[index % len(COLOURS)]


def ink_on(background: str) -> str:
    """Black or white, whichever is read better on a colour."""
    return max((_INK, "#FFFFFF"), key=lambda ink: contrast(ink, background))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2, 1.4.3)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def draw(picture: Picture | None, entities: Sequence[Entity], text: str = "") -> Image.Image:
    """The picture with every entity's boxes and masks in the entity's own colour, and the text below it.

    Each entity bears its number, in the picture as in the text. In the text, entities that are in the picture have
    a coloured ground; those that are not are underlined and listed by themselves. The picture is brought to a
    longest side of 800 to 1,600 pixels, so that lines and letters can be read. Without a picture the text stands
    alone. Letters come from Pillow's own font or, where that has no glyph, from a font of the system; an entity
    that can not be lettered so is labelled by its number alone.

    Raises:
        EntityError: a mask is of another size than the picture, or damaged.
    """
    shown = None if picture is None else _draw_regions(picture, entities)
    width = max(_NARROWEST if shown is None else shown.width, _NARROWEST)
    absent = "No picture" if picture is None else "Not in the picture"
    legend = _draw_legend(width, text, entities, absent)
    if shown is None:
        return legend
    sheet = Image.new("RGB", (width, shown.height + legend.height), "white")
    sheet.paste(shown, ((width - shown.width) // 2, 0))
    sheet.paste(legend, (0, shown.height))
    return sheet


def save_overlay(path: str | PathLike[str], post: Example | Prediction) -> None:
    """Write the drawing of a post, with its picture if it has one, to a file that ends in .png, .jpg or .webp.

    Of an example the gold entities are drawn, of a prediction the predicted ones.

    Raises:
        ImageError: the name ends otherwise, or the post's picture can not be opened.
        EntityError: a mask is of another size than the picture, or damaged.
        OSError: the file can not be written.
    """
    check_target(path)
    image = post.image if isinstance(post, Example) else post.example.image
    picture = None if image is None else open_image(image)
    draw(picture, post.entities or (), post.text).save(path)


def check_target(path: str | PathLike[str]) -> None:
    """Raise an ImageError unless a drawing can be written under this name."""
    if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ImageError(f"overlay {str(path)!r}", allowed="overlays are .png, .jpg or .webp files", todo="rename it")


# Regions


def _draw_regions(picture: Picture, entities: Sequence[Entity]) -> Image.Image:
    height, width = picture.shape[:2]
    smallest, largest = _LONGEST_SIDE
    scale = min(max(max(height, width), smallest), largest) / max(height, width)
    canvas = Image.fromarray(picture).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    letters = Letters(_letter_size(canvas.width), "".join(entity.text for entity in entities))
    line = max(2, letters.size // 5)

    for index, entity in enumerate(entities):
        for mask in entity.masks:
            check_mask(entity, mask, picture)
            _draw_mask(canvas, mask, colour(index), line)

    regions: list[tuple[int, Box]] = []  # every box as it is drawn, those that are named first
    pen = ImageDraw.Draw(canvas)
    for index, entity in enumerate(entities):
        boxes = [box for box in (clip_box(box, width, height) for box in entity.boxes) if box is not None]
        for box in sorted(boxes, key=lambda box: -box.area):
            placed = Box(*(value * scale for value in box))
            _draw_box(pen, placed, colour(index), line)
            regions.append((index, placed))
        if not boxes:
            around = [box for box in map(mask_box, entity.masks) if box is not None]
            regions += [(index, Box(*(value * scale for value in box))) for box in around]

    named: set[int] = set()
    tags: list[Box] = []
    for index, box in regions:
        words = f"{index + 1}" if index in named else _tag_words(index, entities[index], letters, canvas.width)
        named.add(index)
        size = (letters.width(words) + letters.size * 0.7, letters.size * 1.45)
        tag = place_tag(size, box, tags, [other for _, other in regions], canvas.size)
        tags.append(tag)
        pen.rectangle(tuple(tag), fill=colour(index))
        letters.write(pen, (tag.x1 + letters.size * 0.35, tag.y1 + letters.size * 1.08), words, ink_on(colour(index)))
    return canvas


def check_mask(entity: Entity, mask: Mask, picture: Picture) -> None:
    """Raise EntityError unless a mask has its picture's size."""
    if mask.size != picture.shape[:2]:
        raise EntityError(
            f"a mask of {entity.text!r} has size {list(mask.size)} over a picture of {list(picture.shape[:2])}",
            allowed="masks have the [height, width] of their picture",
            todo="scale the mask or give the picture that it belongs to",
        )


def _draw_mask(canvas: Image.Image, mask: Mask, paint: str, line: int) -> None:
    """A translucent ground with an opaque rim inside it."""
    area = Image.fromarray(decode_mask(mask)).convert("L").resize(canvas.size).point(lambda level: 255 * (level > 127))
    core = area
    for _ in range(line):
        core = core.filter(ImageFilter.MinFilter(3))
    canvas.paste(paint, mask=area.point(lambda level: level // 3))
    canvas.paste(paint, mask=Image.fromarray(np.asarray(area) - np.asarray(core)))


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, paint: str, line: int) -> None:
    """A coloured frame inside the box, set off by thin dark lines from grounds of its own colour."""
    x2, y2 = max(box.x1, box.x2 - 1), max(box.y1, box.y2 - 1)
    pen.rectangle((box.x1, box.y1, x2, y2), outline=_INK, width=line + 2)
    if x2 - box.x1 > 2 and y2 - box.y1 > 2:
        pen.rectangle((box.x1 + 1, box.y1 + 1, x2 - 1, y2 - 1), outline=paint, width=line)


def _tag_words(index: int, entity: Entity, letters: Letters, room: float) -> str:
    """Number, words and type, if they can be lettered and fit into the picture's width; the text below has them."""
    number = f"{index + 1}"
    for words in (f"{number} {_one_line(entity.text)} · {entity.type}", f"{number} {entity.type}", number):
        if letters.can_write(words) and letters.width(words) + letters.size <= room * 0.7:
            return words
    return number


def place_tag(
    size: tuple[float, float], box: Box, tags: Sequence[Box], boxes: Sequence[Box], room: tuple[float, float]
) -> Box:
    """Where the tag of `box` goes: inside the picture, near the box, off the other tags and off small boxes.

    `size` of the tag and `room` of the picture are (width, height); `tags` stand already, `boxes` are all that are
    drawn. A tag that is larger than the picture starts at its edge.
    """
    width, height = size
    rights = (box.x1, box.x2 - width, box.x1 - width, box.x2)
    downs = (box.y1 - height, box.y1, box.y2 - height, box.y2)
    corners = [(x, y) for y in downs for x in rights[:2]] + [(x, y) for x in rights[2:] for y in downs[1:3]]
    corners += [(box.x1, y) for y in np.arange(0, max(room[1] - height, 1), height)]  # any height, if all are taken
    best, least = None, float("inf")
    for order, (x, y) in enumerate(corners):
        x1, y1 = min(max(x, 0), max(room[0] - width, 0)), min(max(y, 0), max(room[1] - height, 0))
        tag = Box(x1, y1, x1 + width, y1 + height)
        on_tags = sum(shared_area(tag, other) for other in tags) / tag.area
        on_boxes = sum(shared_area(tag, other) / other.area for other in boxes)
        cost = 100 * on_tags + on_boxes + 0.01 * order + _gap(tag, box) / height
        if cost < least:
            best, least = tag, cost
    return best or box


def _gap(a: Box, b: Box) -> float:
    """How far apart two boxes are, in the direction in which they are further apart."""
    return max(a.x1 - b.x2, b.x1 - a.x2, a.y1 - b.y2, b.y1 - a.y2, 0.0)


# The text below


class _Word(NamedTuple):
    """What is written without a line break: on a coloured ground, or over a coloured line, or plainly."""

    text: str
    letters: Letters
    ink: str = _INK
    ground: str | None = None
    rule: str | None = None


def _draw_legend(width: int, text: str, entities: Sequence[Entity], absent: str) -> Image.Image:
    size = _letter_size(width)
    letters = Letters(size, text + "".join(entity.text for entity in entities))
    small = Letters(round(size * 0.75), "")
    words = _text_words(text, entities, letters, small)
    for heading, visible in (("In the picture", True), (absent, False)):
        chosen = [index for index, entity in enumerate(entities) if entity.visible == visible]
        if not chosen:
            continue
        words += [_Word("\n", letters), _Word(f"{heading}: ", small, ink=_QUIET)]
        for index in chosen:
            label = f"{index + 1} {_one_line(entities[index].text)} · {entities[index].type}"
            ground, rule = (colour(index), None) if visible else (None, colour(index))
            words += [_Word(label, letters, ink_on(ground or "#FFFFFF"), ground, rule), _Word("  ", letters)]
    return _set_words(words, width, size)


def _text_words(text: str, entities: Sequence[Entity], letters: Letters, small: Letters) -> list[_Word]:
    words: list[_Word] = []
    for start, end, inside in segments(text, entities):
        innermost = inside[-1] if inside else None
        tint = rule = None
        if innermost is not None and entities[innermost].visible:
            tint = _tint(colour(innermost))
        elif innermost is not None:
            rule = colour(innermost)
        words += [_Word(piece, letters, _INK, tint, rule) for piece in re.findall(r"\n|[^\S\n]+|\S+", text[start:end])]
        for index in reversed(inside):
            if entities[index].end == end:
                label = f" {index + 1} {entities[index].type} "
                if entities[index].visible:
                    words.append(_Word(label, small, ink_on(colour(index)), ground=colour(index)))
                else:
                    words.append(_Word(label, small, _QUIET, rule=colour(index)))
    return words


def _set_words(words: Sequence[_Word], width: int, size: int) -> Image.Image:
    """Words in lines on white, as high as it takes."""
    margin, step = size, round(size * 1.75)
    right = width - margin
    placed: list[tuple[float, int, _Word]] = []
    x, line = float(margin), 0
    for word in words:
        if word.text == "\n":
            x, line = float(margin), line + 1
            continue
        fits_a_line = word.letters.width(word.text) <= right - margin
        for piece in (word.text,) if fits_a_line else word.text:
            advance = word.letters.width(piece)
            if x + advance > right and x > margin:
                x, line = float(margin), line + 1
            if piece.isspace() and x == margin:
                continue
            placed.append((x, line, word._replace(text=piece)))
            x += advance
    sheet = Image.new("RGB", (width, step * (line + 1) + margin), "white")
    pen = ImageDraw.Draw(sheet)
    for x, line, word in placed:
        baseline = margin // 2 + step * line + round(size * 1.2)
        end = x + word.letters.width(word.text)
        if word.ground:
            pen.rectangle((x, baseline - size * 1.05, end, baseline + size * 0.35), fill=word.ground)
        if word.rule:
            pen.rectangle((x, baseline + size * 0.2, end, baseline + size * 0.35), fill=word.rule)
        word.letters.write(pen, (x, baseline), word.text, word.ink)
    return sheet


def _letter_size(width: int) -> int:
    """The height of letters on a sheet of this width, in pixels."""
    return max(15, width // 48)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tint(paint: str) -> str:
    """A colour mixed with white, light enough for dark letters."""
    return "#" + "".join(f"{round(255 - 0.35 * (255 - channel)):02X}" for channel in ImageColor.getrgb(paint))


def _luminance(paint: str) -> float:
    """Relative luminance of a colour, 0 to 1 (WCAG 2)."""
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in ImageColor.getrgb(paint)[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# A table for the terminal


def text_table(predictions: Sequence[Prediction], *, why: bool = True) -> "Table":
    """A rich table with a row for every entity: post, entity, type, visible, box, mask and, if wanted, who said why.

    `visible` is the probability that the entity can be seen, or yes and no where none was given; `box` is that of
    the first region in pixels, `mask` its share of the picture. What posts say is shown as it is: neither markup
    nor escape codes in it reach the terminal.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", expand=False)
    names = ("post", "entity", "type", "visible", "box", "mask", *(("why",) if why else ()))
    for name in names:
        numbers = name in ("visible", "box", "mask")
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for number, prediction in enumerate(predictions, 1):
        post = prediction.id or str(number)
        rows = [_cells(entity) for entity in prediction.entities] or [("no entities", "", "", "", "", "")]
        for position, cells in enumerate(rows):
            last = position == len(rows) - 1
            shown = (post if position == 0 else "", *cells)[: len(names)]
            table.add_row(*map(Text, map(_plain, shown)), end_section=last)
    return table


def _cells(entity: Entity) -> tuple[str, ...]:
    why = "; ".join(f"{stage}: {words}" for stage, words in entity.provenance.items())
    return entity.text, entity.type, visibility(entity), box_words(entity), mask_share(entity), why


def visibility(entity: Entity) -> str:
    """`yes 0.91`: whether the entity has a region, and how probable it was held to be visible."""
    probability = "" if entity.groundable is None else f" {entity.groundable:.2f}"
    return ("yes" if entity.visible else "no") + probability


def box_words(entity: Entity) -> str:
    """`10 20 30 40 (+1)`: the first box in pixels and how many more there are; empty without boxes."""
    more = f" (+{len(entity.boxes) - 1})" if len(entity.boxes) > 1 else ""
    return " ".join(f"{value:.0f}" for value in entity.boxes[0]) + more if entity.boxes else ""


def mask_share(entity: Entity) -> str:
    """`12.5%`: the share of the picture that the first mask covers; empty without masks."""
    if not entity.masks:
        return ""
    height, width = entity.masks[0].size
    return f"{mask_area(entity.masks[0]) / (height * width):.1%}"


def _plain(text: str) -> str:
    """On one line and without control characters, which could steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _one_line(text))
