"""Relative positions as buckets: which row of a bias table belongs to a query and a key (specs/ofa.md, section 4.4)."""

import math
from functools import lru_cache

import torch
from jaxtyping import Int64
from torch import Tensor

LONGEST = 1024
"""Distances are counted up to here, whatever the length of the position table."""


@lru_cache
def token_buckets(size: int) -> Int64[Tensor, "1024 1024"]:
    """The bucket of every query and key of a text; short distances have one each, longer ones share them.

    >>> token_buckets(256)[1023, [1023, 1022, 895, 894, 0]].tolist()
    [255, 256, 383, 384, 510]
    """
    distance = torch.arange(LONGEST)[:, None] - torch.arange(LONGEST)
    middle = size // 2
    share = (distance.abs().clamp(min=1).double() / middle).log() / math.log((LONGEST - 1) / middle)
    far = distance.sign() * ((share * (middle - 1)).ceil() + middle).long()
    return torch.where(distance.abs() <= middle, distance, far) + size - 1


def patch_ids(rows: int, columns: int, size: int) -> Int64[Tensor, " patches"]:
    """Position ids of a grid of patches, row by row. A row of ids is `size` long; 0 is kept for what is no patch.

    >>> patch_ids(2, 2, 42).tolist()
    [1, 2, 43, 44]
    """
    return (torch.arange(rows)[:, None] * size + torch.arange(columns) + 1).flatten()


def image_buckets(ids: Int64[Tensor, " patches"], size: int) -> Int64[Tensor, "patches patches"]:
    """The bucket of every pair of patches by their position ids: how many rows and columns the query is further on.

    The last three buckets belong to id 0, which only image generation uses.
    """
    span = 2 * size - 1
    row, column = (ids - 1).clamp(min=0) // size, (ids - 1).clamp(min=0) % size
    buckets = (row[:, None] - row + size - 1) * span + (column[:, None] - column + size - 1)
    special = ids == 0
    buckets[special] = span**2
    buckets[:, special] = span**2 + 1
    buckets[special[:, None] & special] = span**2 + 2
    return buckets
