"""Posts to tensors and tensors to entities, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import ImageError
from gmner.image import Picture
from gmner.models.umt.config import LABELS, SPAN_LABELS, UMTConfig, span_label
from gmner.models.umt.model import UMT, Labels, Posts, fusion_feature
from gmner.models.umt.pixels import random_piece
from gmner.nn.batching import in_batches, moved
from gmner.nn.imagenet import SIDE, View, middle, normalise
from gmner.nn.piece_labels import PieceLabels, Sentence
from gmner.types import Entity, Example

PIECES: Final = PieceLabels(LABELS)
SPAN_COLUMN: Final = torch.tensor([SPAN_LABELS.index(span_label(label)) for label in LABELS])
"""The span label of every label."""


class Encoded(NamedTuple):
    """One post as numbers."""

    sentence: Sentence
    view: View

    @property
    def example(self) -> Example:
        """The post."""
        return self.sentence.example


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
        sentences = PIECES.sentences(self.tokenizer, examples, self.config.window, released=self.config.released)
        return [
            Encoded(sentence, self._view(sentence.example, picture))
            for sentence, picture in zip(sentences, pictures, strict=True)
        ]

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
        pieces = _pad([item.sentence.pieces for item in encoded], length, self.tokenizer.pad_token_id)
        lengths = torch.tensor([len(item.sentence.pieces) for item in encoded])
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
        main = _pad([PIECES.gold(item.sentence) for item in encoded])
        return Labels(main, SPAN_COLUMN[main])

    @torch.inference_mode()
    def predict(self, model: UMT, encoded: Sequence[Encoded], batch_size: int = 16) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score`: the smallest marginal of its words' labels.

        What is found in one post does not depend on the others, scores but for the last digits (`batch_size` 1: not at
        all). An I- that continues nothing opens an entity, as in the released evaluation. In the `released` setting a
        word may also be given a label that no word can have (X, [CLS], [SEP], PAD); here it is no part of an entity,
        where the released evaluation counts a false one.
        """

        def compute(batch: list[Encoded]) -> list[tuple[Entity, ...]]:
            posts = moved(self.batch(batch), model.device)
            sentences = [item.sentence for item in batch]
            emissions = model(posts).emissions
            return PIECES.decode(model.crf, emissions, posts.attention, sentences, released=self.config.released)

        return in_batches(encoded, batch_size, _length, compute)

    @torch.inference_mode()
    def features(self, model: UMT, encoded: Sequence[Encoded], batch_size: int = 16) -> Float[Tensor, "posts feature"]:
        """The fusion feature of every post (`model.fusion_feature`), of the kind that the settings name."""
        length = self.config.window if self.config.fusion == "flat" else None

        def compute(batch: list[Encoded]) -> Tensor:
            posts = moved(self.batch(batch, length), model.device)
            return fusion_feature(model(posts).fused, posts.attention, self.config.fusion).cpu()

        rows = in_batches(encoded, batch_size, _length, compute)
        return torch.stack(rows) if rows else torch.empty(0, 0)


def _length(item: Encoded) -> int:
    return len(item.sentence.pieces)


def _pad(rows: Sequence[Sequence[int]], length: int | None = None, filler: int = 0) -> Tensor:
    """Rows as one tensor, filled up on the right to `length` or to the longest."""
    padded = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
    return padded if length is None else torch.nn.functional.pad(padded, (0, length - padded.shape[1]), value=filler)
