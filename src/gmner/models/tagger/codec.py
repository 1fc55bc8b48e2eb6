"""Examples to tensors and tensors to entities, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gmner.errors import TextError
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Sentences, Spans, Tagger
from gmner.nn.batching import moved
from gmner.nn.encoders import word_pieces
from gmner.tagging import TokenSpan, read_bio, to_entity, to_token_span, word_offsets, word_shape, write_bio
from gmner.types import ENTITY_TYPES, Entity, Example


@dataclass(frozen=True)
class Encoded:
    """A sentence, or a stretch of one, as numbers.

    `pieces` and `shapes` hold the special tokens and the knowledge; `first` is where each word's first piece stands,
    `offsets` where each word stands in the text. `left_out` are the sub-words of the knowledge that had no room.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    shapes: list[int]
    first: list[int]
    left_out: int


@dataclass(frozen=True)
class TaggerCodec:
    """Between Examples and a tagger's tensors, for one tokenizer."""

    config: TaggerConfig
    tokenizer: Any

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Every example as numbers.

        Raises:
            TextError: a sentence has more sub-words than the window; it is never shortened. What does not fit of the
                knowledge behind it is `left_out`.
        """
        encoded = []
        for example, stretches in zip(examples, self.windows(examples), strict=True):
            if len(stretches) > 1:
                words = [example.text[start:end] for start, end in word_offsets(example)]
                known = word_pieces(self.tokenizer, words)
                raise self._too_long(example, sum(len(known[word]) for word in words))
            encoded.append(stretches[0])
        return encoded

    def windows(self, examples: Sequence[Example]) -> list[list[Encoded]]:
        """Every example as overlapping stretches of words that each fit the window; short ones as one.

        Raises:
            TextError: a single word is longer than the window.
        """
        places = [word_offsets(example) for example in examples]
        words = [[e.text[start:end] for start, end in offsets] for e, offsets in zip(examples, places, strict=True)]
        knowledge = [(e.knowledge or "").split() if self.config.knowledge else [] for e in examples]
        known = word_pieces(self.tokenizer, (word for row in (*words, *knowledge) for word in row))
        room = self.config.window - 2
        result = []
        for example, offsets, row, extra in zip(examples, places, words, knowledge, strict=True):
            lengths = [len(known[word]) for word in row]
            if max(lengths, default=0) > room:
                raise self._too_long(example, sum(lengths))
            result.append(
                [
                    self._encode(example, offsets[part.start : part.stop], row[part.start : part.stop], extra, known)
                    for part in stretches(lengths, room)
                ]
            )
        return result

    def _too_long(self, example: Example, length: int) -> TextError:
        return TextError(
            f"the text of post {example.id!r} has {length:,} sub-words",
            allowed=f"the recogniser reads at most {self.config.window - 2:,}",
            todo="split the text into several posts or ask for windows",
        )

    def _encode(
        self,
        example: Example,
        offsets: list[tuple[int, int]],
        words: list[str],
        knowledge: list[str],
        known: dict[str, list[int]],
    ) -> Encoded:
        pieces, shapes, first = [self.tokenizer.cls_token_id], [0], []
        for word in words:
            first.append(len(pieces))
            pieces += known[word]
            shapes += [word_shape(word)] * len(known[word])
        room = self.config.window - len(pieces) - 2
        whole = [piece for word in knowledge for piece in known[word]]
        extra = whole[: max(room, 0)]
        tail = [self.tokenizer.sep_token_id, *extra, *([self.tokenizer.sep_token_id] if extra else [])]
        return Encoded(example, offsets, pieces + tail, shapes + [0] * len(tail), first, len(whole) - len(extra))

    def batch(self, encoded: Sequence[Encoded]) -> Sentences:
        """Sentences padded to the longest of them."""
        pieces = _pad([item.pieces for item in encoded], self.tokenizer.pad_token_id)
        return Sentences(
            pieces=pieces,
            shapes=_pad([item.shapes for item in encoded], 0),
            attention=_present([len(item.pieces) for item in encoded]),
            first=_pad([item.first for item in encoded], 0),
            words=_present([len(item.first) for item in encoded]),
        )

    def tags(self, encoded: Sequence[Encoded]) -> Tensor:
        """Gold tags as column numbers, (batch, words), padded with 0. Entities that cut through words are left out."""
        column = {tag: index for index, tag in enumerate(self.config.tags)}
        return _pad([[column[tag] for tag in write_bio(gold_spans(i), len(i.first))] for i in encoded], 0)

    def spans(self, spans: Sequence[Sequence[TokenSpan]]) -> Spans:
        """The token spans of a batch as tensors."""
        flat = [(row, *span) for row, found in enumerate(spans) for span in found]
        columns = [torch.tensor([item[c] for item in flat], dtype=torch.long) for c in range(3)]
        types = torch.tensor([ENTITY_TYPES.index(item[3]) for item in flat], dtype=torch.long)
        return Spans(columns[0], columns[1], columns[2], types)

    def predict(self, model: Tagger, encoded: Sequence[Encoded], batch_size: int = 32) -> list[tuple[Entity, ...]]:
        """The entities of every sentence, as `predict_stretches` gives them."""
        return self.predict_stretches(model, [[item] for item in encoded], batch_size)

    @torch.inference_mode()
    def predict_stretches(
        self, model: Tagger, posts: Sequence[Sequence[Encoded]], batch_size: int = 32
    ) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score` and, if the model says it, `groundable`.

        `score` is the smallest marginal probability of the entity's tags. Stretches are batched by length; what is
        found in one post does not depend on the others. Of two stretches that overlap each speaks for the half of the
        overlap that it sees with more context.
        """
        flat = [(index, item, own) for index, items in enumerate(posts) for item, own in _owners(items)]
        flat.sort(key=lambda part: len(part[1].pieces))
        found: list[list[Entity]] = [[] for _ in posts]
        for start in range(0, len(flat), batch_size):
            batch = flat[start : start + batch_size]
            for (index, _, own), entities in zip(batch, self._predict(model, [part[1] for part in batch]), strict=True):
                found[index] += [entity for entity in entities if own[0] <= (entity.start or 0) < own[1]]
        return [tuple(sorted(entities, key=lambda entity: entity.start or 0)) for entities in found]

    def _predict(self, model: Tagger, encoded: list[Encoded]) -> list[tuple[Entity, ...]]:
        batch = moved(self.batch(encoded), model.device)
        if not batch.words.shape[1]:
            return [()] * len(encoded)
        words = model(batch)
        emissions = model.emissions(words)
        paths = model.crf.decode(emissions, batch.words)
        marginals = model.crf.marginals(emissions, batch.words).cpu()
        spans = [read_bio([self.config.tags[column] for column in path]) for path in paths]
        groundable: list[float] | None = None
        if model.groundable is not None and any(spans):
            logits = model.groundable(words, batch.words, moved(self.spans(spans), model.device))
            groundable = logits.sigmoid().tolist()
        probabilities = iter(groundable or [])
        results = []
        for row, (item, path, found) in enumerate(zip(encoded, paths, spans, strict=True)):
            chosen = marginals[row, range(len(path)), path] if path else None
            entities = []
            for span in found:
                entity = to_entity(span, item.example.text, item.offsets)
                score = float(chosen[span.start : span.end].min()) if chosen is not None else 0.0
                entities.append(replace(entity, score=score, groundable=next(probabilities, None)))
            results.append(tuple(entities))
        return results


