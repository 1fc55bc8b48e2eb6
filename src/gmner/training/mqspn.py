"""Training MQSPN: entities matched with queries at every layer, and what the queries then should have said."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
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
from gmner.training.loop import Task, TrainingConfig, alike, shuffle, shuffled
from gmner.training.mentions import Pointers, Pointing, filled, pointers
from gmner.training.naming import Glance, Learner, Named, Names, Naming, Told, described, glances, named_regions
from gmner.training.pictures import open_picture
from gmner.training.pointing import Looking
from gmner.training.predictions import f1_scores, predict
from gmner.training.processes import divided
from gmner.training.recipe import Tested
from gmner.training.regions import Regional, with_regions
from gmner.training.varying import Varying, check_varying, names_by_type, shifted, varied
from gmner.types import Example

TASKS = ("gmner", "mner", "eeg")
"""What is scored, the first of them to choose the epoch."""


class Batch(NamedTuple):
    """Posts, what is to be found in them, and what there is to learn of their candidates."""

    posts: Posts
    gold: Gold | None = None
    names: Names | None = None
    pointers: Pointers | None = None
    told: Names | None = None


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
        looking: Looking | None = None,
        varying: Varying | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.looking = looking
        self.varying = varying
        self.names = names_by_type([post.example for post in train]) if varying else {}
        self.posts = [self._told(post) for post in train]
        width = model.encoder.config.hidden_size if isinstance(model, MQSPN) else 0
        self.model = Learner(model, self.posts, width=width, looks=looking is not None)
        self.dev = dev
        self.criterion = criterion
        self.partial = looking is not None

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Glance[Encoded] | list[Told[Encoded]]]:
        """Posts to look at, then all posts in random order, those of similar length together if they are told of."""
        looks = glances(self.posts, self.looking, generator)
        if self.looking is not None and not self.looking.asks:
            return list(looks)
        if self.looking is None:
            return [*looks, *shuffled(self.posts, batch_size, generator)]
        order = shuffle(self.posts, generator)
        return [*looks, *alike(order, batch_size, lambda one: len(one.post.pieces), generator)]

    def collate(self, batch: Glance[Encoded] | list[Told[Encoded]]) -> Batch:
        if isinstance(batch, Glance):
            glimpsed, named = batch.only_named(self._only_regions)
            return Batch(self.codec.batch(glimpsed), names=self.model.names(named))
        encoded = [one.post for one in batch]
        if self.varying is not None:
            encoded = varied(encoded, self.names, self.varying.names, self.codec, self._seeing)
            batch = [self._told(post) for post in encoded]
        posts = self.codec.batch(encoded)
        pieces, regions = posts.pieces.shape[1], posts.regions.shape[1]
        return Batch(
            posts,
            self.codec.gold(encoded, regions) if self.looking is None or self.looking.answers else None,
            self.model.names([one.named for one in batch]),
            filled([one.pointers for one in batch], pieces, regions) if self.looking else None,
            self.model.names([described(one.pointers) for one in batch]),
        )

    def _told(self, post: Encoded) -> Told[Encoded]:
        return told(self.codec, post) if self.looking else Told(post)

    def _seeing(self, post: Encoded, before: Encoded) -> Encoded:
        return replace(post, boxes=before.boxes, looks=self._shifted(before.looks), places=before.places)

    def _only_regions(self, post: Encoded, numbers: list[int]) -> Encoded:
        """A post of which these regions only are seen, as they are this time."""
        looks = self._shifted(post.looks[numbers])
        return replace(post, looks=looks, places=[post.places[number] for number in numbers])

    def _shifted(self, looks: np.ndarray) -> np.ndarray:
        return looks if self.varying is None else shifted(looks, self.varying.shift)

    def forward(self, tensors: Batch) -> Tensor:
        network, posts, looking = self.model.network, tensors.posts, self.looking
        if looking is None or not isinstance(network, MQSPN):
            return self._loss(network(posts), tensors.gold)
        regions = network.look(posts)
        naming, pointing = cast(Naming, self.model.naming), cast(Pointing, self.model.pointing)
        vectors = network.encoder.get_input_embeddings().weight
        loss: Tensor = looking.naming * naming(regions, cast(Names, tensors.names), vectors)
        if tensors.pointers is None:
            return loss
        text = network.read(posts)
        loss = loss + looking.pointing * pointing(text, regions, posts.regions, tensors.pointers)
        names = tensors.pointers.states(text)
        loss = loss + looking.naming * naming(names, cast(Names, tensors.told), vectors)
        if tensors.gold is None:
            return loss
        return loss + looking.answers * self._loss(network.find(posts, text, regions), tensors.gold)

    def _loss(self, layers: list[Outputs], gold: Gold | None) -> Tensor:
        with torch.autocast(layers[0].start.device.type, enabled=False):
            return criterion(layers, cast(Gold, gold), self.criterion)

    def evaluate(self) -> dict[str, float]:
        return f1_scores(divided(self.dev, partial(predict, self.model.network, self.codec)), TASKS)

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
        looking: how random weights learn what regions look like and which of them is meant (`training.naming`,
            `training.mentions`), for the paper's network; without it, as published, from regions being chosen alone.
        varying: how much training posts vary (`training.varying`); not at all without it. It needs `expansions` and
            the paper's network with `model.crops`.
        start: a folder of ours that the paper's network begins with. One of other settings (an ablation's) gives its
            text encoder and eyes only; what queries do is new then.
    """

    about: str
    task: Literal["mqspn"] = "mqspn"
    model: MQSPNConfig = field(default_factory=MQSPNConfig)
    criterion: CriterionConfig = field(default_factory=CriterionConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    expansions: bool = False
    candidates: Path | None = None
    looking: Looking | None = None
    varying: Varying | None = None
    start: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigError: the released network is to learn to look, or to begin with another; or what varies needs more
                than the recipe gives.
        """
        for name in ("looking", "start"):
            if getattr(self, name) is not None and self.model.released is not None:
                raise ConfigError(
                    f"setting {name!r} for the released network",
                    allowed="the released network learns as it was published",
                    todo="leave it out",
                )
        if self.varying is not None:
            check_varying(expansions=self.expansions, crops=self.model.crops is not None)

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
            CheckpointError: `start` is missing, damaged, or of other sizes.
        """
        torch.manual_seed(self.training.seed)
        config = self.model
        encoder = load_encoder(config.encoder) if weights.needs_encoder(config) else None
        given = None if self.start is None else weights.load_network(self.start, config)
        begins = config.released is not None and config.released.pretrained
        clip = load_encoder(config.vision) if begins or weights.sees_by_clip(config) else None
        model, codec = weights.build(config, load_tokenizer(config.encoder), given.encoder if given else encoder, clip)
        if given is not None and isinstance(model, MQSPN):
            weights.begin_with(model, given)
        posts, dev_posts = (
            telling_left_out(divided(self._regional(codec, split), partial(encode, codec))) for split in (train, dev)
        )
        if self.looking is None or self.looking.answers:
            for post in posts:
                codec.items(post)  # too many entities are told before the training begins
        return MQSPNTask(model, codec, posts, dev_posts, self.criterion, self.looking, self.varying)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """GMNER, MNER and EEG on the test split."""
        model, codec = weights.load(folder)
        encoded = telling_left_out(encode(codec, self._regional(codec, test)))
        return Tested(predict(model, codec, encoded), TASKS, {})

    def _regional(self, codec: MQSPNCodec, examples: Sequence[Example]) -> list[Regional]:
        """Every post as the model reads it, with its candidates."""
        posts = with_expansions(examples) if self.expansions else examples
        return with_regions(posts, self.candidates, features=codec.reads_features)


def encode(codec: MQSPNCodec, posts: Sequence[Regional]) -> list[Encoded]:
    """Posts as numbers, a picture at a time, of which only the crops are kept."""
    return [codec.encode([post.example], [open_picture(post.example)], [post.features])[0] for post in posts]


def told(codec: MQSPNCodec, post: Encoded) -> Told[Encoded]:
    """A post with what its candidates are called and what points at them; the region before them is none."""
    named = named_regions(post.example, post.boxes, codec.tokenizer)
    places: list[list[int]] = [[] for _ in post.offsets]
    for place, word in enumerate(post.word_of_piece):
        if word >= 0:
            places[word].append(place)
    pointing = pointers(post.example, post.offsets, places, post.pieces, post.boxes, codec.tokenizer)
    return Told(
        post,
        Named([1 + region for region in named.numbers], named.pieces),
        [pointer._replace(regions=[0.0, *pointer.regions]) for pointer in pointing],
    )
