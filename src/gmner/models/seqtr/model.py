"""SeqTR: a picture and an expression are multiplied, mixed by a transformer, and written down as coordinates."""

import math
from typing import Final, NamedTuple, Self, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gmner.models.seqtr.config import CORNERS, GROUPS, SeqTRConfig
from gmner.models.seqtr.darknet import STRIDE, DarkNet, Fusion
from gmner.models.seqtr.transformer import DecoderLayer, EncoderLayer
from gmner.nn.attention import KeysValues

PAD: Final = 0
"""The word id of filling."""

SMOOTHING: Final = 0.1
FIRST_WEIGHT: Final = 1.5
END_WEIGHT: Final = 0.1
"""Of the loss: see `SeqTR.loss`."""


class Pairs(NamedTuple):
    """Pictures, and expressions that each belong to one of them; `picture` says which."""

    pixels: Float[Tensor, "pictures 3 high wide"]
    """RGB, 0 to 255, padded on the right and below with 0 to sides that 32 divides."""
    sizes: Int64[Tensor, "pictures 2"]
    """Width and height without the padding."""
    words: Int64[Tensor, "pairs words"]
    picture: Int64[Tensor, " pairs"]


class Scene(NamedTuple):
    """What the decoder reads: the cells of a picture as an expression shows them."""

    cells: Float[Tensor, "pairs cells width"]
    positions: Float[Tensor, "pairs cells width"]
    present: Bool[Tensor, "pairs cells"]
    """Cells that lie in the picture, not in its padding."""


class Language(nn.Module):
    """Word vectors, a GRU in both directions, and the largest value over the words (specs/seqtr.md, section 3).

    The GRU also reads the filling up to `max_words`, as published; only the maximum leaves it out. It never reads
    more filling than that, so that the vector does not depend on the other expressions of a batch.
    """

    def __init__(self, words: int, width: int, hidden: int, max_words: int) -> None:
        super().__init__()
        self.max_words = max_words
        self.words = nn.Embedding(words, width)
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)

    def forward(self, words: Int64[Tensor, "pairs words"]) -> Float[Tensor, "pairs 2*hidden"]:
        present = words != PAD
        lengths = present.sum(1).clamp(min=self.max_words)
        vectors = self.words(words)
        if words.shape[1] > self.max_words:
            packed = pack_padded_sequence(vectors, lengths.cpu(), batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=words.shape[1])
        else:
            states, _ = self.gru(vectors)
        return states.masked_fill(~present[..., None], -torch.inf).amax(1)


