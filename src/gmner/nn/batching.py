"""Posts through a network in batches that waste little."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch

B = TypeVar("B", bound=NamedTuple)
S = TypeVar("S")
T = TypeVar("T")


def moved(batch: B, device: torch.device) -> B:
    """A batch, which is tensors by name, on another device."""
    return batch._make(tensor.to(device) for tensor in batch)


def in_batches(
    items: Sequence[S], batch_size: int, length: Callable[[S], int], compute: Callable[[list[S]], Iterable[T]]
) -> list[T]:
    """What `compute` gives for every item, in their order; batches are of items of similar `length`.

    >>> in_batches(["bb", "a", "ccc"], 2, len, lambda batch: [f"{text} of {len(batch)}" for text in batch])
    ['bb of 2', 'a of 2', 'ccc of 1']
    """
    order = sorted(range(len(items)), key=lambda index: length(items[index]))
    results: dict[int, T] = {}
    for start in range(0, len(order), batch_size):
        indexes = order[start : start + batch_size]
        results.update(zip(indexes, compute([items[index] for index in indexes]), strict=True))
    return [results[index] for index in range(len(items))]
