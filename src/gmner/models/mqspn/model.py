"""The network of the paper: queries of two grains, a fusion net that they guide, and heads that find a set.

specs/mqspn_paper.md. Where the paper leaves a choice, it is made here and said so.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.models.mqspn.batch import PLACE, Posts
from gmner.models.mqspn.config import Fusion, MQSPNConfig
from gmner.models.mqspn.heads import Pointer, pool_words
from gmner.models.mqspn.outputs import IMPOSSIBLE, NONE, TYPES, Outputs
from gmner.nn.attention import Block
from gmner.tagging import SHAPES


class MQSPN(nn.Module):
    """One `Outputs` for every layer of the fusion net.

    `encoder` is a BERT-like model of `transformers`; `looks` makes one vector of a region's crop or features;
    `prompts` are the states of [MASK] in the prompts of the types, and `written` those of the hand-written sentences
    that stand in the place of learned queries, both from the encoder before any training (`prompts.py`).
    """

    prompts: Float[Tensor, "types width"]
    written: Float[Tensor, "queries width"]

    def __init__(
        self,
        config: MQSPNConfig,
        encoder: Any,
        looks: nn.Module,
        prompts: Float[Tensor, "types width"],
        written: Float[Tensor, "queries width"],
    ) -> None:
        super().__init__()
        self.config = config
        width, heads = encoder.config.hidden_size, encoder.config.num_attention_heads
        count = config.queries.count
        self.places = nn.Linear(PLACE, width) if config.places else None
        self.look_norm = nn.LayerNorm(width)
        self.entity_queries = (
            nn.Parameter(torch.randn(count, width) * config.queries.std) if config.queries.learned else None
        )
        inner = encoder.config.intermediate_size
        self.layers = nn.ModuleList(
            FusionLayer(config.fusion, width, heads, inner, config.dropout) for _ in range(config.fusion.layers)
        )
        self.boundary = Pointer(width, outputs=2, product=config.product)
        self.region = Pointer(width, product=config.product)
        self.query = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.types = nn.Linear(4 * width, 1 if config.queries.typed else 1 + len(TYPES))
        self.register_buffer("prompts", prompts)
        self.register_buffer("written", written)
        self.shapes = nn.Embedding(SHAPES, width) if config.casing else None
        if self.shapes is not None:
            nn.init.normal_(self.shapes.weight, std=encoder.config.initializer_range)
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler.requires_grad_(False)
        self.looks = looks

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.types.weight.device

    def forward(self, posts: Posts) -> list[Outputs]:
        """What each layer says; in evaluation only the last is asked."""
        return self.find(posts, self.read(posts), self.look(posts))

    def find(
        self, posts: Posts, text: Float[Tensor, "batch pieces width"], regions: Float[Tensor, "batch regions width"]
    ) -> list[Outputs]:
        """`forward` for what `read` and `look` made of the posts."""
        words = pool_words(text, posts.word_of_piece, posts.words.shape[1])
        queries = self.queries()[None].expand(len(text), -1, -1)
        layers: list[Outputs] = []
        for index, layer in enumerate(self.layers, start=1):
            queries, regions = layer(queries, text, posts.attention, regions, posts.regions)
            if self.training or index == len(self.layers):
                layers.append(self.outputs(queries, words, regions, posts))
        return layers

    def read(self, posts: Posts) -> Float[Tensor, "batch pieces width"]:
        """The states of all sub-words."""
        vectors = self.encoder.get_input_embeddings()(posts.pieces)
        if self.shapes is not None:
            vectors = vectors + self.shapes(posts.shapes)
        attention = posts.attention.long()
        encoded = self.encoder(inputs_embeds=vectors, token_type_ids=posts.segments, attention_mask=attention)
        states: Tensor = encoded.last_hidden_state
        return states

    def look(self, posts: Posts) -> Float[Tensor, "batch regions width"]:
        """One vector a region; zeros for padding, which is not looked at."""
        seen = self.looks(posts.looks[posts.regions])
        if self.places is not None:
            seen = seen + self.places(posts.places[posts.regions])
        seen = self.look_norm(seen)  # in float32 under a GPU's autocast
        rows: Tensor = seen.new_zeros(*posts.regions.shape, seen.shape[-1])
        rows[posts.regions] = seen
        return rows

    def queries(self) -> Float[Tensor, "queries width"]:
        """Entity grain plus type grain; the first queries are of the first type, and so on."""
        entity = self.written if self.entity_queries is None else self.entity_queries
        if not self.config.queries.typed:
            return entity
        return entity + self.prompts.repeat_interleave(len(entity) // len(TYPES), 0)

    def outputs(
        self,
        queries: Float[Tensor, "batch queries width"],
        words: Float[Tensor, "batch words width"],
        regions: Float[Tensor, "batch regions width"],
        posts: Posts,
    ) -> Outputs:
        """What the heads say. A typed query's only number says whether its type is there, against 0 for no entity."""
        start, end = self.boundary(queries, words, posts.words)
        [region] = self.region(queries, regions, posts.regions)
        gathered = (start.to(words) @ words, end.to(words) @ words, region.to(regions) @ regions)
        features = torch.cat([self.query(queries), *gathered], -1).relu()
        logits = self.types(self.dropout(features)).float()
        if self.config.queries.typed:
            count = logits.shape[1]
            classes = logits.new_full((*logits.shape[:2], 1 + len(TYPES)), IMPOSSIBLE)
            classes[..., NONE] = 0.0
            own = types_of_queries(count).to(logits.device).expand(len(logits), -1)[..., None]
            logits = classes.scatter(-1, own, logits)
        return Outputs(logits, start, end, region)


