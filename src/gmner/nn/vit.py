"""The vision transformer of Dosovitskiy et al. 2021: patches and a class token, layer norm before each sub-layer."""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.nn.attention import MultiHeadAttention

EPS: Final = 1e-6
INITIAL_STD: Final = 0.02


class PreNormBlock(nn.Module):
    """x + attention(norm(x)), then x + outer(gelu(inner(norm(x)))). GELU is the erf form; no dropout."""

    def __init__(self, width: int, heads: int, inner_width: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, EPS)
        self.attention = MultiHeadAttention(width, heads, dropout=0.0)
        self.inner_norm = nn.LayerNorm(width, EPS)
        self.inner = nn.Linear(width, inner_width)
        self.outer = nn.Linear(inner_width, width)

    def forward(self, rows: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        normed = self.attention_norm(rows)
        rows = rows + self.attention(normed, normed)
        out: Tensor = rows + self.outer(F.gelu(self.inner(self.inner_norm(rows))))
        return out


class VisionTransformer(nn.Module):
    """Square pictures of `resolution` pixels as rows: the class token's first, then the patches', line by line.

    Raises:
        ValueError: the patches do not fill the picture.
    """

    def __init__(self, resolution: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if resolution % patch:
            raise ValueError(f"patches of {patch} pixels do not fill {resolution}")
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (resolution // patch) ** 2, width))
        self.blocks = nn.ModuleList(PreNormBlock(width, heads, 4 * width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, EPS)
        for parameter in (self.class_token, self.positions):
            nn.init.normal_(parameter, std=INITIAL_STD)

    def forward(self, pixels: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch rows width"]:
        """All rows after the last layer norm."""
        patches = self.embed(pixels)
        rows = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], 1) + self.positions
        for block in self.blocks:
            rows = block(rows)
        out: Tensor = self.norm(rows)
        return out

    def embed(self, pixels: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch patches width"]:
        """The patches before they have a position."""
        out: Tensor = self.patches(pixels).flatten(2).transpose(1, 2)
        return out


def resize_positions(table: Float[Tensor, "1 rows width"], rows: int) -> Float[Tensor, "1 rows_after width"]:
    """A table of positions for a picture of another size: the class token's row stays, the square grid is resized.

    Bicubic without antialiasing, as ALBEF does it (specs/albef.md, section 2). The same grid is left as it is.

    Raises:
        ValueError: either number of rows is not a square and one.
    """
    before, after = (math.isqrt(count - 1) for count in (table.shape[1], rows))
    if before**2 + 1 != table.shape[1] or after**2 + 1 != rows:
        raise ValueError(f"{table.shape[1]} positions can not become {rows}: both must be a square and one")
    if before == after:
        return table
    grid = table[:, 1:].transpose(1, 2).reshape(1, -1, before, before)
    resized = F.interpolate(grid, size=(after, after), mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], resized.flatten(2).transpose(1, 2)], 1)
