"""OFA: an encoder that reads patches and text together, and a decoder that writes answers and places as tokens.

specs/ofa.md, sections 4 to 6. Nothing of a bias depends on what is read but its size, so that a batch shares it.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.models.ofa.config import PAD, OFAConfig
from gmner.models.ofa.layers import (
    DecoderLayer,
    EncoderLayer,
    drop_path_rates,
    query_scale,
)
from gmner.models.ofa.positions import image_buckets, patch_ids, token_buckets
from gmner.models.ofa.trunk import Trunk
from gmner.nn.attention import KeysValues, split_heads


class Encoded(NamedTuple):
    """What the encoder gives; patches come first, then text."""

    states: Float[Tensor, "batch positions width"]
    absent: Bool[Tensor, "batch positions"]
    """Padding, of text and of pictures."""
    positions: Float[Tensor, "positions width"]
    """The normed position vectors, which the decoder reads."""


class Memory(NamedTuple):
    """What the decoder needs of the encoder's output, computed once however many tokens and rows are decoded."""

    layers: tuple[KeysValues, ...]
    position_keys: Float[Tensor, "heads positions depth"]
    absent: Bool[Tensor, "batch positions"] | None
    """None where nothing is absent."""


Past = tuple[KeysValues, ...]
"""Keys and values of the tokens decoded so far, layer by layer; `samples * rows` in their first dimension."""


def choose_rows(past: Past, chosen: Int64[Tensor, "samples rows"]) -> Past:
    """The past of the rows that go on: `chosen` counts the rows of each sample."""
    before = len(past[0].keys) // len(chosen)
    index = (chosen + before * torch.arange(len(chosen), device=chosen.device)[:, None]).flatten()
    return tuple(KeysValues(layer.keys[index], layer.values[index]) for layer in past)


class Encoder(nn.Module):
    """The trunk, the embeddings of patches and tokens, and the layers above them."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.trunk = Trunk(config.trunk_blocks, config.trunk_channels, config.trunk_width)
        self.image_projection = nn.Linear(self.trunk.out_channels, width)
        self.types = nn.Embedding(2, width)
        self.token_norm = nn.LayerNorm(width)
        self.patch_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = nn.Embedding(config.positions + 2, width)
        self.image_positions = nn.Embedding(config.image_buckets**2 + 1, width)
        self.position_norm = nn.LayerNorm(width)
        self.image_position_norm = nn.LayerNorm(width)
        self.position_queries = nn.Linear(width, width)
        self.position_keys = nn.Linear(width, width)
        self.token_tables = _tables(config.encoder_layers, 2 * config.token_buckets - 1, config.heads)
        self.image_tables = _tables(config.encoder_layers, (2 * config.image_buckets - 1) ** 2 + 3, config.heads)
        self.layers = nn.ModuleList(
            EncoderLayer(config, rate) for rate in drop_path_rates(config, config.encoder_layers)
        )
        self.norm = nn.LayerNorm(width)

    def embed(self, grid: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch patches width"]:
        """The trunk's patches, line by line, before they know where they are."""
        patches: Tensor = self.image_projection(grid.flatten(2).transpose(1, 2)) + self.types.weight[1]
        return patches

    def forward(
        self,
        tokens: Int64[Tensor, "batch text"],
        embedded: Float[Tensor, "batch text width"],
        grid: Float[Tensor, "batch channels rows columns"] | None,
        shown: Bool[Tensor, " batch"] | None = None,
    ) -> Encoded:
        """`embedded` are the tokens' vectors, `grid` the trunk's patches; rows that are not `shown` have none."""
        config, device = self.config, tokens.device
        text_rows = self.positions.weight[: tokens.shape[1]]
        states = embedded + self.types.weight[0]
        if config.encoder_entangled:
            states = states + text_rows
        states, absent = self.dropout(self.token_norm(states)), tokens == PAD
        positions = self.position_norm(text_rows)
        buckets = None
        if grid is not None:
            rows, columns = grid.shape[2:]
            ids = patch_ids(rows, columns, config.image_buckets).to(device)
            image_rows = self.image_positions(ids)
            patches = self.embed(grid)
            if config.encoder_entangled:
                patches = patches + image_rows
            states = torch.cat([self.dropout(self.patch_norm(patches)), states], 1)
            positions = torch.cat([self.image_position_norm(image_rows), positions])
            hidden = torch.zeros(len(tokens), 1, dtype=torch.bool, device=device) if shown is None else ~shown[:, None]
            absent = torch.cat([hidden.expand(-1, len(ids)), absent], 1)
            buckets = image_buckets(ids, config.image_buckets)
        states = states.masked_fill(absent[..., None], 0.0)

        queries = split_heads(self.position_queries(positions) * query_scale(config), config.heads)
        shared = queries @ split_heads(self.position_keys(positions), config.heads).transpose(-1, -2)
        padded = absent[:, None, None] if bool(absent.any()) else None
        between = token_buckets(config.token_buckets)[: tokens.shape[1], : tokens.shape[1]].to(device)
        first = len(positions) - tokens.shape[1]
        # A bias is 55 MB in the large model: one place for all layers, unless each is kept for its gradient.
        place = None if torch.is_grad_enabled() else torch.empty_like(shared)
        for layer, token_table, image_table in zip(self.layers, self.token_tables, self.image_tables, strict=True):
            bias = shared.clone() if place is None else place.copy_(shared)
            bias[:, first:, first:] += _biases(token_table, between)
            if buckets is not None:
                for head, row in enumerate(_rows(image_table)):  # one at a time: all would take long to move
                    bias[head, :first, :first] += row[buckets]
            states = layer(states, bias[None] if padded is None else bias.masked_fill(padded, -torch.inf))
        return Encoded(self.norm(states), absent, positions)


