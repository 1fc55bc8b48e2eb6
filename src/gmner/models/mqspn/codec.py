"""Posts to tensors and outputs to entities, for training and inference alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import ConfigError, TextError
from gmner.image import Picture
from gmner.models.mqspn import gold as golden
from gmner.models.mqspn import looks, released_data
from gmner.models.mqspn.batch import Posts
from gmner.models.mqspn.config import MQSPNConfig
from gmner.models.mqspn.decoding import Answer, decode
from gmner.models.mqspn.gold import Item
from gmner.models.mqspn.outputs import NONE, TYPES, Gold
from gmner.nn.batching import in_batches, moved
from gmner.nn.crops import blank, clip_features, crop, normalise
from gmner.nn.encoders import word_pieces
from gmner.tagging import TokenSpan, split_words, to_entity, word_offsets, word_shape
from gmner.types import Box, Entity, Example

Features = np.ndarray
"""A detector's features of a post's candidates, (candidates, width), in their order."""


@dataclass(frozen=True)
class Encoded:
    """One post as numbers. `boxes` are those of the regions 1, 2 ...; `looks` and `places` hold region 0 as well.

    `left_out` are the sub-words behind the sentence that had no room.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    segments: list[int]
    shapes: list[int]
    word_of_piece: list[int]
    boxes: list[Box]
    looks: np.ndarray
    """uint8 crops (regions, side, side, 3), or float32 features (regions, width)."""
    places: list[list[float]]
    left_out: int = 0


