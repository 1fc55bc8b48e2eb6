"""Published weights as folders of ours: which recipes have some, and how their files are read. Nothing is trained."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from torch import nn

from gmner.data import read
from gmner.errors import ConfigError
from gmner.models.albef import weights as albef
from gmner.models.h_index import weights as h_index
from gmner.models.mqspn import weights as mqspn
from gmner.models.ofa import weights as ofa
from gmner.models.seqtr import weights as seqtr
from gmner.models.umt import weights as umt
from gmner.training.albef import ALBEFRecipe
from gmner.training.h_index import HIndexRecipe
from gmner.training.mqspn import MQSPNRecipe
from gmner.training.ofa import OFAEntailRecipe, OFAGroundRecipe
from gmner.training.recipe import Recipe
from gmner.training.seqtr import SeqTRRecipe
from gmner.training.umt import UMTRecipe
from gmner.types import Example


class Loaded(NamedTuple):
    """A model; what writes it into a folder as training does; and which system runs it, by what setting.

    In `setting`, `{folder}` stands for the model's folder.
    """

    model: nn.Module
    save: Callable[[Path], None]
    system: str
    setting: str


class Published(NamedTuple):
    """What is published of a model.

    Args:
        files: what they are, in order.
        load: makes a model of a recipe, these files and, if it `reads_posts`, the posts that it was trained with.
    """

    files: tuple[str, ...]
    load: Callable[..., Loaded]
    reads_posts: bool = False


def _albef(recipe: ALBEFRecipe, file: Path) -> Loaded:
    model, _ = albef.load_published(recipe.model, file)
    return Loaded(model, partial(albef.save, model=model), "riveg", _part("entail", "albef"))


def _h_index(recipe: HIndexRecipe, file: Path) -> Loaded:
    model, _ = h_index.load_published(recipe.model, file)
    save = partial(h_index.save, model=model)
    if not recipe.model.grounded:
        return Loaded(model, save, "evg", 'recogniser = "bartmner" and model = "{folder}"')
    return Loaded(model, save, "h-index", 'model = "{folder}"')


def _mqspn(recipe: MQSPNRecipe, file: Path) -> Loaded:
    model, codec = mqspn.load_released(file, recipe.model)
    return Loaded(model, partial(mqspn.save, model=model, config=codec.config), "mqspn", 'model = "{folder}"')


def _ofa(recipe: OFAEntailRecipe | OFAGroundRecipe, file: Path) -> Loaded:
    model, codec = recipe.load_published(file)
    save = partial(ofa.save, model=model, vocabulary=codec.vocabulary)
    return Loaded(model, save, "riveg", _part(recipe.task.removeprefix("ofa-"), "ofa"))


def _seqtr(recipe: SeqTRRecipe, file: Path, posts: Sequence[Example]) -> Loaded:
    model, codec = seqtr.load_published(recipe.model, file, recipe.vocabulary(posts))
    save = partial(seqtr.save, model=model, vocabulary=codec.vocabulary)
    masks = 'segment = {{model = "seqtr", weights = "{folder}"}}'
    return Loaded(model, save, "riveg", masks if recipe.model.mode == "masks" else _part("ground", "seqtr"))


def _umt(recipe: UMTRecipe, network: Path, vision: Path) -> Loaded:
    model, _ = umt.load_published(recipe.model, network, vision)
    return Loaded(model, partial(umt.save, model=model), "evg", 'recogniser = "umt" and model = "{folder}"')


def _part(part: str, model: str) -> str:
    """The setting of a part of RiVEG."""
    return f'{part} = {{{{model = "{model}", folder = "{{folder}}"}}}}'


_OFA: Final = ("fairseq's .pt or a folder of the fork of transformers",)

PUBLISHED: Final[Mapping[str, Published]] = {
    "albef": Published(("the .pth of an ALBEF fine-tuned for visual entailment",), _albef),
    "h-index": Published(("the model's file",), _h_index),
    "mqspn": Published(("the model's file",), _mqspn),
    "ofa-entail": Published(_OFA, _ofa),
    "ofa-ground": Published(_OFA, _ofa),
    "seqtr": Published(("the model's .pth",), _seqtr, reads_posts=True),
    "umt": Published(("the network's pytorch_model.bin", "the ResNet's pytorch_encoder.bin"), _umt),
}
"""By the task of the recipe."""


def write_published(recipe: Recipe, files: Sequence[Path], output: Path, data: Path | None = None) -> Loaded:
    """Read published files as the model of a recipe, and write it into `output` as training would.

    What the recipe says of training, its `start` too, is not looked at. A file of SeqTR holds word vectors and not the
    words: they are those of the gold mentions in the train and dev splits of `data`, the data set that it was trained
    with. Nothing is written unless all could be read.

    Raises:
        ConfigError: nothing is published for such a recipe, there are fewer or more files than belong to it, `output`
            is not empty, or `data` is missing or not wanted.
        CheckpointError: a file is missing, damaged, or of another model or size; or what the model reads by (OFA's
            vocabulary, a tokenizer, an encoder) is not at hand.
        DataError: `data` can not be read.
    """
    known = _known(recipe, files, data)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ConfigError(
            f"{output} is there and not an empty folder",
            allowed="a model is written to a new or empty folder",
            todo="name another",
        )
    posts = [] if data is None else [post for split in ("train", "dev") for post in read(data, split)]
    loaded = known.load(recipe, *files, *([posts] if known.reads_posts else []))
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".unfinished-", dir=output) as folder:
        loaded.save(Path(folder))
        for file in sorted(Path(folder).iterdir()):
            file.rename(output / file.name)
    return loaded


def _known(recipe: Recipe, files: Sequence[Path], data: Path | None) -> Published:
    if recipe.task not in PUBLISHED:
        raise ConfigError(
            f"no weights are published for a recipe of the task {recipe.task!r}",
            allowed=f"some are for {', '.join(PUBLISHED)}",
            todo="choose a recipe of one of these, or train the model (gmner train)",
        )
    known = PUBLISHED[recipe.task]
    if len(files) != len(known.files):
        raise ConfigError(
            f"{len(files)} files for {recipe.task}",
            allowed=f"its weights are {' and '.join(known.files)}",
            todo="give as many, in this order",
        )
    if data is None and known.reads_posts:
        raise ConfigError(
            f"no --data for {recipe.task}",
            allowed="its file holds word vectors and not the words, which are those of the texts it was trained with",
            todo="give that data set with --data",
        )
    if data is not None and not known.reads_posts:
        raise ConfigError(
            f"--data {data} for {recipe.task}",
            allowed="only SeqTR's file lacks its words, which are read there",
            todo="drop --data",
        )
    return known
