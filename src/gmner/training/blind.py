"""Training a blind reader: cross-entropy of what can be seen, and of which boxes are right where something can."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from gmner.errors import ConfigError
from gmner.models.blind import weights
from gmner.models.blind.boxes import choose_boxes, overlapping, relative_boxes
from gmner.models.blind.codec import BlindCodec, Encoded, answered
from gmner.models.blind.config import BlindConfig
from gmner.models.blind.model import Blind, Logits, Names, Posts
from gmner.nn.batching import moved
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, alike, freeze, shuffle
from gmner.training.recipe import Tested
from gmner.training.temperature import cool, temperature
from gmner.types import Box, Entity, Example, Prediction


class Sample(NamedTuple):
    """A post with at least one gold entity: its entities, and the regions of each as shares of the picture."""

    post: Encoded
    entities: tuple[Entity, ...]
    regions: list[list[Box]]


class Batch(NamedTuple):
    """Posts and names with, for each name, whether it can be seen (1) or not (0), and which boxes are right."""

    posts: Posts
    names: Names
    visible: Float[Tensor, " names"]
    hits: Float[Tensor, "names boxes"]


class Judged(NamedTuple):
    """The logits of gold entities beside the truth."""

    logits: Logits
    visible: Float[Tensor, " names"]
    hits: Float[Tensor, "names boxes"]


class BlindTask(Task):
    """Groundability and boxes of gold entities, from words.

    The loss is the cross-entropy of P(visible), and `box_weight` times the mean over all boxes of the cross-entropy of
    P(box right), over the entities that can be seen. The dev score that chooses the epoch is the share of gold
    entities that are answered right in percent: no box where there is nothing to see, or a box that overlaps.
    """

    model: Blind

    def __init__(
        self,
        model: Blind,
        codec: BlindCodec,
        train: Sequence[Example],
        dev: Sequence[Example],
        box_weight: float = 3.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.samples = samples(codec, train)
        self.dev = dev
        self.box_weight = box_weight

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Sample]]:
        """Posts of similar length together, in random order."""
        return alike(shuffle(self.samples, generator), batch_size, lambda sample: len(sample.post.pieces), generator)

    def collate(self, batch: list[Sample]) -> Batch:
        boxes = [Box(*box) for box in self.model.boxes.double().tolist()]
        return Batch(*self.codec.batch([sample.post for sample in batch]), *truth(batch, boxes))

    def forward(self, tensors: Batch) -> Tensor:
        posts, names, visible, hits = tensors
        logits = self.model(posts, names)
        with torch.autocast(logits.visible.device.type, enabled=False):
            seen = F.binary_cross_entropy_with_logits(logits.visible, visible)
            crossed = F.binary_cross_entropy_with_logits(logits.hits, hits, reduction="none").mean(1)
            # A sum over no entities is 0, a mean would be none.
            return seen + self.box_weight * (crossed * visible).sum() / len(visible)

    def evaluate(self) -> dict[str, float]:
        return score(judge(self.model, self.codec, self.dev))

    def save(self, folder: Path) -> None:
        calibrate(self.model, self.codec, self.dev)
        weights.save(folder, self.model)


@dataclass(frozen=True)
class BlindRecipe:
    """A blind reader, trained on gold entities.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: the reader's settings.
        training: the loop's settings.
        frozen: prefixes of parameter names that keep the weights of the encoder.
        box_weight: weight of the boxes' loss beside that of groundability.
    """

    about: str
    task: Literal["blind"] = "blind"
    model: BlindConfig = field(default_factory=BlindConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    frozen: tuple[str, ...] = ()
    box_weight: float = 3.0

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> BlindTask:
        """A new reader on its encoder; its boxes are chosen on `train`.

        Raises:
            ConfigError: no entity of `train` has a region in a picture whose size is known, or what the reader is to
                read of pictures is in no post.
            TextError: a text has more sub-words than the window.
        """
        for name in ("caption", "description"):
            if getattr(self.model, name) and all(getattr(post, name) is None for post in train):
                raise ConfigError(
                    f"the recipe reads a {name}, and no training post has one",
                    allowed="a reader is trained on posts that have what it reads",
                    todo=f"give the posts {name}s (gmner data convert --{name}s), or drop it from the recipe",
                )
        regions = [own for post in train for e in post.entities or () if (own := relative_boxes(post, e))]
        if not regions:
            raise ConfigError(
                "no training post has both boxes and an `image_size`",
                allowed="boxes are learned as shares of the picture",
                todo="train on a data set with boxes, such as Twitter-GMNER",
            )
        torch.manual_seed(self.training.seed)
        model = Blind(self.model, load_encoder(self.model.encoder))
        freeze(model, self.frozen)
        boxes = choose_boxes(regions, self.model.boxes)
        shares = overlapping(regions, [Box(*box) for box in boxes.tolist()]).mean(0)
        model.set_boxes(torch.from_numpy(boxes), torch.from_numpy(shares))
        codec = BlindCodec(self.model, load_tokenizer(self.model.encoder))
        return BlindTask(model, codec, train, dev, self.box_weight)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Measures on the gold entities of the test split. With these given there is no F1 to report."""
        model, codec = weights.load(folder)
        return Tested(
            predict(model, codec, test),
            (),
            score(judge(model, codec, test)),
        )


