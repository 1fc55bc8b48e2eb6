"""Entities with candidate regions to tensors, and scores to boxes, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import TextError
from gmner.expression import expression_of
from gmner.image import Picture
from gmner.models.evg.config import EVGConfig
from gmner.models.evg.model import EVG, Queries
from gmner.nn.batching import moved
from gmner.nn.encoders import word_pieces
from gmner.nn.regions import Seen, region_shares, region_tensors, see
from gmner.tagging import split_words, word_offsets
from gmner.types import Entity, Example

SPECIAL: Final = 3
"""Special sub-words of an input: one in front, one behind the sentence, one behind the entity."""


class Query(NamedTuple):
    """One entity as numbers: sentence and entity as sub-words with special ones, `first` of them the sentence's.

    `left_out` are the sub-words of the entity's text that had no room.
    """

    entity: Entity
    pieces: list[int]
    first: int
    mention: range
    left_out: int


@dataclass(frozen=True)
class Encoded:
    """One post as numbers: its entities, and the candidate regions that are kept."""

    queries: list[Query]
    regions: Seen

    @property
    def left_out(self) -> int:
        """Sub-words of all entities' texts that had no room."""
        return sum(query.left_out for query in self.queries)


@dataclass(frozen=True)
class EVGCodec:
    """Between entities of posts with regions and an EVG's tensors, for one tokenizer."""

    config: EVGConfig
    tokenizer: Any

    def encode(
        self,
        examples: Sequence[Example],
        entities: Sequence[Sequence[Entity]],
        pictures: Sequence[Picture | None],
        features: Sequence[np.ndarray | None] | None = None,
    ) -> list[Encoded]:
        """Every post as numbers; `entities[i]`, `pictures[i]` and a detector's `features[i]` belong to `examples[i]`.

        Raises:
            TextError: a sentence has more sub-words than the window. What does not fit of an entity's text behind it
                is `left_out`.
            ConfigError: the features are not those that the model reads.
        """
        given = [None] * len(examples) if features is None else features
        words = [_words(example.text, word_offsets(example)) for example in examples]
        written = [[expression_of(entity, self.config.form) for entity in found] for found in entities]
        second = [[_words(text, split_words(text)) for text in row] for row in written]
        flat = (word for rows in (words, *second) for row in rows for word in row)
        known = word_pieces(self.tokenizer, flat)
        sentences = [[known[word] for word in row] for row in words]
        for example, sentence in zip(examples, sentences, strict=True):
            self._check(example, sum(len(word) for word in sentence))
        kept = [self._kept(*post) for post in zip(examples, pictures, given, strict=True)]
        return [
            Encoded([self._query(e, *pair, sentence, known) for pair in zip(found, texts, strict=True)], seen)
            for e, found, texts, sentence, seen in zip(examples, entities, second, sentences, kept, strict=True)
        ]

    def _check(self, example: Example, pieces: int) -> None:
        if pieces > self.config.window - SPECIAL:
            raise TextError(
                f"the text of post {example.id!r} has {pieces:,} sub-words",
                allowed=f"this EVG reads at most {self.config.window - SPECIAL:,}",
                todo="split the text into several posts",
            )

    def _query(
        self, example: Example, entity: Entity, text: list[str], sentence: list[list[int]], known: dict[str, list[int]]
    ) -> Query:
        start, end = entity.start, entity.end
        inside = [
            number
            for number, (first, last) in enumerate(word_offsets(example))
            if start is not None and end is not None and first < end and last > start
        ]
        places = np.cumsum([1, *(len(word) for word in sentence)]).tolist()
        mention = range(places[inside[0]], places[inside[-1] + 1]) if inside else range(0)
        room = self.config.window - SPECIAL - places[-1] + 1
        flat = [piece for word in sentence for piece in word]
        whole = [piece for word in text for piece in known[word]]
        added = whole[: max(room, 0)]
        separator = self.tokenizer.sep_token_id
        pieces = [self.tokenizer.cls_token_id, *flat, separator, *added, separator]
        return Query(entity, pieces, places[-1] + 1, mention, len(whole) - len(added))

    def _kept(self, example: Example, picture: Picture | None, features: np.ndarray | None) -> Seen:
        """The first candidates."""
        seen = see(example, picture, features, width=self.config.region_width, side=self.config.crop)
        return seen.first(self.config.regions)

    def batch(self, encoded: Sequence[Encoded]) -> Queries:
        """The entities of posts, one post after another; at least one."""
        flat = [(number, query) for number, item in enumerate(encoded) for query in item.queries]
        pieces = _pad([query.pieces for _, query in flat], self.tokenizer.pad_token_id)
        positions = torch.arange(pieces.shape[1])
        lengths, firsts, starts, ends = (
            torch.tensor(column)[:, None]
            for column in zip(
                *((len(query.pieces), query.first, query.mention.start, query.mention.stop) for _, query in flat),
                strict=True,
            )
        )
        counts = torch.tensor([len(item.regions.boxes) for item in encoded])
        present = torch.arange(max(1, int(counts.max()))) < counts[:, None]
        regions, places = region_tensors([item.regions for item in encoded], present.shape[1])
        return Queries(
            pieces=pieces,
            segments=((positions >= firsts) & (positions < lengths)).long(),
            attention=positions < lengths,
            mention=(positions >= starts) & (positions < ends),
            post=torch.tensor([number for number, _ in flat]),
            regions=regions,
            places=places,
            present=present,
        )

    def shares(self, encoded: Sequence[Encoded]) -> Float[Tensor, "entities 1+regions"]:
        """What is right for the entities of `batch`: the regions that cover a gold box, or, without any, "none"."""
        most = max(1, *(len(item.regions.boxes) for item in encoded))
        rows = []
        for item in encoded:
            for query in item.queries:
                share = torch.from_numpy(region_shares(query.entity.boxes, item.regions.boxes))
                none = torch.tensor([float(not share.any())])
                rows.append(torch.cat([none, share, torch.zeros(most - len(share))]))
        return torch.stack(rows)

    @torch.inference_mode()
    def predict(
        self,
        model: EVG,
        encoded: Sequence[Encoded],
        batch_size: int = 16,
    ) -> list[tuple[Entity, ...]]:
        """The entities of every post with `groundable` (the probability of any region) and the box of the best region.

        An entity for which "none" scores higher than every region has no box. What is found in one post does not
        depend on the others, probabilities but for the last digits (`batch_size` 1: not at all).
        """
        asked = [index for index, item in enumerate(encoded) if item.queries]
        found: dict[int, tuple[Entity, ...]] = {}
        for start in range(0, len(asked), batch_size):
            indexes = asked[start : start + batch_size]
            batch = [encoded[index] for index in indexes]
            rows = iter(model(moved(self.batch(batch), model.device)).float().softmax(-1).cpu())
            for index, item in zip(indexes, batch, strict=True):
                found[index] = tuple(_placed(query.entity, next(rows), item.regions) for query in item.queries)
        return [found.get(index, ()) for index in range(len(encoded))]


def _placed(entity: Entity, probabilities: Float[Tensor, " 1+regions"], regions: Seen) -> Entity:
    best = int(probabilities.argmax())
    boxes = (regions.boxes[best - 1],) if best else ()
    return replace(entity, boxes=boxes, masks=(), groundable=min(max(1 - float(probabilities[0]), 0.0), 1.0))


def _words(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in offsets]


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
