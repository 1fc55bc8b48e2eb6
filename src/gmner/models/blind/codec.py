"""Posts and their names to tensors, and tensors to judgements, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gmner.errors import TextError
from gmner.models.blind.config import BlindConfig
from gmner.models.blind.model import CAPTION, DESCRIPTION, MOST_NAMES, SENTENCE, Blind, Names, Posts
from gmner.nn.batching import moved
from gmner.types import ENTITY_TYPES, Box, Entity, Example


@dataclass(frozen=True)
class Encoded:
    """A post as numbers. `names` holds (first sub-word, the one after the last, type, place) of each of its names.

    `left_out` are the sub-words of caption and description that are read and had no room.
    """

    pieces: list[int]
    marks: list[int]
    names: list[tuple[int, int, int, int]]
    left_out: int


class Judgement(NamedTuple):
    """What is said of a name: P(visible), the likeliest box as shares of the picture, and P(it is right | visible)."""

    visible: float
    box: Box
    hit: float

    @property
    def boxed(self) -> bool:
        """Whether giving the box is likelier right than saying that there is nothing to see.

        An entity is one prediction with a box or without, so the denominators of precision and recall do not depend
        on this choice: taking the likelier answer each time maximises the expected F1 of GMNER and of EEG.
        """
        return self.visible * self.hit > 1 - self.visible


def answered(entity: Entity, judgement: Judgement, image_size: tuple[int, int] | None) -> Entity:
    """The entity with its P(visible), and with the box if giving it is the likelier answer.

    Where the picture's size is not known the box is in shares of it, as of a picture of one pixel: whether there is a
    box must not depend on whether a size is known (Twitter-GMNER knows it for annotated pictures only).
    """
    width, height = image_size or (1, 1)
    box = Box(*(side * scale for side, scale in zip(judgement.box, (width, height, width, height), strict=True)))
    return replace(entity, groundable=judgement.visible, boxes=(box,) if judgement.boxed else (), masks=())


@dataclass(frozen=True)
class BlindCodec:
    """Between posts with names and a blind reader's tensors, for one tokenizer."""

    config: BlindConfig
    tokenizer: Any

    def encode(self, examples: Sequence[Example], names: Sequence[Sequence[Entity]]) -> list[Encoded]:
        """Every post as numbers, `names[i]` being those of `examples[i]`.

        Raises:
            TextError: a text has more sub-words than the window; it is never shortened.
        """
        if not examples:
            return []
        texts = self._pieces([example.text for example in examples])
        captions = self._pieces([(example.caption or "") * self.config.caption for example in examples])
        read = bool(self.config.description)
        descriptions = self._pieces([(example.description or "") * read for example in examples])
        return [
            self._encode(example, found, *parts)
            for example, found, *parts in zip(examples, names, texts, captions, descriptions, strict=True)
        ]

    def _pieces(self, texts: Sequence[str]) -> list[Any]:
        """The sub-words of each text, with their places in it."""
        return list(self.tokenizer(list(texts), add_special_tokens=False, verbose=False).encodings)

    def _encode(
        self, example: Example, entities: Sequence[Entity], text: Any, caption: Any, description: Any
    ) -> Encoded:
        end = [self.tokenizer.sep_token_id]
        room = self.config.window - 2
        if len(text.ids) > room:
            raise TextError(
                f"the text of post {example.id!r} has {len(text.ids):,} sub-words",
                allowed=f"the blind reader reads at most {room:,}",
                todo="split the text into several posts",
            )
        pieces = [self.tokenizer.cls_token_id, *text.ids, *end]
        marks = [SENTENCE] * len(pieces)
        spans = [_span(entity, text.offsets) for entity in entities]
        for entity, (first, last) in zip(entities, spans, strict=True):
            marks[first:last] = [1 + ENTITY_TYPES.index(entity.type)] * (last - first)
        marks[0] = SENTENCE
        left_out = 0
        for words, mark in ((caption.ids, CAPTION), (description.ids[: self.config.description], DESCRIPTION)):
            left_out += len(words)
            if fitting := words[: max(self.config.window - len(pieces) - 1, 0)]:
                pieces += [*fitting, *end]
                marks += [mark] * (len(fitting) + 1)
                left_out -= len(fitting)
        types = [ENTITY_TYPES.index(entity.type) for entity in entities]
        names = zip(spans, types, places(entities), strict=True)
        rows = [(first, last, kind, place) for (first, last), kind, place in names]
        return Encoded(pieces, marks, rows, left_out)

    def batch(self, encoded: Sequence[Encoded]) -> tuple[Posts, Names]:
        """Posts padded to the longest of them, and all their names."""
        flat = [(row, *name) for row, item in enumerate(encoded) for name in item.names]
        columns = torch.tensor(flat, dtype=torch.long).view(-1, 5).unbind(1)
        lengths = torch.tensor([len(item.pieces) for item in encoded])
        posts = Posts(
            pieces=_pad([item.pieces for item in encoded], self.tokenizer.pad_token_id),
            marks=_pad([item.marks for item in encoded], SENTENCE),
            attention=torch.arange(int(lengths.max()))[None] < lengths[:, None],
        )
        return posts, Names(*columns)

    @torch.inference_mode()
    def predict(self, model: Blind, encoded: Sequence[Encoded], batch_size: int = 32) -> list[list[Judgement]]:
        """What is said of every name of every post; posts are batched by length."""
        order = sorted((i for i, item in enumerate(encoded) if item.names), key=lambda i: len(encoded[i].pieces))
        found: list[list[Judgement]] = [[] for _ in encoded]
        boxes = [Box(*box) for box in model.boxes.double().tolist()]
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            posts, flat = self.batch([encoded[index] for index in chosen])
            logits = model(moved(posts, model.device), moved(flat, model.device))
            best = logits.hits.max(1)
            judged = zip(
                logits.visible.sigmoid().tolist(), best.indices.tolist(), best.values.sigmoid().tolist(), strict=True
            )
            for row, (visible, box, hit) in zip(flat.row.tolist(), judged, strict=True):
                found[chosen[row]].append(Judgement(visible, boxes[box], hit))
        return found


def places(entities: Sequence[Entity]) -> list[int]:
    """Of each name, which of how many different names of its type it is, in text order: (count - 1) * 4 + order.

    >>> places([Entity("Ada", "PER", 0, 3), Entity("Bob", "PER", 5, 8), Entity("Ada", "PER", 9, 12)])
    [4, 5, 4]
    """
    kinds: dict[str, list[str]] = {}
    for entity in sorted(entities, key=lambda entity: entity.start or 0):
        names = kinds.setdefault(entity.type, [])
        if entity.text.casefold() not in names:
            names.append(entity.text.casefold())
    result = []
    for entity in entities:
        names = kinds[entity.type]
        order = min(names.index(entity.text.casefold()), MOST_NAMES - 1)
        result.append((min(len(names), MOST_NAMES) - 1) * MOST_NAMES + order)
    return result


def _span(entity: Entity, offsets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The sub-words of a name, counted from the special token before the text.

    That token itself stands for a name without offsets, or of whose letters the tokenizer keeps none.
    """
    if entity.start is None or entity.end is None:
        return 0, 1
    inside = [i for i, (start, end) in enumerate(offsets, 1) if start < entity.end and end > entity.start]
    return (inside[0], inside[-1] + 1) if inside else (0, 1)


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows], dtype=torch.long)