def predict(model: Blind, codec: BlindCodec, examples: Sequence[Example]) -> list[Prediction]:
    """The gold entities of every post, with P(visible), and with a box where that is the likelier answer."""
    found = codec.predict(model, codec.encode(examples, [example.entities or () for example in examples]))
    return [
        Prediction(
            example=example,
            entities=tuple(
                answered(entity, judgement, example.image_size)
                for entity, judgement in zip(example.entities or (), judgements, strict=True)
            ),
            image_size=example.image_size,
        )
        for example, judgements in zip(examples, found, strict=True)
    ]


def samples(codec: BlindCodec, examples: Sequence[Example]) -> list[Sample]:
    """The posts that have gold entities."""
    named = [example for example in examples if example.entities]
    encoded = telling_left_out(codec.encode(named, [example.entities or () for example in named]))
    return [
        Sample(post, example.entities or (), [relative_boxes(example, entity) for entity in example.entities or ()])
        for post, example in zip(encoded, named, strict=True)
    ]


def truth(batch: Sequence[Sample], boxes: Sequence[Box]) -> tuple[Tensor, Tensor]:
    """Of each name of a batch whether it can be seen, and which boxes are right."""
    visible = [float(entity.visible) for sample in batch for entity in sample.entities]
    hits: Bool[np.ndarray, "names boxes"] = overlapping([own for s in batch for own in s.regions], boxes)
    return torch.tensor(visible), torch.from_numpy(hits).float()


@torch.inference_mode()
def judge(model: Blind, codec: BlindCodec, examples: Sequence[Example], batch_size: int = 32) -> Judged:
    """What the model says of every gold entity, beside the truth. In the order of `examples` and their entities."""
    rows = samples(codec, examples)
    boxes = [Box(*box) for box in model.boxes.double().tolist()]
    found: list[Judged] = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        posts, names = codec.batch([sample.post for sample in batch])
        logits = model(moved(posts, model.device), moved(names, model.device))
        found.append(Judged(Logits(*(tensor.cpu() for tensor in logits)), *truth(batch, boxes)))
    return Judged(
        Logits(torch.cat([one.logits.visible for one in found]), torch.cat([one.logits.hits for one in found])),
        torch.cat([one.visible for one in found]),
        torch.cat([one.hits for one in found]),
    )


def score(judged: Judged) -> dict[str, float]:
    """In percent: gold entities answered right, groundability told right, and boxes right of what can be seen."""
    seen = judged.visible > 0.5
    probability = judged.logits.visible.double().sigmoid()
    best = judged.logits.hits.max(1)
    hit = judged.hits.gather(1, best.indices[:, None]).squeeze(1) > 0.5
    boxed = probability * best.values.double().sigmoid() > 1 - probability
    right = torch.where(boxed, seen & hit, ~seen)
    return {
        "answered_right": 100 * float(right.double().mean()),
        "groundable_accuracy": 100 * float(((probability > 0.5) == seen).double().mean()),
        "groundable_majority": 100 * float(torch.maximum(seen.double().mean(), (~seen).double().mean())),
        "grounding_precision": 100 * float(hit[seen].double().mean()),
    }


def calibrate(model: Blind, codec: BlindCodec, dev: Sequence[Example]) -> tuple[float, float]:
    """Make both heads' probabilities honest on `dev`: their temperatures, of which weights and biases take care.

    For the boxes the one that would be given counts.
    """
    judged = judge(model, codec, dev)
    seen = judged.visible > 0.5
    best = judged.logits.hits[seen].max(1)
    right = judged.hits[seen].gather(1, best.indices[:, None]).squeeze(1)
    degrees = temperature(judged.logits.visible, judged.visible), temperature(best.values, right)
    cool(model.visible, degrees[0])
    cool(model.hits, degrees[1])
    return degrees