class SeqTR(nn.Module):
    """Writes tokens for every pair of a picture and an expression; `words` is the size of the vocabulary.

    In training, units of DarkNet without a trainable parameter stay in evaluation mode (`drifting_norms`: not).
    """

    def __init__(self, config: SeqTRConfig, words: int) -> None:
        super().__init__()
        self.config = config
        width, channels = config.width, 32 * config.channels
        sizes = (width, config.heads, config.inner_width, config.dropout)
        self.darknet = DarkNet(config.channels, config.repeats)
        self.fusion = Fusion(config.channels)
        self.language = Language(words, config.word_width, channels // 2, config.max_words)
        self.input = nn.Conv2d(channels, width, 1)
        self.input_norm = nn.GroupNorm(GROUPS, width)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.tokens = nn.Embedding(config.bins + 1, width)
        self.positions = nn.Embedding(config.length, width)
        self.tasks = nn.Embedding(2, width) if config.mode == "both" else None
        self.predictor = nn.ModuleList(
            (nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, config.bins + 1))
        )
        nn.init.kaiming_normal_(self.input.weight, mode="fan_out", nonlinearity="relu")
        for parameter in (*self.encoder.parameters(), *self.decoder.parameters()):
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stub lacks it

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.tokens.weight.device

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if not self.config.drifting_norms:
            for part in self.darknet:
                part.train(mode and any(parameter.requires_grad for parameter in part.parameters()))
        return self

    def see(self, pixels: Float[Tensor, "pictures 3 high wide"]) -> Float[Tensor, "pictures channels rows columns"]:
        """What depends on the pictures alone."""
        laid = pixels.contiguous(memory_format=torch.channels_last)  # as the weights lie: it takes less time
        view: Tensor = self.fusion(self.darknet(laid))
        return view

    def relate(
        self,
        views: Float[Tensor, "pairs channels rows columns"],
        sizes: Int64[Tensor, "pairs 2"],
        words: Int64[Tensor, "pairs words"],
    ) -> Scene:
        """Every expression in its picture, from what `see` gives."""
        fused = views.tanh() * self.language(words).tanh()[:, :, None, None]
        cells = self.narrow(fused).flatten(2).transpose(1, 2)
        present = cells_inside(sizes, *views.shape[2:])
        positions = sine_positions(present, self.config.width).flatten(1, 2)
        present = present.flatten(1)
        for layer in self.encoder:
            cells = layer(cells, positions, present[:, None, None])
        return Scene(cells, positions, present)

    def narrow(self, fused: Float[Tensor, "pairs channels rows columns"]) -> Float[Tensor, "pairs width rows columns"]:
        """The fused map as the encoder takes it."""
        projected: Tensor = self.input_norm(self.input(fused))
        return projected

    def forward(self, pairs: Pairs, targets: Int64[Tensor, "pairs length"]) -> Float[Tensor, "pairs length classes"]:
        """The scores of every token, given the tokens of `targets` before it."""
        return self.recite(self.scene(pairs), targets)

    def scene(self, pairs: Pairs) -> Scene:
        """What the decoder reads of every pair."""
        return self.relate(self.see(pairs.pixels)[pairs.picture], pairs.sizes[pairs.picture], pairs.words)

    def recite(self, scene: Scene, targets: Int64[Tensor, "pairs length"]) -> Float[Tensor, "pairs length classes"]:
        """As `forward`, from the scene."""
        rows = self.tokens(targets).roll(1, dims=1)
        begin = 0
        for task, coordinates in enumerate(self.config.tasks):
            rows[:, begin] = self._start(task)
            begin += coordinates + 1
        return self._continue(rows, scene, self._cells(scene), [None] * len(self.decoder))[0]

    @torch.no_grad()
    def write(self, scene: Scene) -> Int64[Tensor, "pairs length"]:
        """The likeliest token at every step, in the order of `targets`; of equals the smallest.

        A box has no end but after its four coordinates. An outline always has its full length here; what stands
        behind its first end means nothing. Behind a box, it can not end within its first two points (as published).
        """
        end, cells = self.config.end, self._cells(scene)
        past: list[KeysValues | None] = [None] * len(self.decoder)
        written: list[Tensor] = []
        for task, coordinates in enumerate(self.config.tasks):
            boxed = task == 0 and self.config.mode != "masks"
            row = self._start(task).expand(len(scene.cells), 1, -1)
            for step in range(coordinates + 1):
                logits, past = self._continue(row, scene, cells, past, len(written))
                classes = logits[:, 0, :end] if step < CORNERS and (boxed or task > 0) else logits[:, 0]
                token = torch.full_like(written[0], end) if boxed and step == coordinates else classes.argmax(-1)
                written.append(token)
                row = self.tokens(token)[:, None]
        return torch.stack(written, 1)

    def loss(
        self, logits: Float[Tensor, "pairs length classes"], targets: Int64[Tensor, "pairs length"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy with smoothed targets, the mean over tokens as published (specs/seqtr.md, "Losses").

        The target's weight is 0.9 and that of each other class 0.1 / classes, which is not PyTorch's smoothing. The
        first coordinate of a box counts one and a half times; without boxes, an outline's end a tenth.
        """
        likelihoods = logits.log_softmax(-1)
        target = likelihoods.gather(-1, targets[..., None]).squeeze(-1)
        others = (likelihoods.sum(-1) - target) / likelihoods.shape[-1]
        weights = torch.ones_like(target)
        if self.config.mode == "masks":
            weights[targets == self.config.end] = END_WEIGHT
        else:
            weights[:, 0] = FIRST_WEIGHT
        return -(weights * ((1 - SMOOTHING) * target + SMOOTHING * others)).mean()

    def _start(self, task: int) -> Float[Tensor, " width"]:
        """What stands before the first coordinate: nothing, or which of two sequences begins."""
        return self.tokens.weight.new_zeros(self.config.width) if self.tasks is None else self.tasks.weight[task]

    def _cells(self, scene: Scene) -> list[KeysValues]:
        """What each layer of the decoder reads of the cells."""
        placed = scene.cells + scene.positions
        layers = (cast(DecoderLayer, layer) for layer in self.decoder)
        return [layer.cross_attention.project(placed, scene.cells) for layer in layers]

    def _continue(
        self,
        rows: Float[Tensor, "pairs new width"],
        scene: Scene,
        cells: list[KeysValues],
        past: list[KeysValues | None],
        begin: int = 0,
    ) -> tuple[Float[Tensor, "pairs new classes"], list[KeysValues | None]]:
        """The scores behind new tokens, the first of them at place `begin`, and the past for those that follow."""
        positions = self.positions.weight[begin : begin + rows.shape[1]]
        seen: list[KeysValues | None] = []
        for layer, read, before in zip(self.decoder, cells, past, strict=True):
            rows, known = layer(rows, positions, read, scene.present[:, None, None], before)
            seen.append(known)
        rows = self.decoder_norm(rows)
        *hidden, last = self.predictor
        for linear in hidden:
            rows = F.relu(linear(rows))
        logits: Tensor = last(rows)
        return logits, seen


def cells_inside(sizes: Int64[Tensor, "pictures 2"], rows: int, columns: int) -> Bool[Tensor, "pictures rows columns"]:
    """Cells whose first pixel lies in the picture of that width and height, not in the padding."""
    first_x = torch.arange(columns, device=sizes.device) * STRIDE
    first_y = torch.arange(rows, device=sizes.device) * STRIDE
    return (first_y < sizes[:, 1:])[:, :, None] & (first_x < sizes[:, :1])[:, None]


def sine_positions(
    present: Bool[Tensor, "pictures rows columns"], width: int
) -> Float[Tensor, "pictures rows columns width"]:
    """Where a cell is: sines and cosines of its row, then of its column, both as parts of the picture's."""
    halves = []
    count = width // 2
    periods = 10000 ** (2 * (torch.arange(count, device=present.device) // 2) / count)
    for dim in (1, 2):
        places = present.float().cumsum(dim)
        angles = places / (places.select(dim, -1).unsqueeze(dim) + 1e-6) * 2 * math.pi
        angles = angles[..., None] / periods
        halves.append(torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2))
    return torch.cat(halves, -1)
