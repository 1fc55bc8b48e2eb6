"""Training OFA: the likelihood of the answer (visual entailment), of the tokens of the box (visual grounding)."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.checkpoint import CONFIG_FILE
from gmner.data.pairs import EntailmentPair, Reference, entailment_pairs, references
from gmner.errors import CheckpointError
from gmner.expression import Form
from gmner.geometry import box_iou, hull
from gmner.models.ofa import weights
from gmner.models.ofa.codec import OFACodec, View, questions
from gmner.models.ofa.config import BOS, EOS, PAD, OFAConfig
from gmner.models.ofa.decoding import pad
from gmner.models.ofa.loss import smoothed_loss
from gmner.models.ofa.model import OFA
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.models.ofa.vocabulary import learn_vocabulary, read_vocabulary
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.pictures import open_reference
from gmner.training.pointing import Looking, corners, coverage, few_at_a_time, pointing_loss, shares, words_loss
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
    boxes: Float[Tensor, "batch 4"]
    """Where what is asked for is, as shares of the picture's sides; zeros where it is not."""
    called: Float[Tensor, "batch vocabulary"]
    """The tokens of the expressions, as distributions."""


class Glance(NamedTuple):
    """Regions of pictures, and the tokens that each is called by, as a distribution."""

    pixels: Float[Tensor, "pictures 3 side side"]
    owner: Int64[Tensor, " regions"]
    boxes: Float[Tensor, "regions 4"]
    called: Float[Tensor, "regions vocabulary"]


class Shown(NamedTuple):
    """The numbers of pictures whose regions are looked at."""

    pictures: list[int]


class Learner(nn.Module):
    """The model that is trained, and what points and names for it while it learns to look, if it does."""

    def __init__(self, ofa: OFA, *, looks: bool) -> None:
        super().__init__()
        self.ofa = ofa
        self.pointer = nn.Linear(ofa.config.width, 1) if looks else None
        self.bias = nn.Parameter(torch.zeros(ofa.config.vocabulary)) if looks else None


class Seen(NamedTuple):
    """A training picture as the trunk sees it, and its size in pixels."""

    view: View
    width: int
    height: int

    @property
    def whole(self) -> Box:
        """All of it."""
        return Box(0.0, 0.0, float(self.width), float(self.height))


class Pictures:
    """The pictures of a training set, one a post; all are opened at the beginning, and some stay in memory.

    Raises:
        ImageError: a picture is missing or damaged.
    """

    def __init__(self, codec: OFACodec, posts: Sequence[Sequence[Row]]) -> None:
        self.codec = codec
        self.firsts = [some[0] for some in posts]
        self.kept: dict[int, Seen] = {}
        for index in range(len(self.firsts)):
            seen = self[index]
            if (len(self.kept) + 1) * seen.view.nbytes <= KEPT_BYTES:
                self.kept[index] = seen

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, index: int) -> Seen:
        if index in self.kept:
            return self.kept[index]
        picture = open_reference(self.firsts[index].id, self.firsts[index].picture)
        return Seen(self.codec.view(picture), picture.shape[1], picture.shape[0])


