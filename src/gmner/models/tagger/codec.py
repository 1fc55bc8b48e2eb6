"""Examples to tensors and tensors to entities, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gmner.errors import TextError
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Sentences, Spans, Tagger
from gmner.tagging import TokenSpan, read_bio, to_entity, to_token_span, word_offsets, write_bio
from gmner.types import ENTITY_TYPES, Entity, Example


@dataclass(frozen=True)
class Encoded:
    """One sentence as numbers: `pieces` and `shapes` with special tokens, `first` piece of each word, its offsets."""

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    shapes: list[int]
    first: list[int]


@dataclass(frozen=True)
class TaggerCodec:
    """Between Examples and a tagger's tensors, for one tokenizer."""

    config: TaggerConfig
    tokenizer: Any

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Every example as numbers.

        Raises:
            TextError: a sentence has more sub-words than the window; it is never shortened.
        """
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        knowledge = [(e.knowledge or "").split() if self.config.knowledge else [] for e in examples]
        known = self._pieces({word for row in (*words, *knowledge) for word in row})
        return [
            self._encode(example, spans, row, extra, known)
            for example, spans, row, extra in zip(examples, offsets, words, knowledge, strict=True)
        ]

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
        if len(pieces) + 1 > self.config.window:
            raise TextError(
                f"the text of post {example.id!r} has {len(pieces) - 1:,} sub-words",
                allowed=f"the recogniser reads at most {self.config.window - 2:,}",
                todo="split the text into several posts",
            )
        room = self.config.window - len(pieces) - 2
        extra = [piece for word in knowledge for piece in known[word]][: max(room, 0)]
        tail = [self.tokenizer.sep_token_id, *extra, *([self.tokenizer.sep_token_id] if extra else [])]
        return Encoded(example, offsets, pieces + tail, shapes + [0] * len(tail), first)

    def _pieces(self, words: set[str]) -> dict[str, list[int]]:
        """Sub-words of each distinct word; a word that the tokenizer's clean-up removes becomes an unknown one."""
        if not words:
            return {}
        distinct = sorted(words)
        encoded = self.tokenizer(distinct, add_special_tokens=False, verbose=False)["input_ids"]
        return {word: ids or [self.tokenizer.unk_token_id] for word, ids in zip(distinct, encoded, strict=True)}

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

    @torch.inference_mode()
    def predict(self, model: Tagger, examples: Sequence[Example], batch_size: int = 32) -> list[tuple[Entity, ...]]:
        """The entities of every example in text order, each with `score` and, if the model says it, `groundable`.

        `score` is the smallest marginal probability of the entity's tags. Sentences are batched by length; what is
        found in one does not depend on the others.
        """
        encoded = self.encode(examples)
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].pieces))
        results: list[tuple[Entity, ...]] = [()] * len(encoded)
        for start in range(0, len(order), batch_size):
            indexes = order[start : start + batch_size]
            for index, entities in zip(indexes, self._predict(model, [encoded[i] for i in indexes]), strict=True):
                results[index] = entities
        return results

    def _predict(self, model: Tagger, encoded: list[Encoded]) -> list[tuple[Entity, ...]]:
        batch = self.batch(encoded).to(model.device)
        if not batch.words.shape[1]:
            return [()] * len(encoded)
        words = model(batch)
        emissions = model.emissions(words)
        paths = model.crf.decode(emissions, batch.words)
        marginals = model.crf.marginals(emissions, batch.words).cpu()
        spans = [read_bio([self.config.tags[column] for column in path]) for path in paths]
        groundable: list[float] | None = None
        if model.groundable is not None and any(spans):
            logits = model.groundable(words, batch.words, self.spans(spans).to(model.device))
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


def gold_spans(encoded: Encoded) -> list[TokenSpan]:
    """The gold entities of a sentence as token spans; those without offsets or that cut through words are left out."""
    found = (to_token_span(entity, encoded.offsets) for entity in encoded.example.entities or ())
    return [span for span in found if span is not None]


def word_shape(word: str) -> int:
    """1 lower, 2 Capitalised, 3 UPPER, 4 one capital, 5 miXed, 6 digits, 7 digits and letters, 8 sign, 9 other letters.

    What an uncased encoder does not see of a word; 0 is kept for what is no word of the sentence.
    """
    if word.isdigit():
        return 6
    if not any(character.isalpha() for character in word):
        return 8
    if any(character.isdigit() for character in word):
        return 7
    if word.islower():
        return 1
    if word.isupper():
        return 4 if len(word) == 1 else 3
    if word[0].isupper() and word[1:].islower():
        return 2
    return 5 if word.lower() != word else 9


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    longest = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows], dtype=torch.long).view(
        len(rows), longest
    )


def _present(lengths: Sequence[int]) -> Tensor:
    return torch.arange(max(lengths, default=0))[None] < torch.tensor(lengths)[:, None]
