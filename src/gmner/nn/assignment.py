"""One-to-one assignment of columns to rows at least cost (Kuhn 1955), batched, by SciPy."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gmner.errors import ConfigError


@torch.no_grad()
def assign(
    cost: Float[Tensor, "*batch rows columns"], present: Bool[Tensor, "*batch columns"]
) -> Int64[Tensor, "*batch columns"]:
    """The row of every `present` column, -1 for the others: no row twice, and the least sum.

    Equal columns are as good as any: which of their rows goes to which of them is of no consequence. All matrices come
    to the processor in one copy, so that an accelerator waits once. Costs are compared in float64.

    Raises:
        ValueError: a matrix has more present columns than rows.
        ConfigError: a cost is not a number.
    """
    from scipy.optimize import linear_sum_assignment

    shape, rows = present.shape, cost.shape[-2]
    batch, width = math.prod(shape[:-1]), shape[-1]
    matrices = cost.detach().double().cpu().numpy().reshape(batch, rows, width)
    valid = present.cpu().numpy().reshape(batch, width)
    found = np.full(valid.shape, -1, dtype=np.int64)
    for matrix, columns, chosen in zip(matrices, valid, found, strict=True):
        block = matrix[:, columns]
        if block.shape[1] > rows:
            raise ValueError(f"{block.shape[1]} columns can not be assigned to {rows} rows")
        if np.isnan(block).any():
            raise ConfigError(
                "the costs of an assignment are no longer numbers",
                allowed="training needs finite outputs",
                todo="lower the learning rates or switch bf16 off",
            )
        taken, order = linear_sum_assignment(block)
        chosen[np.flatnonzero(columns)[order]] = taken
    return torch.from_numpy(found).view(shape).to(cost.device)