class OFATask(Task):
    """What both tasks of an OFA share: questions of one picture stay together, so that its trunk runs once for them.

    The published runs step with an Adam of their own, decay every parameter, and begin with a rate of 0 (specs/ofa.md,
    section 11); this house has one loop, with AdamW. Batch norms learn from the batch, as published.
    """

    model: Learner

    def __init__(
        self,
        model: OFA,
        codec: OFACodec,
        posts: Sequence[Sequence[Row]],
        smoothing: float,
        looking: Looking | None = None,
    ) -> None:
        super().__init__()
        self.model = Learner(model, looks=looking is not None)
        self.partial = looking is not None
        self.codec = codec
        self.smoothing = smoothing
        self.looking = looking
        self.posts = posts
        self.rows = [row for some in posts for row in some]
        self.owners = [number for number, some in enumerate(posts) for _ in some]
        self.pictures = Pictures(codec, posts)

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Shown | list[int]]:
        """Pictures to look at, then numbers of questions in a random order of their pictures."""
        order = list(range(len(self.owners)))
        if not self.codec.config.released.in_order:
            pictures = [[index for index, _ in some] for _, some in groupby(enumerate(self.owners), key=itemgetter(1))]
            order = few_at_a_time(pictures, self.looking.together if self.looking else 0, generator)
        questions = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        return [*self._glances(generator), *questions]

    def _glances(self, generator: torch.Generator) -> list[Shown]:
        if self.looking is None:
            return []
        pictures = [number for number, some in enumerate(self.posts) if any(row.boxes for row in some)]
        return [
            Shown(some)
            for _ in range(self.looking.passes)
            for some in shuffled(pictures, self.looking.pictures, generator)
        ]

    def collate(self, batch: Shown | list[int]) -> Glance | Batch:
        return self._glance(batch.pictures) if isinstance(batch, Shown) else self._ask(batch)

    @abstractmethod
    def _ask(self, batch: list[int]) -> Batch:
        """The questions of these numbers."""

    def _glance(self, pictures: list[int]) -> Glance:
        seen = {picture: self.pictures[picture] for picture in pictures}
        rows = [
            (place, corners(row.boxes, seen[picture].whole), row)
            for place, picture in enumerate(pictures)
            for row in self.posts[picture]
            if row.boxes
        ]
        return Glance(
            pixels=self.codec.pixels([one.view for one in seen.values()]),
            owner=torch.tensor([owner for owner, _, _ in rows]),
            boxes=torch.tensor([box for _, box, _ in rows]),
            called=self._called([row for _, _, row in rows]),
        )

    def _called(self, rows: Sequence[Row]) -> Float[Tensor, "rows vocabulary"]:
        """The tokens of the rows' expressions, as distributions; over nothing, if nobody learns to look."""
        if self.looking is None:
            return torch.zeros(len(rows), 0)
        texts = [f" {self.codec.clean(row.expression)}" for row in rows]
        return shares(self.codec.vocabulary.encode(texts), self.codec.config.vocabulary)

    def forward(self, tensors: Glance | Batch) -> Tensor:
        model, looking = self.model.ofa, self.looking
        grid = model.look(tensors.pixels)
        cells = coverage(tensors.boxes, *grid.shape[2:])
        if isinstance(tensors, Glance):
            return self._named(grid, cells, tensors)
        encoded = model.encode(tensors.source, grid[tensors.owner])
        states, _ = model.decode(tensors.written[:, None], model.decoder.memory(encoded))
        kept = tensors.target != PAD
        logits = model.logits(states[:, 0][kept])
        with torch.autocast(logits.device.type, enabled=False):
            loss = self.loss(logits, tensors.target[kept], tensors.allowed)
        if looking is None or self.model.pointer is None:
            return loss
        pointed = pointing_loss(self.model.pointer(encoded.states[:, : cells.shape[1]])[..., 0], cells)
        return looking.answers * loss + looking.pointing * pointed + looking.naming * self._named(grid, cells, tensors)

    def _named(self, grid: Tensor, cells: Float[Tensor, "regions cells"], tensors: Glance | Batch) -> Tensor:
        """The loss of the words of regions, by the vectors that patches and tokens share."""
        model = self.model.ofa
        patches = model.encoder.patch_norm(model.encoder.embed(grid))[tensors.owner]
        return words_loss(patches, cells, tensors.called, model.tokens.weight, cast(Tensor, self.model.bias))

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
        weights.save(folder, self.model.ofa, self.codec.vocabulary)


