"""The transformer of SeqTR: layer norm behind each sub-layer, ReLU, positions added to queries and keys only."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.nn.attention import KeysValues, MultiHeadAttention


class FeedForward(nn.Module):
    """norm(rows + drop(outer(drop(relu(inner(rows))))))."""

    def __init__(self, width: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        inner = self.dropout(F.relu(self.inner(rows)))
        out: Tensor = self.norm(rows + self.dropout(self.outer(inner)))
        return out


class EncoderLayer(nn.Module):
    """Cells read each other."""

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner_width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        cells: Float[Tensor, "batch cells width"],
        positions: Float[Tensor, "batch cells width"],
        present: Bool[Tensor, "batch 1 1 cells"],
    ) -> Float[Tensor, "batch cells width"]:
        placed = cells + positions
        read = self.attention.read(placed, self.attention.project(placed, cells), present)
        out: Tensor = self.feed_forward(self.norm(cells + self.dropout(read)))
        return out


class DecoderLayer(nn.Module):
    """Tokens read the tokens before them, then the cells."""

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads, dropout)
        self.self_norm = nn.LayerNorm(width)
        self.cross_attention = MultiHeadAttention(width, heads, dropout)
        self.cross_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner_width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        positions: Float[Tensor, "tokens width"],
        cells: KeysValues,
        present: Bool[Tensor, "batch 1 1 cells"],
        past: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "batch tokens width"], KeysValues]:
        """New tokens, given the keys and values of the `past` ones; the second result is the past of the next tokens.

        `cells` are what `cross_attention.project` makes of the cells, the same for all tokens.
        """
        placed = tokens + positions
        seen = self.self_attention.project(placed, tokens)
        seen = seen if past is None else past.then(seen)
        new, known = tokens.shape[1], seen.keys.shape[2]
        before = tokens.new_ones(new, known, dtype=torch.bool).tril(known - new)
        tokens = self.self_norm(tokens + self.dropout(self.self_attention.read(placed, seen, before[None, None])))
        read = self.cross_attention.read(tokens + positions, cells, present)
        tokens = self.cross_norm(tokens + self.dropout(read))
        return self.feed_forward(tokens), seen