@dataclass(frozen=True)
class MQSPNCodec:
    """Between posts and the tensors of either network, for one tokenizer and, where crops go through it, one CLIP."""

    config: MQSPNConfig
    tokenizer: Any
    vision: Any = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of a post that are read behind its sentence."""
        return self.config.reads

    @property
    def reads_features(self) -> bool:
        """Whether regions are read as a detector's features, and not seen."""
        return bool(self.config.features)

    def encode(
        self,
        examples: Sequence[Example],
        pictures: Sequence[Picture | None],
        features: Sequence[Features | None] | None = None,
    ) -> list[Encoded]:
        """Every post as numbers; `pictures[i]` and `features[i]` belong to `examples[i]`, if there are any.

        A post without a picture (or, where features are read, without features) has no regions to choose from.

        Raises:
            TextError: a sentence has more sub-words than the window. What does not fit of what is read behind it is
                `left_out`.
            ConfigError: features are read and none were given, or they are not as wide or as many as they should be.
        """
        if self.config.features and features is None:
            raise ConfigError(
                "no features of candidate regions",
                allowed="this model reads a detector's features of each candidate",
                todo="give them, or let the model see crops (`model.features` = 0)",
            )
        given = [None] * len(examples) if features is None else features
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        further = [self._further(example) for example in examples]
        every = (word for row in (*words, *further) for word in row)
        known = word_pieces(self.tokenizer, every, unknown=self.config.released is None)
        return [
            self._encode(example, places, row, extra, known, picture, feature)
            for example, places, row, extra, picture, feature in zip(
                examples, offsets, words, further, pictures, given, strict=True
            )
        ]

    def _encode(
        self,
        example: Example,
        offsets: list[tuple[int, int]],
        words: list[str],
        further: list[str],
        known: dict[str, list[int]],
        picture: Picture | None,
        feature: Features | None,
    ) -> Encoded:
        pieces, shapes, owners = [self.tokenizer.cls_token_id], [0], [-1]
        for number, word in enumerate(words):
            pieces += known[word]
            shapes += [word_shape(word)] * len(known[word])
            owners += [number] * len(known[word])
        if len(pieces) > self.config.window - 1:
            raise TextError(
                f"the text of post {example.id!r} has {len(pieces) - 1:,} sub-words",
                allowed=f"MQSPN reads at most {self.config.window - 2:,}",
                todo="split the text into several posts",
            )
        pieces, shapes, owners = [*pieces, self.tokenizer.sep_token_id], [*shapes, 0], [*owners, -1]
        # Released code marks the words of the sentence, not a second text.
        segments = [int(owner >= 0) for owner in owners] if self.config.released else [0] * len(pieces)
        whole = [(piece, word_shape(word)) for word in further for piece in known[word]]
        if extra := whole[: max(self.config.window - len(pieces) - 1, 0)]:
            pieces += [*(piece for piece, _ in extra), self.tokenizer.sep_token_id]
            shapes += [*(shape for _, shape in extra), 0]
            owners += [-1] * (len(extra) + 1)
            segments += [1] * (len(extra) + 1)
        boxes, seen, places = self._regions(example, picture, feature)
        left_out = len(whole) - len(extra)
        return Encoded(example, offsets, pieces, segments, shapes, owners, boxes, seen, places, left_out)

    def _further(self, example: Example) -> list[str]:
        """The words of what is read behind the sentence."""
        texts = [getattr(example, name) or "" for name in self.config.reads]
        return [text[start:end] for text in texts for start, end in split_words(text)]

    def _regions(
        self, example: Example, picture: Picture | None, feature: Features | None
    ) -> tuple[list[Box], np.ndarray, list[list[float]]]:
        """Boxes of the candidates that are looked at; what is seen of each, the blank one first; and where they are."""
        boxes = [candidate.box for candidate in example.candidates or ()][: self.config.regions]
        if self.config.released is not None:
            listed = golden.released_list(example)[: self.config.released.regions - 1]
            boxes = [candidate.box for candidate in listed]
        if self.config.features:
            kept, rows = self._features(example, boxes, feature)
            return kept, rows, [looks.NOWHERE] * len(rows)
        if picture is None:
            boxes = []
        side, cut = 0 if self.vision is None else self.vision.config.image_size, crop
        if self.config.released is not None:
            side, cut = self.config.released.crop, looks.released_crop
        elif self.config.crops is not None:
            side = self.config.crops.side
        crops = [blank(side), *(cut(picture, box, side) for box in boxes if picture is not None)]
        places = [looks.NOWHERE, *(looks.place(box, picture) for box in boxes if picture is not None)]
        return boxes, np.stack(crops) if self.vision is None else clip_features(self.vision, crops), places

    def _features(self, example: Example, boxes: list[Box], feature: Features | None) -> tuple[list[Box], np.ndarray]:
        width = self.config.features
        if feature is None:
            return [], np.zeros((1, width), np.float32)
        if feature.ndim != 2 or feature.shape[1] != width or len(feature) < len(boxes):
            raise ConfigError(
                f"post {example.id!r} has features of shape {feature.shape} for {len(boxes)} candidates",
                allowed=f"the model reads one row of {width} numbers for each candidate",
                todo="give the features of the detector that the model was trained with",
            )
        return boxes, np.concatenate([np.zeros((1, width)), feature[: len(boxes)]]).astype(np.float32)

    def batch(self, encoded: Sequence[Encoded]) -> Posts:
        """Posts padded to the longest of them; the released network always has all its region slots."""
        lengths = torch.tensor([len(item.pieces) for item in encoded])
        words = torch.tensor([len(item.offsets) for item in encoded])
        regions = torch.tensor([len(item.looks) for item in encoded])
        seen = [torch.from_numpy(item.looks) for item in encoded]
        if self.config.released is not None and not self.config.features:
            seen = [normalise(looks) for looks in seen]
        slots = int(regions.max()) if self.config.released is None else self.config.released.regions
        pieces = _pad([item.pieces for item in encoded], self.tokenizer.pad_token_id)
        return Posts(
            pieces=pieces,
            segments=_pad([item.segments for item in encoded]),
            shapes=_pad([item.shapes for item in encoded]),
            attention=torch.arange(pieces.shape[1]) < lengths[:, None],
            word_of_piece=_pad([item.word_of_piece for item in encoded], -1),
            words=torch.arange(int(words.max())) < words[:, None],
            looks=_slots(pad_sequence(seen, batch_first=True), slots),
            places=_slots(pad_sequence([torch.tensor(item.places) for item in encoded], batch_first=True), slots),
            regions=torch.arange(slots) < regions[:, None],
        )

    def items(self, item: Encoded) -> list[Item]:
        """The gold items of a post, repeated as the settings say.

        Raises:
            ConfigError: there are more than queries that can take them.
        """
        if self.config.released is not None:
            queries = self.config.released.queries
            found = golden.released_items(item.example, item.offsets, self.config.released.regions)
            return self._repeated(item.example, found, queries)
        found = golden.items(item.example, item.offsets, item.boxes)
        queries = self.config.queries.count
        if not self.config.queries.typed:
            return self._repeated(item.example, found, queries)
        by_type = [[one for one in found if one.type == kind] for kind in range(1, 1 + len(TYPES))]
        return [one for same in by_type for one in self._repeated(item.example, same, queries // len(TYPES))]

    def _repeated(self, example: Example, found: list[Item], queries: int) -> list[Item]:
        """Items again and again until the share of the queries is reached; each at least once."""
        if len(found) > queries:
            raise ConfigError(
                f"post {example.id!r} has {len(found)} gold entities for {queries} queries",
                allowed="every gold entity needs a query of its own",
                todo="raise queries.count",
            )
        wanted = max(round(self.config.repeat * queries), len(found))
        return [found[index % len(found)] for index in range(wanted)] if found else []

    def gold(self, encoded: Sequence[Encoded], slots: int) -> Gold:
        """The gold items of a batch with so many region slots. Entities that cut through words are left out."""
        rows = [self.items(item) for item in encoded]
        longest = max((len(row) for row in rows), default=0)
        blank = Item(0, 0, NONE, ())
        filled = [[*row, *[blank] * (longest - len(row))] for row in rows]
        columns = [
            torch.tensor([[one[column] for one in row] for row in filled], dtype=torch.long).view(len(rows), longest)
            for column in range(3)
        ]
        regions = torch.zeros(len(rows), longest, slots, dtype=torch.bool)
        for number, row in enumerate(filled):
            for place, one in enumerate(row):
                regions[number, place, list(one.regions)] = True
        present = torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]
        return Gold(types=columns[2], start=columns[0], end=columns[1], regions=regions, present=present)

    @torch.inference_mode()
    def predict(self, model: nn.Module, encoded: Sequence[Encoded], batch_size: int = 16) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, with `score`, `groundable` and the box of the best region.

        What is found in one post does not depend on the others; the released network's does, whose vision attends to
        padding, unless `batch_size` is 1.
        """
        device = next(model.parameters()).device

        def compute(batch: list[Encoded]) -> list[tuple[Entity, ...]]:
            posts = moved(self.batch(batch), device)
            found = decode(model(posts)[-1], posts.words, self.config.decoding)
            return [tuple(entities(item, answers)) for item, answers in zip(batch, found, strict=True)]

        return in_batches(encoded, batch_size, lambda item: len(item.pieces), compute)


def entities(item: Encoded, answers: Iterable[Answer]) -> list[Entity]:
    """What the answers say of a post, in text order."""
    found = []
    for answer in sorted(answers):
        span = TokenSpan(answer.start, answer.end + 1, TYPES[answer.type - 1])
        chosen = released_data.EMPTY if answer.region == NONE else item.boxes[answer.region - 1]
        boxes = () if chosen == released_data.EMPTY else (chosen,)  # a released list may hold an empty box
        entity = to_entity(span, item.example.text, item.offsets)
        found.append(replace(entity, boxes=boxes, score=answer.score, groundable=answer.groundable))
    return found


def _pad(rows: Sequence[Sequence[int]], filler: int = 0) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)


def _slots(rows: Tensor, slots: int) -> Tensor:
    """Rows filled up with zeros to so many slots in dimension 1."""
    return F.pad(rows, (0, 0) * (rows.ndim - 2) + (0, slots - rows.shape[1]))
