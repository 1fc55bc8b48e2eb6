"""Training H-Index: the cross-entropy of its tokens and the divergence of its regions from gold."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor

from gmner.checkpoint import CONFIG_FILE
from gmner.data.expansions import with_expansions
from gmner.models.h_index import weights
from gmner.models.h_index.codec import Encoded, HIndexCodec
from gmner.models.h_index.config import HIndexConfig
from gmner.models.h_index.model import HIndex, Source, Targets
from gmner.nn.encoders import load_tokenizer
from gmner.nn.regions import Seen
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, alike, shuffle
from gmner.training.mentions import Pointers, Pointing, filled, pointers
from gmner.training.naming import Glance, Learner, Names, Naming, Told, described, glances, named_regions
from gmner.training.pictures import open_picture
from gmner.training.pointing import Looking
from gmner.training.predictions import f1_scores, predict
from gmner.training.processes import divided
from gmner.training.recipe import Tested
from gmner.training.regions import Regional, with_regions
from gmner.training.varying import Varying, check_varying, names_by_type, shifted, varied
from gmner.types import Example


class Batch(NamedTuple):
    """Posts, what is to be generated for them, and what there is to learn of their candidates."""

    source: Source
    targets: Targets | None = None
    names: Names | None = None
    pointers: Pointers | None = None
    told: Names | None = None


class HIndexTask(Task):
    """The joint task on posts with gold entities; the dev score that chooses the epoch is GMNER F1 in percent."""

    model: Learner

    def __init__(
        self,
        model: HIndex,
        codec: HIndexCodec,
        train: Sequence[Encoded],
        dev: Sequence[Encoded],
        looking: Looking | None = None,
        varying: Varying | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.looking = looking
        self.varying = varying
        self.names = names_by_type([post.example for post in train]) if varying else {}
        self.posts = [self._told(post) for post in train]
        self.model = Learner(model, self.posts, width=model.config.width, looks=looking is not None)
        self.dev = dev
        self.partial = looking is not None

    @property
    def network(self) -> HIndex:
        """The network that is trained."""
        return cast(HIndex, self.model.network)

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Glance[Encoded] | list[Told[Encoded]]]:
        """Posts to look at, then posts of similar length together, in random order (section 7: buckets by source
        length)."""
        looks = glances(self.posts, self.looking, generator)
        if self.looking is not None and not self.looking.asks:
            return list(looks)
        shuffled = shuffle(self.posts, generator)
        return [*looks, *alike(shuffled, batch_size, lambda one: len(one.post.pieces) // 8, generator, chunk=0)]

    def collate(self, batch: Glance[Encoded] | list[Told[Encoded]]) -> Batch:
        if isinstance(batch, Glance):
            glimpsed, named = batch.only_named(lambda post, numbers: self._shifted(post, post.regions.at(numbers)))
            return Batch(self.codec.batch(glimpsed), names=self.model.names(named))
        posts = [one.post for one in batch]
        if self.varying is not None:
            posts = varied(posts, self.names, self.varying.names, self.codec, self._seeing)
            batch = [self._told(post) for post in posts]
        source = self.codec.batch(posts)
        pieces, regions = source.pieces.shape[1], source.present.shape[1]
        return Batch(
            source,
            self.codec.targets(posts) if self.looking is None or self.looking.answers else None,
            self.model.names([one.named for one in batch]),
            filled([one.pointers for one in batch], pieces, regions) if self.looking else None,
            self.model.names([described(one.pointers) for one in batch]),
        )

    def _told(self, post: Encoded) -> Told[Encoded]:
        return told(self.codec, post) if self.looking else Told(post)

    def _seeing(self, post: Encoded, before: Encoded) -> Encoded:
        return self._shifted(post, before.regions)

    def _shifted(self, post: Encoded, regions: Seen) -> Encoded:
        """A post that sees these regions, as they are this time."""
        if self.varying is not None:
            regions = regions._replace(looks=shifted(regions.looks, self.varying.shift))
        return replace(post, regions=regions)

    def forward(self, tensors: Batch) -> Tensor:
        network, source, looking = self.network, tensors.source, self.looking
        if looking is None:
            return network.losses(source, cast(Targets, tensors.targets), network.encode(source)).total
        naming, pointing = cast(Naming, self.model.naming), cast(Pointing, self.model.pointing)
        regions = network.look(source)
        vectors = network.embedding.weight
        loss: Tensor = looking.naming * naming(regions, cast(Names, tensors.names), vectors)
        if tensors.pointers is None:
            return loss
        encoded = network.encode(source, regions)
        text = encoded.states[:, regions.shape[1] :]
        loss = loss + looking.pointing * pointing(text, regions, source.present, tensors.pointers)
        names = tensors.pointers.states(text)
        loss = loss + looking.naming * naming(names, cast(Names, tensors.told), vectors)
        if tensors.targets is None:
            return loss
        return loss + looking.answers * network.losses(source, tensors.targets, encoded).total

    def evaluate(self) -> dict[str, float]:
        found = divided(self.dev, partial(predict, self.network, self.codec))
        return f1_scores(found, tasks_of(self.codec.config))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.network)


@dataclass(frozen=True)
class HIndexRecipe:
    """An H-Index, or a BARTMNER (`model.grounded` off).

    Args:
        about: one sentence for the reader.
        task: what is trained.
        start: a BART whose weights the model begins with, or a folder of ours to train on; without one, all weights
            are random.
        candidates: a detector's files (`training.regions`); without them posts bring their candidates along.
        expansions: give the model the expansions of the gold names as knowledge, as drawn posts have them.
        looking: how random weights learn what regions look like and which of them is meant (`training.naming`,
            `training.mentions`); without it, as published, from regions being chosen alone.
        varying: how much training posts vary (`training.varying`); not at all without it. It needs `expansions` and
            crops.
        model: H-Index's settings.
        training: the loop's settings.
    """

    about: str
    task: Literal["h-index"] = "h-index"
    start: str | None = None
    candidates: Path | None = None
    expansions: bool = False
    looking: Looking | None = None
    varying: Varying | None = None
    model: HIndexConfig = field(default_factory=HIndexConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigError: what varies needs more than the recipe gives.
        """
        if self.varying is not None:
            check_varying(expansions=self.expansions, crops=bool(self.model.crop))

    @property
    def reads_knowledge(self) -> bool:
        return "knowledge" in self.model.reads and not self.expansions

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> HIndexTask:
        """A new H-Index.

        Raises:
            CheckpointError: `start` or the tokenizer is not at hand, or `start` is of another size.
            ConfigError: the model reads features of regions, and there are none.
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than there are positions.
        """
        torch.manual_seed(self.training.seed)
        model = HIndex(self.model)
        if self.start is None:
            model.begin()
        elif (Path(self.start) / CONFIG_FILE).is_file():
            weights.begin_with(model, Path(self.start))
        else:
            weights.begin_with_bart(model, self.start)
        codec = HIndexCodec(self.model, load_tokenizer(self.model.tokenizer))
        posts, dev_posts = (
            telling_left_out(divided(self._regional(codec, split), partial(encode, codec))) for split in (train, dev)
        )
        return HIndexTask(model, codec, posts, dev_posts, self.looking, self.varying)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """The joint task on the test split, and its parts."""
        model, codec = weights.load(folder)
        encoded = telling_left_out(encode(codec, self._regional(codec, test)))
        return Tested(predict(model, codec, encoded), tasks_of(codec.config), {})

    def _regional(self, codec: HIndexCodec, examples: Sequence[Example]) -> list[Regional]:
        """Every post as the model reads it, with its candidates."""
        posts = with_expansions(examples) if self.expansions else examples
        return with_regions(posts, self.candidates, features=not codec.config.crop)


def encode(codec: HIndexCodec, posts: Sequence[Regional]) -> list[Encoded]:
    """Posts as numbers, a picture at a time, of which only what is seen is kept."""
    looks = codec.config.crop or codec.config.places
    return [
        codec.encode([post.example], [open_picture(post.example) if looks else None], [post.features])[0]
        for post in posts
    ]


def told(codec: HIndexCodec, post: Encoded) -> Told[Encoded]:
    """A post with what its candidates are called and what points at them."""
    ends = [*post.first[1:], post.sentence]
    words = [list(range(first, end)) for first, end in zip(post.first, ends, strict=True)]
    boxes = post.regions.boxes
    return Told(
        post,
        named_regions(post.example, boxes, codec.tokenizer),
        pointers(post.example, post.offsets, words, post.pieces, boxes, codec.tokenizer),
    )


def tasks_of(config: HIndexConfig) -> tuple[str, ...]:
    """What a model of these settings is scored by; the first chooses the epoch."""
    return ("gmner", "mner", "eeg") if config.grounded else ("mner",)
