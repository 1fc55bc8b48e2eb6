"""Training ALBEF for visual entailment: gold pairs, the labels of a slow copy, and what is told of the pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.data.pairs import entailment_pairs
from gmner.errors import ConfigError
from gmner.expression import Form, expression_of
from gmner.geometry import shared_area
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
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.pictures import open_picture
from gmner.training.pointing import Looking, corners, coverage, pointing_loss, shares, words_loss
from gmner.training.recipe import Tested
from gmner.training.telling import UNMASKED, Naming, Telling, mask, told_sentences
from gmner.types import Box, Example, Prediction

if TYPE_CHECKING:
    Reference = str | PathLike[str] | bytes | Image.Image | np.ndarray


WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)
"""A picture with sides of 1."""

SIDES: Final = frozenset({"left", "right", "middle"})
"""Words whose truth a window may change."""

MOST: Final = 0.8
"""Of a region that counts as shown in a window, so much is in it."""
LEAST: Final = 0.15
"""Of a region that counts as not shown in a window, less than this is in it."""


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

    `picture` is the post's reference, or what the model sees of it if that is always the same. `regions` are the gold
    boxes of each expression in a picture with sides of 1; `placed` says which expressions speak of a side.
    """

    picture: "Reference"
    expressions: list[list[int]]
    labels: list[int]
    regions: list[list[Box]]
    placed: list[bool]
    told: list[list[int]]


class Glance(NamedTuple):
    """Training posts whose regions are looked at, without a question."""

    posts: list[Shown]


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
    boxes: Float[Tensor, "gold 4"]
    """Where gold pairs are shown, as shares of the picture's sides; zeros where they are not."""
    called: Float[Tensor, "gold words"]
    """The pieces of their expressions, as distributions over those that occur."""


class Regions(NamedTuple):
    """Regions of pictures, and the pieces that each is called by, as a distribution over those that occur."""

    pixels: Float[Tensor, "pictures 3 side side"]
    owners: Int64[Tensor, " regions"]
    boxes: Float[Tensor, "regions 4"]
    called: Float[Tensor, "regions words"]


class Pointing(nn.Module):
    """How [CLS] points at patches, and the pieces that regions are called by; the model itself has their vectors."""

    words: Int64[Tensor, " words"]

    def __init__(self, config: ALBEFConfig, words: Sequence[int]) -> None:
        super().__init__()
        width = config.text.width
        self.asked = nn.Linear(width, width)
        self.shown = nn.Linear(config.vision.width, width)
        self.bias = nn.Parameter(torch.zeros(len(words)))
        self.places = {piece: place for place, piece in enumerate(words)}
        self.register_buffer("words", torch.tensor(words, dtype=torch.long))

    def name(
        self,
        student: ALBEF,
        patches: Float[Tensor, "regions patches width"],
        cells: Float[Tensor, "regions patches"],
        called: Float[Tensor, "regions words"],
    ) -> Float[Tensor, ""]:
        """The loss of what regions are called."""
        return words_loss(patches, cells, called, student.text.words.weight[self.words], self.bias)

    def forward(
        self, asked: Float[Tensor, "pairs width"], patches: Float[Tensor, "pairs patches picture_width"]
    ) -> Float[Tensor, "pairs patches"]:
        """The score of every patch."""
        shown = self.shown(patches)
        scores: Tensor = (shown @ self.asked(asked)[..., None])[..., 0] / math.sqrt(shown.shape[-1])
        return scores


