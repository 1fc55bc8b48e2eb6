"""EVG: an entity in its sentence and the candidate regions read each other, and every region is scored, "none" too.

The pipelines of the H-Index paper end with a model of this name, of which neither code nor definition is published.
This one is ours (specs/evg_baselines.md, section 2, "Recommended definition").
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.evg.config import EVGConfig
from gmner.nn.attention import Block
from gmner.nn.region_encoder import RegionEncoder
from gmner.nn.regions import PLACE


class Queries(NamedTuple):
    """A batch of entities, each in its post, as tensors padded on the right."""

    pieces: Int64[Tensor, "entities pieces"]
    """Sentence and entity."""
    segments: Int64[Tensor, "entities pieces"]
    attention: Bool[Tensor, "entities pieces"]
    mention: Bool[Tensor, "entities pieces"]
    """The entity's sub-words in the sentence; none, if it is not known where they are."""
    post: Int64[Tensor, " entities"]
    """The row of the entity's post in what follows."""
    regions: Float[Tensor, "posts regions feature"] | UInt8[Tensor, "posts regions crop crop 3"]
    places: Float[Tensor, "posts regions 5"]
    present: Bool[Tensor, "posts regions"]


class EVG(nn.Module):
    """Scores of the regions of every entity, "none" first. `encoder` is a BERT-like model of `transformers`."""

    def __init__(self, config: EVGConfig, encoder: Any) -> None:
        super().__init__()
        self.config = config
        shape = encoder.config
        width = shape.hidden_size
        sizes = (width, shape.num_attention_heads, shape.intermediate_size, config.dropout, shape.layer_norm_eps)
        self.regions = RegionEncoder(config.region_width, config.crop, width)
        self.places = nn.Linear(PLACE, width)
        self.none = nn.Parameter(torch.randn(width) * width**-0.5)
        self.norm = nn.LayerNorm(width, shape.layer_norm_eps)
        self.regions_to_text = Block(*sizes)
        self.text_to_regions = Block(*sizes)
        self.inner = nn.Linear(3 * width, width)
        self.outer = nn.Linear(width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = encoder
        if encoder.pooler is not None:  # nothing reads it, and parallel processes would wait for its gradient
            encoder.pooler.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.none.device

    def forward(self, queries: Queries) -> Float[Tensor, "entities 1+regions"]:
        features = queries.regions if self.config.crop else F.normalize(queries.regions, dim=-1)
        seen = self.regions(features, queries.present) + self.places(queries.places)
        seen = torch.cat([self.none.expand(len(seen), 1, -1), seen], 1)
        seen = self.norm(seen)[queries.post]
        present = F.pad(queries.present, (1, 0), value=True)[queries.post]

        text = self.encoder(
            input_ids=queries.pieces, token_type_ids=queries.segments, attention_mask=queries.attention.long()
        ).last_hidden_state
        seen = self.regions_to_text(seen, text, queries.attention)
        text = self.text_to_regions(text, seen, present)

        mention = queries.mention[..., None].to(text)
        entity = text[:, 0] + (text * mention).sum(1) / mention.sum(1).clamp(min=1)
        entity = entity[:, None].expand_as(seen)
        compared = self.dropout(F.gelu(self.inner(torch.cat([seen, entity, seen * entity], -1))))
        scores: Tensor = self.outer(compared)[..., 0]
        return scores.masked_fill(~present, torch.finfo(scores.dtype).min)

    def loss(
        self, scores: Float[Tensor, "entities 1+regions"], shares: Float[Tensor, "entities 1+regions"]
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy between scores and shares; rows of shares sum to 1."""
        return F.cross_entropy(scores.float(), shares)
