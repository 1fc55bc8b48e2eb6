"""Expressions as word ids: cleaned, split on white space, looked up (specs/seqtr.md, "Vocabulary")."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

_CLEAN: Final = str.maketrans("-/", "  ", ".,'!?\"()*#:;")

SPECIAL: Final = ("PAD", "UNK", "CLS")
"""The first words of every vocabulary: filling, unknown words, and one that is never used."""


def clean(expression: str) -> str:
    """An expression in lower case, without punctuation.

    >>> clean("Bill Smith(PER)-A singer")
    'bill smithper a singer'
    """
    return expression.lower().translate(_CLEAN)


@dataclass(frozen=True)
class Vocabulary:
    """The known words; a word's id is its place. The first three are `SPECIAL`."""

    words: tuple[str, ...]

    @classmethod
    def build(cls, expressions: Iterable[str]) -> Self:
        """The words of `expressions` in order of first appearance."""
        return cls((*SPECIAL, *dict.fromkeys(word for text in expressions for word in clean(text).split())))

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, expression: str) -> list[int]:
        """The ids of an expression's words. Words that are not known, and the want of any, are UNK.

        Released code finds no id in an expression of punctuation alone, and fails.
        """
        unknown = SPECIAL.index("UNK")
        return [self.ids.get(word, unknown) for word in clean(expression).split()] or [unknown]
