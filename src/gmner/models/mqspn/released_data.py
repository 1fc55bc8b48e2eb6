"""How the released code makes gold of annotations and a detector's boxes (specs/mqspn.md, sections 1.1, 1.3 and 1.5).

With its faults, each named there: an entity right behind another one is lost, a region that no candidate covers makes
an entity one that can not be seen, a later object takes an earlier one's candidate, late candidates vanish.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gmner.geometry import pair_iou
from gmner.models.mqspn.outputs import NONE
from gmner.tagging import TokenSpan, split_tag
from gmner.types import Box

CANDIDATES: Final = 15
"""Candidates that are looked at."""

EMPTY: Final = Box(0.0, 0.0, 0.0, 0.0)
"""What fills up a short list of candidates."""

NAMELESS: Final = "N"
"""The name of a candidate that shows no annotated entity."""

REPEATED: Final = 45
"""Gold items of a post after repetition."""

LEAST_IOU: Final = 0.5
"""A candidate with this overlap or more shows an object."""


class Named(NamedTuple):
    """A box and the name of what is there."""

    name: str
    box: Box


class Item(NamedTuple):
    """One gold quadruple: words `start` to `end` (half-open), the type, and the number of one region."""

    span: TokenSpan
    region: int


def parse(tags: Sequence[str]) -> list[TokenSpan]:
    """Entities of BIO tags as the released parser finds them: after an entity it skips one word."""
    spans, position = [], 0
    while position < len(tags):
        prefix, kind = split_tag(tags[position])
        end = position + 1
        if prefix == "B" and kind is not None:
            while end < len(tags) and split_tag(tags[end])[0] == "I":
                end += 1
            spans.append(TokenSpan(position, end, kind))
            end += 1
        position = end
    return spans


def candidates(boxes: Sequence[Box], objects: Sequence[Named] | None) -> list[Named]:
    """The list of candidates with names; `objects` is None for a picture without an annotation file.

    With one, boxes are padded with empty ones, a repeated box is listed once, and names are written at the detector's
    number of a box, which after a repeated one is no longer its place in the list.
    """
    kept = list(boxes[:CANDIDATES])
    if objects is None:
        return [Named(NAMELESS, box) for box in kept]
    kept += [EMPTY] * (CANDIDATES - len(kept))
    listed: list[Box] = []
    names: list[str] = []
    for thing in objects:
        for number, box in enumerate(kept):
            if box not in listed:
                listed.append(box)
                names.append(NAMELESS)
            if pair_iou(thing.box, box) >= LEAST_IOU and number < len(names):  # the original stumbles past the end
                names[number] = thing.name
    return [Named(name, box) for name, box in zip(names, listed, strict=True)]


def region_numbers(name: str, listed: Sequence[Named]) -> list[int]:
    """The numbers (from 1) of the candidates that bear an entity's name."""
    return [number for number, candidate in enumerate(listed, start=1) if candidate.name == name]


def training_items(entities: Sequence[tuple[TokenSpan, list[int]]], regions: int) -> list[Item]:
    """Gold items of a post before repetition: one for each region number below `regions`."""
    items: list[Item] = []
    for span, numbers in entities:
        items += [Item(span, number) for number in numbers if number < regions]
        if not numbers or not items:
            items.append(Item(span, NONE))
    return items


def evaluation_items(entities: Sequence[tuple[TokenSpan, list[int]]], regions: int) -> list[Item]:
    """Gold quadruples of the released scorer: an entity all of whose regions come too late is not among them."""
    return [Item(span, number) for span, numbers in entities for number in numbers or [NONE] if number < regions]


def repeated(items: Sequence[Item], count: int = REPEATED) -> list[Item]:
    """The items again and again until there are `count`; none stay none."""
    return [items[index % len(items)] for index in range(count)] if items else []
