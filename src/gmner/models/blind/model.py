"""A text encoder over a post and its picture's words; a head that says of each name if it can be seen, and where."""

from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.models.blind.config import BlindConfig
from gmner.types import ENTITY_TYPES

SENTENCE: Final = 0
CAPTION: Final = 1 + len(ENTITY_TYPES)
DESCRIPTION: Final = 2 + len(ENTITY_TYPES)
MARKS: Final = 3 + len(ENTITY_TYPES)
"""What a sub-word is part of: the sentence (0), a name of each type (1 to 4), the caption (5), the description (6)."""

MOST_NAMES: Final = 4
"""Names of one type are counted up to four."""


class Posts(NamedTuple):
    """A batch of posts as tensors, padded on the right."""

    pieces: Int64[Tensor, "batch pieces"]
    marks: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]


class Names(NamedTuple):
    """Names of a batch, in any order: the post, the sub-words (half-open), the type, and which of how many."""

    row: Int64[Tensor, " names"]
    start: Int64[Tensor, " names"]
    end: Int64[Tensor, " names"]
    type: Int64[Tensor, " names"]
    place: Int64[Tensor, " names"]


class Logits(NamedTuple):
    """Of each name the logit that it can be seen, and of each box the logit that it is right if the name can."""

    visible: Float[Tensor, " names"]
    hits: Float[Tensor, "names boxes"]


class Blind(nn.Module):
    """P(visible) and P(box right | visible) of every name of a post, from words alone.

    The names stand in the sentence marked by their type, so each is read knowing what else is named. The boxes are
    fixed (`models/blind/boxes.py` chooses them on the training split) and relative to the picture: the unit square is
    the whole of it.
    """

    boxes: Float[Tensor, "boxes 4"]

    def __init__(self, config: BlindConfig, encoder: Any) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler.requires_grad_(False)  # nobody reads it
        width = encoder.config.hidden_size
        self.mark_embedding = nn.Embedding(MARKS, encoder.get_input_embeddings().embedding_dim)
        nn.init.zeros_(self.mark_embedding.weight)  # training begins from what the encoder can do already
        self.type_embedding = nn.Embedding(len(ENTITY_TYPES), config.hidden)
        self.place_embedding = nn.Embedding(MOST_NAMES**2, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.inner = nn.Linear(2 * width, config.hidden)
        self.visible = nn.Linear(config.hidden, 1)
        self.hits = nn.Linear(config.hidden, config.boxes)
        self.register_buffer("boxes", torch.zeros(config.boxes, 4))

    def set_boxes(self, boxes: Float[Tensor, "boxes 4"], shares: Float[Tensor, " boxes"]) -> None:
        """Choose among these `boxes`, beginning with the shares of visible names that they are right for."""
        self.boxes.copy_(boxes)
        with torch.no_grad():
            self.hits.bias.copy_(shares.logit(1e-4))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.inner.weight.device

    def forward(self, posts: Posts, names: Names) -> Logits:
        vectors = self.encoder.get_input_embeddings()(posts.pieces) + self.mark_embedding(posts.marks)
        states: Tensor = self.encoder(inputs_embeds=vectors, attention_mask=posts.attention.long()).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):
            # Means of any stretch of sub-words are differences of running sums.
            sums = nn.functional.pad((states.float() * posts.attention[..., None]).cumsum(1), (0, 0, 1, 0))
            name = (sums[names.row, names.end] - sums[names.row, names.start]) / (names.end - names.start)[:, None]
            post = (sums[:, -1] / posts.attention.sum(1, keepdim=True))[names.row]
            hidden = self.inner(self.dropout(torch.cat([name, post], -1)))
            hidden = hidden + self.type_embedding(names.type) + self.place_embedding(names.place)
            hidden = self.dropout(nn.functional.gelu(hidden))
            return Logits(self.visible(hidden).squeeze(-1), self.hits(hidden))
