"""Draws from a generator in ways that give the same on every machine: whole numbers only, no libm."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

T = TypeVar("T")

_STEPS = 1 << 20


def generator(*key: int) -> Generator:
    """The generator of a key of whole numbers from 0: the same key, the same draws, on any machine."""
    # numpy fills short keys up with zeros: without its length, a key would draw what it draws with a zero behind it.
    return Generator(PCG64(SeedSequence((len(key), *key))))


def pick(rng: Generator, items: Sequence[T]) -> T:
    """One of the items, all equally likely."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: Generator, weights: Mapping[T, int]) -> T:
    """One of the keys, each as likely as its whole-numbered weight says."""
    ends = list(accumulate(weights.values()))
    return list(weights)[bisect_right(ends, int(rng.integers(ends[-1])))]


def between(rng: Generator, low: float, high: float) -> float:
    """A number from low to high, evenly."""
    return low + (high - low) * int(rng.integers(_STEPS)) / _STEPS


def happens(rng: Generator, probability: float) -> bool:
    """True with that probability."""
    return int(rng.integers(_STEPS)) < probability * _STEPS


def shuffled(rng: Generator, items: Sequence[T]) -> list[T]:
    """The items in any order."""
    return [items[int(i)] for i in np.asarray(rng.permutation(len(items)))]
