"""Posts to tensors and tensors to entities, for training and inference alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.image import Picture
from gmner.models.umgf.config import LABELS, UMGFConfig
from gmner.models.umgf.model import UMGF, Posts
from gmner.nn.batching import in_batches, moved
from gmner.nn.crops import cut
from gmner.nn.imagenet import View, middle, normalise
from gmner.nn.piece_labels import PieceLabels, Sentence
from gmner.types import Entity, Example

PIECES: Final = PieceLabels(LABELS)


class Encoded(NamedTuple):
    """One post as numbers: its sentence, and what is seen of each of its objects (at least one)."""

    sentence: Sentence
    views: tuple[View, ...]

    @property
    def example(self) -> Example:
        """The post."""
        return self.sentence.example


@dataclass(frozen=True)
class UMGFCodec:
    """Between posts and a UMGF's tensors, for one tokenizer."""

    config: UMGFConfig
    tokenizer: Any

    def encode(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> list[Encoded]:
        """Every post as numbers; `pictures[i]` is the opened picture of `examples[i]`, if any.

        Raises:
            TextError: a sentence has more sub-words than the window.
        """
        sentences = PIECES.sentences(self.tokenizer, examples, self.config.window)
        return [
            Encoded(sentence, self._views(sentence.example, picture))
            for sentence, picture in zip(sentences, pictures, strict=True)
        ]

    def _views(self, example: Example, picture: Picture | None) -> tuple[View, ...]:
        """The middles of the first candidates; of the whole picture, if it has none; of a blank, if it is none.

        The release cuts out what a phrase-grounding model finds for "person", "miscellaneous", "location" and
        "organization"; it is not to be had, and candidates take its place.
        """
        if picture is None:
            return (middle(None),)
        regions = [cut(picture, candidate.box) for candidate in example.candidates or ()][: self.config.objects]
        return tuple(middle(piece) for piece in regions or [picture])

    def batch(self, encoded: Sequence[Encoded]) -> Posts:
        """Posts padded to the longest sentence and the most objects of them."""
        pieces = _pad([item.sentence.pieces for item in encoded], self.tokenizer.pad_token_id)
        lengths = torch.tensor([len(item.sentence.pieces) for item in encoded])[:, None]
        objects = torch.tensor([len(item.views) for item in encoded])[:, None]
        return Posts(
            pieces=pieces,
            attention=torch.arange(pieces.shape[1]) < lengths,
            pixels=normalise([view for item in encoded for view in item.views]),
            present=torch.arange(int(objects.max())) < objects,
        )

    def labels(self, encoded: Sequence[Encoded]) -> Int64[Tensor, "batch pieces"]:
        """Gold labels. Entities without offsets or that cut through words are left out."""
        return _pad([PIECES.gold(item.sentence) for item in encoded])

    @torch.inference_mode()
    def predict(self, model: UMGF, encoded: Sequence[Encoded], batch_size: int = 16) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order, each with `score`: the smallest marginal of its words' labels.

        What is found in one post does not depend on the others, scores but for the last digits (`batch_size` 1: not at
        all). Released evaluation reads all sentences as one, so that an I- may go on with the sentence before.
        """

        def compute(batch: list[Encoded]) -> list[tuple[Entity, ...]]:
            posts = moved(self.batch(batch), model.device)
            return PIECES.decode(model.crf, model(posts), posts.attention, [item.sentence for item in batch])

        return in_batches(encoded, batch_size, lambda item: len(item.sentence.pieces), compute)


def _pad(rows: Sequence[Sequence[int]], filler: int = 0) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)
