"""H-Index: BART reads regions and sub-words, and generates positions of words, labels, and a region at every step.

Sections are those of specs/hindex.md. The layers are BART's: norms behind each sub-layer, learned positions.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.h_index.config import END, POINTERS, SEEN, HIndexConfig
from gmner.nn import mimetic
from gmner.nn.attention import Block, DecoderBlock, KeysValues, MultiHeadAttention
from gmner.nn.region_encoder import RegionEncoder
from gmner.nn.regions import PLACE

EPS: Final = 1e-5
POSITION_OFFSET: Final = 2
"""BART's table of positions begins with two rows that nothing reads."""

NEVER: Final = -1e24
"""The score of the token `START`."""
HIDDEN: Final = -1e32
"""The score of what can not be pointed at; unlike infinity, it gives no NaN where its share of a target is 0."""


class Source(NamedTuple):
    """A batch of posts as tensors, padded on the right."""

    pieces: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]
    """False where padded."""
    pointable: Bool[Tensor, "batch pieces"]
    """The sub-words of the sentence: neither special ones nor those of the context."""
    first: Bool[Tensor, "batch pieces"]
    """The first sub-word of each word of the sentence."""
    regions: Float[Tensor, "batch regions feature"] | UInt8[Tensor, "batch regions crop crop 3"]
    """Features, or pixels; zeros where absent."""
    places: Float[Tensor, "batch regions 5"]
    present: Bool[Tensor, "batch regions"]


class Targets(NamedTuple):
    """What is to be generated for a batch."""

    tokens: Int64[Tensor, "batch steps"]
    """Each row from `START` to `END`, filled up with `END`."""
    shares: Float[Tensor, "seen regions"]
    """For each token `SEEN`, row by row, how much of the region's distribution lies on each region; rows sum to 1."""


class Encoded(NamedTuple):
    """A batch as the decoder and the scores read it."""

    projected: Float[Tensor, "batch regions width"]
    """Regions before the encoder."""
    inputs: Float[Tensor, "batch regions+pieces width"]
    states: Float[Tensor, "batch regions+pieces width"]
    """Regions first."""
    visible: Bool[Tensor, "batch regions+pieces"]
    memories: tuple[KeysValues, ...]
    """What each layer of the decoder reads of `states`."""
    pointers: Float[Tensor, "batch pieces width"]
    """A state of the decoder times one of these is the score of pointing at the sub-word."""
    marks: Float[Tensor, "batch regions width"]
    """The same for regions."""


class Scores(NamedTuple):
    """Unnormalised scores of every step."""

    tokens: Float[Tensor, "batch steps 8+pieces"]
    regions: Float[Tensor, "batch steps regions"]


class Losses(NamedTuple):
    """Mean cross-entropy of the tokens, loss of the regions, and what is trained: their weighted sum."""

    tokens: Float[Tensor, ""]
    regions: Float[Tensor, ""]
    total: Float[Tensor, ""]