class FusionLayer(nn.Module):
    """One layer of the query-guided fusion net: the queries go between text and regions, which never meet.

    The paper's appendix on the prefix is not at hand. Ours: a linear map of the queries stands before the regions in
    the keys and values of a layer in which the regions attend; so each region learns what is asked for.
    """

    def __init__(self, config: Fusion, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.config = config
        self.text = Block(width, heads, inner, dropout) if config.text else None
        self.prefix = nn.Linear(width, width) if config.prefix else None
        self.regions = Block(width, heads, inner, dropout)
        if config.aggregator:
            self.share = nn.Parameter(torch.zeros(()))
            self.own = nn.Linear(width, width, bias=False)
            self.out = nn.Linear(width, width)
            self.norm = nn.LayerNorm(width) if config.residual else None

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        text: Float[Tensor, "batch pieces width"],
        read: Bool[Tensor, "batch pieces"],
        regions: Float[Tensor, "batch regions width"],
        seen: Bool[Tensor, "batch regions"],
    ) -> tuple[Float[Tensor, "batch queries width"], Float[Tensor, "batch regions width"]]:
        """New states of queries and regions."""
        if self.text is not None:
            queries = self.text(queries, text, read)
        source, present = regions, seen
        if self.prefix is not None:
            source = torch.cat([self.prefix(queries), regions], 1)
            present = torch.cat([seen.new_ones(queries.shape[:2]), seen], 1)
        regions = self.regions(regions, source, present)
        if self.config.aggregator:
            share = self.share.sigmoid()  # lambda_T; lambda_V is the rest
            gathered = share * self._similar(queries, text, read) + (1 - share) * self._similar(queries, regions, seen)
            fused = self.out((self.own(queries) + gathered).tanh())
            queries = fused if self.norm is None else self.norm(queries + fused)
        return queries, regions

    def _similar(self, queries: Tensor, rows: Tensor, present: Tensor) -> Float[Tensor, "batch queries width"]:
        """The mean of the rows that are present, weighted by their similarity to each query."""
        scale = 1 / math.sqrt(queries.shape[-1]) if self.config.scaled else 1.0
        similarity = (queries @ rows.transpose(1, 2)).float() * scale
        return similarity.masked_fill(~present[:, None], -torch.inf).softmax(-1).to(rows) @ rows


def types_of_queries(count: int) -> Int64[Tensor, " queries"]:
    """The class of each typed query."""
    return 1 + torch.arange(len(TYPES)).repeat_interleave(count // len(TYPES))
