"""Training H-Index: the cross-entropy of its tokens and the divergence of its regions from gold."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gmner.metrics import evaluate
from gmner.models.h_index import weights
from gmner.models.h_index.codec import Encoded, HIndexCodec
from gmner.models.h_index.model import HIndex, Source, Targets
from gmner.nn.regions import Regions
from gmner.training.loop import Task
from gmner.types import Example, Prediction


class Batch(NamedTuple):
    """Posts with what is to be generated for them."""

    source: Source
    targets: Targets


class HIndexTask(Task):
    """The joint task on posts with gold entities; the dev score that chooses the epoch is GMNER F1 in percent.

    The published runs step with AdamW at a constant rate and decay every tensor (specs/hindex.md, section 7); this
    house has one loop.
    """

    model: HIndex

    def __init__(
        self,
        model: HIndex,
        codec: HIndexCodec,
        train: Sequence[Encoded],
        dev: Sequence[Example],
        dev_regions: Sequence[Regions | None],
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.posts = train
        self.dev = dev
        self.dev_regions = dev_regions

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Posts of similar length together, in random order (section 7: buckets by source length)."""
        order = torch.randperm(len(self.posts), generator=generator).tolist()
        order.sort(key=lambda index: len(self.posts[index].pieces) // 8)
        batches = [
            [self.posts[index] for index in order[start : start + batch_size]]
            for start in range(0, len(order), batch_size)
        ]
        return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]

    def collate(self, batch: list[Encoded]) -> Batch:
        return Batch(self.codec.batch(batch), self.codec.targets(batch))

    def forward(self, tensors: Batch) -> Tensor:
        source, targets = tensors
        return self.model.losses(source, targets).total

    def evaluate(self) -> dict[str, float]:
        predictions = predict(self.model, self.codec, self.dev, self.dev_regions)
        tasks = ("gmner", "mner", "eeg") if self.codec.config.grounded else ("mner",)
        scores = evaluate(self.dev, predictions, tasks=tasks)
        return {f"{task}_f1": 100 * scores[task].f1 for task in tasks}

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


def predict(
    model: HIndex, codec: HIndexCodec, examples: Sequence[Example], regions: Sequence[Regions | None]
) -> list[Prediction]:
    """What an H-Index finds in every example."""
    found = codec.predict(model, examples, regions)
    return [Prediction(example=example, entities=entities) for example, entities in zip(examples, found, strict=True)]
