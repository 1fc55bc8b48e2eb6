"""Training UMT: the likelihood of the labels and, at half weight, of the untyped ones of the span branch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gmner.image import Picture
from gmner.metrics import evaluate
from gmner.models.umt.codec import Encoded, UMTCodec
from gmner.models.umt.model import UMT, Labels, Posts
from gmner.training.loop import Task
from gmner.types import Example, Prediction


class Batch(NamedTuple):
    """Posts with their gold labels."""

    posts: Posts
    labels: Labels


class UMTTask(Task):
    """Recognition on posts with gold entities; the dev score that chooses the epoch is MNER F1 in percent.

    The published runs step with BertAdam (no bias correction, every tensor clipped by itself, the CRFs decayed) and
    a rate that turns negative at the end (specs/umt.md, section 5); this house has one loop, with AdamW.
    """

    model: UMT

    def __init__(
        self,
        model: UMT,
        codec: UMTCodec,
        train: Sequence[Encoded],
        dev: Sequence[Example],
        dev_pictures: Sequence[Picture | None],
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.posts = train
        self.dev = dev
        self.dev_pictures = dev_pictures

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Posts in random order."""
        order = torch.randperm(len(self.posts), generator=generator).tolist()
        return [
            [self.posts[index] for index in order[start : start + batch_size]]
            for start in range(0, len(order), batch_size)
        ]

    def collate(self, batch: list[Encoded]) -> Batch:
        return Batch(self.codec.batch(batch), self.codec.labels(batch))

    def forward(self, tensors: Batch) -> Tensor:
        posts, labels = tensors
        states = self.model(posts)
        with torch.autocast(states.emissions.device.type, enabled=False):
            return self.model.losses(states, labels, posts.attention).total

    def evaluate(self) -> dict[str, float]:
        found = self.codec.predict(self.model, self.dev, self.dev_pictures)
        predictions = [Prediction(example=e, entities=entities) for e, entities in zip(self.dev, found, strict=True)]
        return {"mner_f1": 100 * evaluate(self.dev, predictions, tasks=("mner",))["mner"].f1}
