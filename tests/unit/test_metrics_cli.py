"""`gmner evaluate`: what it prints."""

import json

import pytest
import typer
from tests.unit.scored_posts import HALF, SQUARE, answer, echo, post
from typer.testing import CliRunner

from gmner.cli.evaluate import evaluate
from gmner.data import write_rows
from gmner.errors import ConfigError, MismatchError, UnknownNameError

GOLD = [
    post("Grace Hopper of the US Navy", ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG"), post_id=f"{number}")
    for number in range(4)
]
FILES = {
    "right.jsonl": echo(GOLD),
    "half.jsonl": [answer(one, ("Grace Hopper", "PER", [HALF]), ("US Navy", "ORG")) for one in GOLD],
    "short.jsonl": echo(GOLD)[:3],
}


@pytest.fixture
def run(tmp_path):
    """The command in a folder with these files; paths are given by their names."""
    write_rows(tmp_path / "gold.jsonl", GOLD)
    for name, posts in FILES.items():
        write_rows(tmp_path / name, posts)
    app = typer.Typer()
    app.command()(evaluate)

    def invoke(*arguments, fails=None):
        paths = [
            str(tmp_path / part) if part.endswith(".jsonl") else part for part in ["--gold", "gold.jsonl", *arguments]
        ]
        result = CliRunner(env={"COLUMNS": "120"}).invoke(app, paths)
        if fails is not None:
            assert isinstance(result.exception, fails), result.output
            return str(result.exception)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output.replace(f"{tmp_path}/", "")

    return invoke


def rows_of(output):
    """The cells of every table row, by task and what it is over."""
    cells = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in output.splitlines() if "│" in line]
    return {tuple(row[:2]): row[2:] for row in cells}


def test_tables_name_files_protocol_and_threshold(run):
    output = run("--pred", "half.jsonl")
    assert "half.jsonl against gold.jsonl\n" in output
    assert "protocol span, IoU > 0.5, 4 posts; 4 gold entities in the picture" in output
    rows = rows_of(output)
    assert rows["mner", "micro"] == ["100.00", "100.00", "100.00", "8", "8", "8"]
    assert rows["gmner", "micro"] == ["50.00", "50.00", "50.00", "4", "8", "8"]
    assert rows["gmner", "PER"] == ["0.00", "0.00", "0.00", "0", "4", "4"]


def test_settings_reach_the_score(run):
    assert rows_of(run("--pred", "half.jsonl", "--inclusive"))["gmner", "micro"][2] == "100.00"
    output = run("--pred", "half.jsonl", "--iou", "0.4", "--task", "eeg")
    assert "IoU > 0.4" in output
    assert rows_of(output)["eeg", "micro"][2] == "100.00"
    assert "mner" not in output
    output = run("--pred", "short.jsonl", "--missing", "empty")
    assert "4 posts, 1 of them without prediction" in output
    assert rows_of(output)["mner", "micro"][:3] == ["100.00", "75.00", "85.71"]


def test_intervals_and_paired_tests(run):
    output = run("--pred", "right.jsonl", "--against", "half.jsonl", "--bootstrap", "50")
    assert rows_of(output)["gmner", "micro"][3] == "100.00 to 100.00"
    assert "right.jsonl less half.jsonl" in output
    assert rows_of(output)["gmner", "+50.00"][0] == "+50.00 to +50.00"


def test_json(run):
    arguments = ["--pred", "right.jsonl", "--against", "half.jsonl", "--bootstrap", "20", "--protocol", "all", "--json"]
    result = json.loads(run(*arguments))
    assert (result["gold"], result["predictions"], result["against"]) == ("gold.jsonl", "right.jsonl", "half.jsonl")
    assert [(report["protocol"], report["comparison"]) for report in result["reports"]] == [
        ("span", ">"),
        ("riveg", ">="),
    ]
    assert result["reports"][0]["scores"]["gmner"][0]["f1"] == 1
    assert result["reports"][0]["intervals"]["gmner"]["low"] == 1
    assert [report["comparisons"]["gmner"]["difference"] for report in result["reports"]] == [0.5, 0]
    assert list(result["not_scored"]) == ["h-index", "mqspn"]
    assert "candidate regions" in result["not_scored"]["mqspn"]


def test_regions(run):
    output = run("--pred", "right.jsonl", "--regions")
    lines = [line for line in output.splitlines() if "mIoU" in line or "visual entailment" in line]
    assert len(lines) == 2 and all("100.00" in line for line in lines)
    assert "IoU >" in output and "gmner F1" in output
    plain = json.loads(run("--pred", "half.jsonl", "--regions", "--json"))["regions"]
    assert set(plain) == {"entailment", "overlap", "f1", "coverage"}


def test_what_can_not_be_scored_is_told(run):
    assert "not scored under mqspn: posts with gold regions but without" in run(
        "--pred", "right.jsonl", "--protocol", "all"
    )
    assert "without a prediction: 1 ('3')" in run("--pred", "short.jsonl", fails=MismatchError)
    assert "without a prediction" in run("--pred", "short.jsonl", "--protocol", "all", fails=MismatchError)
    assert "known are" in run("--pred", "right.jsonl", "--protocol", "spam", fails=UnknownNameError)
    assert "--bootstrap -1" in run("--pred", "right.jsonl", "--bootstrap", "-1", fails=ConfigError)
