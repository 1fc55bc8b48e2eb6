"""Training UMT: the likelihood of the labels and, at half weight, of the untyped ones of the span branch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gmner.image import Picture
from gmner.metrics import evaluate
from gmner.models.umt import weights
from gmner.models.umt.codec import Encoded, UMTCodec
from gmner.models.umt.config import UMTConfig
from gmner.models.umt.model import UMT, Labels, Posts
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.pictures import open_picture
from gmner.training.recipe import Tested
from gmner.types import Example, Prediction


class Batch(NamedTuple):
    """Posts with their gold labels."""

    posts: Posts
    labels: Labels


class UMTTask(Task):
    """Recognition on posts with gold entities; the dev score that chooses the epoch is MNER F1 in percent.

    The published runs clip the gradient of every tensor by itself, and their rate jumps behind the warm-up and turns
    negative at the end (specs/umt.md, section 5); this house has one loop, which does neither.
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
        return shuffled(self.posts, batch_size, generator)

    def collate(self, batch: list[Encoded]) -> Batch:
        return Batch(self.codec.batch(batch), self.codec.labels(batch))

    def forward(self, tensors: Batch) -> Tensor:
        posts, labels = tensors
        states = self.model(posts)
        with torch.autocast(states.emissions.device.type, enabled=False):
            return self.model.losses(states, labels, posts.attention).total

    def evaluate(self) -> dict[str, float]:
        predictions = predict(self.model, self.codec, self.dev, self.dev_pictures)
        return {"mner_f1": 100 * evaluate(self.dev, predictions, tasks=("mner",))["mner"].f1}

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class UMTRecipe:
    """A UMT, trained to recognise.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: UMT's settings; `encoder` and `vision` say what it starts from.
        training: the loop's settings.
    """

    about: str
    task: Literal["umt"] = "umt"
    model: UMTConfig = field(default_factory=UMTConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> UMTTask:
        """A new UMT on its encoders.

        Raises:
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than the window.
        """
        torch.manual_seed(self.training.seed)
        model = UMT(self.model, load_encoder(self.model.encoder), load_encoder(self.model.vision))
        codec = UMTCodec(self.model, load_tokenizer(self.model.encoder))
        encoded = [item for post in train for item in codec.encode([post], [open_picture(post)])]
        return UMTTask(model, codec, encoded, dev, [open_picture(post) for post in dev])

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """MNER on the test split."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, test, [open_picture(post) for post in test]), ("mner",), {})


def predict(
    model: UMT, codec: UMTCodec, examples: Sequence[Example], pictures: Sequence[Picture | None]
) -> list[Prediction]:
    """What a UMT finds in every example."""
    found = codec.predict(model, examples, pictures)
    return [Prediction(example=example, entities=entities) for example, entities in zip(examples, found, strict=True)]
