"""Training H-Index: the cross-entropy of its tokens and the divergence of its regions from gold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor

from gmner.data.expansions import with_expansions
from gmner.models.h_index import weights
from gmner.models.h_index.codec import Encoded, HIndexCodec
from gmner.models.h_index.config import HIndexConfig
from gmner.models.h_index.model import HIndex, Source, Targets
from gmner.nn.encoders import load_tokenizer
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, alike, shuffle
from gmner.training.naming import Learner, Names, Told, named_regions
from gmner.training.pictures import open_picture
from gmner.training.predictions import f1_scores, predict
from gmner.training.recipe import Tested
from gmner.training.regions import with_regions
from gmner.types import Example


class Batch(NamedTuple):
    """Posts with what is to be generated for them, and what their candidates are called, if that is learned."""

    source: Source
    targets: Targets
    names: Names | None


class HIndexTask(Task):
    """The joint task on posts with gold entities; the dev score that chooses the epoch is GMNER F1 in percent."""

    model: Learner

    def __init__(
        self,
        model: HIndex,
        codec: HIndexCodec,
        train: Sequence[Encoded],
        dev: Sequence[Encoded],
        naming: float = 0.0,
    ) -> None:
        super().__init__()
        tokenizer = codec.tokenizer
        self.posts = [
            Told(post, named_regions(post.example, post.regions.boxes, tokenizer) if naming else None) for post in train
        ]
        self.model = Learner(model, self.posts)
        self.codec = codec
        self.dev = dev
        self.naming = naming

    @property
    def network(self) -> HIndex:
        """The network that is trained."""
        return cast(HIndex, self.model.network)

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Told[Encoded]]]:
        """Posts of similar length together, in random order (section 7: buckets by source length)."""
        shuffled = shuffle(self.posts, generator)
        return alike(shuffled, batch_size, lambda told: len(told.post.pieces) // 8, generator, chunk=0)

    def collate(self, batch: list[Told[Encoded]]) -> Batch:
        posts = [post for post, _ in batch]
        return Batch(self.codec.batch(posts), self.codec.targets(posts), self.model.names(batch))

    def forward(self, tensors: Batch) -> Tensor:
        network, naming = self.network, self.model.naming
        encoded = network.encode(tensors.source)
        loss = network.losses(tensors.source, tensors.targets, encoded).total
        if naming is None or tensors.names is None:
            return loss
        named: Tensor = naming(encoded.projected, tensors.names, network.embedding.weight)
        return loss + self.naming * named

    def evaluate(self) -> dict[str, float]:
        return f1_scores(predict(self.network, self.codec, self.dev), tasks_of(self.codec.config))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.network)


@dataclass(frozen=True)
class HIndexRecipe:
    """An H-Index, or a BARTMNER (`model.grounded` off).

    Args:
        about: one sentence for the reader.
        task: what is trained.
        start: a BART whose weights the model begins with; without one, all weights are random.
        candidates: a detector's files (`training.regions`); without them posts bring their candidates along.
        expansions: give the model the expansions of the gold names as knowledge, as drawn posts have them.
        naming: weight of the loss of what regions are called (`training.naming`), for random weights; 0, as published,
            learns regions from being chosen alone.
        model: H-Index's settings.
        training: the loop's settings.
    """

    about: str
    task: Literal["h-index"] = "h-index"
    start: str | None = None
    candidates: Path | None = None
    expansions: bool = False
    naming: float = 0.0
    model: HIndexConfig = field(default_factory=HIndexConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return "knowledge" in self.model.reads and not self.expansions

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> HIndexTask:
        """A new H-Index.

        Raises:
            CheckpointError: the BART or the tokenizer is not at hand.
            ConfigError: the model reads features of regions, and there are none.
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than there are positions.
        """
        torch.manual_seed(self.training.seed)
        model = HIndex(self.model)
        if self.start is not None:
            weights.begin_with_bart(model, self.start)
        codec = HIndexCodec(self.model, load_tokenizer(self.model.tokenizer))
        return HIndexTask(model, codec, self._encode(codec, train), self._encode(codec, dev), self.naming)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """The joint task on the test split, and its parts."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, self._encode(codec, test)), tasks_of(codec.config), {})

    def _encode(self, codec: HIndexCodec, examples: Sequence[Example]) -> Sequence[Encoded]:
        """Every post as numbers; pictures are opened one by one, and only what is seen of them is kept."""
        told = with_expansions(examples) if self.expansions else examples
        crop, looks = codec.config.crop, codec.config.crop or codec.config.places
        return telling_left_out(
            [
                item
                for post, features in with_regions(told, self.candidates, features=not crop)
                for item in codec.encode([post], [open_picture(post) if looks else None], [features])
            ]
        )


def tasks_of(config: HIndexConfig) -> tuple[str, ...]:
    """What a model of these settings is scored by; the first chooses the epoch."""
    return ("gmner", "mner", "eeg") if config.grounded else ("mner",)
