"""Training a model that labels the sub-words of a post and sees its picture: what UMT and UMGF have in common."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from gmner.training.loop import Task, shuffled
from gmner.training.predictions import Codec, Encoded, f1_scores, predict


class LabelCodec(Codec, Protocol):
    """Between posts with their labels and the tensors of a model."""

    def batch(self, encoded: Sequence[Any]) -> Any:
        """Posts as tensors."""

    def labels(self, encoded: Sequence[Any]) -> Any:
        """Their gold labels as tensors."""


class Batch(NamedTuple):
    """Posts with their gold labels, as the codec makes them."""

    posts: Any
    labels: Any


class LabellingTask(Task):
    """Recognition on posts with gold entities; the dev score that chooses the epoch is MNER F1 in percent."""

    def __init__(self, model: nn.Module, codec: LabelCodec, train: Sequence[Encoded], dev: Sequence[Encoded]) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.posts = train
        self.dev = dev

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Posts in random order."""
        return shuffled(self.posts, batch_size, generator)

    def collate(self, batch: list[Encoded]) -> Batch:
        return Batch(self.codec.batch(batch), self.codec.labels(batch))

    def evaluate(self) -> dict[str, float]:
        return f1_scores(predict(self.model, self.codec, self.dev), ("mner",))
