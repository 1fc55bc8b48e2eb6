"""Training ALBEF for visual entailment: gold pairs, the labels of a slow copy, and what is told of the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.data.pairs import entailment_pairs
from gmner.expression import Form, expression_of
from gmner.image import Picture, open_image
from gmner.models.albef import weights
from gmner.models.albef.augment import Augmentation
from gmner.models.albef.codec import ALBEFCodec, squeeze
from gmner.models.albef.config import CONTRADICTION, ENTAILMENT, ALBEFConfig
from gmner.models.albef.distillation import distilled_loss, follow, new_teacher
from gmner.models.albef.model import ALBEF, Texts
from gmner.models.albef.predictor import ALBEFEntailer
from gmner.nn.crops import normalise
from gmner.nn.encoders import load_tokenizer
from gmner.training.loop import Task, TrainingConfig
from gmner.training.pictures import open_picture
from gmner.training.recipe import Tested
from gmner.training.telling import UNMASKED, Naming, Telling, mask, told_sentences
from gmner.types import Example, Prediction

if TYPE_CHECKING:
    from PIL.Image import Image

    Reference = str | PathLike[str] | bytes | Image | np.ndarray


@dataclass(frozen=True)
class Distillation:
    """Momentum distillation (Li et al. 2021, section 3.4).

    Args:
        share: of the teacher's labels in the loss, from the first step on, as the released recipe has it.
        momentum: share of itself that the teacher keeps at each step.
    """

    share: float = 0.4
    momentum: float = 0.995


@dataclass(frozen=True)
class Shown:
    """A training post: its picture, gold pairs (expressions with labels), and the sentences that are told of it.

    `picture` is the post's reference, or what the model sees of it if that is always the same.
    """

    picture: "Reference"
    expressions: list[list[int]]
    labels: list[int]
    told: list[list[int]]


class Drawn(NamedTuple):
    """A training post and the seed of all that chance does to it."""

    shown: Shown
    seed: int


class Row(NamedTuple):
    """A text of a batch: its pieces, the picture that it stands beside, and its label."""

    pieces: list[int]
    owner: int
    label: int


class Batch(NamedTuple):
    """Pictures, and texts beside them: `gold` pairs first, then pairs of told sentences, then masked sentences.

    `labels` are those of all pairs; `named` are the pieces under the masks of the last rows, -100 elsewhere.
    """

    pixels: Float[Tensor, "pictures 3 side side"]
    texts: Texts
    owners: Int64[Tensor, " texts"]
    labels: Int64[Tensor, " pairs"]
    gold: int
    named: Int64[Tensor, "masked pieces"]


class Learner(nn.Module):
    """The model that is trained, and what it needs for that only: its teacher and the head that names pieces."""

    def __init__(self, student: ALBEF, *, distilled: bool, told: bool) -> None:
        super().__init__()
        self.student = student
        self.teacher = new_teacher(student) if distilled else None
        self.naming = Naming(student.config.text.width, student.config.text.vocabulary) if told else None


class ALBEFTask(Task):
    """Visual entailment on gold pairs. The dev score that chooses the epoch is the accuracy in percent.

    The released recipe sets its rate by a cosine once an epoch after a hundred slow steps, and draws its batches pair
    by pair (specs/albef.md, section 8). This house has one loop, and a batch here is one of posts with all their
    pairs, so that the vision transformer sees each picture once.
    """

    model: Learner

    def __init__(
        self,
        model: Learner,
        codec: ALBEFCodec,
        train: Sequence[Shown],
        dev: Sequence[Example],
        dev_pictures: Sequence[Picture | None],
        recipe: "ALBEFRecipe",
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.shown = train
        self.dev = dev
        self.dev_pictures = dev_pictures
        self.recipe = recipe

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Drawn]]:
        """Posts in random order, each with a seed of its own."""
        order = torch.randperm(len(self.shown), generator=generator).tolist()
        seeds = torch.randint(2**31, (len(order),), generator=generator).tolist()
        drawn = [Drawn(self.shown[index], seed) for index, seed in zip(order, seeds, strict=True)]
        return [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]

    def collate(self, batch: list[Drawn]) -> Batch:
        draws = [np.random.default_rng(seed) for _, seed in batch]
        squares = [self._square(shown, draw) for (shown, _), draw in zip(batch, draws, strict=True)]
        gold = [
            Row(pieces, owner, label)
            for owner, (shown, _) in enumerate(batch)
            for pieces, label in zip(shown.expressions, shown.labels, strict=True)
        ]
        told, masked, named = self._told([shown for shown, _ in batch], draws)
        rows = gold + told + masked
        texts = self.codec.batch([row.pieces for row in rows])
        width = texts.pieces.shape[1]
        return Batch(
            pixels=normalise(np.stack(squares)),
            texts=texts,
            owners=torch.tensor([row.owner for row in rows]),
            labels=torch.tensor([row.label for row in gold + told]),
            gold=len(gold),
            named=torch.tensor(
                [[*pieces, *[UNMASKED] * (width - len(pieces))] for pieces in named], dtype=torch.long
            ).view(-1, width),
        )

    def _square(self, shown: Shown, draw: np.random.Generator) -> Picture:
        side, vary = self.codec.config.vision.resolution, self.recipe.augmentation
        picture = open_image(shown.picture)
        return squeeze(picture, side) if vary is None else vary(picture, side, draw)

    def _told(
        self, batch: Sequence[Shown], draws: Sequence[np.random.Generator]
    ) -> tuple[list[Row], list[Row], list[list[int]]]:
        """Pairs of told sentences, masked sentences, and the pieces under the masks."""
        told: list[Row] = []
        masked: list[Row] = []
        named: list[list[int]] = []
        if (plan := self.recipe.telling) is None:
            return told, masked, named
        for owner, (shown, draw) in enumerate(zip(batch, draws, strict=True)):
            for index in draw.permutation(len(shown.told))[: plan.sentences]:
                pieces = shown.told[index]
                told.append(Row(pieces, owner, ENTAILMENT))
                if len(batch) > 1:
                    other = (owner + int(draw.integers(1, len(batch)))) % len(batch)
                    told.append(Row(pieces, other, CONTRADICTION))
                hidden, names = mask(pieces, plan.masked, self.codec.tokenizer.mask_token_id, draw)
                masked.append(Row(hidden, owner, ENTAILMENT))
                named.append(names)
        return told, masked, named

    def forward(self, tensors: Batch) -> Tensor:
        student, pairs, gold = self.model.student, len(tensors.labels), tensors.gold
        rows = student.read(tensors.texts, student.vision(tensors.pixels), tensors.owners)
        logits = student.classifier(rows[:pairs, 0]).float()
        loss = self._gold_loss(logits[:gold], tensors)
        if (plan := self.recipe.telling) is not None and self.model.naming is not None:
            # Sums over nothing are 0, means would be none: a batch may have nothing told.
            matched = F.cross_entropy(logits[gold:], tensors.labels[gold:], reduction="sum")
            loss = loss + plan.matching * matched / max(pairs - gold, 1)
            asked = tensors.named != UNMASKED
            scores = self.model.naming(rows[pairs:][asked], student.text.words.weight).float()
            named = F.cross_entropy(scores, tensors.named[asked], reduction="sum")
            loss = loss + plan.naming * named / max(len(scores), 1)
        return loss

    def _gold_loss(self, logits: Float[Tensor, "gold labels"], tensors: Batch) -> Float[Tensor, ""]:
        labels = tensors.labels[: tensors.gold]
        if not len(labels):
            return logits.sum()  # a mean over nothing would be none
        plan, student, teacher = self.recipe.distillation, self.model.student, self.model.teacher
        if plan is None or teacher is None:
            return F.cross_entropy(logits, labels)
        follow(teacher, student, plan.momentum)
        texts = Texts(*(tensor[: tensors.gold] for tensor in tensors.texts))
        with torch.no_grad():
            taught = teacher(texts, tensors.pixels, tensors.owners[: tensors.gold]).float()
        return distilled_loss(logits, taught, labels, plan.share)

    def evaluate(self) -> dict[str, float]:
        entailer = ALBEFEntailer(self.model.student, self.codec)
        return accuracy(judge(entailer, self.dev, self.dev_pictures, self.recipe.form))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model.student)


@dataclass(frozen=True)
class ALBEFRecipe:
    """An ALBEF, trained for visual entailment.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: ALBEF's settings.
        training: the loop's settings. `batch_size` counts posts.
        start: a published file to start from, pre-trained or fine-tuned; without one, weights are random.
        form: how expressions are written.
        augmentation: how training pictures vary; without it, they are always seen whole.
        distillation: labels from a slow copy beside the gold ones; without it, gold ones only.
        telling: learning from captions and descriptions on the way; without it, from gold pairs only.
    """

    about: str
    task: Literal["albef"] = "albef"
    model: ALBEFConfig = field(default_factory=ALBEFConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    start: Path | None = None
    form: Form = "paper"
    augmentation: Augmentation | None = None
    distillation: Distillation | None = None
    telling: Telling | None = None

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> ALBEFTask:
        """A new ALBEF, or the one of `start`. Posts without a picture or a text about it teach nothing.

        Raises:
            CheckpointError: `start` is missing, damaged, or of another model.
            ImageError: a picture is missing or damaged.
            TextError: an expression has more sub-words than the model has positions.
        """
        torch.manual_seed(self.training.seed)
        student = ALBEF(self.model)
        model = Learner(student, distilled=self.distillation is not None, told=self.telling is not None)
        if self.start is not None:
            weights.start_from(self.start, student, model.teacher)
        codec = ALBEFCodec(self.model, load_tokenizer(self.model.tokenizer))
        shown = [self._shown(post, post.image, codec) for post in train if post.image is not None]
        shown = [item for item in shown if item.expressions or item.told]
        side = self.model.vision.resolution
        dev_pictures = [None if (picture := open_picture(post)) is None else squeeze(picture, side) for post in dev]
        return ALBEFTask(model, codec, shown, dev, dev_pictures, self)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Accuracy on the gold entities of the test split, each of which is given how likely it can be seen."""
        entailer = ALBEFEntailer.load(folder)
        predictions = judge(entailer, test, [open_picture(post) for post in test], self.form)
        return Tested(predictions, (), accuracy(predictions))

    def _shown(self, post: Example, image: "Reference", codec: ALBEFCodec) -> Shown:
        picture = open_picture(post)
        pairs = entailment_pairs([post], self.form)
        return Shown(
            picture=image if picture is None or self.augmentation else squeeze(picture, self.model.vision.resolution),
            expressions=codec.encode([pair.expression for pair in pairs]),
            labels=[ENTAILMENT if pair.visible else CONTRADICTION for pair in pairs],
            told=codec.encode(told_sentences(post, self.form)) if self.telling else [],
        )


