"""The commands `gmner data stats`, `check`, `diff` and `convert`."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tests.twitter_sample import DEV, TEST, TRAIN, tweet_text, write_gmner, write_mner
from typer.testing import CliRunner, Result

from gmner.cli.data import app
from gmner.data import read
from gmner.errors import DataError


@pytest.fixture
def gmner(tmp_path: Path) -> Path:
    return write_gmner(tmp_path / "gmner")


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("command", ["stats", "check", "diff", "convert"])
def test_each_command_shows_an_example(command: str) -> None:
    assert f"Example: gmner data {command} " in " ".join(run(command, "--help").stdout.split())


def test_stats(gmner: Path, tmp_path: Path) -> None:
    older = write_mner(tmp_path / "twitter2015", {"train": {"101": "x/O"}, "test": TEST})
    table = run("stats", gmner, "--against", older).stdout
    assert "tweets with a groundable entity" in table and "pictures shared with" in table
    counts = json.loads(run("stats", gmner, "--against", older, "--json").stdout)
    assert counts["format"] == "twitter-gmner"
    assert counts["text"]["all"]["tweets"] == 6
    assert counts["overlap"] == {
        str(older): {
            "train": {"train": 1, "test": 0},
            "dev": {"train": 0, "test": 0},
            "test": {"train": 0, "test": 2},
        }
    }
    assert counts["agreement"]["identical tokens and tags"] == 2
    assert json.loads(run("stats", older, "--json").stdout).keys() == {"format", "text", "overlap", "agreement"}


def test_check_leaves_with_0_for_warnings_and_2_for_errors(gmner: Path) -> None:
    result = run("check", gmner)
    assert f"{gmner}/txt/test.txt:2: warning: illegal tag step: 'Quill' is tagged I-PER" in result.stdout
    found = json.loads(run("check", gmner, "--json").stdout)
    assert found["counts"] == {"warnings": {"repeated string": 1, "illegal tag step": 1}}
    (gmner / "xml" / "101.xml").write_text("<annotation>")
    result = run("check", gmner, code=2)
    assert result.stdout.startswith(f"{gmner}/xml/101.xml:1: error: unreadable annotation: not XML")
    found = json.loads(run("check", gmner, "--json", code=2).stdout)
    assert found["counts"]["errors"] == {"unreadable annotation": 1}
    assert found["findings"][0]["where"] == f"{gmner}/xml/101.xml:1"


def test_check_of_a_clean_file(tmp_path: Path) -> None:
    path = tmp_path / "dev.txt"
    path.write_text(tweet_text(DEV))
    assert run("check", path).stdout == f"{path}: nothing odd\n"


def test_diff(gmner: Path, tmp_path: Path) -> None:
    texts = {"train": TRAIN, "dev": DEV, "test": {**TEST, "O_7": "Quill/B-PER sings/O"}}
    new = write_gmner(tmp_path / "new", texts, {"102": [("Otters", (1, 1, 50, 60))]})
    lines = run("diff", gmner, new).stdout.splitlines()
    assert lines[:4] == [
        "tweet O_7 (test): B- added: nothing -> nothing",
        "annotation 102: 'Otters' [60, 5, 90, 80] -> nothing",
        "annotation removed: 101",
        "annotation removed: O_8",
    ]
    found = json.loads(run("diff", gmner, new, "--json").stdout)
    assert found["counts"]["annotation files with a box less"] == 1
    assert found["annotations_removed"] == ["101", "O_8"]


def test_convert_there_and_back(gmner: Path, tmp_path: Path) -> None:
    steps = [gmner, tmp_path / "1.jsonl", tmp_path / "2.parquet", tmp_path / "3"]
    for source, target in pairwise(steps):
        assert f"6 posts written to {target}" in run("convert", source, target).stderr
        assert read(target) == read(gmner)


def test_convert_with_all_that_goes_with_it(gmner: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "captions.txt").write_text("101.jpg :a woman\n77.jpg :alien\n")
    (tmp_path / "descriptions.txt").write_text("imgid:102###A crowd.\n\nIt cheers.\n")
    (tmp_path / "knowledge.txt").write_text("nothing\tO\nhere\tO\n<EOS>\tX\nNothing.\tX\n\n")
    target = tmp_path / "rows.jsonl"
    options = ("--images", "pictures", "--captions", "captions.txt", "--descriptions", "descriptions.txt")
    paths = [str(tmp_path / option) if index % 2 else option for index, option in enumerate(options)]
    result = run("convert", gmner, target, "--split", "train", *paths, "--knowledge", tmp_path / "knowledge.txt")
    assert "caption: 2 missing: 102, 103" in result.stderr
    assert "caption: 1 alien: 77" in result.stderr
    posts = {post.id: post for post in read(target)}
    assert list(posts) == ["101", "102", "103"]
    assert posts["101"].caption == "a woman"
    assert posts["102"].description == "A crowd.\n\nIt cheers."
    assert posts["103"].knowledge == "Nothing."
    assert json.loads(target.read_text().splitlines()[0])["image"] == "pictures/101.jpg"
    result = run("convert", target, tmp_path / "folder")
    assert "has no place for it: caption (1 posts)" in result.stderr


def test_convert_without_what_another_set_holds_out(gmner: Path, tmp_path: Path) -> None:
    older = write_mner(tmp_path / "twitter2015", {"train": TRAIN | TEST})
    result = run("convert", older, tmp_path / "rows.jsonl", "--unseen-by", gmner)
    assert "2 posts dropped" in result.stderr
    assert [post.id for post in read(tmp_path / "rows.jsonl")] == list(TRAIN)


def test_convert_strictly(tmp_path: Path) -> None:
    older = write_mner(tmp_path / "twitter2015", {"test": TEST})
    run("convert", older, tmp_path / "rows.jsonl", "--strict")
    assert [len(post.entities) for post in read(tmp_path / "rows.jsonl")] == [0, 1]


def test_errors_are_left_to_the_main_program(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["stats", str(tmp_path / "absent")])
    assert isinstance(result.exception, DataError)
