"""Known expansions as recorded answers: a replay of them expands gold names and no others."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import write_rows
from gmner.errors import DataError
from gmner.llm import LLMSettings, provider
from gmner.stages.answers import write_expansions
from gmner.stages.expand import Expander
from gmner.types import Entity, Example, Prediction

POST = Example(
    id="1",
    text="Ada in Rome",
    description="a woman in a hat",
    entities=(Entity("Ada", "PER", 0, 3, extra={"expansion": "the one in red"}), Entity("Rome", "LOC", 7, 11)),
)


def test_a_replay_expands_the_names_of_gold(tmp_path: Path) -> None:
    write_rows(tmp_path / "gold.jsonl", [POST, POST])
    told = CliRunner().invoke(app, ["data", "answers", str(tmp_path / "gold.jsonl"), str(tmp_path / "answers.jsonl")])
    assert told.exception is not None  # two posts of one id
    write_rows(tmp_path / "gold.jsonl", [POST])
    told = CliRunner().invoke(app, ["data", "answers", str(tmp_path / "gold.jsonl"), str(tmp_path / "answers.jsonl")])
    assert told.output.startswith("1 answers written")

    found = (Entity("Ada", "PER", 0, 3), Entity("in", "LOC", 4, 6))
    expand = Expander(provider(LLMSettings(model="gold", replay=tmp_path / "answers.jsonl")))
    [expanded] = expand([Prediction(example=POST, entities=found)], [None])
    assert [entity.expression for entity in expanded.entities] == ["Ada (PER) - the one in red", "in (LOC)"]
    assert "'in' goes by name and type" in expanded.notes[0]


def test_a_data_set_without_expansions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no entity has an expansion"):
        write_expansions(tmp_path / "answers.jsonl", [Example(text="Ada", entities=(Entity("Ada", "PER"),))], "gold")
    assert not list(tmp_path.iterdir())
