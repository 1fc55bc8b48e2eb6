"""UMT: text and picture attend to each other, and a branch that finds untyped names helps the one that types them.

Letters in brackets are the symbols of specs/umt.md, section 4, whose steps `fuse` follows in order.
"""

from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.umt.config import LABELS, SPAN_LABELS, Fusion, UMTConfig, span_label
from gmner.nn.attention import Block
from gmner.nn.crf import CRF

INITIAL_STD = 0.02
"""Standard deviation of new weights, as BERT's."""


class Posts(NamedTuple):
    """A batch of posts as tensors, padded on the right."""

    pieces: Int64[Tensor, "batch pieces"]
    segments: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]
    pixels: Float[Tensor, "batch 3 height width"]


class Labels(NamedTuple):
    """Gold label columns of a batch, 0 where padded."""

    main: Int64[Tensor, "batch pieces"]
    span: Int64[Tensor, "batch pieces"]


class States(NamedTuple):
    """All that the network computes of a batch, from the text encoder to the emissions of both CRFs."""

    text: Float[Tensor, "batch pieces width"]
    """The text encoder's last layer [H]."""
    span: Float[Tensor, "batch pieces width"]
    """Sub-words of the span branch [A]."""
    main: Float[Tensor, "batch pieces width"]
    """Sub-words of the main branch before they read the picture [C]."""
    keys: Float[Tensor, "batch cells width"]
    """Picture cells as the text reads them [V1]."""
    queries: Float[Tensor, "batch cells width"]
    """Picture cells as they read the text [V2]."""
    image_aware_text: Float[Tensor, "batch pieces width"]
    """[P]"""
    text_aware_image: Float[Tensor, "batch cells width"]
    """[R]"""
    multimodal_text: Float[Tensor, "batch pieces width"]
    """[Q]"""
    gate: Float[Tensor, "batch pieces width"]
    """How much of `image_aware_text` passes [g]."""
    fused: Float[Tensor, "batch pieces 2*width"]
    """What the main classifier reads [F]."""
    main_logits: Float[Tensor, "batch pieces labels"]
    """[E_m]"""
    span_emissions: Float[Tensor, "batch pieces span_labels"]
    """[E_a]"""
    converted: Float[Tensor, "batch pieces labels"]
    """The span emissions as scores of the main labels [E_t]."""
    emissions: Float[Tensor, "batch pieces labels"]
    """What the main CRF reads [E]."""


class Losses(NamedTuple):
    """Negative log-likelihoods of the gold labels, means over sequences, and what is trained: their weighted sum."""

    main: Float[Tensor, ""]
    span: Float[Tensor, ""]
    total: Float[Tensor, ""]


