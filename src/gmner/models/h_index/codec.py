"""Posts with candidate regions to tensors, and generated sequences to entities, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import TextError
from gmner.models.h_index.config import END, POINTERS, SEEN, TYPE_TOKENS, HIndexConfig
from gmner.models.h_index.generate import Generated, generate
from gmner.models.h_index.model import HIndex, Source, Targets, sums_above_zero
from gmner.models.h_index.sequences import Group, Words, read_sequence, write_sequence
from gmner.nn.crops import crop_width
from gmner.nn.encoders import word_pieces
from gmner.nn.regions import PLACE, Regions, region_shares
from gmner.tagging import TokenSpan, to_entity, to_token_span, word_offsets
from gmner.types import Box, Entity, EntityType, Example

TYPES: Final[dict[int, EntityType]] = {token: kind for kind, token in TYPE_TOKENS.items()}


@dataclass(frozen=True)
class Encoded:
    """One post as numbers.

    `pieces` are the sub-words with special ones, of which the sentence is the first `sentence`; `first` is where each
    word's first sub-word stands, `offsets` where each word stands in the text. `boxes`, `features` and `places` are
    those of the regions that are kept.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    sentence: int
    first: list[int]
    boxes: list[Box]
    features: Float[np.ndarray, "regions feature"]
    places: Float[np.ndarray, "regions 5"]


