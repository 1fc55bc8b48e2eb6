"""The layers of OFA: norms before each branch and, in the published models, inside it as well (ofa.md, section 5).

The arithmetic that is OFA's own: queries are scaled by the root of twice the head's width, positions are a bias that
the layers share, and each head's output has a factor.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.ofa.config import OFAConfig
from gmner.nn.attention import KeysValues, split_heads


def query_scale(config: OFAConfig) -> float:
    """What queries of content and of positions are multiplied by."""
    return 1 / math.sqrt(config.width / config.heads * config.scale_factor)


class Attention(nn.Module):
    """Attention with a bias. The projections of queries and of what is read are called apart, so that keys are kept."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.heads, self.scale = config.heads, query_scale(config)
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)
        self.head_scale = nn.Parameter(torch.ones(config.heads)) if config.scale_heads else None

    def read(self, source: Float[Tensor, "batch positions width"]) -> KeysValues:
        """Keys and values of `source`."""
        return KeysValues(split_heads(self.key(source), self.heads), split_heads(self.value(source), self.heads))

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        source: KeysValues,
        bias: Float[Tensor, "#batch heads queries positions"],
    ) -> Float[Tensor, "batch queries width"]:
        """What each query reads. `bias` is added to the scores; it is -inf where nothing may be read."""
        query = split_heads(self.query(queries), self.heads)
        read = F.scaled_dot_product_attention(query, *source, attn_mask=bias, scale=self.scale).transpose(1, 2)
        if self.head_scale is not None:
            read = read * self.head_scale[:, None]
        out: Tensor = self.out(read.flatten(2))
        return out


class Branch(nn.Module):
    """The end of every branch: perhaps a norm, dropout, and the sum with the residual, which skips some samples."""

    def __init__(self, config: OFAConfig, drop_path: float, *, normed: bool = False, scaled: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width) if normed else None
        self.residual_scale = nn.Parameter(torch.ones(config.width)) if scaled else None
        self.dropout = nn.Dropout(config.dropout)
        self.drop_path = drop_path

    def forward(
        self, residual: Float[Tensor, "batch positions width"], branch: Float[Tensor, "batch positions width"]
    ) -> Float[Tensor, "batch positions width"]:
        if self.norm is not None:
            branch = self.norm(branch)
        branch = self.dropout(branch)
        if self.training and self.drop_path:
            keep = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
            branch = branch * keep / (1 - self.drop_path)
        return branch + (residual if self.residual_scale is None else residual * self.residual_scale)


class FeedForward(nn.Module):
    """Two linear maps with a GELU (the erf form) and perhaps a norm between them."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.inner_width)
        self.norm = nn.LayerNorm(config.inner_width) if config.scale_inner else None
        self.outer = nn.Linear(config.inner_width, config.width)

    def forward(self, rows: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch positions width"]:
        inner = F.gelu(self.inner(rows))
        out: Tensor = self.outer(inner if self.norm is None else self.norm(inner))
        return out


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network."""

    def __init__(self, config: OFAConfig, drop_path: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.attended = Branch(config, drop_path, normed=config.scale_attention)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = FeedForward(config)
        self.fed = Branch(config, drop_path, scaled=config.scale_residuals)

    def forward(
        self, rows: Float[Tensor, "batch positions width"], bias: Float[Tensor, "#batch heads positions positions"]
    ) -> Float[Tensor, "batch positions width"]:
        normed = self.attention_norm(rows)
        rows = self.attended(rows, self.attention(normed, self.attention.read(normed), bias))
        fed: Tensor = self.fed(rows, self.feed(self.feed_norm(rows)))
        return fed


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's output, and a feed-forward network.

    Several rows may be decoded beside one encoder output (the beams of a search); `Memory` says what they share.
    """

    def __init__(self, config: OFAConfig, drop_path: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.attended = Branch(config, drop_path, normed=config.scale_attention)
        self.cross_norm = nn.LayerNorm(config.width)
        self.cross = Attention(config)
        self.crossed = Branch(config, drop_path, normed=config.scale_attention)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = FeedForward(config)
        self.fed = Branch(config, drop_path, scaled=config.scale_residuals)

    def forward(
        self,
        rows: Float[Tensor, "samples*rows time width"],
        past: KeysValues | None,
        bias: Float[Tensor, "#samples*rows heads time positions"],
        memory: KeysValues,
        cross_bias: Float[Tensor, "#samples heads rows*time source"],
    ) -> tuple[Float[Tensor, "samples*rows time width"], KeysValues]:
        """The rows after this layer, and keys and values of all their positions: those of `past` and the new ones."""
        normed = self.attention_norm(rows)
        present = self.attention.read(normed)
        if past is not None:
            present = past.then(present)
        rows = self.attended(rows, self.attention(normed, present, bias))
        # The rows of one sample are so many more queries to what they share.
        queries = self.cross_norm(rows).reshape(len(memory.keys), -1, rows.shape[-1])
        rows = self.crossed(rows, self.cross(queries, memory, cross_bias).reshape(rows.shape))
        rows = self.fed(rows, self.feed(self.feed_norm(rows)))
        return rows, present


def drop_path_rates(config: OFAConfig, layers: int) -> list[float]:
    """The share of samples that skip each layer's branches: none in the first, `drop_path` in the last."""
    return [config.drop_path * layer / max(layers - 1, 1) for layer in range(layers)]