def judge(
    entailer: ALBEFEntailer, examples: Sequence[Example], pictures: Sequence[Picture | None], form: Form
) -> list[Prediction]:
    """The gold entities of every example with a picture, `groundable` by what it shows, without their regions."""
    seen = [(example, picture) for example, picture in zip(examples, pictures, strict=True) if picture is not None]
    said = entailer.entail(
        [picture for _, picture in seen],
        [[expression_of(entity, form) for entity in example.entities or ()] for example, _ in seen],
        [example.caption for example, _ in seen],
    )
    return [
        Prediction(
            example=example,
            entities=tuple(
                replace(entity, boxes=(), masks=(), groundable=probability)
                for entity, probability in zip(example.entities or (), probabilities, strict=True)
            ),
        )
        for (example, _), probabilities in zip(seen, said, strict=True)
    ]


def accuracy(predictions: Sequence[Prediction]) -> dict[str, float]:
    """How many gold entities are judged right at probability 0.5, in percent, and that of calling all what most are."""
    judged = [
        (gold.visible, (entity.groundable or 0.0) > 0.5)
        for prediction in predictions
        for gold, entity in zip(prediction.example.entities or (), prediction.entities, strict=True)
    ]
    if not judged:
        return {"ve_accuracy": float("nan"), "ve_majority": float("nan")}
    visible = sum(gold for gold, _ in judged) / len(judged)
    right = sum(gold == said for gold, said in judged) / len(judged)
    return {"ve_accuracy": 100 * right, "ve_majority": 100 * max(visible, 1 - visible)}
