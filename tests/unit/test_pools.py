"""Annotated pools: our JSONL, PLIM's published files and their oddities, and the command that converts them."""

import json
import zipfile
from pathlib import Path

import pytest
from tests.shared import SHARED, needs_shared
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read, with_captions
from gmner.data.pools import AnnotatedPost, PoolReport, read_plim_pool, read_pool, write_pool
from gmner.errors import DataError
from gmner.types import Entity, Example

POSTS = [
    Example(id="11", tokens=("Ada", "in", "Rome"), extra={"split": "train"}),
    Example(id="O_12", tokens=("The", "Sorcerer", "'", "s", "Stone"), caption="a book"),
    Example(id="17_06_13", text="nothing here"),
]
ANSWERS = {
    "11": "Named entities:1. Ada (person)2. Rome (city)Reasoning:Both.",
    "O_12": "Named entities: 1. a book",
    "17_06_13": "Named entities may not be present",
}
ENTITIES = {
    "11": "['Ada', 'PER'], ['Rome', 'LOC']",
    "O_12": "['The Sorcerer's Stone', 'MISC']",
    "17_06_13": "None",
}


def plim(folder: Path, answers: dict[str, str], entities: dict[str, str], end: str = "\r\n") -> Path:
    """A pool as PLIM published them: CR LF, and no line end after the last entities."""
    folder.mkdir(exist_ok=True)
    for name, lines in (("2015train.txt", answers), ("2015train_GPT.txt", entities)):
        text = end.join(part for pair in lines.items() for part in pair)
        (folder / name).write_bytes((text + end * (lines is answers)).encode())
    return folder


def test_a_published_pool(tmp_path: Path) -> None:
    pool, report = read_plim_pool(plim(tmp_path / "2015", ANSWERS, ENTITIES), POSTS)
    assert report == PoolReport(annotated=3)
    assert [post.answer for post in pool] == list(ANSWERS.values())
    assert [post.example.text for post in pool] == [post.text for post in POSTS]
    assert [[(e.text, e.type, e.start) for e in post.example.entities or ()] for post in pool] == [
        [("Ada", "PER", None), ("Rome", "LOC", None)],
        [("The Sorcerer's Stone", "OTHER", None)],
        [],
    ]
    assert pool[1].example.caption == "a book"


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    folder = plim(tmp_path / "2015", {**ANSWERS, "99": "Named entities:1. X"}, {**ENTITIES, "77": "None"})
    with (folder / "2015train.txt").open("ab") as file:
        file.write(b"11\r\nNamed entities:1. Somebody else\r\n")
    pool, report = read_plim_pool(folder, POSTS)
    assert pool[0].answer == ANSWERS["11"]
    assert report == PoolReport(annotated=3, alien=("99",), unanswered=("77",), unlabelled=("99",), duplicate=("11",))


def test_a_post_without_labels_has_no_known_entities(tmp_path: Path) -> None:
    [post], _ = read_plim_pool(plim(tmp_path / "2015", {"11": "Ada"}, {}), POSTS)
    assert post.example.entities is None


