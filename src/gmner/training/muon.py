"""Muon for the matrices of linear layers, AdamW for all else (Jordan et al. 2024, "Muon: An optimizer for hidden
layers in neural networks").

Networks that begin with random weights learn in far fewer steps with it: docs/log.md has how many.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTUM: Final = 0.95
STEPS: Final = 3
"""Rounds of the iteration, three products of matrices each. Five, as published, learn no better here (docs/log.md)."""
COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of the published iteration x, x^3, x^5, which takes singular values between 0 and 1 to about 1."""
SIZE: Final = 0.4
"""Root mean square of a matrix's step in units of the rate. AdamW's usual one is 0.2, which Liu et al. 2025 ("Muon is
scalable for LLM training", section 2.2) take; twice as much needs fewer steps here."""


class Muon(torch.optim.AdamW):
    """AdamW whose groups with `orthogonal` are matrices: of their momentum only the directions count.

    m = 0.95 m + g;  p -= lr decay p + 0.4 lr sqrt(max(rows, columns)) orthogonal(g + 0.95 m)

    So each step moves all directions of a matrix alike, also those that gradients seldom have. A parameter without
    gradient stays as it is, undecayed.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["orthogonal"]:
                self._turn(group)
        super().step()  # AdamW passes over what has no gradient
        return loss

    def _turn(self, group: dict[str, Any]) -> None:
        """The step of a group's matrices, whose gradients are used up."""
        alike = defaultdict(list)
        for matrix in group["params"]:
            if matrix.grad is not None:
                alike[matrix.shape].append(matrix)
        for (rows, columns), matrices in alike.items():
            for matrix in matrices:
                state = self.state[matrix]
                if not state:
                    state["step"] = torch.tensor(0.0)  # AdamW looks for it in what it reads back
                    state["momentum"] = torch.zeros_like(matrix)
                state["momentum"].mul_(MOMENTUM).add_(matrix.grad)
            ahead = torch.stack(
                [matrix.grad.add_(self.state[matrix]["momentum"], alpha=MOMENTUM) for matrix in matrices]
            )
            size = SIZE * group["lr"] * max(rows, columns) ** 0.5
            for matrix, direction in zip(matrices, orthogonal(ahead), strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=size)
                matrix.grad = None


def orthogonal(matrices: Float[Tensor, "many rows columns"]) -> Float[Tensor, "many rows columns"]:
    """Matrices with the same singular vectors, and values of about 1, in bfloat16."""
    tall = matrices.shape[1] > matrices.shape[2]
    turned = (matrices.mT if tall else matrices).bfloat16()
    turned = turned / turned.flatten(1).norm(dim=1)[:, None, None].clamp(min=torch.finfo(torch.bfloat16).tiny)
    first, third, fifth = COEFFICIENTS
    for _ in range(STEPS):
        square = turned @ turned.mT
        turned = torch.baddbmm(
            turned, torch.baddbmm(square, square, square, beta=third, alpha=fifth), turned, beta=first
        )
    return turned.mT if tall else turned
