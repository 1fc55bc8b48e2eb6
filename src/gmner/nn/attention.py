"""Transformer bricks with the layer norm behind each sub-layer (Vaswani et al. 2017), as BERT has them.

Queries and keys come from two sources, so that the same block attends from text to text, from text to picture and back.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class KeysValues(NamedTuple):
    """Rows that queries read, projected and split into heads."""

    keys: Float[Tensor, "batch heads rows part"]
    values: Float[Tensor, "batch heads rows part"]

    def then(self, more: "KeysValues") -> "KeysValues":
        """These rows and behind them `more`."""
        return KeysValues(*(torch.cat(pair, 2) for pair in zip(self, more, strict=True)))


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in `heads` heads, with biased projections. Dropout falls on the probabilities."""

    def __init__(self, width: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        source: Float[Tensor, "batch keys width"],
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads from the rows of `source` that are `present` (all, if None; in each row at least one).

        Absent rows have probability 0 exactly. Released code adds -10000 to their scores, which is the same in fp32.
        """
        return self.read(queries, self.project(source), None if present is None else present[:, None, None])

    def project(
        self, source: Float[Tensor, "batch keys width"], values: Float[Tensor, "batch keys width"] | None = None
    ) -> "KeysValues":
        """The keys of `source`, and the values of `values` (of `source`, if None): what `read` reads, once for all."""
        rows = self.key(source), self.value(source if values is None else values)
        return KeysValues(*(self._in_heads(projected) for projected in rows))

    def read(
        self,
        queries: Float[Tensor, "batch queries width"],
        memory: "KeysValues",
        allowed: Bool[Tensor, "#batch #heads #queries keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads from the rows of `memory` that it is `allowed` to (all, if None; at least one)."""
        read = F.scaled_dot_product_attention(
            self._in_heads(self.query(queries)),
            *memory,
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
        )
        out: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return out

    def _in_heads(self, rows: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch heads rows part"]:
        batch, count, width = rows.shape
        return rows.view(batch, count, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """One layer of BERT (Devlin et al. 2019) whose keys and values may come from elsewhere than its queries.

    a = norm(queries + drop(attention(queries, source)));  norm(a + drop(outer(gelu(inner(a))))). GELU is the erf form.
    """

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float = 0.1, eps: float = 1e-12) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)
        self.outer_norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        source: Float[Tensor, "batch keys width"],
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """`queries` after reading the rows of `source` that are `present` (see `MultiHeadAttention.forward`)."""
        attended = self.attention_norm(queries + self.dropout(self.attention(queries, source, present)))
        out: Tensor = self.outer_norm(attended + self.dropout(self.outer(F.gelu(self.inner(attended)))))
        return out