class ImageCode(nn.Module):
    """Weights that only image generation reads: kept so that published checkpoints pass through whole, never run."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.positions = nn.Embedding(config.image_buckets**2 + 1, config.width)
        self.position_norm = nn.LayerNorm(config.width)
        self.norm = nn.LayerNorm(config.width)
        self.tables = _tables(config.decoder_layers, (2 * config.image_buckets - 1) ** 2 + 3, config.heads)
        self.requires_grad_(False)


class Decoder(nn.Module):
    """Layers that read what was written before and the encoder's output."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.token_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.positions = nn.Embedding(config.positions + 2, width)
        self.position_norm = nn.LayerNorm(width)
        self.position_queries = nn.Linear(width, width)
        self.position_keys = nn.Linear(width, width)
        self.cross_position_queries = nn.Linear(width, width)
        self.cross_position_keys = nn.Linear(width, width)
        self.token_tables = _tables(config.decoder_layers, 2 * config.token_buckets - 1, config.heads)
        self.layers = nn.ModuleList(
            DecoderLayer(config, rate) for rate in drop_path_rates(config, config.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.image_code = ImageCode(config)

    def memory(self, encoded: Encoded) -> Memory:
        """Keys and values of the encoder's output for every layer."""
        return Memory(
            tuple(cast(DecoderLayer, layer).cross.read(encoded.states) for layer in self.layers),
            split_heads(self.cross_position_keys(encoded.positions), self.config.heads),
            encoded.absent if bool(encoded.absent.any()) else None,
        )

    def forward(
        self,
        tokens: Int64[Tensor, "samples rows time"],
        embedded: Float[Tensor, "samples rows time width"],
        memory: Memory,
        past: Past | None = None,
    ) -> tuple[Float[Tensor, "samples rows time width"], Past]:
        """The states after the tokens, and the past for the next call.

        With `past` the tokens go on where it ends; it holds no padding then.
        """
        config = self.config
        samples, rows, time = tokens.shape
        start = 0 if past is None else past[0].keys.shape[2]
        position_rows = self.positions.weight[: start + time]
        if config.decoder_entangled:
            embedded = embedded + position_rows[start:]
        states = self.dropout(self.token_norm(embedded)).flatten(0, 1)

        positions = self.position_norm(position_rows)
        scale = query_scale(config)
        queries = split_heads(self.position_queries(positions[start:]) * scale, config.heads)
        shared = queries @ split_heads(self.position_keys(positions), config.heads).transpose(-1, -2)
        later = torch.ones(time, start + time, dtype=torch.bool, device=tokens.device).triu(start + 1)
        if past is None and bool((tokens == PAD).any()):
            later = later | (tokens.flatten(0, 1) == PAD)[:, None, None]
        shared = shared.masked_fill(later, -torch.inf)
        between = token_buckets(config.token_buckets)[start : start + time, : start + time].to(tokens.device)

        queries = split_heads(self.cross_position_queries(positions[start:]) * scale, config.heads)
        cross = (queries @ memory.position_keys.transpose(-1, -2))[None]
        if memory.absent is not None:
            cross = cross.masked_fill(memory.absent[:, None, None], -torch.inf)
        cross = cross.repeat(1, 1, rows, 1)

        present = []
        for number, (layer, table) in enumerate(zip(self.layers, self.token_tables, strict=True)):
            bias = shared + _biases(table, between)
            bias = bias if bias.ndim == 4 else bias[None]
            before = None if past is None else past[number]
            states, kept = layer(states, before, bias, memory.layers[number], cross)
            present.append(kept)
        return self.norm(states).unflatten(0, (samples, rows)), tuple(present)


class OFA(nn.Module):
    """The encoder, the decoder, and the tokens that both share with the output."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.apply(partial(_initialise, std=config.initial_std))
        with torch.no_grad():
            self.tokens.weight[PAD].zero_()
            if config.encoder_entangled:  # patches have a deviation of 1 and more, beside which a place must be seen
                self.encoder.image_positions.weight.normal_()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' precision."""
        return self.tokens.weight.dtype

    def look(self, pixels: Float[Tensor, "pictures 3 height width"]) -> Float[Tensor, "pictures channels rows columns"]:
        """The trunk's patches: all that depends on a picture alone."""
        grid: Tensor = self.encoder.trunk(pixels)
        return grid

    def encode(
        self,
        tokens: Int64[Tensor, "batch text"],
        grid: Float[Tensor, "batch channels rows columns"] | None,
        shown: Bool[Tensor, " batch"] | None = None,
    ) -> Encoded:
        """Read texts (padded on the right), each beside the patches of its picture."""
        encoded: Encoded = self.encoder(tokens, self.tokens(tokens), grid, shown)
        return encoded

    def decode(
        self, tokens: Int64[Tensor, "samples rows time"], memory: Memory, past: Past | None = None
    ) -> tuple[Float[Tensor, "samples rows time width"], Past]:
        """The states after each token, see `Decoder.forward`; `memory` is `decoder.memory(encoded)`."""
        decoded: tuple[Tensor, Past] = self.decoder(tokens, self.tokens(tokens), memory, past)
        return decoded

    def logits(
        self, states: Float[Tensor, "*batch width"], tokens: Sequence[int] | None = None
    ) -> Float[Tensor, "*batch vocabulary"]:
        """The score of every token as the next one; of the others -inf, if some `tokens` are given.

        Of those others no weight is read: they are an eighth of OFA-large, and stay in its file.
        """
        if tokens is None:
            return states @ self.tokens.weight.T
        scores = states.new_full((*states.shape[:-1], self.config.vocabulary), -torch.inf)
        scores[..., list(tokens)] = states @ self.tokens.weight[list(tokens)].T
        return scores

    def forward(
        self,
        tokens: Int64[Tensor, "batch text"],
        grid: Float[Tensor, "batch channels rows columns"] | None,
        written: Int64[Tensor, "batch time"],
        shown: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """The scores of every token after each of those that were `written`, all at once."""
        memory = self.decoder.memory(self.encode(tokens, grid, shown))
        return self.logits(self.decode(written[:, None], memory)[0][:, 0])


def _tables(layers: int, buckets: int, heads: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Embedding(buckets, heads) for _ in range(layers))


def _biases(table: nn.Module, buckets: Int64[Tensor, "queries keys"]) -> Float[Tensor, "heads queries keys"]:
    """The bias of each pair in each head, from a table of `buckets` x heads."""
    return _rows(table)[:, buckets]


def _rows(table: nn.Module) -> Float[Tensor, "heads buckets"]:
    """A table of biases, each head's together."""
    weight: Tensor = table.weight  # type: ignore[assignment]
    return weight.T.contiguous()


def _initialise(module: nn.Module, std: float) -> None:
    """Fresh weights as published (specs/ofa.md, section 11); tables of biases are drawn as well."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
