"""A tagger: encoder, linear layer, linear-chain CRF; and a head that says whether an entity can be seen."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.models.tagger.config import TaggerConfig
from gmner.nn.crf import CRF, bio_constraints
from gmner.tagging import SHAPES
from gmner.types import ENTITY_TYPES


class Sentences(NamedTuple):
    """A batch of sentences as tensors, padded on the right."""

    pieces: Int64[Tensor, "batch pieces"]
    shapes: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]
    first: Int64[Tensor, "batch words"]
    """Where each word's first sub-word stands."""
    words: Bool[Tensor, "batch words"]
    """Which words there are."""


class Spans(NamedTuple):
    """Entities of a batch, in any order."""

    row: Int64[Tensor, " spans"]
    start: Int64[Tensor, " spans"]
    end: Int64[Tensor, " spans"]
    type: Int64[Tensor, " spans"]


class Tagger(nn.Module):
    """Emissions of every tag for every word, and a CRF that knows which steps are legal.

    The first sub-word of a word stands for the word (papers/riveg.txt, section IV-B; specs/riveg.md, section 1).
    """

    def __init__(self, config: TaggerConfig, encoder: Any) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler.requires_grad_(False)  # nobody reads it, and processes that share a step would wait for it
        width = encoder.config.hidden_size
        embedded = encoder.get_input_embeddings().embedding_dim
        self.shape_embedding = nn.Embedding(SHAPES, embedded) if config.casing else None
        if self.shape_embedding is not None:
            nn.init.normal_(self.shape_embedding.weight, std=0.02)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(width, len(config.tags))
        self.crf = CRF(len(config.tags), allowed=bio_constraints(config.tags))
        self.groundable = GroundableHead(width) if config.groundable else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.classifier.weight.device

    def forward(self, batch: Sentences) -> Float[Tensor, "batch words width"]:
        """The vector of every word; rows of padding words are those of the first piece."""
        vectors = self.encoder.get_input_embeddings()(batch.pieces)
        if self.shape_embedding is not None:
            vectors = vectors + self.shape_embedding(batch.shapes)
        states: Tensor = self.encoder(inputs_embeds=vectors, attention_mask=batch.attention.long()).last_hidden_state
        states = states.gather(1, batch.first[..., None].expand(-1, -1, states.shape[-1])).float()
        if self.training and self.config.word_dropout:
            keep = torch.rand(states.shape[:2], device=states.device) >= self.config.word_dropout
            states = states * keep[..., None]
        return states

    def emissions(self, words: Float[Tensor, "batch words width"]) -> Float[Tensor, "batch words tags"]:
        """The score of every tag for every word."""
        scores: Tensor = self.classifier(self.dropout(words))
        return scores.float()


class GroundableHead(nn.Module):
    """The logit of "this entity can be seen", from the words of the entity, its sentence and its type."""

    def __init__(self, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.type_embedding = nn.Embedding(len(ENTITY_TYPES), hidden)
        self.span = nn.Linear(2 * width, hidden)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(hidden, 1)

    def forward(
        self, words: Float[Tensor, "batch words width"], present: Bool[Tensor, "batch words"], spans: Spans
    ) -> Float[Tensor, " spans"]:
        # Means of any stretch of words are differences of running sums.
        words = words * present[..., None]
        sums = nn.functional.pad(words.cumsum(1), (0, 0, 1, 0))
        span = (sums[spans.row, spans.end] - sums[spans.row, spans.start]) / (spans.end - spans.start)[:, None]
        sentence = (sums[:, -1] / present.sum(1, keepdim=True).clamp(min=1))[spans.row]
        hidden = self.span(self.dropout(torch.cat([span, sentence], -1))) + self.type_embedding(spans.type)
        logits: Tensor = self.out(nn.functional.gelu(hidden)).squeeze(-1)
        return logits
