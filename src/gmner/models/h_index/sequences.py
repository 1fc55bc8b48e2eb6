"""Entities as sequences of tokens, and sequences, malformed ones too, as entities (specs/hindex.md, 2 and 6)."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from gmner.models.h_index.config import END, POINTERS, SEEN, START, TYPE_TOKENS, UNSEEN
from gmner.types import EntityType

LABELS: Final = (SEEN, UNSEEN)


class Words(NamedTuple):
    """An entity to be generated: the source's positions of its words' first sub-words."""

    positions: tuple[int, ...]
    seen: bool
    type: EntityType


class Group(NamedTuple):
    """An entity as it was generated.

    `span` are its pointers, `label` the place of `SEEN` or `UNSEEN` in the sequence (of the type, if the sequence has
    no such tokens), `type` the token in the place of a type, whatever it is.
    """

    span: tuple[int, ...]
    label: int
    type: int


def write_sequence(entities: Iterable[Words], *, grounded: bool = True) -> list[int]:
    """The sequence that says `entities`, from `START` to `END`."""
    tokens = [START]
    for positions, seen, kind in entities:
        tokens += [POINTERS + position for position in positions]
        tokens += ([SEEN if seen else UNSEEN] if grounded else []) + [TYPE_TOKENS[kind]]
    return [*tokens, END]


def read_sequence(tokens: Sequence[int], *, grounded: bool = True) -> list[Group]:
    """The entities of a sequence that begins with `START`, one for each span: the last.

    An entity is pointers in ascending order, `SEEN` or `UNSEEN` (if `grounded`), and one more token. Any token below
    `POINTERS` ends a span, and a label takes the token behind it along, whatever the two are.
    """
    end = tokens.index(END, 1) if END in tokens[1:] else len(tokens)
    length = 2 if grounded else 1
    groups: dict[tuple[int, ...], Group] = {}
    span: list[int] = []
    place = 1
    while place <= end - length:
        token = tokens[place]
        if token >= POINTERS:
            span.append(token)
            place += 1
            continue
        ascending = all(before < after for before, after in pairwise(span))
        if span and ascending and (token in LABELS or not grounded):
            groups[tuple(span)] = Group(tuple(span), place, tokens[place + length - 1])
        span = []
        place += length
    return list(groups.values())
