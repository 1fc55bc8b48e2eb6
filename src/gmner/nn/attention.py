"""Transformer bricks with the layer norm behind each sub-layer (Vaswani et al. 2017), as BERT has them.

Queries and keys come from two sources, so that the same block attends from text to text, from text to picture and back.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class Memory(NamedTuple):
    """What can be read: a key and a value of every row, in heads."""

    keys: Float[Tensor, "batch heads rows head_width"]
    values: Float[Tensor, "batch heads rows head_width"]


def split_heads(rows: Float[Tensor, "batch rows width"], heads: int) -> Float[Tensor, "batch heads rows part"]:
    """Each row in as many parts as there are heads."""
    return rows.reshape(*rows.shape[:-1], heads, -1).transpose(1, 2)


def merge_heads(rows: Float[Tensor, "batch heads rows part"]) -> Float[Tensor, "batch rows width"]:
    """The inverse of `split_heads`."""
    return rows.transpose(1, 2).flatten(2)


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
        return self.read(queries, self.memory(source), None if present is None else present[:, None, None])

    def memory(self, source: Float[Tensor, "batch rows width"]) -> Memory:
        """The rows of `source` as they are read. Decoders keep it: each row costs its projections once."""
        return Memory(split_heads(self.key(source), self.heads), split_heads(self.value(source), self.heads))

    def read(
        self,
        queries: Float[Tensor, "batch queries width"],
        memory: Memory,
        visible: Bool[Tensor, "#batch #heads #queries rows"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads from the rows of `memory` that are `visible` to it (all, if None; at least one)."""
        read = F.scaled_dot_product_attention(
            split_heads(self.query(queries), self.heads),
            *memory,
            attn_mask=visible,
            dropout_p=self.dropout if self.training else 0.0,
        )
        out: Tensor = self.out(merge_heads(read))
        return out


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


class DecoderBlock(nn.Module):
    """One layer of a decoder (Vaswani et al. 2017): rows read themselves, then a source, norms behind each sub-layer.

    The rows so far are a `Memory`, so that a sequence may come row by row.
    """

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float = 0.1, eps: float = 1e-12) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.cross = MultiHeadAttention(width, heads, dropout)
        self.cross_norm = nn.LayerNorm(width, eps)
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)
        self.outer_norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        rows: Float[Tensor, "batch rows width"],
        visible: Bool[Tensor, "#batch 1 rows all"] | None,
        source: Memory,
        present: Bool[Tensor, "batch keys"],
        past: Memory | None = None,
    ) -> tuple[Float[Tensor, "batch rows width"], Memory]:
        """The new rows, and the memory of all rows so far.

        `past` are the rows before, if any; `visible` says which of all rows each new row reads (all, if None);
        `source` is `cross.memory(...)` of what is read beside them, of which the rows that are `present` are seen.
        """
        memory = self.attention.memory(rows)
        if past is not None:
            memory = Memory(*(torch.cat(pair, 2) for pair in zip(past, memory, strict=True)))
        rows = self.attention_norm(rows + self.dropout(self.attention.read(rows, memory, visible)))
        rows = self.cross_norm(rows + self.dropout(self.cross.read(rows, source, present[:, None, None])))
        rows = self.outer_norm(rows + self.dropout(self.outer(F.gelu(self.inner(rows)))))
        return rows, memory
