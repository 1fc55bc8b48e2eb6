"""Expansions of gold names as the knowledge of a post: what a language model would say that knows them all."""

from collections.abc import Sequence
from dataclasses import replace

from gmner.expression import EXPANSION_KEY
from gmner.types import Entity, Example


def with_expansions(examples: Sequence[Example]) -> list[Example]:
    """The posts, each with `name - expansion` of every gold entity as its knowledge, in text order.

    Types are left out, and so are entities without an expansion. Whoever reads this knows which words are names:
    scores of recognition mean little then, those of regions stand.
    """
    return [replace(example, knowledge=_told(example) or example.knowledge) for example in examples]


def told_lines(example: Example) -> list[tuple[Entity, str]]:
    """The entities of a post that have an expansion, in text order, and what is told of each: `name - expansion`."""
    entities = sorted(example.entities or (), key=lambda entity: entity.start or 0)
    return [(e, f"{e.text} - {e.extra[EXPANSION_KEY]}") for e in entities if EXPANSION_KEY in e.extra]


def _told(example: Example) -> str:
    return " . ".join(line for _, line in told_lines(example))
