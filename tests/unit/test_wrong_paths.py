"""Commands that are given nothing, the wrong kind of file or wrong settings say so, and name what they were given."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from gmner import checkpoint
from gmner.cli.main import main
from gmner.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from gmner.systems import load
from gmner.training.recipes import read_recipe

ROW = {"id": "1", "text": "Ada in Rome", "entities": [{"text": "Ada", "type": "PER", "start": 0, "end": 3}]}


class Told:
    """Runs commands in a folder and gives what they say on stderr; the exit code must be the one expected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, command: str, code: int = 2) -> str:
        self.monkeypatch.setattr(sys, "argv", ["gmner", *command.split()])
        with pytest.raises(SystemExit) as left:
            main()
        said = self.capsys.readouterr().err
        assert (left.value.code or 0) == code, said
        if code:
            assert re.fullmatch(r"gmner: .+; .+[.?]\n", said), said  # one sentence on one line
        return said


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    monkeypatch.chdir(tmp_path)
    Path("one.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    for name in ("empty.jsonl", "empty.txt"):
        Path(name).write_text("", encoding="utf-8")
    Path("blank.jsonl").write_text("\n\n", encoding="utf-8")
    Path("head.csv").write_text("id,text\n", encoding="utf-8")
    Path("folder").mkdir()
    Image.new("RGB", (2, 2)).save("ada.PNG")
    return Told(monkeypatch, capsys)


@pytest.mark.parametrize("source", ["empty.jsonl", "blank.jsonl", "head.csv", "empty.txt"])
def test_a_run_over_nothing_says_so_and_is_no_error(told: Told, source: str) -> None:
    said = told(f"predict --input {source} --output out.jsonl --processes 1", code=0)
    assert f"no posts were read from {source}" in said
    assert Path("out.jsonl").read_bytes() == b""


def test_a_run_over_something_does_not_say_so(told: Told) -> None:
    bare = {key: value for key, value in ROW.items() if key != "id"}
    Path("bad.jsonl").write_text(json.dumps({**bare, "text": ""}) + "\n", encoding="utf-8")
    told.monkeypatch.setattr(sys, "argv", ["gmner", "segment", "bad.jsonl", "--output", "out.jsonl"])
    with pytest.raises(SystemExit):
        main()
    assert "no posts were read" not in told.capsys.readouterr().err
    assert "no posts were read" in told("segment empty.jsonl --output out.jsonl", code=0)


@pytest.mark.parametrize("gold", ["empty.jsonl", "head.csv"])
def test_nothing_is_not_scored(told: Told, gold: str) -> None:
    assert f"{gold}: no posts;" in told(f"evaluate --gold {gold} --pred empty.jsonl")
    Path("train.jsonl").write_text(json.dumps({**ROW, "split": "train"}), encoding="utf-8")
    assert "train.jsonl, split dev: no posts;" in told("evaluate --gold train.jsonl --split dev --pred empty.jsonl")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("data answers one.jsonl answers.jsonl", "one.jsonl: no entity has an expansion;"),
        ("data answers empty.jsonl answers.jsonl", "empty.jsonl: no posts;"),
        ("data ve empty.jsonl pairs", "empty.jsonl: nothing to write of 0 posts;"),
    ],
)
def test_what_has_no_answers_is_the_source(told: Told, command: str, sentence: str) -> None:
    assert sentence in told(command)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("predict --input one.jsonl --output folder", "folder: this is a folder, where a file belongs;"),
        ("predict --input ada.PNG --output out.jsonl", "ada.PNG: a picture, where posts belong;"),
        ("predict --text Ada --config folder", "folder: this is a folder, where a file belongs;"),
        ("evaluate --gold one.jsonl --pred folder", "folder: this is a folder, where a file belongs;"),
        ("show folder --output out", "folder: this is a folder, where a file belongs;"),
        ("show one.jsonl --output one.jsonl", "one.jsonl: this is a file or lies below one, where a folder belongs;"),
        ("show one.jsonl --output one.jsonl/out", "out: this is a file or lies below one, where a folder belongs;"),
        ("report --gold one.jsonl --pred one.jsonl --output one.jsonl", "one.jsonl: this is a file or lies below one"),
        ("data stats one.jsonl/inner.jsonl", "inner.jsonl: no such file or folder;"),
        ("evaluate --gold one.jsonl/inner.jsonl --pred one.jsonl", "inner.jsonl: no such file or folder;"),
    ],
)
def test_files_for_folders_and_folders_for_files(told: Told, command: str, sentence: str) -> None:
    assert sentence in told(command)