class UMT(nn.Module):
    """Emissions for every sub-word from the text and the picture, and the CRFs `crf` (main) and `span_crf`.

    `encoder` is a BERT-like model of `transformers`, `vision` a ResNet of the same (`last_hidden_state` of both is
    read). The ResNet is never trained and always in evaluation mode. Released code leaves it in training mode, so that
    its batch statistics drift while it is "frozen": published checkpoints carry the drifted ones (specs/umt.md,
    section 9).
    """

    conversion: Float[Tensor, "span_labels labels"]

    def __init__(self, config: UMTConfig, encoder: Any, vision: nn.Module) -> None:
        super().__init__()
        self.config = config
        shape = encoder.config
        width = shape.hidden_size

        def blocks(count: int) -> nn.ModuleList:
            sizes = (width, shape.num_attention_heads, shape.intermediate_size, config.dropout, shape.layer_norm_eps)
            return nn.ModuleList(Block(*sizes) for _ in range(count))

        self.dropout = nn.Dropout(config.dropout)
        self.span_attention = blocks(1)
        self.main_attention = blocks(1)
        self.image_keys = nn.Linear(config.grid_width, width)
        self.image_queries = nn.Linear(config.grid_width, width)
        self.text_to_image = blocks(config.text_to_image)
        self.image_to_text = blocks(config.image_to_text)
        self.text_to_text = blocks(config.text_to_text)
        self.gate = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(2 * width, len(LABELS))
        self.span_classifier = nn.Linear(width, len(SPAN_LABELS))
        self.apply(_initialise)  # before the parts that bring their weights along are added
        self.crf = CRF(len(LABELS))
        self.span_crf = CRF(len(SPAN_LABELS))
        self.register_buffer("conversion", conversion_matrix(), persistent=False)
        self.encoder = encoder
        if encoder.pooler is not None:  # nothing reads it, and parallel processes would wait for its gradient
            encoder.pooler.requires_grad_(False)
        self.vision = vision.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.gate.weight.device

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.vision.eval()
        return self

    def forward(self, posts: Posts) -> States:
        return self.fuse(posts.pieces, posts.segments, posts.attention, self.grid(posts.pixels))

    @torch.no_grad()
    def grid(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels 7 7"]:
        """The ResNet's last stage, averaged to 7 x 7 cells (which changes nothing for 224 x 224 pixels)."""
        return F.adaptive_avg_pool2d(self.vision(pixels).last_hidden_state, 7)

    def fuse(
        self,
        pieces: Int64[Tensor, "batch pieces"],
        segments: Int64[Tensor, "batch pieces"],
        attention: Bool[Tensor, "batch pieces"],
        grid: Float[Tensor, "batch channels rows columns"],
    ) -> States:
        """The whole network above the picture encoder."""
        encoded = self.encoder(input_ids=pieces, token_type_ids=segments, attention_mask=attention.long())
        text = self.dropout(encoded.last_hidden_state)
        span = _stack(self.span_attention, text, text, attention)
        main = _stack(self.main_attention, text, text, attention)

        cells = grid.flatten(2).transpose(1, 2)
        keys, queries = self.image_keys(cells), self.image_queries(cells)
        image_aware_text = _stack(self.text_to_image, main, keys)
        text_aware_image = _stack(self.image_to_text, queries, main, attention)
        multimodal_text = _stack(self.text_to_text, main, text_aware_image)

        gate = self.gate(torch.cat([multimodal_text, image_aware_text], -1)).sigmoid()
        fused = torch.cat([multimodal_text, gate * image_aware_text], -1)

        main_logits = self.classifier(fused)
        span_emissions = self.span_classifier(span)
        converted = span_emissions @ self.conversion
        emissions = self.config.main_share * main_logits + (1 - self.config.main_share) * converted
        return States(text, span, main, keys, queries, image_aware_text, text_aware_image, multimodal_text, gate,
                      fused, main_logits, span_emissions, converted, emissions)  # fmt: skip

    def losses(self, states: States, labels: Labels, attention: Bool[Tensor, "batch pieces"]) -> Losses:
        """The losses of a batch. Special tokens and continuation pieces are ordinary steps of both chains."""
        main = -self.crf.log_likelihood(states.emissions, labels.main, attention).mean()
        span = -self.span_crf.log_likelihood(states.span_emissions, labels.span, attention).mean()
        return Losses(main, span, main + self.config.span_weight * span)


def conversion_matrix() -> Float[Tensor, "span_labels labels"]:
    """How the score of a span label is shared among the labels that it may become: equally."""
    becomes = torch.tensor([[span_label(label) == span for label in LABELS] for span in SPAN_LABELS])
    return becomes / becomes.sum(1, keepdim=True)


def fusion_feature(
    fused: Float[Tensor, "batch pieces width"], attention: Bool[Tensor, "batch pieces"], kind: Fusion
) -> Float[Tensor, "batch feature"]:
    """One vector for a post, by whose cosine similar examples are found (papers/riveg.txt, section IV-B, MSEA).

    The papers say "multimodal fusion features" of UMT's backbone and not which tensor, nor how its rows become one
    vector (specs/umt.md, section 7). `mean`, the default: the mean over the text, which does not depend on its length.
    `cls`: the row of [CLS]. `flat`: all rows one after another, padding included, which compares posts position by
    position; the rows must then be padded to one length for all posts.
    """
    if kind == "cls":
        return fused[:, 0]
    if kind == "flat":
        return fused.flatten(1)
    present = attention[..., None].to(fused.dtype)
    return (fused * present).sum(1) / present.sum(1)


def _stack(
    blocks: nn.ModuleList,
    queries: Float[Tensor, "batch queries width"],
    source: Float[Tensor, "batch keys width"],
    present: Bool[Tensor, "batch keys"] | None = None,
) -> Float[Tensor, "batch queries width"]:
    """`queries` after every block in turn; all blocks read the same `source`."""
    for block in blocks:
        queries = block(queries, source, present)
    return queries


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        nn.init.zeros_(module.bias)
