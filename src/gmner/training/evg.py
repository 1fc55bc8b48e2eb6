"""Training EVG: the cross-entropy between the scores of an entity's regions and those that cover it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gmner.models.evg import weights
from gmner.models.evg.codec import Encoded, EVGCodec
from gmner.models.evg.config import EVGConfig
from gmner.models.evg.model import EVG, Queries
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.pictures import open_picture
from gmner.training.predictions import f1_scores
from gmner.training.recipe import Tested
from gmner.training.regions import with_regions
from gmner.types import Example, Prediction


class Batch(NamedTuple):
    """Gold entities with their shares of the regions."""

    queries: Queries
    shares: Tensor


class EVGTask(Task):
    """Grounding of gold entities; the dev score that chooses the epoch is EEG F1 in percent, of gold entities too."""

    model: EVG

    def __init__(self, model: EVG, codec: EVGCodec, train: Sequence[Encoded], dev: Sequence[Example],
                 dev_posts: Sequence[Encoded]) -> None:  # fmt: skip
        super().__init__()
        self.model = model
        self.codec = codec
        self.posts = [item for item in train if item.queries]
        self.dev = dev
        self.dev_posts = dev_posts

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Posts in random order."""
        return shuffled(self.posts, batch_size, generator)

    def collate(self, batch: list[Encoded]) -> Batch:
        return Batch(self.codec.batch(batch), self.codec.shares(batch))

    def forward(self, tensors: Batch) -> Tensor:
        return self.model.loss(self.model(tensors.queries), tensors.shares)

    def evaluate(self) -> dict[str, float]:
        return f1_scores(predict(self.model, self.codec, self.dev, self.dev_posts), ("eeg",))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class EVGRecipe:
    """An EVG, trained and tested on gold entities; what a recogniser makes of it is the pipeline's (`systems/evg.py`).

    Args:
        about: one sentence for the reader.
        task: what is trained.
        candidates: a detector's files (`training.regions`); without them posts bring their candidates along.
        model: EVG's settings; `encoder` says what it starts from.
        training: the loop's settings.
    """

    about: str
    task: Literal["evg"] = "evg"
    candidates: Path | None = None
    model: EVGConfig = field(default_factory=EVGConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> EVGTask:
        """A new EVG on its encoder.

        Raises:
            CheckpointError: the encoder is not at hand.
            ConfigError: the model reads features of regions, and there are none.
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than the window.
        """
        torch.manual_seed(self.training.seed)
        model = EVG(self.model, load_encoder(self.model.encoder))
        codec = EVGCodec(self.model, load_tokenizer(self.model.encoder))
        return EVGTask(model, codec, self._encode(codec, train), dev, self._encode(codec, dev))

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """EEG of gold entities on the test split."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, test, self._encode(codec, test)), ("eeg",), {})

    def _encode(self, codec: EVGCodec, examples: Sequence[Example]) -> Sequence[Encoded]:
        """The gold entities of every post as numbers; only what is seen of a picture is kept."""
        return telling_left_out(
            [
                item
                for post, features in with_regions(examples, self.candidates, features=not codec.config.crop)
                for item in codec.encode([post], [post.entities or ()], [open_picture(post)], [features])
            ]
        )


def predict(model: EVG, codec: EVGCodec, examples: Sequence[Example], posts: Sequence[Encoded]) -> list[Prediction]:
    """Where an EVG sees the entities of every post."""
    found = codec.predict(model, posts)
    return [Prediction(example=example, entities=entities) for example, entities in zip(examples, found, strict=True)]
