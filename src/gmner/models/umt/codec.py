"""Posts to tensors and tensors to entities, for training and inference alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import ImageError, TextError
from gmner.image import Picture
from gmner.models.umt.config import CONTINUATION, FIRST, LABELS, LAST, SPAN_LABELS, UMTConfig, span_label
from gmner.models.umt.model import UMT, Labels, Posts, fusion_feature
from gmner.models.umt.pixels import SIDE, View, middle, normalise, random_piece
from gmner.tagging import OUTSIDE, read_bio, to_entity, to_token_span, word_offsets, write_bio
from gmner.types import Entity, Example

T = TypeVar("T")

COLUMN: Final = {label: column for column, label in enumerate(LABELS)}
SPAN_COLUMN: Final = torch.tensor([SPAN_LABELS.index(span_label(label)) for label in LABELS])
"""The span label of every label."""

WORD_LABELS: Final = [label for label in LABELS if label[:2] in (OUTSIDE, "B-", "I-")]
POSSIBLE: Final = torch.tensor(
    [[other in WORD_LABELS if label == OUTSIDE else other == label for other in LABELS] for label in LABELS]
)
"""Row by row: which labels may stand where the frame of a sentence (see `Encoded`) has this label."""

_IMPOSSIBLE: Final = -1e9


@dataclass(frozen=True)
class Encoded:
    """One post as numbers.

    `pieces` are the sub-words with special tokens, `frame` their label columns if there were no entity: [CLS], O for
    the first piece of each word, X for the others, [SEP]. `first` says where each word's first piece stands; None for
    a word that the network does not see.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    frame: list[int]
    first: list[int | None]
    view: View


