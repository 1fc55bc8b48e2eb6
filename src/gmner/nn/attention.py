"""Transformer bricks with the layer norm behind each sub-layer (Vaswani et al. 2017), as BERT has them.

Queries and keys come from two sources, so that the same block attends from text to text, from text to picture and back.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.errors import ConfigError


class KeysValues(NamedTuple):
    """Rows that queries read, projected and split into heads."""

    keys: Float[Tensor, "batch heads rows part"]
    values: Float[Tensor, "batch heads rows part"]

    def then(self, more: "KeysValues") -> "KeysValues":
        """These rows and behind them `more`."""
        return KeysValues(*(torch.cat(pair, 2) for pair in zip(self, more, strict=True)))


def split_heads(rows: Float[Tensor, "*batch rows width"], heads: int) -> Float[Tensor, "*batch heads rows part"]:
    """Each row in as many parts as there are heads."""
    return rows.reshape(*rows.shape[:-1], heads, -1).transpose(-3, -2)


def merge_heads(rows: Float[Tensor, "batch heads rows part"]) -> Float[Tensor, "batch rows width"]:
    """The inverse of `split_heads`."""
    return rows.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in `heads` heads, with biased projections. Dropout falls on the probabilities.

    The rows that are read are `source_width` wide, which is `width` unless it is given.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.1, source_width: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(
                f"{heads} heads of attention for a width of {width}",
                allowed="heads share the width equally",
                todo="change `heads` or the width",
            )
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(source_width or width, width)
        self.value = nn.Linear(source_width or width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        source: Float[Tensor, "batch keys source_width"],
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads from the rows of `source` that are `present` (all, if None; in each row at least one).

        Absent rows have probability 0 exactly. Released code adds -10000 to their scores, which is the same in fp32.
        """
        return self.read(queries, self.project(source), None if present is None else present[:, None, None])

    def project(
        self,
        source: Float[Tensor, "batch keys source_width"],
        values: Float[Tensor, "batch keys source_width"] | None = None,
    ) -> KeysValues:
        """The keys of `source`, and the values of `values` (of `source`, if None): what `read` reads, once for all."""
        rows = self.key(source), self.value(source if values is None else values)
        return KeysValues(*(split_heads(projected, self.heads) for projected in rows))

    def read(
        self,
        queries: Float[Tensor, "batch queries width"],
        memory: KeysValues,
        allowed: Bool[Tensor, "#batch #heads #queries keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads from the rows of `memory` that it is `allowed` to (all, if None; at least one)."""
        query, dropout = split_heads(self.query(queries), self.heads), self.dropout if self.training else 0.0
        if query.device.type == "cpu" and query.dtype == torch.bfloat16 and torch.is_grad_enabled():
            read = plain_attention(query, *memory, allowed, dropout)
        else:
            read = F.scaled_dot_product_attention(query, *memory, attn_mask=allowed, dropout_p=dropout)
        out: Tensor = self.out(merge_heads(read))
        return out


def plain_attention(
    query: Float[Tensor, "batch heads queries part"],
    key: Float[Tensor, "batch heads keys part"],
    value: Float[Tensor, "batch heads keys part"],
    allowed: Bool[Tensor, "#batch #heads #queries keys"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads queries part"]:
    """`F.scaled_dot_product_attention`, written out.

    Training in bfloat16 on the CPU uses it: there the fused one takes three to six times as long (torch 2.13).
    """
    with torch.autocast(query.device.type, enabled=False):
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        return F.dropout(scores.softmax(-1), dropout, dropout > 0) @ value


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
        return self.feed(self.attend(queries, source, present))

    def attend(
        self,
        queries: Float[Tensor, "batch queries width"],
        source: Float[Tensor, "batch keys width"],
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """The first half of the layer: attention, residual, norm."""
        out: Tensor = self.attention_norm(queries + self.dropout(self.attention(queries, source, present)))
        return out

    def feed(self, rows: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        """The second half: two linear layers with a GELU between, residual, norm."""
        out: Tensor = self.outer_norm(rows + self.dropout(self.outer(F.gelu(self.inner(rows)))))
        return out


class FusionBlock(Block):
    """A `Block` over text with a second attention between its halves, which reads a picture (Li et al. 2021, ALBEF)."""

    def __init__(
        self, width: int, heads: int, inner_width: int, source_width: int, dropout: float = 0.1, eps: float = 1e-12
    ) -> None:
        super().__init__(width, heads, inner_width, dropout, eps)
        self.fusion = MultiHeadAttention(width, heads, dropout, source_width)
        self.fusion_norm = nn.LayerNorm(width, eps)

    def fuse(
        self,
        text: Float[Tensor, "batch queries width"],
        picture: KeysValues,
        present: Bool[Tensor, "batch queries"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """`text` after reading its own `present` rows and then the picture's keys and values of `fusion`."""
        attended = self.attend(text, text, present)
        return self.feed(self.fusion_norm(attended + self.dropout(self.fusion.read(attended, picture))))


class DecoderBlock(nn.Module):
    """One layer of a decoder (Vaswani et al. 2017): rows read themselves, then a source, norms behind each sub-layer.

    The rows so far are `KeysValues`, so that a sequence may come row by row.
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
        source: KeysValues,
        present: Bool[Tensor, "batch keys"],
        past: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "batch rows width"], KeysValues]:
        """The new rows, and the keys and values of all rows so far.

        `past` are the rows before, if any; `visible` says which of all rows each new row reads (all, if None);
        `source` is `cross.project(...)` of what is read beside them, of which the rows that are `present` are seen.
        """
        seen = self.attention.project(rows)
        if past is not None:
            seen = past.then(seen)
        rows = self.attention_norm(rows + self.dropout(self.attention.read(rows, seen, visible)))
        rows = self.cross_norm(rows + self.dropout(self.cross.read(rows, source, present[:, None, None])))
        rows = self.outer_norm(rows + self.dropout(self.outer(F.gelu(self.inner(rows)))))
        return rows, seen
