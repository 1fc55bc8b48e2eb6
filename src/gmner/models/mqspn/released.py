"""The network that the authors' code computes (specs/mqspn.md, sections 2 to 4).

Queries run through the layers of BERT beside the words. From the layer `FIRST_FUSED` on, words and pictures read each
other; nothing there looks at a query, although the paper has the queries guide the fusion. As nothing attends to a
query unless the settings open it, keys and values of queries are computed only then. Parameters of the original that
never receive a gradient (73 of 364 million at the published size) are not made; `weights.py` names them.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.mqspn.batch import Posts
from gmner.models.mqspn.heads import HEAD_DROPOUT, Pointer, pool_words
from gmner.models.mqspn.outputs import TYPES, Outputs
from gmner.nn.attention import KeysValues, merge_heads, split_heads

FIRST_FUSED: Final = 8
"""The first layer (from 0) of the backbone in which words and pictures read each other."""

CELLS: Final = 4
"""Patches of a crop a side."""


@dataclass(frozen=True)
class Sight:
    """What attends to queries. The released settings leave all closed: not even a query sees itself."""

    words_see_queries: bool = False
    queries_see_others: bool = False
    queries_see_themselves: bool = False

    @property
    def of_queries(self) -> bool:
        """Whether anything attends to a query."""
        return self.words_see_queries or self.queries_see_others or self.queries_see_themselves


@dataclass(frozen=True)
class ReleasedConfig:
    """Sizes and options of the released network; the defaults are the published ones (BERT-base, CLIP ViT-B/32).

    Args:
        vocabulary: sub-words; positions: most sub-words of a text.
        width: of all states; heads: of all attention.
        inner: inner width of text layers; vision_inner: of vision layers.
        layers: of the backbone; with fewer than 9, words and pictures never meet there.
        decoder_layers: after sub-words became words; each has its outputs.
        queries: entities that can be found at most.
        regions: crops, the blank one for "can not be seen" included.
        patch: side of a patch in pixels; a crop is four patches wide.
        dropout: of the text parts.
        query_attention: queries also attend to each other after each decoder layer.
        backbone_sight, decoder_sight: what attends to queries.
        pretrained: begin with BERT and CLIP; otherwise all weights are random.
    """

    vocabulary: int = 28996
    positions: int = 512
    width: int = 768
    heads: int = 12
    inner: int = 3072
    vision_inner: int = 3072
    layers: int = 12
    decoder_layers: int = 5
    queries: int = 60
    regions: int = 10
    patch: int = 32
    dropout: float = 0.1
    query_attention: bool = False
    backbone_sight: Sight = Sight()
    decoder_sight: Sight = Sight()
    pretrained: bool = True

    @property
    def crop(self) -> int:
        """Pixels of a crop a side."""
        return CELLS * self.patch


class Streams(NamedTuple):
    """What runs through the layers: sub-words or words, queries, and the picture's patches behind their class row."""

    text: Float[Tensor, "batch text width"]
    queries: Float[Tensor, "batch queries width"]
    picture: Float[Tensor, "batch patches width"]


class States(NamedTuple):
    """All that the network computes before its heads."""

    embedded: Streams
    position: Float[Tensor, "batch queries width"]
    backbone: tuple[Streams, ...]
    """After each layer."""
    words: Float[Tensor, "batch words width"]
    decoder_position: Float[Tensor, "batch queries width"]
    decoder: tuple[Streams, ...]
    """After each layer; `text` are words."""


class TextLayer(nn.Module):
    """A layer of BERT on words and queries together (section 2.3)."""

    def __init__(self, config: ReleasedConfig, *, fused: bool) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, 1e-12)
        self.inner = nn.Linear(width, config.inner)
        self.fusion = nn.Linear(width, config.inner) if fused else None
        self.outer = nn.Linear(config.inner, width)
        self.outer_norm = nn.LayerNorm(width, 1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        text: Float[Tensor, "batch text width"],
        queries: Float[Tensor, "batch queries width"],
        position: Float[Tensor, "batch queries width"],
        visible: Bool[Tensor, "batch 1 rows keys"],
        picture: Float[Tensor, "batch patches width"] | None = None,
    ) -> tuple[Float[Tensor, "batch text width"], Float[Tensor, "batch queries width"], KeysValues]:
        """New states of words and queries, and the keys and values of the words.

        The query position is averaged into what queries ask and how they are found, not into what they say. The words
        of a layer that fuses also read `picture`, by plain similarity: no scale, no mask (as released).
        """
        rows = torch.cat([text, queries], 1)
        placed = torch.cat([text, (queries + position) / 2], 1)
        length, keys_length = text.shape[1], visible.shape[-1]  # shorter than the rows where nothing sees a query
        query = split_heads(self.query(placed), self.heads)
        key = split_heads(self.key(placed[:, :keys_length]), self.heads)
        value = split_heads(self.value(rows[:, :keys_length]), self.heads)
        dropout = self.dropout.p if self.training else 0.0
        read = merge_heads(F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout))
        attended = self.attention_norm(rows + self.dropout(self.out(read)))
        inner = self.inner(attended)
        if self.fusion is not None and picture is not None:
            similar = (read[:, :length] @ picture.transpose(1, 2)).softmax(-1) @ picture
            # Added as another term, not in place: queries have none.
            inner = inner + F.pad(self.fusion(similar), (0, 0, 0, queries.shape[1]))
        states = self.outer_norm(attended + self.dropout(self.outer(F.gelu(inner))))
        prefix = KeysValues(key[:, :, :length], value[:, :, :length])
        return states[:, :length], states[:, length:], prefix