@pytest.mark.parametrize(
    ("entities", "words"),
    [
        ("Ada, PER", "2015train_GPT.txt:2: the line 'Ada, PER'"),
        ("['Ada', 'PER'], Rome", "2015train_GPT.txt:2"),
        ("['Ada', 'ROBOT']", "entity type 'ROBOT'"),
        ("", "with nothing after it"),
    ],
)
def test_lines_that_are_no_entities(tmp_path: Path, entities: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_plim_pool(plim(tmp_path / "2015", ANSWERS, {"11": entities}), POSTS)


def test_lines_out_of_step(tmp_path: Path) -> None:
    folder = plim(tmp_path / "2015", ANSWERS, ENTITIES)
    (folder / "2015train.txt").write_text("11\nan answer\nmore of it\nO_12\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2015train\.txt:3: the line 'more of it'"):
        read_plim_pool(folder, POSTS)


def test_folders_that_are_no_pool(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_plim_pool(tmp_path / "absent", POSTS)
    (tmp_path / "one.txt").write_text("11\nAda\n")
    with pytest.raises(DataError, match="1 files of answers and 0 of entities"):
        read_plim_pool(tmp_path, POSTS)


def test_our_format_is_written_and_read(tmp_path: Path) -> None:
    pool = [
        AnnotatedPost(
            Example(id="a", text="Ada in Rome", caption="a woman", entities=(Entity("Ada", "PER", 0, 3),)), "Ada"
        ),
        AnnotatedPost(Example(text="nothing", entities=()), "Named entities: none\nReasoning: a line break"),
        AnnotatedPost(Example(tokens=("Rome", "!"), entities=(Entity("Roma", "LOC"),)), "Rome, as Roma"),
    ]
    write_pool(tmp_path / "pool.jsonl", pool)
    assert read_pool(tmp_path / "pool.jsonl") == pool


@pytest.mark.parametrize("answer", ["", '"answer": ""', '"answer": "  "', '"answer": 5', '"answer": null'])
def test_a_row_without_an_answer(tmp_path: Path, answer: str) -> None:
    row = f'{{"text": "Ada"{", " if answer else ""}{answer}}}'
    (tmp_path / "pool.jsonl").write_text('{"text": "b", "answer": "x"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"pool.jsonl:2: `answer` is"):
        read_pool(tmp_path / "pool.jsonl")


def test_the_smallest_row(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text('{"text": "Ada", "answer": "Ada (person)"}\n')
    assert read_pool(tmp_path / "pool.jsonl") == [AnnotatedPost(Example(text="Ada"), "Ada (person)")]


def test_the_command(tmp_path: Path) -> None:
    folder = plim(tmp_path / "2015", ANSWERS, {**ENTITIES, "77": "None"})
    (tmp_path / "train.txt").write_text(
        "IMGID:11\nAda\tB-PER\nin\tO\n\nIMGID:O_12\nStone\tO\n\nIMGID:17_06_13\nnothing\tO\n\n", encoding="utf-8"
    )
    (tmp_path / "captions.txt").write_text("11.jpg :a woman\nO_12.jpg :a book\n", encoding="utf-8")
    target = tmp_path / "pool.jsonl"
    ran = CliRunner().invoke(
        app,
        ["data", "pool", str(folder), str(target), "--posts", str(tmp_path / "train.txt"),
         "--captions", str(tmp_path / "captions.txt")],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert "1 unanswered: 77" in ran.output
    assert "1 missing: 17_06_13" in ran.output
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [row["answer"] for row in rows] == list(ANSWERS.values())
    assert [row.get("caption") for row in rows] == ["a woman", "a book", None]
    assert [post.example.caption for post in read_pool(target)] == ["a woman", "a book", None]


@needs_shared
@pytest.mark.parametrize(
    ("year", "annotated", "empty", "unanswered"),
    [("2015", 123, 0, ()), ("2017", 202, 21, ("16_05_06_815", "16_05_16_481"))],
)
def test_the_published_pools(
    tmp_path: Path, year: str, annotated: int, empty: int, unanswered: tuple[str, ...]
) -> None:
    """The paper counts 120 and 200; the files hold three and two more. Every post has its text and its caption."""
    assert SHARED is not None
    for archive, inner in (("plim_annotations", year), ("twitter_mner", f"twitter{year}"), ("captions", "blip2")):
        with zipfile.ZipFile(SHARED / "data" / f"{archive}.zip") as file:
            file.extractall(tmp_path, [name for name in file.namelist() if f"{inner}/" in name])
    folders = {path.name: path for path in tmp_path.rglob("*") if path.is_dir()}
    posts, _ = with_captions(read(folders[f"twitter{year}"]), folders["blip2"] / f"BLIP2_{year[2:]}.txt")
    pool, report = read_plim_pool(folders[year], posts)
    assert report == PoolReport(annotated=annotated, unanswered=unanswered)
    assert {post.example.extra["split"] for post in pool} == {"train"}
    assert all(post.example.caption for post in pool)
    assert sum(not post.example.entities for post in pool) == empty
    write_pool(tmp_path / "pool.jsonl", pool)
    assert read_pool(tmp_path / "pool.jsonl") == pool
