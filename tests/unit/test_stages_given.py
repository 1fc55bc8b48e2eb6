"""What a post brings along: the rows of an earlier run, and gold in the place of a stage."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read, read_predictions, write_rows
from gmner.errors import UnknownNameError
from gmner.stages.given import GivenEntities, GoldBoxes, GoldEntities, GoldGroundable
from gmner.stages.stage import with_note
from gmner.systems.cascade import NO_PICTURE, Cascade
from gmner.types import Box, Candidate, Entity, Example, Prediction

BOX = Box(1, 2, 3, 4)
POST = Example(
    id="1",
    text="Ada in Rome",
    entities=(Entity("Ada", "PER", 0, 3, boxes=(BOX,), expression="Ada (PER)"), Entity("Rome", "LOC", 7, 11)),
)
DRAFT = Prediction(example=POST)


def test_gold_tells_spans_and_types_and_nothing_else() -> None:
    [found] = GoldEntities()([DRAFT], [None])
    assert [(e.text, e.type, e.start, e.end, e.boxes, e.expression) for e in found.entities] == [
        ("Ada", "PER", 0, 3, (), None),
        ("Rome", "LOC", 7, 11, (), None),
    ]


def test_gold_tells_what_can_be_seen_and_where() -> None:
    guessed = (
        Entity("Ada", "ORG", 0, 3),
        Entity("in", "LOC", 4, 6),
        Entity("Rome", "LOC", 7, 11),
        Entity("Ada", "PER"),
    )
    [judged] = GoldGroundable()([Prediction(example=POST, entities=guessed)], [None])
    assert [entity.groundable for entity in judged.entities] == [1.0, 0.0, 0.0, 1.0]
    [placed] = GoldBoxes()([judged], [None])
    assert [entity.boxes for entity in placed.entities] == [(BOX,), (), (), (BOX,)]


def test_gold_points_only_where_it_is_asked_to() -> None:
    guessed = (Entity("Ada", "PER", 0, 3, groundable=0.2), Entity("Rome", "LOC", 7, 11, groundable=0.9))
    [placed] = GoldBoxes()([Prediction(example=POST, entities=guessed)], [None])
    assert [entity.boxes for entity in placed.entities] == [(), ()]


def test_a_run_goes_on_from_the_rows_of_another(tmp_path: Path) -> None:
    entity = Entity("Ada", "PER", 0, 3, expression="Ada (PER) - a woman", groundable=0.7, provenance={"entail": "x"})
    seen = Candidate(BOX, "object", 0.5)
    row = with_note(Prediction(example=Example(id="1", text=POST.text), entities=(entity,), candidates=(seen,)), "so")
    write_rows(tmp_path / "stage.jsonl", [row])
    [post] = read(tmp_path / "stage.jsonl")
    [again] = GivenEntities()([Prediction(example=post, notes=(NO_PICTURE,))], [None])
    assert again.entities == (entity,) and again.candidates == (seen,) and again.notes == ("so", NO_PICTURE)


def test_a_part_of_a_cascade() -> None:
    cascade = Cascade("test", (GoldEntities(), GoldGroundable(), GoldBoxes()))
    assert [stage.name for stage in cascade.between("entail").stages] == ["given", "entail", "ground"]
    assert [stage.name for stage in cascade.between(last="entail").stages] == ["recognise", "entail"]
    assert cascade.between("recognise", "ground") == cascade
    with pytest.raises(UnknownNameError, match="known are entail, ground, recognise"):
        cascade.between("segment")
    with pytest.raises(UnknownNameError, match="no stage after ground"):
        cascade.between("ground", "entail")


@pytest.mark.slow
def test_a_run_in_two_parts_gives_what_one_run_gives(tmp_path: Path) -> None:
    def predict(source: str, target: str, *stages: str) -> Prediction:
        names = ["predict", "--input", str(tmp_path / source), "--output", str(tmp_path / target), *stages]
        result = CliRunner().invoke(app, names)
        assert result.exception is None, result.output
        [row] = read_predictions(tmp_path / target)
        return row

    scene = tmp_path / "scene.png"
    Image.new("RGB", (90, 60), "navy").save(scene)
    write_rows(tmp_path / "post.jsonl", [Example(id="1", text="Grace Hopper of the US Navy", image=scene)])
    half = predict("post.jsonl", "half.jsonl", "--to-stage", "entail")
    assert half.entities and all(entity.groundable is not None and not entity.boxes for entity in half.entities)
    assert predict("half.jsonl", "rest.jsonl", "--from-stage", "ground") == predict("post.jsonl", "whole.jsonl")