def stretches(lengths: Sequence[int], room: int, overlap: float = 0.25) -> list[range]:
    """Words of the given numbers of sub-words as stretches of at most `room` sub-words, one or more.

    Each but the first begins within the one before, which shares about `overlap` of its words with it.

    >>> stretches([1] * 10, 4, overlap=0.5)
    [range(0, 4), range(2, 6), range(4, 8), range(6, 10)]
    """
    parts: list[range] = []
    start = 0
    while True:
        end, used = start, 0
        while end < len(lengths) and used + lengths[end] <= room:
            used += lengths[end]
            end += 1
        parts.append(range(start, end))
        if end >= len(lengths):
            return parts
        start = max(end - round((end - start) * overlap), start + 1)
        while sum(lengths[start : end + 1]) > room:  # the next word must find room
            start += 1


def _owners(parts: Sequence[Encoded]) -> list[tuple[Encoded, tuple[int, int]]]:
    """Each stretch with the characters it speaks for: from the middle of one overlap to the middle of the next."""
    if len(parts) == 1:
        return [(parts[0], (0, len(parts[0].example.text)))]
    cuts = [0]
    for left, right in pairwise(parts):
        shared = [offset for offset in right.offsets if offset[0] <= left.offsets[-1][0]] or right.offsets[:1]
        cuts.append(shared[len(shared) // 2][0])
    cuts.append(len(parts[0].example.text))
    return list(zip(parts, pairwise(cuts), strict=True))


def gold_spans(encoded: Encoded) -> list[TokenSpan]:
    """The gold entities of a sentence as token spans; those without offsets or that cut through words are left out."""
    found = (to_token_span(entity, encoded.offsets) for entity in encoded.example.entities or ())
    return [span for span in found if span is not None]


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    longest = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows], dtype=torch.long).view(
        len(rows), longest
    )


def _present(lengths: Sequence[int]) -> Tensor:
    return torch.arange(max(lengths, default=0))[None] < torch.tensor(lengths)[:, None]