class Learner(nn.Module):
    """The model that is trained, and what it needs for that only: its teacher, what names pieces, what points.

    `words` are the pieces by which regions are called, if it learns to look.
    """

    def __init__(self, student: ALBEF, words: Sequence[int] | None, *, distilled: bool, told: bool) -> None:
        super().__init__()
        self.student = student
        self.pointing = Pointing(student.config, words) if words is not None else None
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
        self.partial = recipe.looking is not None

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Glance | list[Drawn]]:
        """Posts to look at, then posts in random order, each with a seed of its own."""
        looking = self.recipe.looking
        seen = [shown for shown in self.shown if any(shown.regions)]
        glances = [
            Glance(some)
            for _ in range(looking.passes if looking else 0)
            for some in shuffled(seen, looking.pictures if looking else 1, generator)
        ]
        order = torch.randperm(len(self.shown), generator=generator).tolist()
        seeds = torch.randint(2**31, (len(order),), generator=generator).tolist()
        drawn = [Drawn(self.shown[index], seed) for index, seed in zip(order, seeds, strict=True)]
        return [*glances, *(drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size))]

    def collate(self, batch: Glance | list[Drawn]) -> Regions | Batch:
        return self._look(batch.posts) if isinstance(batch, Glance) else self._ask(batch)

    def _look(self, posts: list[Shown]) -> Regions:
        rows = [
            (owner, corners(boxes, WHOLE), pieces)
            for owner, shown in enumerate(posts)
            for pieces, boxes in zip(shown.expressions, shown.regions, strict=True)
            if boxes
        ]
        side = self.codec.config.vision.resolution
        return Regions(
            pixels=normalise(torch.from_numpy(np.stack([squeeze(open_image(shown.picture), side) for shown in posts]))),
            owners=torch.tensor([owner for owner, _, _ in rows]),
            boxes=torch.tensor([box for _, box, _ in rows]),
            called=self._called([pieces for _, _, pieces in rows]),
        )

    def _called(self, expressions: Sequence[list[int]]) -> Float[Tensor, "expressions words"]:
        """The pieces of expressions behind [CLS], as distributions over those that regions are called by."""
        places = {} if self.model.pointing is None else self.model.pointing.places
        return shares(
            [[places[piece] for piece in pieces[1:] if piece in places] for pieces in expressions], len(places)
        )

    def _ask(self, batch: list[Drawn]) -> Batch:
        draws = [np.random.default_rng(seed) for _, seed in batch]
        batch = [self._windowed(drawn, draw) for drawn, draw in zip(batch, draws, strict=True)]
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
            pixels=normalise(torch.from_numpy(np.stack(squares))),
            texts=texts,
            owners=torch.tensor([row.owner for row in rows]),
            labels=torch.tensor([row.label for row in gold + told]),
            gold=len(gold),
            named=torch.tensor(
                [[*pieces, *[UNMASKED] * (width - len(pieces))] for pieces in named], dtype=torch.long
            ).view(-1, width),
            boxes=torch.tensor([corners(boxes, WHOLE) for shown, _ in batch for boxes in shown.regions]).view(-1, 4),
            called=self._called([row.pieces for row in gold]),
        )

    def _windowed(self, drawn: Drawn, draw: np.random.Generator) -> Drawn:
        """The post, or by chance a part of its picture, with the pairs that are plain in it."""
        shown = drawn.shown
        seen = [box for boxes in shown.regions for box in boxes[:1]]
        if not seen or draw.random() >= self.recipe.windows:
            return drawn
        return Drawn(cut_out(shown, window_around(seen[draw.integers(len(seen))], draw)), drawn.seed)

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

    def forward(self, tensors: Regions | Batch) -> Tensor:
        student, pointing = self.model.student, self.model.pointing
        patches = student.vision(tensors.pixels)
        grid = 2 * (math.isqrt(patches.shape[1] - 1),)
        cells = coverage(tensors.boxes, *grid)
        if isinstance(tensors, Regions):
            return cast(Pointing, pointing).name(student, patches[tensors.owners, 1:], cells, tensors.called)
        pairs, gold = len(tensors.labels), tensors.gold
        rows = student.read(tensors.texts, patches, tensors.owners)
        logits = student.classifier(rows[:pairs, 0]).float()
        loss = self._gold_loss(logits[:gold], tensors)
        if (looking := self.recipe.looking) is not None and pointing is not None and gold:
            shown = patches[tensors.owners[:gold], 1:]
            loss = looking.answers * loss + looking.pointing * pointing_loss(pointing(rows[:gold, 0], shown), cells)
            loss = loss + looking.naming * pointing.name(student, shown, cells, tensors.called)
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
        start: a published file to start from, pre-trained or fine-tuned, or a folder of ours; without one, weights are
            random.
        form: how expressions are written.
        augmentation: how training pictures vary; without it, they are always seen whole.
        distillation: labels from a slow copy beside the gold ones; without it, gold ones only.
        telling: learning from captions and descriptions on the way; without it, from gold pairs only.
        looking: how random weights learn to look; without it, from the answers alone, as published.
        windows: share of the training pictures of which only a window around a region is seen.
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
    looking: Looking | None = None
    windows: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            ConfigError: pictures vary, and what is learned depends on where their regions are.
        """
        if self.augmentation and (self.looking or self.windows):
            raise ConfigError(
                "setting 'augmentation' beside 'looking' or 'windows'",
                allowed="gold boxes hold for whole pictures and their windows",
                todo="leave one of them out",
            )

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
        codec = ALBEFCodec(self.model, load_tokenizer(self.model.tokenizer))
        shown = [self._shown(post, post.image, codec) for post in train if post.image is not None]
        words = sorted({piece for item in shown for pieces in item.expressions for piece in pieces[1:]})
        student = ALBEF(self.model)
        model = Learner(
            student,
            words if self.looking else None,
            distilled=self.distillation is not None,
            told=self.telling is not None,
        )
        if self.start is not None:
            weights.start_from(self.start, student, model.teacher)
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
            regions=[_shares(pair.boxes, picture) for pair in pairs],
            placed=[bool(SIDES & {*pair.expression.lower().split()}) for pair in pairs],
            told=codec.encode(told_sentences(post, self.form)) if self.telling else [],
        )


def window_around(box: Box, draw: np.random.Generator) -> Box:
    """A window of a picture with sides of 1: the box with a little around it, up to the whole picture."""
    least = draw.uniform(0.02, 0.1, 4) * np.array([box.width, box.height] * 2)
    room = draw.random() ** 1.5 * draw.random(4) * np.array([box.x1, box.y1, 1 - box.x2, 1 - box.y2])
    left, top, right, bottom = (least + room).tolist()
    return Box(max(box.x1 - left, 0.0), max(box.y1 - top, 0.0), min(box.x2 + right, 1.0), min(box.y2 + bottom, 1.0))


def cut_out(shown: Shown, window: Box) -> Shown:
    """What a window of the picture shows, with the pairs that are plain in it.

    An expression is shown if nearly all of each of its regions is in the window, and not shown if next to nothing is;
    what lies between teaches nothing, nor does one that speaks of a side, if its region is in the window.
    """
    image = Image.fromarray(open_image(shown.picture))
    across, down = image.size
    part = (window.x1 * across, window.y1 * down, window.x2 * across, window.y2 * down)
    expressions, labels, regions, placed = [], [], [], []
    for pieces, boxes, side in zip(shown.expressions, shown.regions, shown.placed, strict=True):
        seen = [shared_area(box, window) / box.area for box in boxes]
        if boxes and max(seen) >= LEAST and (side or min(seen) <= MOST):
            continue
        inside = bool(boxes) and max(seen) >= LEAST
        expressions.append(pieces)
        labels.append(ENTAILMENT if inside else CONTRADICTION)
        regions.append([_moved(box, window) for box in boxes] if inside else [])
        placed.append(side)
    picture = np.asarray(image.resize(image.size, Image.Resampling.BILINEAR, part))
    return Shown(picture, expressions, labels, regions, placed, shown.told)


def _shares(boxes: Sequence[Box], picture: Picture | None) -> list[Box]:
    """Boxes in a picture with sides of 1, the largest first."""
    if picture is None:
        return []
    height, width = picture.shape[:2]
    ordered = sorted(boxes, key=lambda box: -box.area)
    return [Box(box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height) for box in ordered]


def _moved(box: Box, window: Box) -> Box:
    """A box in a picture with sides of 1 as one in a window of it."""
    return Box(*corners([box], window))


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
