"""Training SeqTR on references: to write the box of what an expression means, its outline, or both."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple, cast

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner.data.pairs import Reference, references
from gmner.errors import ConfigError
from gmner.expression import Form, expression_of
from gmner.geometry import box_iou, decode_mask, mask_box, mask_iou, pair_iou
from gmner.models.seqtr import weights
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import SeqTRConfig
from gmner.models.seqtr.darknet import STRIDE
from gmner.models.seqtr.frame import View
from gmner.models.seqtr.jitter import jitter
from gmner.models.seqtr.model import Pairs, SeqTR
from gmner.models.seqtr.outline import sample_outline
from gmner.models.seqtr.predictor import SeqTRGrounder
from gmner.models.seqtr.text import Vocabulary, read_vectors
from gmner.training.loop import Task, TrainingConfig, alike, shuffled
from gmner.training.pictures import open_picture
from gmner.training.pointing import Looking, coverage, few_at_a_time, pointing_loss, shares, words_loss
from gmner.training.recipe import Tested
from gmner.types import Box, Entity, Example, Mask, Prediction

CHUNK = 20
"""Batches among which views are sorted by shape."""

OUTSIDE = -1e4
"""The score of pointing at a cell outside the picture."""


class Row(NamedTuple):
    """A reference and what is seen of its picture."""

    reference: Reference
    view: View


class Draw(NamedTuple):
    """A row, and the seed of what is random in it."""

    row: Row
    seed: int


class Batch(NamedTuple):
    """Pairs and the tokens to write, and where that is, in seen pixels."""

    pairs: Pairs
    targets: Int64[Tensor, "pairs length"]
    boxes: Float[Tensor, "pairs 4"]
    called: Float[Tensor, "pairs words"]
    """The words of the expressions, as distributions."""


class Glance(NamedTuple):
    """Rows whose regions are looked at, without a question."""

    rows: list[Row]


class Regions(NamedTuple):
    """Regions of pictures, in seen pixels, and the words that each is called by, as a distribution."""

    pixels: Float[Tensor, "pictures 3 high wide"]
    picture: Int64[Tensor, " regions"]
    boxes: Float[Tensor, "regions 4"]
    called: Float[Tensor, "regions words"]


class Learner(nn.Module):
    """The model that is trained, and what points and names for it while it learns to look, if it does."""

    def __init__(self, seqtr: SeqTR, words: int | None) -> None:
        super().__init__()
        self.seqtr = seqtr
        self.naming = nn.Linear(32 * seqtr.config.channels, words) if words else None
        self.pointer = nn.Linear(seqtr.config.width, 1) if words else None


class SeqTRTask(Task):
    """Visual grounding; the dev score that chooses the epoch is Prec@0.5 in percent, or the mean IoU of masks.

    The published runs step with Adam (amsgrad), cut the rate to a tenth once and may average the weights
    (specs/seqtr.md, section 9); this house has one loop, with AdamW. The loss of boxes and outlines together is the
    sum, which the released loop never picks up. Of the points of an outline none are shuffled.
    """

    model: Learner

    def __init__(
        self,
        model: SeqTR,
        codec: SeqTRCodec,
        train: Sequence[Row],
        dev: Sequence[Row],
        jittered: bool = False,
        looking: Looking | None = None,
    ) -> None:
        super().__init__()
        self.model = Learner(model, len(codec.vocabulary.words) if looking else None)
        self.codec = codec
        self.rows = train
        self.dev = dev
        self.jittered = jittered
        self.looking = looking
        self.partial = looking is not None

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Glance | list[Draw]]:
        """Pictures to look at, then shuffled rows, sorted by shape within chunks of batches so that little is padded.

        Whoever learns to look gets the rows of a picture together, so that it is seen once for all of them.
        """
        if self.looking is None:
            return [*self._draws(torch.randperm(len(self.rows), generator=generator).tolist(), batch_size, generator)]
        numbered = groupby(range(len(self.rows)), key=lambda index: id(self.rows[index].view))
        pictures = [list(same) for _, same in numbered]
        glances = [
            Glance([self.rows[index] for same in some for index in same])
            for _ in range(self.looking.passes)
            for some in shuffled(pictures, self.looking.pictures, generator)
        ]
        order = few_at_a_time(pictures, self.looking.together, generator)
        return [*glances, *self._draws(order, batch_size, generator)]

    def _draws(self, order: list[int], batch_size: int, generator: torch.Generator) -> list[list[Draw]]:
        seeds = torch.randint(2**31, (len(self.rows),), generator=generator).tolist()
        draws = [Draw(self.rows[index], seeds[index]) for index in order]
        return alike(draws, batch_size, _shape, generator, CHUNK)

    def collate(self, batch: Glance | list[Draw]) -> Regions | Batch:
        return self._look(batch.rows) if isinstance(batch, Glance) else self._ask(batch)

    def _look(self, rows: list[Row]) -> Regions:
        pairs = self.codec.batch(*_by_view([row.view for row in rows], [row.reference.expression for row in rows]))
        return Regions(
            pixels=pairs.pixels,
            picture=pairs.picture,
            boxes=torch.tensor([row.view.frame.seen_box(row.reference.label) for row in rows]),
            called=self._called(rows),
        )

    def _ask(self, batch: list[Draw]) -> Batch:
        views, boxes, targets = zip(*(self._sample(draw) for draw in batch), strict=True)
        expressions = [draw.row.reference.expression for draw in batch]
        pairs = self.codec.batch(*_by_view(views, expressions))
        called = self._called([draw.row for draw in batch])
        return Batch(pairs, torch.from_numpy(np.stack(targets)), torch.tensor(boxes), called)

    def _called(self, rows: Sequence[Row]) -> Float[Tensor, "rows words"]:
        """The words of the rows' expressions, as distributions; over nothing, if nobody learns to look."""
        if self.looking is None:
            return torch.zeros(len(rows), 0)
        words = [self.codec.vocabulary.encode(row.reference.expression) for row in rows]
        return shares(words, len(self.codec.vocabulary.words))

    def _sample(self, draw: Draw) -> tuple[View, Box, Int64[np.ndarray, " length"]]:
        """What is seen, where, and the tokens to write about it."""
        view, reference = draw.row.view, draw.row.reference
        config = self.codec.config
        box = view.frame.seen_box(reference.label, config.inclusive_corners)
        mask = None if config.mode == "boxes" else _seen_mask(reference, view)
        if self.jittered:
            view, box, mask = jitter(view, box, mask, np.random.default_rng(draw.seed))
        outline = None if mask is None else sample_outline(mask, config.points)
        return view, box, self.codec.targets(view.frame, box, outline)

    def forward(self, tensors: Regions | Batch) -> Tensor:
        model, looking = self.model.seqtr, self.looking
        if isinstance(tensors, Regions):
            return self._named(model.see(tensors.pixels), tensors.picture, tensors)
        pairs = tensors.pairs
        view = model.see(pairs.pixels)
        scene = model.relate(view[pairs.picture], pairs.sizes[pairs.picture], pairs.words)
        logits = model.recite(scene, tensors.targets)
        with torch.autocast(logits.device.type, enabled=False):
            loss = model.loss(logits.float(), tensors.targets)
        if looking is None or self.model.pointer is None:
            return loss
        scores = self.model.pointer(scene.cells)[..., 0].masked_fill(~scene.present, OUTSIDE)
        pointed = pointing_loss(scores, _coverage(tensors.boxes, view))
        return (
            looking.answers * loss
            + looking.pointing * pointed
            + looking.naming * self._named(view, pairs.picture, tensors)
        )

    def _named(
        self, view: Float[Tensor, "pictures channels rows columns"], picture: Tensor, tensors: Regions | Batch
    ) -> Tensor:
        """The loss of the words of regions."""
        naming, cells = cast(nn.Linear, self.model.naming), view.flatten(2).transpose(1, 2)[picture]
        return words_loss(cells, _coverage(tensors.boxes, view), tensors.called, naming.weight, naming.bias)

    def evaluate(self) -> dict[str, float]:
        return score(self.dev, ground(SeqTRGrounder(self.model.seqtr, self.codec), self.dev))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model.seqtr, self.codec.vocabulary)


