"""The heads that both networks share, and how a query points."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

HEAD_DROPOUT: Final = 0.5
"""Share of numbers zeroed in training before the region's and the type's last layers (specs/mqspn.md, section 4)."""


class Pointer(nn.Module):
    """Where each query points: sigmoid(w . relu(source + query) + b) for every row of a source, each by itself.

    `source` is what a row passes first: a linear layer, or for the released region head some more.
    """

    def __init__(self, width: int, source: nn.Module | None = None) -> None:
        super().__init__()
        self.source = nn.Linear(width, width) if source is None else source
        self.query = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        rows: Float[Tensor, "batch rows source_width"],
        present: Bool[Tensor, "batch rows"],
    ) -> Float[Tensor, "batch queries rows"]:
        """Probabilities, 0 exactly for rows that are not `present`."""
        pairs = (self.source(rows)[:, None] + self.query(queries)[:, :, None]).relu()
        logits: Tensor = self.out(pairs).squeeze(-1)
        return logits.float().sigmoid().masked_fill(~present[:, None], 0.0)


def initialise(module: nn.Module, std: float = 0.02) -> None:
    """BERT's initial values, for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        torch.nn.init.zeros_(module.bias)