def test_pictures_and_knowledge_of_a_training(told: Told) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "lite-tagger.toml"
    assert "one.jsonl: a file, where a folder belongs;" in told(
        f"train {recipe} --data one.jsonl --output model --images one.jsonl"
    )
    assert "empty.jsonl: no posts in the split 'train';" in told(f"train {recipe} --data empty.jsonl --output model")
    knows = Path(__file__).parents[2] / "recipes" / "plim-minilm-knowledge.toml"
    assert "one.jsonl: no file for the split 'train';" in told(
        f"train {knows} --data one.jsonl --output model --knowledge one.jsonl"
    )


@dataclass(frozen=True)
class Small:
    width: int = 3


@dataclass(frozen=True)
class Other:
    depth: int


def test_the_folder_of_another_model(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, Small(), {"weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"another kind.*'width'.*those of Other"):
        checkpoint.load(tmp_path, Other)
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"another kind.*'depth' is missing"):
        checkpoint.load(tmp_path, Other)
    with pytest.raises(CheckpointError, match=r"tagger.*another kind.*those of"):
        load("mqspn", model=str(Path(load.__code__.co_filename).parents[1] / "weights" / "lite-tagger"))


def test_posts_at_once_are_one_or_more(told: Told) -> None:
    for system in ("mqspn", "h-index"):
        with pytest.raises(ConfigError, match=rf"system '{system}': batch_size is 0"):
            load(system, model="nowhere", batch_size=0)
    Path("mqspn.toml").write_text('model = "nowhere"\nbatch_size = 0\n', encoding="utf-8")
    said = told("predict --text Ada --system mqspn --config mqspn.toml")
    assert said.startswith("gmner: mqspn.toml: system 'mqspn': batch_size is 0; it is 1 or more;")


def test_settings_are_told_with_their_file_and_system(told: Told) -> None:
    Path("lite.toml").write_text("peeple = true\n", encoding="utf-8")
    assert told("predict --text Ada --config lite.toml").startswith(
        "gmner: lite.toml: system 'lite': there is no setting 'peeple'; known are people, windows; did you mean"
    )
    with pytest.raises(UnknownNameError, match=r"^system 'lite': there is no setting 'peeple'"):
        load("lite", peeple=True)
    with pytest.raises(UnknownNameError, match=r"^system 'segmented': system 'lite': there is no setting 'x'"):
        load("segmented", settings={"x": 1})
    Path("recipe.toml").write_text('task = "recognize"\n', encoding="utf-8")
    with pytest.raises(UnknownNameError, match=r"^recipe\.toml: there is no task 'recognize'"):
        read_recipe(Path("recipe.toml"))
    Path("recipe.toml").write_text('task = "recognise"\n[training]\nepochs = "five"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^recipe\.toml: setting 'training.epochs' is 'five'"):
        read_recipe(Path("recipe.toml"))


def test_an_error_said_of_a_place_stays_itself() -> None:
    error = DataError("a:1", "x", allowed="y", todo="z").within("b")
    assert (type(error), str(error), error.where) == (DataError, "b: a:1: x; y; z.", "a:1")
    unknown = UnknownNameError("thing", "on", ["one"]).within("b")
    assert str(unknown) == "b: there is no thing 'on'; known are one; did you mean 'one'?"