@dataclass(frozen=True)
class UMTCodec:
    """Between posts and a UMT's tensors, for one tokenizer.

    `stand_in` is the picture that the `released` setting puts in the place of a small or missing one (the released
    code's is that of post 17_06_4705 of Twitter-2017).
    """

    config: UMTConfig
    tokenizer: Any
    stand_in: Picture | None = None

    def encode(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> list[Encoded]:
        """Every post as numbers; `pictures[i]` is the opened picture of `examples[i]`, if any.

        Raises:
            TextError: a sentence has more sub-words than the window. The `released` setting cuts it instead.
            ImageError: in the `released` setting, a picture is small or missing and there is no `stand_in`.
        """
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        known = self._pieces({word for row in words for word in row})
        return [
            self._encode(example, spans, [known[word] for word in row], self._view(example, picture))
            for example, spans, row, picture in zip(examples, offsets, words, pictures, strict=True)
        ]

    def _encode(self, example: Example, offsets: list[tuple[int, int]], words: list[list[int]], view: View) -> Encoded:
        pieces, frame = [self.tokenizer.cls_token_id], [COLUMN[FIRST]]
        first: list[int | None] = []
        for word in words:
            first.append(len(pieces) if word else None)
            pieces += word
            frame += [COLUMN[OUTSIDE], *[COLUMN[CONTINUATION]] * (len(word) - 1)][: len(word)]
        room = self.config.window - 1
        if len(pieces) > room and not self.config.released:
            raise TextError(
                f"the text of post {example.id!r} has {len(pieces) - 1:,} sub-words",
                allowed=f"UMT reads at most {room - 1:,}",
                todo="split the text into several posts",
            )
        first = [position if position is not None and position < room else None for position in first]
        pieces = [*pieces[:room], self.tokenizer.sep_token_id]
        return Encoded(example, offsets, pieces, [*frame[:room], COLUMN[LAST]], first, view)

    def _pieces(self, words: set[str]) -> dict[str, list[int]]:
        """Sub-words of each distinct word; the tokenizer's clean-up leaves none of some."""
        if not words:
            return {}
        distinct = sorted(words)
        encoded = self.tokenizer(distinct, add_special_tokens=False, verbose=False)["input_ids"]
        absent = [] if self.config.released else [self.tokenizer.unk_token_id]
        return {word: ids or absent for word, ids in zip(distinct, encoded, strict=True)}

    def _view(self, example: Example, picture: Picture | None) -> View:
        if not self.config.released:
            return middle(picture)
        shown = self.stand_in if picture is None or min(picture.shape[:2]) < SIDE else picture
        if shown is None or min(shown.shape[:2]) < SIDE:
            raise ImageError(
                f"post {example.id!r} has no picture of at least {SIDE} x {SIDE} pixels, nor is there a `stand_in`",
                allowed="the setting `released` replaces small and missing pictures by the `stand_in`",
                todo="give a `stand_in`, or leave `released` off",
            )
        return random_piece(shown, seed=example.id)

    def batch(self, encoded: Sequence[Encoded], length: int | None = None) -> Posts:
        """Posts padded to `length` sub-words, or to the longest of them."""
        pieces = _pad([item.pieces for item in encoded], length, self.tokenizer.pad_token_id)
        lengths = torch.tensor([len(item.pieces) for item in encoded])
        return Posts(
            pieces=pieces,
            segments=torch.zeros_like(pieces),
            attention=torch.arange(pieces.shape[1]) < lengths[:, None],
            pixels=normalise([item.view for item in encoded]),
        )

    def labels(self, encoded: Sequence[Encoded]) -> Labels:
        """Gold labels of both branches. Entities without offsets or that cut through words are left out.

        Every entity begins with B-. Released training keeps an I- that continues nothing as the file has it (186 of
        them in the train split of Twitter-2015).
        """
        rows = []
        for item in encoded:
            row = list(item.frame)
            found = (to_token_span(entity, item.offsets) for entity in item.example.entities or ())
            tags = write_bio([span for span in found if span is not None], len(item.first))
            for position, tag in zip(item.first, tags, strict=True):
                if position is not None:
                    row[position] = COLUMN[tag]
            rows.append(row)
        main = _pad(rows)
        return Labels(main, SPAN_COLUMN[main])

    @torch.inference_mode()
    def predict(
        self, model: UMT, examples: Sequence[Example], pictures: Sequence[Picture | None], batch_size: int = 16
    ) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score`: the smallest marginal of its words' labels.

        What is found in one post does not depend on the others, scores but for the last digits (`batch_size` 1: not at
        all). An I- that continues nothing opens an entity, as in the released evaluation. In the `released` setting a
        word may also be given a label that no word can have (X, [CLS], [SEP], PAD); here it is no part of an entity,
        where the released evaluation counts a false one.
        """
        return self._in_batches(lambda encoded: self._predict(model, encoded), examples, pictures, batch_size)

    @torch.inference_mode()
    def features(
        self, model: UMT, examples: Sequence[Example], pictures: Sequence[Picture | None], batch_size: int = 16
    ) -> Float[Tensor, "posts feature"]:
        """The fusion feature of every post (`model.fusion_feature`), of the kind that the settings name."""
        length = self.config.window if self.config.fusion == "flat" else None

        def compute(encoded: list[Encoded]) -> Tensor:
            posts = self.batch(encoded, length).to(model.device)
            return fusion_feature(model(posts).fused, posts.attention, self.config.fusion).cpu()

        rows = self._in_batches(compute, examples, pictures, batch_size)
        return torch.stack(rows) if rows else torch.empty(0, 0)

    def _in_batches(
        self,
        compute: Callable[[list[Encoded]], Iterable[T]],
        examples: Sequence[Example],
        pictures: Sequence[Picture | None],
        batch_size: int,
    ) -> list[T]:
        """`compute` of every post, in batches of sentences of similar length, in the order of `examples`."""
        encoded = self.encode(examples, pictures)
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].pieces))
        results: dict[int, T] = {}
        for start in range(0, len(order), batch_size):
            indexes = order[start : start + batch_size]
            results.update(zip(indexes, compute([encoded[index] for index in indexes]), strict=True))
        return [results[index] for index in range(len(encoded))]

    def _predict(self, model: UMT, encoded: list[Encoded]) -> list[tuple[Entity, ...]]:
        posts = self.batch(encoded).to(model.device)
        emissions = model(posts).emissions.float()
        if not self.config.released:
            possible = POSSIBLE[_pad([item.frame for item in encoded])]
            emissions = emissions.masked_fill(~possible.to(model.device), _IMPOSSIBLE)
        paths = model.crf.decode(emissions, posts.attention)
        marginals = model.crf.marginals(emissions, posts.attention).cpu()
        return [
            tuple(read_entities(item, path, probabilities[range(len(path)), path].tolist()))
            for item, path, probabilities in zip(encoded, paths, marginals, strict=True)
        ]


def read_entities(item: Encoded, path: Sequence[int], probabilities: Sequence[float]) -> Iterable[Entity]:
    """The entities that a path of label columns says; `score` is the smallest probability of their words' labels."""
    labels = [OUTSIDE if position is None else LABELS[path[position]] for position in item.first]
    for span in read_bio([label if label in WORD_LABELS else OUTSIDE for label in labels]):
        positions = [position for position in item.first[span.start : span.end] if position is not None]
        score = min(probabilities[position] for position in positions)
        yield replace(to_entity(span, item.example.text, item.offsets), score=score)


def _pad(rows: Sequence[Sequence[int]], length: int | None = None, filler: int = 0) -> Tensor:
    """Rows as one tensor, filled up on the right to `length` or to the longest."""
    padded = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
    return padded if length is None else torch.nn.functional.pad(padded, (0, length - padded.shape[1]), value=filler)
