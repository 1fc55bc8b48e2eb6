"""Which annotated posts a language model is shown before a post: similar ones (MSEA), fixed ones, or none.

Multimodal Similar Example Awareness, papers/riveg.txt, section IV-B1. The paper leaves open what happens if a post is
itself in the pool (here it is never its own example), how ties are broken (the earlier one in the pool is first), and
in which order examples are shown (the most similar first).
"""

import random
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from jaxtyping import Float

from gmner.data.image_ids import image_id
from gmner.data.pools import AnnotatedPost
from gmner.errors import ConfigError
from gmner.image import Picture, open_image
from gmner.stages.features import FeatureSource
from gmner.types import Example

_SCORES_AT_ONCE: Final = 2**24
"""Numbers in the largest block of the similarity matrix: 128 MiB of float64."""

_DIGITS: Final = 9
"""Similarities that agree so far are ties: in blocks of other shapes the digits after these differ."""


class ExampleSelector(Protocol):
    """What chooses the examples of a post."""

    def check(self, example: Example) -> None:
        """Raise a GmnerError if no examples can be chosen for this post."""
        return

    @abstractmethod
    def __call__(
        self, examples: Sequence[Example], pictures: Sequence[Picture | None]
    ) -> list[tuple[AnnotatedPost, ...]]:
        """The examples of each post, in the order in which they are shown."""


@dataclass(frozen=True)
class FixedExamples(ExampleSelector):
    """The same `count` examples for every post, the first of the pool. A post that is among them gets the next one.

    `FixedExamples((), 0)` shows none (the paper's "w/o Manually Annotated Samples").

    Raises:
        ConfigError: the pool has fewer than `count` posts.
    """

    pool: tuple[AnnotatedPost, ...]
    count: int

    def __post_init__(self) -> None:
        _check_count(self.count, len(self.pool), least=0)

    @classmethod
    def random(cls, pool: Sequence[AnnotatedPost], count: int, seed: int) -> Self:
        """A random choice, the same for every post (the paper's "w/o MSEA")."""
        return cls(tuple(random.Random(seed).sample(list(pool), len(pool))), count)

    def __call__(
        self, examples: Sequence[Example], pictures: Sequence[Picture | None]
    ) -> list[tuple[AnnotatedPost, ...]]:
        chosen = []
        for itself in _itself(examples, self.pool):
            others = [post for index, post in enumerate(self.pool[: self.count + len(itself)]) if index not in itself]
            chosen.append(tuple(others[: self.count]))
        return chosen


@dataclass(frozen=True)
class SimilarExamples(ExampleSelector):
    """For every post the `count` posts of the pool that are most similar by the cosine of their features.

    Make one with `of`. `pool_features` has one row for each post of the pool.

    Raises:
        ConfigError: the pool has fewer than `count` posts, or `count` is below 1.
    """

    pool: tuple[AnnotatedPost, ...]
    pool_features: Float[np.ndarray, "pool feature"]
    source: FeatureSource
    count: int = 5

    def __post_init__(self) -> None:
        _check_count(self.count, len(self.pool), least=1)

    @classmethod
    def of(cls, pool: Sequence[AnnotatedPost], source: FeatureSource, count: int = 5) -> Self:
        """A selector that has computed the features of the pool.

        Raises:
            ConfigError: the pool has fewer than `count` posts, or `count` is below 1.
            ImageError: a picture of the pool can not be read.
            TextError: a text of the pool is too long for the source.
        """
        examples = [post.example for post in pool]
        for example in examples:
            source.check(example)
        pictures = [None if example.image is None else open_image(example.image) for example in examples]
        return cls(tuple(pool), source(examples, pictures), source, count)

    def check(self, example: Example) -> None:
        self.source.check(example)

    def __call__(
        self, examples: Sequence[Example], pictures: Sequence[Picture | None]
    ) -> list[tuple[AnnotatedPost, ...]]:
        features = self.source(examples, pictures)
        nearest = most_similar(features, self.pool_features, self.count, _itself(examples, self.pool))
        return [tuple(self.pool[index] for index in indexes) for indexes in nearest]


def most_similar(
    queries: Float[np.ndarray, "queries feature"],
    pool: Float[np.ndarray, "pool feature"],
    count: int,
    excluded: Sequence[Collection[int]] | None = None,
) -> list[list[int]]:
    """For every query the rows of `pool` of greatest cosine similarity, best first, exactly.

    Of equal ones the first of the pool is first. `excluded[i]` are rows that query i may not get. A query gets `count`
    rows, or all that are left if there are fewer. Vectors of length 0 are similar to nothing (0). The similarities are
    computed in blocks, in float64: memory holds the two matrices once more and one block.
    """
    unit_queries, unit_pool = _unit(queries), _unit(pool)
    count = min(count, len(pool))
    rows_at_once = max(_SCORES_AT_ONCE // max(len(pool), 1), 1)
    results: list[list[int]] = []
    for start in range(0, len(queries), rows_at_once):
        block = (unit_queries[start : start + rows_at_once] @ unit_pool.T).round(_DIGITS)
        for offset, scores in enumerate(block):
            left_out = list(excluded[start + offset]) if excluded is not None else []
            scores[left_out] = -np.inf
            results.append(_best(scores, min(count, len(pool) - len(left_out))))
    return results


def _best(scores: Float[np.ndarray, " pool"], count: int) -> list[int]:
    """The indexes of the `count` greatest scores, in order, without sorting the others."""
    if count == 0:
        return []
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= least)
    best: list[int] = candidates[np.argsort(-scores[candidates], kind="stable")][:count].tolist()
    return best


def _unit(vectors: Float[np.ndarray, "rows feature"]) -> Float[np.ndarray, "rows feature"]:
    """Rows of length 1 in float64; rows of zeros stay."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    np.divide(exact, lengths, out=exact, where=lengths > 0)
    return exact


def _itself(examples: Sequence[Example], pool: Sequence[AnnotatedPost]) -> list[set[int]]:
    """Where each post is in the pool itself: by its picture's id, or by its text but for white space.

    Both are needed: the Twitter sets split the same text into different tokens, and posts may have no id.
    """
    places: dict[tuple[str, str], set[int]] = {}
    for index, post in enumerate(pool):
        for name in _names(post.example):
            places.setdefault(name, set()).add(index)
    return [set[int]().union(*(places.get(name, ()) for name in _names(example))) for example in examples]


def _names(example: Example) -> list[tuple[str, str]]:
    name = image_id(example)
    return [("text", "".join(example.text.split())), *([("id", name)] if name else [])]


def _check_count(count: int, available: int, least: int) -> None:
    if not least <= count <= available:
        raise ConfigError(
            f"{count} examples from a pool of {available}",
            allowed=f"a post can be shown {least} to {available} of them",
            todo="ask for fewer, or give a larger pool",
        )