@dataclass(frozen=True)
class SeqTRRecipe:
    """A SeqTR, trained to ground.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: SeqTR's settings; its `mode` says what is learned.
        training: the loop's settings.
        expression: how expressions are written.
        start: a published SeqTR to tune, whose word vectors are left out; or a folder of ours, to train on with its
            words.
        darknet: a file of DarkNet's own form to start the pictures' side from, without `start`.
        trained_parts: how many of DarkNet's 14 parts, from the last, are trained on after `start` or `darknet`. With
            neither, all are.
        word_vectors: a text file of word vectors, which stay as they are. Without it they are random and trained.
        jitter: scale and cut training pictures at random, as published for training from scratch.
        looking: how random weights learn to look; without it, from the answers alone, as published.
    """

    about: str
    task: Literal["seqtr"] = "seqtr"
    model: SeqTRConfig = field(default_factory=SeqTRConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    expression: Form = "paper"
    start: Path | None = None
    darknet: Path | None = None
    trained_parts: int = 2
    word_vectors: Path | None = None
    jitter: bool = False
    looking: Looking | None = None

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> SeqTRTask:
        """The model to train. The vocabulary of a new one is that of both splits.

        Raises:
            ImageError: a picture is missing or damaged.
            CheckpointError: `start` or `darknet` can not be read, or is of another model.
            DataError: `word_vectors` can not be read.
            ConfigError: masks are to be learned, and a reference has none.
        """
        torch.manual_seed(self.training.seed)
        rows = {split: self._rows(posts) for split, posts in (("train", train), ("dev", dev))}
        model, codec = self._beginning([*train, *dev])
        return SeqTRTask(model, codec, rows["train"], rows["dev"], self.jitter, self.looking)

    def vocabulary(self, posts: Sequence[Example]) -> Vocabulary:
        """The words of the gold mentions that have a box, with or without a picture at hand; `posts` are those of the
        train and dev splits, as released."""
        entities = (entity for post in posts for entity in post.entities or () if entity.boxes)
        return Vocabulary.build(expression_of(entity, self.expression) for entity in entities)

    def _beginning(self, posts: Sequence[Example]) -> tuple[SeqTR, SeqTRCodec]:
        """The model to train and its codec."""
        if self.start is not None and self.start.is_dir():
            return weights.load(self.start, self.model)
        vocabulary = self.vocabulary(posts)
        model = SeqTR(self.model, len(vocabulary.words))
        if self.start is not None:
            weights.start_from(model, self.start)
        elif self.darknet is not None:
            weights.read_darknet(model.darknet, self.darknet)
        if self.start is not None or self.darknet is not None:
            for part in list(model.darknet)[: len(model.darknet) - self.trained_parts]:
                part.requires_grad_(False)
        if self.word_vectors is not None:
            vectors = read_vectors(self.word_vectors, vocabulary, self.model.word_width)
            model.language.words.requires_grad_(False).weight.copy_(torch.from_numpy(vectors))
        return model, SeqTRCodec(self.model, vocabulary)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Prec@0.5 of boxes and mean IoU of masks, as far as they are written, over the gold mentions that have a
        region; what is found for these stands in the predictions."""
        grounder = SeqTRGrounder.load(folder)
        rows = self._rows(test)
        found = ground(grounder, rows)
        return Tested(_predictions(test, found), (), score(rows, found))

    def _rows(self, posts: Sequence[Example]) -> list[Row]:
        """The references of posts, with their views; each picture is opened once."""
        codec = SeqTRCodec(self.model, Vocabulary(()))
        rows = []
        for post in posts:
            found = references([post], self.expression)
            if self.model.mode != "boxes" and not all(reference.masks for reference in found):
                raise ConfigError(
                    f"post {post.id!r} has a region without a mask, and model.mode is {self.model.mode!r}",
                    allowed="outlines are learned from gold masks",
                    todo="choose a data set with masks, or model.mode = 'boxes'",
                )
            picture = open_picture(post) if found else None
            if picture is not None:
                view = codec.view(picture)
                rows += [Row(reference, view) for reference in found]
        return rows


def _shape(draw: Draw) -> float:
    """Width by height of what is seen."""
    width, height = draw.row.view.frame.seen
    return width / height


def _by_view(views: Sequence[View], expressions: Sequence[str]) -> tuple[list[View], list[list[str]]]:
    """Each of the views once, if it stands there several times in a row, with all its expressions."""
    same = [list(pairs) for _, pairs in groupby(zip(views, expressions, strict=True), key=lambda pair: id(pair[0]))]
    return [pairs[0][0] for pairs in same], [[expression for _, expression in pairs] for pairs in same]


def _coverage(boxes: Float[Tensor, "pairs 4"], view: Float[Tensor, "pictures channels rows columns"]) -> Tensor:
    """How much of each box, in seen pixels, lies in each cell of the padded picture."""
    rows, columns = view.shape[2:]
    return coverage(boxes / (STRIDE * torch.tensor([columns, rows] * 2, device=boxes.device)), rows, columns)


class Found(NamedTuple):
    """What was written about a reference, as far as the model writes it."""

    box: Box | None
    mask: Mask | None


def ground(grounder: SeqTRGrounder, rows: Sequence[Row]) -> list[Found]:
    """What a model writes about every row; rows that share a view are asked together."""
    codec, mode = grounder.codec, grounder.codec.config.mode
    asked = [list(same) for _, same in groupby(rows, key=lambda row: id(row.view))]
    expressions = [[row.reference.expression for row in same] for same in asked]
    written = grounder.write([same[0].view for same in asked], expressions)
    return [
        Found(
            box=None if mode == "masks" else codec.box(row.view.frame, tokens),
            mask=None if mode == "boxes" else codec.mask(row.view.frame, tokens),
        )
        for same, said in zip(asked, written, strict=True)
        for row, tokens in zip(same, said, strict=True)
    ]


def score(rows: Sequence[Row], found: Sequence[Found]) -> dict[str, float]:
    """Prec@0.5 and mean IoU of boxes, mean IoU of masks, in percent: of each region the best with any gold one."""
    pairs = [(row.reference, regions) for row, regions in zip(rows, found, strict=True)]
    boxes = [box_iou([regions.box], gold.boxes).max() for gold, regions in pairs if regions.box is not None]
    masks = [mask_iou([regions.mask], gold.masks).max() for gold, regions in pairs if regions.mask is not None]
    scores: dict[str, float] = {}
    if boxes:
        scores |= {"vg_prec@0.5": 100 * float(np.mean(np.array(boxes) >= 0.5)), "vg_miou": 100 * float(np.mean(boxes))}
    if masks:
        scores |= {"mask_miou": 100 * float(np.mean(masks))}
    return scores


def _predictions(examples: Sequence[Example], found: Sequence[Found]) -> list[Prediction]:
    """The gold mentions that have a region, with what was found in its place; `found` follows `references`."""
    regions = iter(found)

    def predicted(entity: Entity) -> Entity:
        box, mask = next(regions)
        return replace(entity, boxes=() if box is None else (box,), masks=() if mask is None else (mask,))

    return [
        Prediction(
            example=example,
            entities=tuple(
                predicted(entity) for entity in example.entities or () if example.image is not None and entity.boxes
            ),
        )
        for example in examples
    ]


def _seen_mask(reference: Reference, view: View) -> Bool[np.ndarray, "high wide"]:
    """The mask of the label, in seen pixels."""
    mask = max(reference.masks, key=lambda mask: pair_iou(mask_box(mask) or reference.label, reference.label))
    scaled = cv2.resize(decode_mask(mask).astype(np.uint8), view.frame.seen, interpolation=cv2.INTER_NEAREST)
    pixels: np.ndarray = scaled.astype(bool)
    return pixels
