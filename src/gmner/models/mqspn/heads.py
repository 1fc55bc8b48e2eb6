"""The heads that both networks share, and how a query points."""

import math
from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.nn.mimetic import keep

HEAD_DROPOUT: Final = 0.5
"""Share of numbers zeroed in training before the region's and the type's last layers (specs/mqspn.md, section 4)."""


class Pointer(nn.Module):
    """Where each query points: sigmoid(w . relu(source + query) + b) for every row of a source, each by itself.

    `source` is what a row passes first: a linear layer, or for the released region head some more. Several `outputs`
    have w and b of their own and share the rest. With `product`, the scaled product of linear maps of both is added to
    what is put into the sigmoid: likeness, which the sum above has to piece together.
    """

    def __init__(self, width: int, source: nn.Module | None = None, outputs: int = 1, *, product: bool = False) -> None:
        super().__init__()
        self.source = nn.Linear(width, width) if source is None else source
        self.query = nn.Linear(width, width)
        self.out = nn.Linear(width, outputs)
        self.asked = nn.Linear(width, outputs * width) if product else None
        self.told = nn.Linear(width, width) if product else None
        if self.asked is not None and self.told is not None:
            keep(self.asked)  # so that what is alike is found from the first step on
            keep(self.told)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        rows: Float[Tensor, "batch rows source_width"],
        present: Bool[Tensor, "batch rows"],
    ) -> Float[Tensor, "outputs batch queries rows"]:
        """Probabilities, 0 exactly for rows that are not `present`."""
        pairs = (self.source(rows)[:, None] + self.query(queries)[:, :, None]).relu()
        logits: Tensor = self.out(pairs).float().movedim(-1, 0)
        if self.asked is not None and self.told is not None:
            asked = self.asked(queries).unflatten(-1, (len(logits), -1)).movedim(-2, 0)
            logits = logits + (asked @ self.told(rows).transpose(1, 2)).float() / math.sqrt(queries.shape[-1])
        return logits.sigmoid().masked_fill(~present[:, None], 0.0)


def pool_words(
    pieces: Float[Tensor, "batch pieces width"], word_of_piece: Int64[Tensor, "batch pieces"], words: int
) -> Float[Tensor, "batch words width"]:
    """The greatest of each number over a word's sub-words; zeros for words without any and for padding."""
    # Rows that belong to no word meet in one more word, which is dropped.
    index = torch.where(word_of_piece < 0, words, word_of_piece)[..., None].expand_as(pieces)
    pooled = pieces.new_zeros(len(pieces), words + 1, pieces.shape[-1])
    return pooled.scatter_reduce(1, index, pieces, "amax", include_self=False)[:, :words]