class VisionLayer(nn.Module):
    """A layer of CLIP's vision encoder; keys and values of text may stand before its own (section 2.4).

    Padded text and empty crops are attended to, as released, so that results depend on the padding of the batch.
    """

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width, 1e-5)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width, 1e-5)
        self.inner = nn.Linear(width, config.vision_inner)
        self.outer = nn.Linear(config.vision_inner, width)

    def forward(
        self, picture: Float[Tensor, "batch patches width"], prefix: KeysValues | None
    ) -> Float[Tensor, "batch patches width"]:
        rows = self.attention_norm(picture)
        query, key, value = (split_heads(part(rows), self.heads) for part in (self.query, self.key, self.value))
        if prefix is not None:
            key, value = prefix.then(KeysValues(key, value))
        picture = picture + self.out(merge_heads(F.scaled_dot_product_attention(query, key, value)))
        inner = self.inner(self.inner_norm(picture))
        out: Tensor = picture + self.outer(inner * (1.702 * inner).sigmoid())
        return out


class QueryTable(nn.Module):
    """Learned rows, normalised, the same for all posts."""

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.rows = nn.Embedding(config.queries, config.width)
        self.norm = nn.LayerNorm(config.width, 1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: int) -> Float[Tensor, "batch queries width"]:
        rows: Tensor = self.dropout(self.norm(self.rows.weight).expand(batch, -1, -1))
        return rows


class TextEmbedding(nn.Module):
    """BERT's embeddings."""

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.pieces = nn.Embedding(config.vocabulary, config.width, padding_idx=0)
        self.segments = nn.Embedding(2, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.norm = nn.LayerNorm(config.width, 1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, pieces: Int64[Tensor, "batch pieces"], segments: Int64[Tensor, "batch pieces"]
    ) -> Float[Tensor, "batch pieces width"]:
        summed = self.pieces(pieces) + self.segments(segments) + self.positions.weight[: pieces.shape[1]]
        out: Tensor = self.dropout(self.norm(summed))
        return out


class PatchEmbedding(nn.Module):
    """CLIP's patch embedding; all crops of a post are one sequence behind one class row, which has no position."""

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.class_row = nn.Parameter(nn.init.normal_(torch.empty(config.width), std=0.02))
        self.patches = nn.Conv2d(3, config.width, config.patch, config.patch, bias=False)
        self.positions = nn.Embedding(config.regions * CELLS * CELLS, config.width)
        self.norm = nn.LayerNorm(config.width, 1e-5)

    def forward(self, crops: Float[Tensor, "batch regions 3 side side"]) -> Float[Tensor, "batch patches width"]:
        """The class row, then crop after crop the patches row by row."""
        batch = crops.shape[0]
        patches = self.patches(crops.flatten(0, 1)).flatten(2).transpose(1, 2).reshape(batch, -1, len(self.class_row))
        rows = torch.cat([self.class_row.expand(batch, 1, -1), patches + self.positions.weight], 1)
        out: Tensor = self.norm(rows)
        return out


class QueryAttention(nn.Module):
    """Queries attend to each other; here the query position is added, not averaged."""

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        self.norm = nn.LayerNorm(config.width, 1e-5)

    def forward(
        self, queries: Float[Tensor, "batch queries width"], position: Float[Tensor, "batch queries width"]
    ) -> Float[Tensor, "batch queries width"]:
        placed = queries + position
        out: Tensor = self.norm(queries + self.attention(placed, placed, queries, need_weights=False)[0])
        return out


class TypeHead(nn.Module):
    """Logits of no entity and of each type, from a query, what it reads of the words, and where it points (section 4).

    What it reads where it points are sums over words, weighted by probabilities that need not sum to 1.
    """

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        width = config.width
        self.query = nn.Linear(width, width)
        self.attention = nn.MultiheadAttention(width, config.heads, dropout=config.dropout, batch_first=True)
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        self.out = nn.Linear(3 * width, 1 + len(TYPES))

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        words: Float[Tensor, "batch words width"],
        present: Bool[Tensor, "batch words"],
        start: Float[Tensor, "batch queries words"],
        end: Float[Tensor, "batch queries words"],
    ) -> Float[Tensor, "batch queries classes"]:
        query = self.query(queries.relu())
        query = query + self.attention(query, words, words, key_padding_mask=~present, need_weights=False)[0]
        features = torch.cat([query, start.to(words) @ words, end.to(words) @ words], -1)
        logits: Tensor = self.out(self.dropout(features).relu())
        return logits.float()


