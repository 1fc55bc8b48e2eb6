"""Training UMT: the likelihood of the labels and, at half weight, of the untyped ones of the span branch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gmner.image import Picture
from gmner.metrics import evaluate
from gmner.models.umt.codec import Encoded, UMTCodec
from gmner.models.umt.model import UMT
from gmner.training.loop import Task, TrainingConfig
from gmner.types import Example, Prediction


@dataclass
class UMTTask(Task):
    """Recognition on posts with gold entities; the dev score that chooses the epoch is MNER F1 in percent.

    The published runs step with BertAdam (no bias correction, every tensor clipped by itself, the CRFs decayed) and
    a rate that turns negative at the end (specs/umt.md, section 5); this house has one loop, with AdamW.
    """

    model: UMT
    codec: UMTCodec
    train: Sequence[Encoded]
    dev: Sequence[Example]
    dev_pictures: Sequence[Picture | None]

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> list[list[Encoded]]:
        """Posts in random order."""
        order = torch.randperm(len(self.train), generator=generator).tolist()
        return [
            [self.train[index] for index in order[start : start + config.batch_size]]
            for start in range(0, len(order), config.batch_size)
        ]

    def loss(self, batch: list[Encoded]) -> Tensor:
        posts = self.codec.batch(batch)
        states = self.model(posts)
        with torch.autocast("cpu", enabled=False):
            return self.model.losses(states, self.codec.labels(batch), posts.attention).total

    def evaluate(self) -> dict[str, float]:
        found = self.codec.predict(self.model, self.dev, self.dev_pictures)
        predictions = [Prediction(example=e, entities=entities) for e, entities in zip(self.dev, found, strict=True)]
        return {"mner_f1": 100 * evaluate(self.dev, predictions, tasks=("mner",))["mner"].f1}
