"""Expansions of gold names as the knowledge of a post: what a language model would say that knows them all."""

from collections.abc import Sequence
from dataclasses import replace

from gmner.expression import EXPANSION_KEY
from gmner.types import Example


def with_expansions(examples: Sequence[Example]) -> list[Example]:
    """The posts, each with `name - expansion` of every gold entity as its knowledge, in text order.

    Types are left out, and so are entities without an expansion. Whoever reads this knows which words are names:
    scores of recognition mean little then, those of regions stand.
    """
    return [replace(example, knowledge=_told(example) or example.knowledge) for example in examples]


def _told(example: Example) -> str:
    entities = sorted(example.entities or (), key=lambda entity: entity.start or 0)
    known = [(entity.text, entity.extra[EXPANSION_KEY]) for entity in entities if EXPANSION_KEY in entity.extra]
    return " . ".join(f"{name} - {expansion}" for name, expansion in known)
