"""Training MQSPN: entities matched with queries at every layer, and what the queries then should have said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gmner.data.expansions import with_expansions
from gmner.errors import ConfigError
from gmner.models.mqspn import weights
from gmner.models.mqspn.batch import Posts
from gmner.models.mqspn.codec import Encoded, MQSPNCodec
from gmner.models.mqspn.config import MQSPNConfig
from gmner.models.mqspn.criterion import CriterionConfig, criterion
from gmner.models.mqspn.model import MQSPN
from gmner.models.mqspn.outputs import Gold, Outputs
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.naming import Learner, Named, Names, Told, named_regions
from gmner.training.pictures import open_picture
from gmner.training.predictions import f1_scores, predict
from gmner.training.recipe import Tested
from gmner.training.regions import with_regions
from gmner.types import Example

TASKS = ("gmner", "mner", "eeg")
"""What is scored, the first of them to choose the epoch."""


class Batch(NamedTuple):
    """Posts with their gold items, and what their candidates are called, if that is learned."""

    posts: Posts
    gold: Gold
    names: Names | None


class MQSPNTask(Task):
    """The whole task on posts with gold entities; the dev score that chooses the epoch is GMNER F1 in percent.

    The release chooses by the macro F1 of its own rule (protocol `mqspn`).
    """

    model: Learner

    def __init__(
        self,
        model: nn.Module,
        codec: MQSPNCodec,
        train: Sequence[Encoded],
        dev: Sequence[Encoded],
        criterion: CriterionConfig,
        naming: float = 0.0,
    ) -> None:
        super().__init__()
        self.posts = [Told(post, _named(codec, post) if naming else None) for post in train]
        self.model = Learner(model, self.posts)
        self.codec = codec
        self.dev = dev
        self.criterion = criterion
        self.naming = naming

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Told[Encoded]]]:
        """Posts in random order."""
        return shuffled(self.posts, batch_size, generator)

    def collate(self, batch: list[Told[Encoded]]) -> Batch:
        encoded = [post for post, _ in batch]
        posts = self.codec.batch(encoded)
        return Batch(posts, self.codec.gold(encoded, posts.regions.shape[1]), self.model.names(batch))

    def forward(self, tensors: Batch) -> Tensor:
        network, naming, posts = self.model.network, self.model.naming, tensors.posts
        if naming is None or tensors.names is None or not isinstance(network, MQSPN):
            return self._loss(network(posts), tensors)
        regions = network.look(posts)
        vectors = network.encoder.get_input_embeddings().weight
        named: Tensor = naming(regions, tensors.names, vectors)
        return self._loss(network.find(posts, regions), tensors) + self.naming * named

    def _loss(self, layers: list[Outputs], tensors: Batch) -> Tensor:
        with torch.autocast(tensors.posts.words.device.type, enabled=False):
            return criterion(layers, tensors.gold, self.criterion)

    def evaluate(self) -> dict[str, float]:
        return f1_scores(predict(self.model.network, self.codec, self.dev), TASKS)

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model.network, self.codec.config)


@dataclass(frozen=True)
class MQSPNRecipe:
    """An MQSPN, trained on posts with candidate regions.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: MQSPN's settings.
        criterion: how outputs are matched and judged.
        training: the loop's settings.
        expansions: give the model the expansions of the gold names as knowledge, as drawn posts have them.
        candidates: a detector's files (`training.regions`); without them posts bring their candidates along.
        naming: weight of the loss of what regions are called (`training.naming`), for the paper's network with random
            weights; 0, as published, learns regions from being chosen alone.
    """

    about: str
    task: Literal["mqspn"] = "mqspn"
    model: MQSPNConfig = field(default_factory=MQSPNConfig)
    criterion: CriterionConfig = field(default_factory=CriterionConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    expansions: bool = False
    candidates: Path | None = None
    naming: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigError: the released network is to name regions.
        """
        if self.naming and self.model.released is not None:
            raise ConfigError(
                f"setting 'naming' is {self.naming} for the released network",
                allowed="the released network learns as it was published",
                todo="set it to 0",
            )

    @property
    def reads_knowledge(self) -> bool:
        return "knowledge" in self.model.reads and not self.expansions

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> MQSPNTask:
        """A new MQSPN.

        Raises:
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than the window.
            ConfigError: a post has more gold entities than there are queries for them; or the model reads features of
                regions, and there are none.
            DataError: the files of candidates are missing or damaged.
        """
        torch.manual_seed(self.training.seed)
        config = self.model
        encoder = load_encoder(config.encoder) if weights.needs_encoder(config) else None
        begins = config.released is not None and config.released.pretrained
        clip = load_encoder(config.vision) if begins or weights.sees_by_clip(config) else None
        model, codec = weights.build(config, load_tokenizer(config.encoder), encoder, clip)
        posts = self._encode(codec, train)
        for post in posts:
            codec.items(post)  # too many entities are told before the training begins
        return MQSPNTask(model, codec, posts, self._encode(codec, dev), self.criterion, self.naming)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """GMNER, MNER and EEG on the test split."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, self._encode(codec, test)), TASKS, {})

    def _encode(self, codec: MQSPNCodec, examples: Sequence[Example]) -> Sequence[Encoded]:
        """Every post as numbers; pictures are opened one by one, and only their crops are kept."""
        told = with_expansions(examples) if self.expansions else examples
        return telling_left_out(
            [
                item
                for post, features in with_regions(told, self.candidates, features=codec.reads_features)
                for item in codec.encode([post], [open_picture(post)], [features])
            ]
        )


def _named(codec: MQSPNCodec, post: Encoded) -> Named:
    """What a post's candidates are called; the region before them is none."""
    regions, pieces = named_regions(post.example, post.boxes, codec.tokenizer)
    return Named([1 + region for region in regions], pieces)
