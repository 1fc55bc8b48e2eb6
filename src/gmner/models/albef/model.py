"""ALBEF for visual entailment: a picture's rows, a text that reads them in its upper layers, three classes.

Li et al. 2021, Align before Fuse; specs/albef.md, sections 2 to 4.
"""

from functools import partial
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.models.albef.config import LABELS, ALBEFConfig, TextSize
from gmner.nn.attention import Block, FusionBlock, KeysValues
from gmner.nn.vit import VisionTransformer

TEXT_EPS: Final = 1e-12
INITIAL_STD: Final = 0.02
"""Standard deviation of new weights on the picture's side, as BERT's."""


class Texts(NamedTuple):
    """A batch of expressions as tensors, padded on the right: [CLS] and pieces, without [SEP]."""

    pieces: Int64[Tensor, "batch pieces"]
    present: Bool[Tensor, "batch pieces"]


class TextTransformer(nn.Module):
    """BERT without its pooler, whose layers from `fusion_layer` on read a picture. All pieces are of token type 0."""

    def __init__(self, size: TextSize, picture_width: int, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Embedding(size.positions, size.width)
        self.types = nn.Embedding(2, size.width)
        self.norm = nn.LayerNorm(size.width, TEXT_EPS)
        self.dropout = nn.Dropout(dropout)
        shape = (size.width, size.heads, size.inner)
        self.layers = nn.ModuleList(
            FusionBlock(*shape, picture_width, dropout, TEXT_EPS)
            if layer >= size.fusion_layer
            else Block(*shape, dropout, TEXT_EPS)
            for layer in range(size.depth)
        )

    @property
    def fusion_blocks(self) -> list[FusionBlock]:
        """The upper layers, which read the picture."""
        return [layer for layer in self.layers if isinstance(layer, FusionBlock)]

    def embed(self, pieces: Int64[Tensor, "batch pieces"]) -> Float[Tensor, "batch pieces width"]:
        """Pieces as rows, which know their places."""
        embedded = self.words(pieces) + self.positions.weight[: pieces.shape[1]] + self.types.weight[0]
        out: Tensor = self.dropout(self.norm(embedded))
        return out

    def read(self, texts: Texts) -> Float[Tensor, "batch pieces width"]:
        """The texts after the layers that see no picture."""
        rows = self.embed(texts.pieces)
        for layer in self.layers:
            if not isinstance(layer, FusionBlock):
                rows = layer(rows, rows, texts.present)
        return rows

    def fuse(
        self,
        rows: Float[Tensor, "batch pieces width"],
        present: Bool[Tensor, "batch pieces"],
        pictures: Float[Tensor, "pictures rows picture_width"],
        owners: Int64[Tensor, " batch"],
    ) -> Float[Tensor, "batch pieces width"]:
        """The texts after the upper layers, in which text i reads the rows of picture `owners[i]`.

        Keys and values are computed once for a picture, however many texts read it.
        """
        for layer in self.fusion_blocks:
            memory = layer.fusion.project(pictures)
            rows = layer.fuse(
                rows, KeysValues(memory.keys.index_select(0, owners), memory.values.index_select(0, owners)), present
            )
        return rows


class ALBEF(nn.Module):
    """Logits of contradiction, neutral and entailment for expressions and pictures."""

    def __init__(self, config: ALBEFConfig) -> None:
        super().__init__()
        self.config = config
        vision, text = config.vision, config.text
        self.vision = VisionTransformer(vision.resolution, vision.patch, vision.width, vision.depth, vision.heads)
        self.text = TextTransformer(text, vision.width, config.dropout)
        self.vision.apply(partial(_initialise, std=INITIAL_STD))
        self.text.apply(partial(_initialise, std=config.initial_std))
        self.classifier = nn.Sequential(nn.Linear(text.width, text.width), nn.ReLU(), nn.Linear(text.width, LABELS))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.vision.positions.device

    def forward(
        self, texts: Texts, pixels: Float[Tensor, "pictures 3 side side"], owners: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch labels"]:
        """The logits of every text beside the picture `owners` gives it."""
        return self.judge(texts, self.vision(pixels), owners)

    def judge(
        self,
        texts: Texts,
        pictures: Float[Tensor, "pictures rows picture_width"],
        owners: Int64[Tensor, " batch"],
    ) -> Float[Tensor, "batch labels"]:
        """`forward` for pictures that `vision` has seen."""
        logits: Tensor = self.classifier(self.read(texts, pictures, owners)[:, 0])
        return logits

    def read(
        self,
        texts: Texts,
        pictures: Float[Tensor, "pictures rows picture_width"],
        owners: Int64[Tensor, " batch"],
    ) -> Float[Tensor, "batch pieces width"]:
        """Every piece of every text after the last layer, for pictures that `vision` has seen."""
        return self.text.fuse(self.text.read(texts), texts.present, pictures, owners)


def _initialise(module: nn.Module, std: float) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
