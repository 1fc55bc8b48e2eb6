"""The rows that entailment and grounding learn from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import write_rows
from gmner.data.pairs import entailment_pairs, references
from gmner.expression import Form, expression_of
from gmner.types import Box, Entity, Example

SMALL, LARGE = Box(0, 0, 10, 10), Box(5, 5, 50, 40)
POST = Example(
    id="7",
    text="Rihanna in Bern",
    image="7.jpg",
    caption="a woman on a stage",
    entities=(
        Entity("Rihanna", "PER", 0, 7, boxes=(SMALL, LARGE), extra={"expansion": "a singer in red"}),
        Entity("Bern", "LOC", 11, 15, expression="Bern(LOC)-a town"),
    ),
)


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        ("paper", "Rihanna (PER) - a singer in red", "Bern(LOC)-a town"),
        ("released", "Rihanna(PER)-a singer in red", "Bern(LOC)-a town"),
        ("expansion", "a singer in red", "Bern(LOC)-a town"),
        ("name", "Rihanna (PER)", "Bern (LOC)"),
    ],
)
def test_an_expression_is_rewritten_where_its_expansion_is_known(form: Form, first: str, second: str) -> None:
    assert [pair.expression for pair in entailment_pairs([POST], form)] == [first, second]


def test_an_entity_of_which_nothing_is_known_goes_by_name_and_type() -> None:
    assert expression_of(Entity("Oslo", "LOC")) == "Oslo (LOC)"


def test_every_mention_is_a_pair_and_those_with_boxes_are_references() -> None:
    pairs, found = entailment_pairs([POST]), references([POST])
    assert [(pair.id, pair.picture, pair.caption, pair.visible) for pair in pairs] == [
        ("7", "7.jpg", "a woman on a stage", True),
        ("7", "7.jpg", "a woman on a stage", False),
    ]
    assert [(row.boxes, row.label) for row in found] == [((SMALL, LARGE), LARGE)]


def test_posts_without_a_picture_or_without_gold_give_no_rows() -> None:
    posts = [Example(text="Rihanna", entities=(Entity("Rihanna", "PER", 0, 7),)), Example(text="Bern", image="b.jpg")]
    assert entailment_pairs(posts) == []
    assert references(posts) == []


def test_pairs_are_written_by_split(tmp_path: Path) -> None:
    rows = [
        replace(POST, image=str(tmp_path / "7.jpg"), extra={"split": "train"}),
        Example(id="8", text="Oslo", entities=(Entity("Oslo", "LOC"),)),
    ]
    write_rows(tmp_path / "posts.jsonl", rows)
    for command in ("ve", "vg"):
        told = CliRunner().invoke(app, ["data", command, str(tmp_path / "posts.jsonl"), str(tmp_path / command)])
        assert told.exception is None, told.output
    [first, second] = read_lines(tmp_path / "ve" / "train.jsonl")
    assert first == {
        "id": "7",
        "image": "../7.jpg",
        "expression": "Rihanna (PER) - a singer in red",
        "caption": "a woman on a stage",
        "visible": True,
    }
    assert second["visible"] is False
    [other] = read_lines(tmp_path / "ve" / "rows.jsonl")
    assert (other["id"], other["image"], other["expression"]) == ("8", "8.jpg", "Oslo (LOC)")
    [place] = read_lines(tmp_path / "vg" / "train.jsonl")
    assert place["box"] == list(LARGE) and place["boxes"] == [list(SMALL), list(LARGE)]
    assert not (tmp_path / "vg" / "rows.jsonl").exists()


def read_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
