"""Greedy generation with a cache: one token a step, and the scores of the regions at that step."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gmner.models.h_index.config import END, POINTERS, SEEN, START, TYPE_TOKENS, UNSEEN, HIndexConfig
from gmner.models.h_index.model import HIndex, Source
from gmner.nn.attention import KeysValues


class Generated(NamedTuple):
    """What was generated for a batch."""

    tokens: Int64[Tensor, "batch steps+1"]
    """Each row from `START` to `END`, filled up with `END`."""
    probabilities: Float[Tensor, "batch steps"]
    """Of each token but the first, among those that could stand there."""
    seen: Float[Tensor, "batch steps"]
    """Of `SEEN` against `UNSEEN` at the step that gave each token but the first."""
    regions: Float[Tensor, "batch steps regions"]
    """Scores of the regions at the step that gave each token but the first."""


@torch.inference_mode()
def generate(model: HIndex, source: Source) -> Generated:
    """The most probable token at every step, until all sequences have ended.

    By default only tokens that can follow are generated (`Grammar`), so that every sequence means something. In the
    `released` setting any token may follow any other; a sequence is then ended at its limit (`limits`). No sequence is
    longer than the decoder has positions: one that names nearly every word of a long text ends there.
    """
    config = model.config
    encoded = model.encode(source)
    grammar = None if config.released else Grammar(source, grounded=config.grounded)
    limit = torch.full_like(source.pieces[:, 0], config.positions)
    if config.released:
        limit = limit.minimum(limits(config, source))
    tokens = source.pieces.new_full((len(source.pieces), 1), START)
    ended = torch.zeros(len(tokens), dtype=torch.bool, device=model.device)
    past: tuple[KeysValues, ...] = ()
    probabilities, seen, regions = [], [], []
    while not ended.all():
        hidden, past = model.step(tokens[:, -1], source, encoded, past)
        scores = model.score(hidden, source, encoded)
        step = scores.tokens[:, -1].float()
        seen.append((step[:, SEEN] - step[:, UNSEEN]).sigmoid())
        regions.append(scores.regions[:, -1])
        if grammar is not None:
            step = step.masked_fill(~grammar.allowed(), -torch.inf)
        best = step.argmax(-1).masked_fill(ended | (tokens.shape[1] >= limit - 1), END)
        if grammar is not None:
            grammar.take(best)
        probabilities.append(step.softmax(-1).gather(1, best[:, None])[:, 0])
        tokens = torch.cat([tokens, best[:, None]], 1)
        ended = ended | (best == END)
    return Generated(tokens, torch.stack(probabilities, 1), torch.stack(seen, 1), torch.stack(regions, 1))


def limits(config: HIndexConfig, source: Source) -> Int64[Tensor, " batch"]:
    """The most tokens of each sequence in the `released` setting, `START` and `END` included (section 5).

    The sub-words of the source count from the first to the last of the sentence and two special ones.
    """
    positions = torch.arange(source.pieces.shape[1], device=source.pieces.device)
    pieces = (source.pointable * (positions + 1)).amax(1).clamp(min=1) + 1
    return (config.length_factor * (pieces + source.present.sum(1))).floor().long() + config.length


class Grammar:
    """What may follow: the words of an entity one by one, then `SEEN` or `UNSEEN`, then its type; entities in text
    order without overlap, then `END`.

    A word is pointed at by its first sub-word. Without candidate regions nothing is seen. Without `grounded`, the type
    follows the words.
    """

    def __init__(self, source: Source, *, grounded: bool) -> None:
        batch, pieces = source.pieces.shape
        self.grounded = grounded
        self.first = source.first
        self.any_region = source.present.any(1)
        self.positions = torch.arange(pieces, device=source.pieces.device)
        # The first sub-word that comes after each position; `pieces` if there is none.
        places = self.positions.where(source.first, pieces)
        after = torch.cat([places[:, 1:], places.new_full((batch, 1), pieces)], 1)
        self.following = after.flip(1).cummin(1).values.flip(1)
        self.last = source.pieces.new_zeros(batch)
        """The position that was pointed at last; entities begin behind it."""
        self.before = source.pieces.new_full((batch,), START)
        """The token that came last."""

    def allowed(self) -> Bool[Tensor, "batch 8+pieces"]:
        """The tokens that may come next."""
        batch, pieces = self.first.shape
        allowed = torch.zeros(batch, POINTERS + pieces, dtype=torch.bool, device=self.first.device)
        in_span = self.before >= POINTERS
        labelled = (self.before == SEEN) | (self.before == UNSEEN)
        between = ~in_span & ~labelled
        allowed[:, END] = between
        allowed[:, SEEN] = in_span & self.any_region & self.grounded
        allowed[:, UNSEEN] = in_span & self.grounded
        typed = labelled if self.grounded else in_span
        for token in TYPE_TOKENS.values():
            allowed[:, token] = typed
        next_word = self.following.gather(1, self.last[:, None])
        allowed[:, POINTERS:] = (between[:, None] & self.first & (self.positions > self.last[:, None])) | (
            in_span[:, None] & (self.positions == next_word)
        )
        ended = self.before == END
        allowed[ended] = False
        allowed[ended, END] = True
        return allowed

    def take(self, tokens: Int64[Tensor, " batch"]) -> None:
        """Go on behind `tokens`."""
        self.last = torch.where(tokens >= POINTERS, tokens - POINTERS, self.last)
        self.before = tokens