class HIndex(nn.Module):
    """The network: `encode` a batch once, then `decode` and `score` all steps at once or one by one."""

    def __init__(self, config: HIndexConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.width, config.heads, config.inner_width, config.dropout, EPS)
        rows = config.positions + POSITION_OFFSET
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.encoder_positions = nn.Embedding(rows, config.width)
        self.encoder_norm = nn.LayerNorm(config.width, EPS)
        self.encoder = nn.ModuleList(Block(*sizes) for _ in range(config.encoder_layers))
        self.decoder_positions = nn.Embedding(rows, config.width)
        self.decoder_norm = nn.LayerNorm(config.width, EPS)
        self.decoder = nn.ModuleList(DecoderBlock(*sizes) for _ in range(config.decoder_layers))
        self.regions = RegionEncoder(config.region_width, config.crop, config.width)
        self.places = nn.Linear(PLACE, config.width) if config.places else None
        self.region_norm = nn.LayerNorm(config.width, EPS) if config.places else None
        self.pointer_inner = nn.Linear(config.width, config.width)
        self.pointer_outer = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.head_dropout = nn.Dropout(config.head_dropout)
        for table in (self.embedding, self.encoder_positions, self.decoder_positions):
            nn.init.normal_(table.weight, std=config.width**-0.5)  # so that new scores are about 1 apart

    def begin(self) -> None:
        """Let all attention of new weights that nothing takes the place of begin as in `nn.mimetic`.

        So a token of the decoder finds the sub-word that it points at, and a label the sub-words before it.
        """
        for places in (self.encoder_positions, self.decoder_positions):
            places.weight.data.copy_(mimetic.waves(places.num_embeddings, self.config.width, self.config.width**-0.5))
        for part in self.modules():
            if isinstance(part, MultiHeadAttention):
                mimetic.look_for_the_same(part.query, part.key, self.config.heads)
                mimetic.copy_what_is_found(part.value, part.out)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def forward(self, source: Source, tokens: Int64[Tensor, "batch steps"]) -> Scores:
        """The scores of what follows each of `tokens`, given those before it (teacher forcing)."""
        return self.answer(source, tokens, self.encode(source))

    def answer(self, source: Source, tokens: Int64[Tensor, "batch steps"], encoded: Encoded) -> Scores:
        """`forward` for a batch that `encode` has read."""
        return self.score(self.decode(tokens, source, encoded), source, encoded)

    def look(self, source: Source) -> Float[Tensor, "batch regions width"]:
        """What is seen of regions, and where they are."""
        projected: Tensor = self.regions(source.regions, source.present)
        if self.places is not None and self.region_norm is not None:
            projected = self.region_norm(projected + self.places(source.places))
        return projected

    def encode(self, source: Source, looks: Float[Tensor, "batch regions width"] | None = None) -> Encoded:
        """Read regions and text (section 3, "Encoder"); `looks` is what `look` says, if that is known."""
        projected = self.look(source) if looks is None else looks
        positions = torch.arange(source.pieces.shape[1], device=self.device)
        embedded = self.embedding(source.pieces)
        text = self.encoder_norm(embedded + self.encoder_positions(positions + POSITION_OFFSET))
        inputs = self.dropout(torch.cat([projected, text], 1))

        regions_read = ~source.present if self.config.released else source.present
        read = torch.cat([regions_read, source.attention], 1)
        states = inputs
        for block in self.encoder:
            states = block(states, states, read)

        of_regions, of_text = states.split([projected.shape[1], text.shape[1]], 1)
        return Encoded(
            projected,
            inputs,
            states,
            torch.cat([source.present, source.attention], 1),
            tuple(block.cross.project(states) for block in cast("Iterable[DecoderBlock]", self.decoder)),
            pointers=(self._pointer(of_text) + self.head_dropout(embedded)) / 2,
            marks=(self._pointer(of_regions) + self.head_dropout(projected)) / 2,
        )

    def decode(
        self, tokens: Int64[Tensor, "batch steps"], source: Source, encoded: Encoded
    ) -> Float[Tensor, "batch steps width"]:
        """The last layer of the decoder at every one of `tokens`, which follow the sequence's beginning."""
        ended = (tokens == END).cumsum(1) - (tokens == END).long() > 0
        pieces = self.input_pieces(tokens, source).masked_fill(ended, self.config.pad_piece)
        steps = tokens.shape[1]
        causal = torch.ones(steps, steps, dtype=torch.bool, device=self.device).tril()
        hidden, _ = self._decode(pieces, encoded, causal & ~ended[:, None, None])
        return hidden

    def step(
        self, tokens: Int64[Tensor, " batch"], source: Source, encoded: Encoded, past: tuple[KeysValues, ...] = ()
    ) -> tuple[Float[Tensor, "batch 1 width"], tuple[KeysValues, ...]]:
        """The last layer of the decoder at one more token, and the memories of all so far (`past` of the next step)."""
        return self._decode(self.input_pieces(tokens[:, None], source), encoded, None, past)

    def _decode(
        self,
        pieces: Int64[Tensor, "batch steps"],
        encoded: Encoded,
        visible: Bool[Tensor, "batch 1 steps steps"] | None,
        past: tuple[KeysValues, ...] = (),
    ) -> tuple[Float[Tensor, "batch steps width"], tuple[KeysValues, ...]]:
        done = past[0].keys.shape[2] if past else 0
        positions = torch.arange(done, done + pieces.shape[1], device=self.device)
        embedded = self.embedding(pieces) + self.decoder_positions(positions + POSITION_OFFSET)
        hidden = self.dropout(self.decoder_norm(embedded))
        memories = []
        for number, (block, source) in enumerate(zip(self.decoder, encoded.memories, strict=True)):
            hidden, memory = block(hidden, visible, source, encoded.visible, past[number] if past else None)
            memories.append(memory)
        return hidden, tuple(memories)

    def score(self, hidden: Float[Tensor, "batch steps width"], source: Source, encoded: Encoded) -> Scores:
        """The scores of every token and region at every step (section 3, "Output scores")."""
        hidden = self.head_dropout(hidden)
        labels = self.head_dropout(self.embedding(self._label_pieces()[END:]))
        pointed = (hidden @ encoded.pointers.transpose(1, 2)).masked_fill(~source.pointable[:, None], HIDDEN)
        start = hidden.new_full((*hidden.shape[:2], 1), NEVER)
        regions = hidden @ encoded.marks.transpose(1, 2)
        if not self.config.released:
            regions = regions.masked_fill(~source.present[:, None], HIDDEN)
        tokens = torch.cat([start, hidden @ labels.T, pointed], -1)
        if self.config.joint:
            regions = regions / math.sqrt(self.config.width)
            tokens = tokens.float()
            tokens[..., SEEN] += regions.float().logsumexp(-1)
        return Scores(tokens, regions)

    def losses(self, source: Source, targets: Targets, encoded: Encoded | None = None) -> Losses:
        """The losses of a batch (section 4); the region of an entity is learned at the step that reads `SEEN`, or, if
        they are `joint`, at that which generates it.

        `encoded` is what `encode` makes of `source`, if it is at hand.
        """
        given, expected = targets.tokens[:, :-1], targets.tokens[:, 1:]
        scores = self.answer(source, given, self.encode(source) if encoded is None else encoded)
        scored = (given == END).cumsum(1) == 0
        tokens = F.cross_entropy(scores.tokens[scored].float(), expected[scored])
        rows = (expected if self.config.joint else given) == SEEN
        present = source.present[:, None].expand_as(scores.regions)
        regions = self.region_loss(scores.regions[rows].float(), targets.shares, present[rows])
        return Losses(tokens, regions, tokens + self.config.region_weight * regions)

    def region_loss(
        self,
        scores: Float[Tensor, "seen regions"],
        shares: Float[Tensor, "seen regions"],
        present: Bool[Tensor, "seen regions"],
    ) -> Float[Tensor, ""]:
        """How far the scores of seen entities are from their shares; 0 without any.

        The divergence is a mean over entities; the cross-entropy also over regions: those that are present, or, in
        the `released` setting, all.
        """
        if self.config.region_loss == "kl":
            divergence = torch.xlogy(shares, shares) - shares * scores.log_softmax(-1)
            return divergence.sum() / max(len(scores), 1)
        crossed = F.binary_cross_entropy_with_logits(scores, (shares > 0).to(scores), reduction="none")
        counted = present | self.config.released
        return crossed.where(counted, 0.0).sum() / counted.sum().clamp(min=1)

    def input_pieces(self, tokens: Int64[Tensor, "batch steps"], source: Source) -> Int64[Tensor, "batch steps"]:
        """The sub-word that the decoder reads for each token (section 1)."""
        pointed = source.pieces.gather(1, (tokens - POINTERS).clamp(min=0))
        return torch.where(tokens < POINTERS, self._label_pieces()[tokens.clamp(max=POINTERS - 1)], pointed)

    def _label_pieces(self) -> Int64[Tensor, "8"]:
        """The sub-words of the tokens below `POINTERS`."""
        config = self.config
        labels = range(config.first_label, config.first_label + POINTERS - SEEN)
        return torch.tensor([config.start_piece, config.end_piece, *labels], device=self.device)

    def _pointer(self, states: Float[Tensor, "batch rows width"]) -> Float[Tensor, "batch rows width"]:
        out: Tensor = self.pointer_outer(F.relu(self.head_dropout(self.pointer_inner(states))))
        return out


def sums_above_zero(regions: Float[Tensor, "batch regions feature"]) -> Bool[Tensor, "batch regions"]:
    """What the released code takes for a region that is present: one whose features sum to more than 0."""
    return regions.sum(-1) > 0
