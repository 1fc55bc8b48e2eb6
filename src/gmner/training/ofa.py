"""Training OFA: the likelihood of the answer (visual entailment), of the tokens of the box (visual grounding)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gmner.checkpoint import CONFIG_FILE
from gmner.data.pairs import EntailmentPair, Reference, entailment_pairs, references
from gmner.expression import Form
from gmner.geometry import box_iou, hull
from gmner.image import open_image
from gmner.models.ofa import weights
from gmner.models.ofa.codec import OFACodec, View, questions
from gmner.models.ofa.config import BOS, EOS, PAD, OFAConfig
from gmner.models.ofa.decoding import pad
from gmner.models.ofa.loss import smoothed_loss
from gmner.models.ofa.model import OFA
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.models.ofa.vocabulary import learn_vocabulary, read_vocabulary
from gmner.training.loop import Task, TrainingConfig
from gmner.training.recipe import Tested
from gmner.types import Box, Example

Row = EntailmentPair | Reference
R = TypeVar("R", bound=Row)

EVALUATED = 16
"""Pairs of a batch when the model is scored on the development data."""

NO, YES = 0, 1
"""The answers to visual entailment in training, by their places in `ANSWERS`; "maybe" is never learned."""

KEPT_BYTES = 2**30
"""Views of training pictures are kept in memory up to here; others are opened in every epoch."""


class Batch(NamedTuple):
    """Questions about pictures, with what is to be said."""

    pixels: Float[Tensor, "pictures 3 side side"]
    owner: Int64[Tensor, " batch"]
    """Which of the pictures a question is about."""
    source: Int64[Tensor, "batch text"]
    written: Int64[Tensor, "batch time"]
    target: Int64[Tensor, "batch time"]
    """What follows each written token; padding where nothing is learned."""
    allowed: Bool[Tensor, "tokens vocabulary"] | None
    """Among which tokens each target that is no padding is chosen; all, if None."""


class Seen(NamedTuple):
    """A training picture as the trunk sees it, and its size in pixels."""

    view: View
    width: int
    height: int


class Pictures:
    """The pictures of a training set, opened when they are needed; some stay in memory."""

    def __init__(self, codec: OFACodec, references: Sequence[Any]) -> None:
        self.codec = codec
        self.references = references
        self.kept: dict[int, Seen] = {}

    def __len__(self) -> int:
        return len(self.references)

    def __getitem__(self, index: int) -> Seen:
        if index in self.kept:
            return self.kept[index]
        picture = open_image(self.references[index])
        seen = Seen(self.codec.view(picture), picture.shape[1], picture.shape[0])
        if (len(self.kept) + 1) * seen.view.nbytes <= KEPT_BYTES:
            self.kept[index] = seen
        return seen


class OFATask(Task):
    """What both tasks of an OFA share: questions of one picture stay together, so that its trunk runs once.

    The published runs step with an Adam of their own, decay every parameter, and begin with a rate of 0 (specs/ofa.md,
    section 11); this house has one loop, with AdamW. Batch norms learn from the batch, as published.
    """

    model: OFA

    def __init__(self, model: OFA, codec: OFACodec, posts: Sequence[Sequence[Row]], smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.smoothing = smoothing
        self.owners = [number for number, some in enumerate(posts) for _ in some]
        self.pictures = Pictures(codec, [some[0].picture for some in posts])

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[int]]:
        """Numbers of questions, in a random order of their pictures."""
        order = torch.arange(len(self.owners))
        if not self.codec.config.released.in_order:
            ranks = torch.randperm(len(self.pictures), generator=generator)
            order = ranks[torch.tensor(self.owners)].argsort(stable=True)
        return [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]

    def forward(self, tensors: Batch) -> Tensor:
        model = self.model
        encoded = model.encode(tensors.source, model.look(tensors.pixels)[tensors.owner])
        states, _ = model.decode(tensors.written[:, None], model.decoder.memory(encoded))
        kept = tensors.target != PAD
        logits = model.logits(states[:, 0][kept])
        with torch.autocast(logits.device.type, enabled=False):
            return self.loss(logits, tensors.target[kept], tensors.allowed)

    def loss(
        self,
        logits: Float[Tensor, "tokens vocabulary"],
        target: Int64[Tensor, " tokens"],
        allowed: Bool[Tensor, "tokens vocabulary"] | None,
    ) -> Float[Tensor, ""]:
        """The mean loss of the tokens to be said."""
        loss = smoothed_loss(logits, target, self.smoothing, allowed)
        return loss.total / loss.tokens

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model, self.codec.vocabulary)


class EntailTask(OFATask):
    """Visual entailment; the dev score that chooses the epoch is the accuracy at P(visible) = 0.5, in percent."""

    def __init__(
        self,
        model: OFA,
        codec: OFACodec,
        train: Sequence[EntailmentPair],
        dev: Sequence[EntailmentPair],
        smoothing: float,
    ) -> None:
        super().__init__(model, codec, by_post(train), smoothing)
        self.dev = dev
        self.sources = codec.entailment_sources([pair.expression for pair in train], [pair.caption for pair in train])
        self.labels = [YES if pair.visible else NO for pair in train]

    def collate(self, batch: list[int]) -> Batch:
        pictures, owner = np.unique([self.owners[index] for index in batch], return_inverse=True)
        trie = self.codec.answers
        written, target, allowed = [], [], []
        for index in batch:
            prompt, answer = self.codec.prompt(self.sources[index]), trie.answers[self.labels[index]]
            said, wanted = self.codec.answered(prompt, answer)
            written.append(said)
            target.append(wanted)
            for place in range(len(answer) + 1):
                mask = torch.zeros(self.codec.config.vocabulary, dtype=torch.bool)
                mask[trie.successors(answer[:place])] = True
                allowed.append(mask)
        return Batch(
            pixels=self.codec.pixels([self.pictures[picture].view for picture in pictures]),
            owner=torch.from_numpy(owner),
            source=pad([self.sources[index] for index in batch]),
            written=pad(written),
            target=pad(target),
            allowed=torch.stack(allowed),
        )

    def evaluate(self) -> dict[str, float]:
        return score_entailment(OFAEntailer(self.model, self.codec, EVALUATED), self.dev)


class GroundTask(OFATask):
    """Visual grounding; the dev score that chooses the epoch is Prec@0.5 in percent.

    In every epoch each picture loses another part of its edges, up to `crop` of its width and height on each side, but
    none of its boxes.
    """

    def __init__(
        self,
        model: OFA,
        codec: OFACodec,
        train: Sequence[Reference],
        dev: Sequence[Reference],
        smoothing: float,
        crop: float = 0.0,
        spread: float = 0.0,
    ) -> None:
        super().__init__(model, codec, by_post(train), smoothing)
        self.references = train
        self.dev = dev
        self.crop, self.spread = crop, spread
        self.sources = codec.grounding_sources([reference.expression for reference in train])

    def collate(self, batch: list[int]) -> Batch:
        pictures, owner = np.unique([self.owners[index] for index in batch], return_inverse=True)
        seen = {picture: self.pictures[picture] for picture in pictures}
        boxes: dict[int, list[Box]] = {picture: [] for picture in pictures}
        for index in batch:
            boxes[self.owners[index]] += self.references[index].boxes
        windows = {picture: random_window(seen[picture], some, self.crop) for picture, some in boxes.items()}
        tokens = [self.tokens(index, windows[self.owners[index]]) for index in batch]
        return Batch(
            pixels=self.codec.pixels([cut(seen[picture], window) for picture, window in windows.items()]),
            owner=torch.from_numpy(owner),
            source=pad([self.sources[index] for index in batch]),
            written=pad([[BOS, *some] for some in tokens]),
            target=pad([[*some, EOS] for some in tokens]),
            allowed=None,
        )

    def loss(
        self,
        logits: Float[Tensor, "tokens vocabulary"],
        target: Int64[Tensor, " tokens"],
        allowed: Bool[Tensor, "tokens vocabulary"] | None,
    ) -> Float[Tensor, ""]:
        if not self.spread:
            return super().loss(logits, target, allowed)
        bins = self.codec.config.first_bin + torch.arange(self.codec.config.bins, device=logits.device)
        wanted = F.one_hot(target, logits.shape[-1]).float()
        place = target >= bins[0]
        near = (-(((bins - target[place, None]) / self.spread) ** 2) / 2).softmax(-1)
        wanted[place] = F.pad(near, (int(bins[0]), 0))
        return F.cross_entropy(logits.float(), wanted, label_smoothing=self.smoothing)

    def tokens(self, index: int, window: Box) -> list[int]:
        """The label of a reference as tokens within a window."""
        x1, y1, x2, y2 = self.references[index].label
        moved = Box(x1 - window.x1, y1 - window.y1, x2 - window.x1, y2 - window.y1)
        return self.codec.bins(moved, window.width, window.height)

    def evaluate(self) -> dict[str, float]:
        return score_grounding(OFAGrounder(self.model, self.codec, EVALUATED), self.dev)


def random_window(seen: Seen, boxes: Sequence[Box], crop: float) -> Box:
    """A part of a picture that loses at most the share `crop` on each side, and nothing of `boxes`."""
    inside = hull(boxes)
    room = (inside.x1, inside.y1, seen.width - inside.x2, seen.height - inside.y2)
    most = [
        min(max(side, 0.0), crop * length) for side, length in zip(room, (seen.width, seen.height) * 2, strict=True)
    ]
    left, top, right, bottom = (torch.rand(4) * torch.tensor(most)).tolist()
    return Box(left, top, seen.width - right, seen.height - bottom)


def cut(seen: Seen, window: Box) -> View:
    """A window of a picture, resized to the square."""
    side = len(seen.view)
    across, down = side / seen.width, side / seen.height
    part = (window.x1 * across, window.y1 * down, min(window.x2 * across, side), min(window.y2 * down, side))
    if (window.width, window.height) == (seen.width, seen.height):
        return seen.view
    return np.asarray(Image.fromarray(seen.view).resize((side, side), Image.Resampling.BICUBIC, part))


@dataclass(frozen=True)
class _OFARecipe:
    """What the recipes of both tasks say.

    Args:
        about: one sentence for the reader.
        start: a published checkpoint (fairseq's `.pt`, a folder of the fork of transformers), or a folder of ours, from
            which the weights are taken; random weights, if empty.
        vocabulary: the folder of OFA's three vocabulary files. If empty, that of the folder `start`, or a vocabulary of
            at most `model.bpe_symbols` symbols is learned from the training questions.
        form: how expressions are written, where their expansions are known.
        smoothing: share of the probability of each token that goes to the others.
        model: OFA's settings.
        training: the loop's settings.
    """

    about: str
    start: str = ""
    vocabulary: str = ""
    form: Form = "released"
    smoothing: float = 0.0
    model: OFAConfig = field(default_factory=OFAConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return False

    def beginning(self, texts: Sequence[str]) -> tuple[OFA, OFACodec]:
        """The model to train and its codec.

        Raises:
            CheckpointError: `start` or `vocabulary` is missing, damaged, or does not fit the settings.
        """
        torch.manual_seed(self.training.seed)
        if (Path(self.start) / CONFIG_FILE).is_file():
            return weights.load(Path(self.start), self.model)
        vocabulary = (
            read_vocabulary(Path(self.vocabulary))
            if self.vocabulary
            else learn_vocabulary(questions(texts), self.model.bpe_symbols)
        )
        config = replace(self.model, bpe_symbols=vocabulary.size)
        model = weights.load_published(Path(self.start), config) if self.start else OFA(config)
        return model, OFACodec(config, vocabulary)


@dataclass(frozen=True)
class OFAEntailRecipe(_OFARecipe):
    """An OFA, trained for visual entailment on every gold mention of the posts (specs/riveg.md, section 3)."""

    task: Literal["ofa-entail"] = "ofa-entail"

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> EntailTask:
        """The model to begin with, and what it learns from.

        Raises:
            CheckpointError: what it begins with is missing, damaged or of another size.
            TextError: an expression with its caption is longer than the model reads.
        """
        pairs = entailment_pairs(train, self.form)
        model, codec = self.beginning([text for pair in pairs for text in (pair.expression, pair.caption) if text])
        return EntailTask(model, codec, pairs, entailment_pairs(dev, self.form), self.smoothing)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Accuracy on the test split's mentions."""
        return Tested([], (), score_entailment(OFAEntailer.load(folder), entailment_pairs(test, self.form)))


@dataclass(frozen=True)
class OFAGroundRecipe(_OFARecipe):
    """An OFA, trained for visual grounding on the gold mentions that have boxes (specs/riveg.md, section 4).

    Args:
        crop: the largest share of a training picture's width or height that is cut from each side; 0 as published.
        spread: the probability of a bin goes to its neighbours as well, by a normal distribution of this many bins; 0
            as published.
    """

    task: Literal["ofa-ground"] = "ofa-ground"
    crop: float = 0.0
    spread: float = 0.0

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> GroundTask:
        """The model to begin with, and what it learns from.

        Raises:
            CheckpointError: what it begins with is missing, damaged or of another size.
            TextError: an expression is longer than the model reads.
        """
        rows = references(train, self.form)
        model, codec = self.beginning([row.expression for row in rows])
        return GroundTask(model, codec, rows, references(dev, self.form), self.smoothing, self.crop, self.spread)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Prec@0.5 on the test split's mentions with boxes."""
        return Tested([], (), score_grounding(OFAGrounder.load(folder), references(test, self.form)))


def score_entailment(entailer: OFAEntailer, pairs: Sequence[EntailmentPair]) -> dict[str, float]:
    """The accuracy at P(visible) = 0.5 in percent, and that of calling all what most are."""
    right = []
    for posts in _chunks(by_post(pairs)):
        pictures = [open_image(some[0].picture) for some in posts]
        expressions = [[pair.expression for pair in some] for some in posts]
        said = entailer.entail(pictures, expressions, [some[0].caption for some in posts])
        for some, probabilities in zip(posts, said, strict=True):
            right += [(p >= 0.5) == pair.visible for p, pair in zip(probabilities, some, strict=True)]
    visible = sum(pair.visible for pair in pairs) / max(len(pairs), 1)
    return {"ve_accuracy": 100 * float(np.mean(right)), "ve_majority": 100 * max(visible, 1 - visible)}


def score_grounding(grounder: OFAGrounder, rows: Sequence[Reference]) -> dict[str, float]:
    """The share of expressions in percent whose box has an IoU of at least 0.5 with any gold box, and the mean IoU."""
    overlaps = []
    for posts in _chunks(by_post(rows)):
        pictures = [open_image(some[0].picture) for some in posts]
        found = grounder.ground(pictures, [[row.expression for row in some] for some in posts])
        for some, boxes in zip(posts, found, strict=True):
            overlaps += [float(box_iou([box], row.boxes).max()) for box, row in zip(boxes, some, strict=True)]
    return {"prec@0.5": 100 * float(np.mean([o >= 0.5 for o in overlaps])), "mean_iou": 100 * float(np.mean(overlaps))}


def by_post(rows: Sequence[R]) -> list[list[R]]:
    """Rows of the same post, which stand together, as one list each."""
    return [list(some) for _, some in groupby(rows, key=lambda row: (row.id, id(row.picture)))]


def _chunks(posts: Sequence[list[R]], size: int = 32) -> Iterator[Sequence[list[R]]]:
    """So many posts at a time as may have their pictures open together."""
    return (posts[start : start + size] for start in range(0, len(posts), size))
