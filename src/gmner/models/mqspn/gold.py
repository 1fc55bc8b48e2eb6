"""Gold entities as items to be found: words, class, and the regions that show them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gmner.geometry import box_iou
from gmner.metrics.overlap import entity_boxes
from gmner.models.mqspn import released_data
from gmner.models.mqspn.outputs import NONE, TYPES
from gmner.tagging import TokenSpan, to_token_span, write_bio
from gmner.types import Box, Example

LEAST_IOU: Final = 0.5
"""A candidate that overlaps a gold box more than so much shows the entity, as protocol `span` counts it."""


class Item(NamedTuple):
    """What one query or more have to say: first and last word, class, and all regions that are right.

    No region is right where the entity can be seen and no candidate shows it: then nothing is learned of regions, but
    the entity is to be found all the same.
    """

    start: int
    end: int
    type: int
    regions: tuple[int, ...]


def items(example: Example, offsets: Sequence[tuple[int, int]], regions: Sequence[Box]) -> list[Item]:
    """One item for each gold entity that covers whole words, in text order, however many boxes it has."""
    found = []
    for entity in example.entities or ():
        span = to_token_span(entity, offsets)
        if span is None:
            continue
        right: tuple[int, ...] = (NONE,)
        if entity.visible:
            overlaps = box_iou(entity_boxes(entity), regions)
            right = tuple((1 + np.flatnonzero((overlaps > LEAST_IOU).any(0))).tolist())
        found.append(Item(span.start, span.end - 1, 1 + TYPES.index(span.type), right))
    return sorted(found)


def released_list(example: Example) -> list[released_data.Named]:
    """The candidates as the released code lists and names them, which takes the annotation into account.

    The file's order of objects is taken to be that of the entities; mentions of one string share their boxes.
    """
    boxes = [candidate.box for candidate in example.candidates or ()]
    named = dict.fromkeys((entity.text, box) for entity in example.entities or () for box in entity_boxes(entity))
    return released_data.candidates(boxes, [released_data.Named(*pair) for pair in named] or None)


def released_items(example: Example, offsets: Sequence[tuple[int, int]], regions: int) -> list[Item]:
    """One item for each region number below `regions`, with the faults that `released_data` names."""
    spans = (to_token_span(entity, offsets) for entity in example.entities or ())
    tags = write_bio([span for span in spans if span is not None], len(offsets))
    listed = released_list(example)
    entities = [
        (span, released_data.region_numbers(_name(example, offsets, span), listed))
        for span in released_data.parse(tags)
    ]
    return [
        Item(span.start, span.end - 1, 1 + TYPES.index(span.type), (region,))
        for span, region in released_data.training_items(entities, regions)
    ]


def _name(example: Example, offsets: Sequence[tuple[int, int]], span: TokenSpan) -> str:
    """The words of a span, joined by single blanks."""
    return " ".join(example.text[start:end] for start, end in offsets[span.start : span.end])