@dataclass(frozen=True)
class HIndexCodec:
    """Between posts with regions and an H-Index's tensors, for one tokenizer."""

    config: HIndexConfig
    tokenizer: Any

    def encode(self, examples: Sequence[Example], regions: Sequence[Regions | None]) -> list[Encoded]:
        """Every post as numbers; `regions[i]` are the candidates of `examples[i]`, if any.

        Raises:
            TextError: a sentence has more sub-words than there are positions. What does not fit of a context is left
                out.
        """
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        contexts = [(self._context(example) or "").split() for example in examples]
        known = word_pieces(self.tokenizer, {word for row in (*words, *contexts) for word in row})
        return [
            self._encode(example, spans, [known[word] for word in row], [known[word] for word in context], found)
            for example, spans, row, context, found in zip(examples, offsets, words, contexts, regions, strict=True)
        ]

    def _encode(
        self,
        example: Example,
        offsets: list[tuple[int, int]],
        words: list[list[int]],
        context: list[list[int]],
        regions: Regions | None,
    ) -> Encoded:
        config = self.config
        pieces, first = [config.start_piece], []
        for word in words:
            first.append(len(pieces))
            pieces += word
        sentence = len(pieces)
        room = config.positions - sentence - 2
        if room < -1:
            raise TextError(
                f"the text of post {example.id!r} has {sentence - 1:,} sub-words",
                allowed=f"this H-Index reads at most {config.positions - 2:,}",
                todo="split the text into several posts",
            )
        extra = [piece for word in context for piece in word][: max(room, 0)]
        pieces += [config.end_piece, *extra, *([config.end_piece] if extra else [])]
        return Encoded(example, offsets, pieces, sentence, first, *self._kept(regions))

    def _context(self, example: Example) -> str | None:
        match self.config.context:
            case "knowledge":
                return example.knowledge
            case "caption":
                return example.caption
            case "description":
                return example.description
            case "none":
                return None

    @property
    def feature_width(self) -> int:
        """Numbers of a region's feature."""
        return crop_width(self.config.crop) if self.config.crop else self.config.region_width

    def _kept(self, regions: Regions | None) -> tuple[list[Box], np.ndarray, np.ndarray]:
        """The first candidates, their features, divided by the norm of those of all candidates together, and places."""
        if regions is None or not len(regions.boxes):
            return [], np.zeros((0, self.feature_width), np.float32), np.zeros((0, PLACE), np.float32)
        features = regions.features
        norm = float(np.linalg.norm(features)) if self.config.normalise else 0.0
        if norm > 0:
            features = features / norm
        kept = slice(self.config.regions)
        return list(regions.boxes[kept]), features[kept], regions.places[kept]

    def batch(self, encoded: Sequence[Encoded]) -> Source:
        """Posts padded to the longest, and to the most regions (`released`: to as many as are ever kept)."""
        pieces = _pad([item.pieces for item in encoded], self.config.pad_piece)
        positions = torch.arange(pieces.shape[1])
        lengths, sentences = (
            torch.tensor(counts)[:, None]
            for counts in ([len(item.pieces) for item in encoded], [item.sentence for item in encoded])
        )
        first = torch.zeros(pieces.shape, dtype=torch.bool)
        for row, item in enumerate(encoded):
            first[row, item.first] = True
        most = max(1, *(len(item.boxes) for item in encoded))  # without any, the scores of regions would be empty
        regions = torch.zeros(len(encoded), self.config.regions if self.config.released else most,
                              self.feature_width)  # fmt: skip
        places = torch.zeros(*regions.shape[:2], PLACE)
        for row, item in enumerate(encoded):
            regions[row, : len(item.boxes)] = torch.from_numpy(np.asarray(item.features, np.float32))
            places[row, : len(item.boxes)] = torch.from_numpy(item.places)
        counts = torch.tensor([len(item.boxes) for item in encoded])[:, None]
        there = torch.arange(regions.shape[1]) < counts
        return Source(
            pieces=pieces,
            attention=positions < lengths,
            pointable=(positions > 0) & (positions < sentences),
            first=first,
            regions=regions,
            places=places,
            present=sums_above_zero(regions) if self.config.released else there,
        )

    def targets(self, encoded: Sequence[Encoded]) -> Targets:
        """What is to be generated (see `gold`)."""
        found = [self.gold(item) for item in encoded]
        shares = [share for entities in found for words, share in entities if words.seen]
        most = max(1, *(len(item.boxes) for item in encoded))
        width = self.config.regions if self.config.released else most
        table = torch.zeros(len(shares), width)
        for row, share in enumerate(shares):
            table[row, : len(share)] = torch.from_numpy(share)
        sequences = [write_sequence([words for words, _ in e], grounded=self.config.grounded) for e in found]
        return Targets(_pad(sequences, END), table)

    def gold(self, item: Encoded) -> list[tuple[Words, Float[np.ndarray, " regions"]]]:
        """The gold entities of a post in text order, each with its shares of the regions.

        An entity whose boxes no candidate covers is not seen: no region can be generated for it. Entities without
        offsets or that cut through words are left out, and of two that overlap the later one.
        """
        spans = ((entity, to_token_span(entity, item.offsets)) for entity in item.example.entities or ())
        known = [(entity, span) for entity, span in spans if span is not None]
        found, reached = [], 0
        for entity, span in sorted(known, key=lambda pair: pair[1]):
            if span.start < reached:
                continue
            reached = span.end
            share = region_shares(entity.boxes, item.boxes)
            found.append((Words(tuple(item.first[span.start : span.end]), bool(share.any()), span.type), share))
        return found

    @torch.inference_mode()
    def predict(
        self,
        model: HIndex,
        examples: Sequence[Example],
        regions: Sequence[Regions | None],
        batch_size: int = 32,
    ) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score` (the probability of its words and type),
        `groundable` (that it is seen) and, where it is seen, the box of its most probable region.

        What is found in one post does not depend on the others, probabilities but for the last digits (`batch_size` 1:
        not at all). In the `released` setting a sequence may say what is no entity here: a type that is none is left
        out; a span that skips words becomes all words from its first to its last; an absent region is none.
        """
        encoded = self.encode(examples, regions)
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].pieces))
        found: dict[int, tuple[Entity, ...]] = {}
        for start in range(0, len(order), batch_size):
            indexes = order[start : start + batch_size]
            batch = [encoded[index] for index in indexes]
            generated = Generated(*(part.cpu() for part in generate(model, self.batch(batch).to(model.device))))
            found.update(zip(indexes, (self.read(i, generated, row) for row, i in enumerate(batch)), strict=True))
        return [found[index] for index in range(len(encoded))]

    def read(self, item: Encoded, generated: Generated, row: int) -> tuple[Entity, ...]:
        """The entities of one row of what was generated."""
        groups = read_sequence(generated.tokens[row].tolist(), grounded=self.config.grounded)
        typed = [group for group in groups if group.type in TYPES]
        entities = [self._entity(item, group, generated, row) for group in typed]
        return tuple(sorted(entities, key=lambda entity: entity.start or 0))

    def _entity(self, item: Encoded, group: Group, generated: Generated, row: int) -> Entity:
        words = np.searchsorted(item.first, [token - POINTERS for token in group.span], side="right") - 1
        span = TokenSpan(max(int(words[0]), 0), int(words[-1]) + 1, TYPES[group.type])
        entity = to_entity(span, item.example.text, item.offsets)
        steps = [*range(group.label - 1 - len(group.span), group.label - 1)]  # step t gives the token at t + 1
        type_step = group.label if self.config.grounded else group.label - 1
        score = float(generated.probabilities[row, [*steps, type_step]].prod())
        if not self.config.grounded:
            return replace(entity, score=score)
        chosen = int(region_scores(generated, row, group.label, released=self.config.released).argmax())
        seen = int(generated.tokens[row, group.label]) == SEEN and chosen < len(item.boxes)
        return replace(
            entity,
            score=score,
            groundable=float(generated.seen[row, group.label - 1]),
            boxes=(item.boxes[chosen],) if seen else (),
        )


def region_scores(generated: Generated, row: int, label: int, *, released: bool) -> Float[Tensor, " regions"]:
    """The scores of the regions for the entity whose `SEEN` or `UNSEEN` stands at `label` of the row's sequence.

    Training teaches the region to the step that reads this token; released code reads it at the step before.
    """
    return generated.regions[row, label - 1 if released else label]


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
