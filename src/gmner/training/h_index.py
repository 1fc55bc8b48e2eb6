"""Training H-Index: the cross-entropy of its tokens and the divergence of its regions from gold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gmner.metrics import evaluate
from gmner.models.h_index import weights
from gmner.models.h_index.codec import Encoded, HIndexCodec
from gmner.models.h_index.config import HIndexConfig
from gmner.models.h_index.model import HIndex, Source, Targets
from gmner.nn.encoders import load_tokenizer
from gmner.nn.regions import Regions
from gmner.training.loop import Task, TrainingConfig
from gmner.training.recipe import Tested
from gmner.training.regions import see_regions
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
        tasks = tasks_of(self.codec.config)
        scores = evaluate(self.dev, predictions, tasks=tasks)
        return {f"{task}_f1": 100 * scores[task].f1 for task in tasks}

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class HIndexRecipe:
    """An H-Index, or a BARTMNER (`model.grounded` off).

    Args:
        about: one sentence for the reader.
        task: what is trained.
        start: a BART whose weights the model begins with; without one, all weights are random.
        model: H-Index's settings.
        training: the loop's settings.
    """

    about: str
    task: Literal["h-index"] = "h-index"
    start: str | None = None
    model: HIndexConfig = field(default_factory=HIndexConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return self.model.context == "knowledge"

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> HIndexTask:
        """A new H-Index.

        Raises:
            CheckpointError: the BART or the tokenizer is not at hand.
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than there are positions.
        """
        torch.manual_seed(self.training.seed)
        model = HIndex(self.model)
        if self.start is not None:
            weights.begin_with_bart(model, self.start)
        codec = HIndexCodec(self.model, load_tokenizer(self.model.tokenizer))
        encoded = codec.encode(train, see_regions(train, self.model.crop))
        return HIndexTask(model, codec, encoded, dev, see_regions(dev, self.model.crop))

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """The joint task on the test split, and its parts."""
        model, codec = weights.load(folder)
        predictions = predict(model, codec, test, see_regions(test, model.config.crop))
        return Tested(predictions, tasks_of(model.config), {})


def tasks_of(config: HIndexConfig) -> tuple[str, ...]:
    """What a model of these settings is scored by; the first chooses the epoch."""
    return ("gmner", "mner", "eeg") if config.grounded else ("mner",)


def predict(
    model: HIndex, codec: HIndexCodec, examples: Sequence[Example], regions: Sequence[Regions | None]
) -> list[Prediction]:
    """What an H-Index finds in every example."""
    found = codec.predict(model, examples, regions)
    return [Prediction(example=example, entities=entities) for example, entities in zip(examples, found, strict=True)]
