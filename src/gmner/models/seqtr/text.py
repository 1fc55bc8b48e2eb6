"""Expressions as word ids: cleaned, split on white space, looked up (specs/seqtr.md, "Vocabulary")."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
from jaxtyping import Float32

from gmner.errors import DataError

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


def read_vectors(file: Path, vocabulary: Vocabulary, width: int) -> Float32[np.ndarray, "words width"]:
    """The vectors of a vocabulary's words from a text file: a line for each word, the word and `width` numbers (the
    form of GloVe). Words that it lacks have zeros, as published.

    Raises:
        DataError: the file can not be read, or a line of a wanted word has another form.
    """
    vectors = np.zeros((len(vocabulary.words), width), dtype=np.float32)
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                word, *values = line.rstrip("\n").split(" ")
                if word in vocabulary.ids:
                    vectors[vocabulary.ids[word]] = _numbers(values, width, f"{file}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            str(file), f"it can not be read ({error})", allowed="word vectors are a text file", todo="check the path"
        ) from None
    return vectors


def _numbers(values: list[str], width: int, where: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        numbers = []
    if len(numbers) != width:
        raise DataError(
            where,
            f"a word with {len(values)} values",
            allowed=f"the model's words have {width} numbers (`word_width`)",
            todo="choose another file, or set the width",
        )
    return numbers
