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
from gmner.image import Picture
from gmner.models.h_index.config import END, POINTERS, SEEN, TYPE_TOKENS, HIndexConfig
from gmner.models.h_index.generate import Generated, generate
from gmner.models.h_index.model import HIndex, Source, Targets, sums_above_zero
from gmner.models.h_index.sequences import Group, Words, read_sequence, write_sequence
from gmner.nn.batching import in_batches, moved
from gmner.nn.encoders import word_pieces
from gmner.nn.regions import Seen, region_shares, region_tensors, see
from gmner.tagging import TokenSpan, split_words, to_entity, to_token_span, word_offsets
from gmner.types import Entity, EntityType, Example

TYPES: Final[dict[int, EntityType]] = {token: kind for kind, token in TYPE_TOKENS.items()}


@dataclass(frozen=True)
class Encoded:
    """One post as numbers.

    `pieces` are the sub-words with special ones, of which the sentence is the first `sentence`; `first` is where each
    word's first sub-word stands, `offsets` where each word stands in the text. `regions` are those that are kept,
    `left_out` the sub-words behind the sentence that had no room.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    sentence: int
    first: list[int]
    regions: Seen
    left_out: int = 0


@dataclass(frozen=True)
class HIndexCodec:
    """Between posts with regions and an H-Index's tensors, for one tokenizer."""

    config: HIndexConfig
    tokenizer: Any

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of a post that are read behind its sentence."""
        return self.config.reads

    @property
    def reads_features(self) -> bool:
        """Whether regions are read as a detector's features, and not seen."""
        return not self.config.crop

    def encode(
        self,
        examples: Sequence[Example],
        pictures: Sequence[Picture | None],
        features: Sequence[np.ndarray | None] | None = None,
    ) -> list[Encoded]:
        """Every post as numbers; `pictures[i]`, and a detector's `features[i]`, belong to `examples[i]`, if any.

        Raises:
            TextError: a sentence has more sub-words than there are positions. What does not fit of what is read
                behind it is `left_out`.
            ConfigError: the features are not those that the model reads.
        """
        given = [None] * len(examples) if features is None else features
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        further = [self._further(example) for example in examples]
        known = word_pieces(self.tokenizer, (word for row in (*words, *further) for word in row))
        kept = [self._kept(*post) for post in zip(examples, pictures, given, strict=True)]
        return [
            self._encode(example, spans, [known[word] for word in row], [known[word] for word in more], seen)
            for example, spans, row, more, seen in zip(examples, offsets, words, further, kept, strict=True)
        ]

    def _encode(
        self,
        example: Example,
        offsets: list[tuple[int, int]],
        words: list[list[int]],
        further: list[list[int]],
        regions: Seen,
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
        whole = [piece for word in further for piece in word]
        extra = whole[: max(room, 0)]
        pieces += [config.end_piece, *extra, *([config.end_piece] if extra else [])]
        return Encoded(example, offsets, pieces, sentence, first, regions, len(whole) - len(extra))

    def _further(self, example: Example) -> list[str]:
        """The words of what is read behind the sentence."""
        texts = [getattr(example, name) or "" for name in self.config.reads]
        return [text[start:end] for text in texts for start, end in split_words(text)]

    def _kept(self, example: Example, picture: Picture | None, features: np.ndarray | None) -> Seen:
        """The first candidates; features are divided by the norm of those of all candidates together."""
        config = self.config
        seen = see(example, picture, features, width=config.region_width, side=config.crop)
        norm = float(np.linalg.norm(seen.looks)) if config.normalise and not config.crop else 0.0
        looks = seen.looks / np.float32(norm) if norm > 0 else seen.looks
        return seen._replace(looks=looks).first(config.regions)

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
        slots = self._slots(encoded)
        regions, places = region_tensors([item.regions for item in encoded], slots)
        counts = torch.tensor([len(item.regions.boxes) for item in encoded])[:, None]
        there = torch.arange(slots) < counts
        return Source(
            pieces=pieces,
            attention=positions < lengths,
            pointable=(positions > 0) & (positions < sentences),
            first=first,
            regions=regions,
            places=places,
            present=sums_above_zero(regions) if self.config.released else there,
        )

    def _slots(self, encoded: Sequence[Encoded]) -> int:
        """Regions of a row of a batch, absent ones too: without any, the scores of regions would be empty."""
        if self.config.released:
            return self.config.regions
        return max(1, *(len(item.regions.boxes) for item in encoded))

    def targets(self, encoded: Sequence[Encoded]) -> Targets:
        """What is to be generated (see `gold`); a network that grounds nothing learns no regions."""
        found = [self.gold(item) for item in encoded]
        shares = [share for entities in found for words, share in entities if words.seen and self.config.grounded]
        table = torch.zeros(len(shares), self._slots(encoded))
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
            share = region_shares(entity.boxes, item.regions.boxes)
            found.append((Words(tuple(item.first[span.start : span.end]), bool(share.any()), span.type), share))
        return found

    @torch.inference_mode()
    def predict(
        self,
        model: HIndex,
        encoded: Sequence[Encoded],
        batch_size: int = 32,
    ) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score` (the probability of its words and type),
        `groundable` (that it is seen) and, where it is seen, the box of its most probable region.

        What is found in one post does not depend on the others, probabilities but for the last digits (`batch_size` 1:
        not at all). In the `released` setting a sequence may say what is no entity here: a type that is none is left
        out; a span that skips words becomes all words from its first to its last; an absent region is none.
        """

        def compute(batch: list[Encoded]) -> list[tuple[Entity, ...]]:
            generated = Generated(*(part.cpu() for part in generate(model, moved(self.batch(batch), model.device))))
            return [self.read(item, generated, row) for row, item in enumerate(batch)]

        return in_batches(encoded, batch_size, lambda item: len(item.pieces), compute)

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
        early = self.config.released or self.config.joint
        chosen = int(region_scores(generated, row, group.label, early=early).argmax())
        seen = int(generated.tokens[row, group.label]) == SEEN and chosen < len(item.regions.boxes)
        return replace(
            entity,
            score=score,
            groundable=float(generated.seen[row, group.label - 1]),
            boxes=(item.regions.boxes[chosen],) if seen else (),
        )


def region_scores(generated: Generated, row: int, label: int, *, early: bool) -> Float[Tensor, " regions"]:
    """The scores of the regions for the entity whose `SEEN` or `UNSEEN` stands at `label` of the row's sequence.

    Training teaches the region to the step that reads this token, so that the step before is too `early`; released code
    reads it there all the same, and a `joint` network learns it there.
    """
    return generated.regions[row, label - 1 if early else label]


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