class ReleasedMQSPN(nn.Module):
    """Backbone, decoder and heads; one `Outputs` for every decoder layer.

    New weights have PyTorch's initial values, the tables of queries N(0, 0.02) as the paper says; the spec leaves those
    of the backbone's new parts and of the heads open.
    """

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.config = config
        self.text = TextEmbedding(config)
        self.queries = QueryTable(config)
        self.positions = QueryTable(config)
        self.picture = PatchEmbedding(config)
        self.text_layers = nn.ModuleList(TextLayer(config, fused=i >= FIRST_FUSED) for i in range(config.layers))
        self.vision_layers = nn.ModuleList(VisionLayer(config) for _ in range(config.layers))
        self.decoder_positions = QueryTable(config)
        self.decoder_text = nn.ModuleList(TextLayer(config, fused=False) for _ in range(config.decoder_layers))
        self.decoder_vision = nn.ModuleList(VisionLayer(config) for _ in range(config.decoder_layers))
        rounds = config.decoder_layers if config.query_attention else 0
        self.decoder_queries = nn.ModuleList(QueryAttention(config) for _ in range(rounds))
        self.start = Pointer(config.width)
        self.end = Pointer(config.width)
        region = nn.Linear(CELLS * CELLS * config.width, config.width)
        self.region = Pointer(config.width, nn.Sequential(region, nn.Dropout(HEAD_DROPOUT), nn.ReLU()))
        self.types = TypeHead(config)
        for table in (self.queries, self.positions, self.decoder_positions):
            nn.init.normal_(table.rows.weight, std=0.02)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.types.out.weight.device

    def forward(self, posts: Posts) -> list[Outputs]:
        """What each decoder layer says; in evaluation only the last is asked."""
        decoder = self.states(posts).decoder
        return [self.outputs(layer, posts) for layer in (decoder if self.training else decoder[-1:])]

    def states(self, posts: Posts) -> States:
        """Everything below the heads."""
        batch = len(posts.pieces)
        embedded = Streams(self.text(posts.pieces, posts.segments), self.queries(batch), self.picture(posts.looks))
        position = self.positions(batch)
        backbone = self._backbone(embedded, position, visibility(posts.attention, self.config, decoder=False))
        text, queries, picture = backbone[-1]
        words = pool_words(text, posts.word_of_piece, posts.words.shape[1])
        decoder_position = self.decoder_positions(batch)
        visible = visibility(posts.words, self.config, decoder=True)
        decoder = self._decoder(Streams(words, queries, picture), decoder_position, visible)
        return States(embedded, position, backbone, words, decoder_position, decoder)

    def _backbone(self, streams: Streams, position: Tensor, visible: Tensor) -> tuple[Streams, ...]:
        """Vision first, with the words of the layer before as prefix; then text, which reads that vision (2.5)."""
        after = []
        text, queries, picture = streams
        prefix: KeysValues | None = None
        for index, (read, see) in enumerate(zip(self.text_layers, self.vision_layers, strict=True)):
            fused = index >= FIRST_FUSED
            picture = see(picture, prefix if fused else None)
            text, queries, prefix = read(text, queries, position, visible, picture if fused else None)
            after.append(Streams(text, queries, picture))
        return tuple(after)

    def _decoder(self, streams: Streams, position: Tensor, visible: Tensor) -> tuple[Streams, ...]:
        """Text first; then vision with the words of the same layer as prefix (section 3)."""
        after = []
        words, queries, picture = streams
        for index, (read, see) in enumerate(zip(self.decoder_text, self.decoder_vision, strict=True)):
            words, queries, prefix = read(words, queries, position, visible)
            picture = see(picture, prefix)
            if self.config.query_attention:
                queries = self.decoder_queries[index](queries, position)
            after.append(Streams(words, queries, picture))
        return tuple(after)

    def outputs(self, streams: Streams, posts: Posts) -> Outputs:
        """What the heads say of one decoder layer."""
        words, queries, picture = streams
        [start] = self.start(queries, words, posts.words)
        [end] = self.end(queries, words, posts.words)
        crops = picture[:, 1:].reshape(len(picture), self.config.regions, -1)
        [region] = self.region(queries, crops, posts.regions)
        return Outputs(self.types(queries, words, posts.words, start, end), start, end, region)


def visibility(
    present: Bool[Tensor, "batch text"], config: ReleasedConfig, *, decoder: bool
) -> Bool[Tensor, "batch 1 rows keys"]:
    """Which text (that is `present`) and which queries each row of text and of queries attends to.

    Where nothing attends to a query, the keys are those of the text alone.
    """
    sight = config.decoder_sight if decoder else config.backbone_sight
    (batch, length), queries = present.shape, config.queries
    text = present[:, None, None].expand(batch, 1, length + queries, length)
    if not sight.of_queries:
        return text
    alone = torch.eye(queries, dtype=torch.bool, device=present.device)
    among = (~alone & sight.queries_see_others) | (alone & sight.queries_see_themselves)
    seen = torch.cat([among.new_full((length, queries), sight.words_see_queries), among])
    return torch.cat([text, seen.expand(batch, 1, -1, -1)], -1)