class EntailTask(OFATask):
    """Visual entailment; the dev score that chooses the epoch is the accuracy at P(visible) = 0.5, in percent."""

    def __init__(
        self,
        model: OFA,
        codec: OFACodec,
        train: Sequence[EntailmentPair],
        dev: Sequence[EntailmentPair],
        smoothing: float,
        looking: Looking | None = None,
    ) -> None:
        super().__init__(model, codec, by_post(train), smoothing, looking)
        self.dev = dev
        self.sources = codec.entailment_sources([pair.expression for pair in train], [pair.caption for pair in train])
        self.labels = [YES if pair.visible else NO for pair in train]

    def _ask(self, batch: list[int]) -> Batch:
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
            boxes=torch.tensor(
                [corners(self.rows[index].boxes, self.pictures[self.owners[index]].whole) for index in batch]
            ),
            called=self._called([self.rows[index] for index in batch]),
        )

    def evaluate(self) -> dict[str, float]:
        return score_entailment(OFAEntailer(self.model.ofa, self.codec, EVALUATED), self.dev)


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
        looking: Looking | None = None,
    ) -> None:
        super().__init__(model, codec, by_post(train), smoothing, looking)
        self.references = train
        self.dev = dev
        self.crop, self.spread = crop, spread
        self.sources = codec.grounding_sources([reference.expression for reference in train])

    def _ask(self, batch: list[int]) -> Batch:
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
            boxes=torch.tensor([corners(self.rows[index].boxes, windows[self.owners[index]]) for index in batch]),
            called=self._called([self.rows[index] for index in batch]),
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
        return score_grounding(OFAGrounder(self.model.ofa, self.codec, EVALUATED), self.dev)


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
        vocabulary: the folder of OFA's three vocabulary files. If empty, they lie with `start`; without `start` a
            vocabulary of at most `model.bpe_symbols` symbols is learned from the training questions.
        form: how expressions are written, where their expansions are known.
        smoothing: share of the probability of each token that goes to the others.
        looking: how random weights learn to look; without it, from the answers alone, as published.
        model: OFA's settings.
        training: the loop's settings.
    """

    about: str
    start: str = ""
    vocabulary: str = ""
    form: Form = "released"
    smoothing: float = 0.0
    looking: Looking | None = None
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
        if self.start:
            return self.load_published(Path(self.start))
        vocabulary = (
            read_vocabulary(Path(self.vocabulary))
            if self.vocabulary
            else learn_vocabulary(questions(texts), self.model.bpe_symbols)
        )
        config = replace(self.model, bpe_symbols=vocabulary.size)
        return OFA(config), OFACodec(config, vocabulary)

    def load_published(self, path: Path) -> tuple[OFA, OFACodec]:
        """The model of a published checkpoint and its codec, by `vocabulary` or the one that lies in the same folder.

        Raises:
            CheckpointError: the checkpoint or the vocabulary is missing, damaged, or does not fit the settings.
        """
        if not path.exists():
            raise CheckpointError(
                f"there is no file or folder {path}",
                allowed="OFA is fairseq's .pt, a folder of the fork of transformers, or a folder of ours",
                todo="check the path",
            )
        own = path if path.is_dir() else path.parent
        vocabulary = read_vocabulary(Path(self.vocabulary) if self.vocabulary else own)
        config = replace(self.model, bpe_symbols=vocabulary.size)
        return weights.load_published(path, config), OFACodec(config, vocabulary)


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
        return EntailTask(model, codec, pairs, entailment_pairs(dev, self.form), self.smoothing, self.looking)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Accuracy on the test split's mentions."""
        return Tested(
            [], (), score_entailment(OFAEntailer.load(folder, batch_size=EVALUATED), entailment_pairs(test, self.form))
        )


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
        return GroundTask(
            model, codec, rows, references(dev, self.form), self.smoothing, self.crop, self.spread, self.looking
        )

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """Prec@0.5 on the test split's mentions with boxes."""
        return Tested(
            [], (), score_grounding(OFAGrounder.load(folder, batch_size=EVALUATED), references(test, self.form))
        )


def score_entailment(entailer: OFAEntailer, pairs: Sequence[EntailmentPair]) -> dict[str, float]:
    """The accuracy at P(visible) = 0.5 in percent, and that of calling all what most are."""
    right = []
    for posts in _chunks(by_post(pairs)):
        pictures = [open_reference(some[0].id, some[0].picture) for some in posts]
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
        pictures = [open_reference(some[0].id, some[0].picture) for some in posts]
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
