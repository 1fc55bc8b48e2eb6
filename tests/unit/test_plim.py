"""The system `plim` with an untrained tagger: its stages by its settings, and a run from recorded answers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gmner.config import from_dict, read_toml, write_toml
from gmner.data import read_predictions, write_rows
from gmner.data.pools import AnnotatedPost, write_pool
from gmner.errors import ConfigError, DataError, UnknownNameError
from gmner.llm import LLMSettings, Request
from gmner.llm.request import asked
from gmner.models.tagger import weights
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn.encoders import load_encoder
from gmner.stages import expand, knowledge
from gmner.stages.expand import Expander
from gmner.stages.features import StoredFeatures
from gmner.stages.knowledge import LLMKnowledge, RecordedKnowledge
from gmner.stages.similar import FixedExamples, SimilarExamples
from gmner.systems import load, plim
from gmner.systems.cascade import NO_PICTURE
from gmner.systems.plim import PlimSettings
from gmner.types import Example

POST = Example(id="7", text="Ada Lovelace visits Rome")


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    """Folders of two untrained taggers: one that reads knowledge, one that does not."""
    folder = tmp_path_factory.mktemp("taggers")
    for reads in (False, True):
        torch.manual_seed(0)
        config = TaggerConfig(knowledge=reads)
        model = Tagger(config, load_encoder(config.encoder))
        torch.nn.init.normal_(model.classifier.weight, std=0.5)
        weights.save(folder / str(reads), model)
    return {reads: str(folder / str(reads)) for reads in (False, True)}


@pytest.fixture
def pool(tmp_path: Path) -> str:
    posts = [
        AnnotatedPost(Example(text=text), f"Named entities:1. {text}") for text in ("Paris", "Alan Turing", "NASA")
    ]
    write_pool(tmp_path / "pool.jsonl", posts)
    return str(tmp_path / "pool.jsonl")


def kinds(system: plim.Cascade) -> list[str]:
    return [stage.name for stage in system.stages]


def test_without_a_model_it_recognises_and_says_what_it_did_without(taggers: dict[bool, str]) -> None:
    [found] = load("plim", tagger=taggers[True]).predict([POST])
    assert found.notes[:2] == (NO_PICTURE, knowledge.NO_MODEL)
    assert found.entities
    assert found.notes[2:] == (expand.NO_MODEL,)
    assert all(entity.expression == f"{entity.text} ({entity.type})" for entity in found.entities)


def test_the_ablations_are_settings(taggers: dict[bool, str], pool: str, tmp_path: Path) -> None:
    features = str(tmp_path / "features.safetensors")

    def stages(reads: bool, **settings: Any) -> tuple[Any, ...]:
        return plim.load(tagger=taggers[reads], **settings).stages

    assert [type(stage) for stage in stages(False)][1:] == [Expander]  # w/o auxiliary knowledge
    none, random, similar = (
        stages(True, examples=examples)[0].selector
        for examples in (
            {},  # w/o manually annotated samples
            {"pool": pool, "choice": "random", "count": 2, "seed": 1},  # w/o MSEA
            {"pool": pool, "count": 2, "features": features},
        )
    )
    assert none == FixedExamples((), 0)
    assert isinstance(random, FixedExamples)
    assert random.count == 2
    assert isinstance(similar, SimilarExamples)
    assert isinstance(similar.source, StoredFeatures)
    assert Path(features).is_file()
    assert stages(True, expression="released")[-1].form == "released"


def test_a_run_is_repeated_from_recorded_answers(taggers: dict[bool, str], pool: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "tagger": taggers[True],
        "examples": {"pool": pool, "count": 2, "features": str(tmp_path / "features.safetensors")},
        "llm": {"model": "m", "replay": str(tmp_path / "answers.jsonl")},
    }
    answers = tmp_path / "answers.jsonl"
    answers.touch()
    [bare] = plim.load(**settings).predict([POST])
    assert "no knowledge" in bare.notes[1]

    system = plim.load(**settings)
    first, last = system.stages[0], system.stages[-1]
    assert isinstance(first, LLMKnowledge)
    assert isinstance(last, Expander)
    [question] = first.requests([POST], [None])
    assert question.prompt.count("Text: ") == 3

    llm = from_dict(LLMSettings, settings["llm"])
    record(answers, llm, question, "Named entities:1. Ada Lovelace (person)2. Rome (city)")
    [reading] = plim.load(**settings).predict([POST])
    assert reading.entities
    unexpanded = replace(reading, entities=tuple(replace(entity, expression=None) for entity in reading.entities))
    for request in last.requests(unexpanded):
        record(answers, llm, request, "a thing")
    [found] = plim.load(**settings).predict([POST])
    assert found.example.knowledge == "Named entities:1. Ada Lovelace (person)2. Rome (city)"
    assert found.notes == (NO_PICTURE,)
    assert found.entities
    assert all(entity.expression == f"{entity.text} ({entity.type}) - a thing" for entity in found.entities)
    assert plim.load(**settings).predict([POST]) == [found]

    write_rows(tmp_path / "found.jsonl", [found])
    [kept] = read_predictions(tmp_path / "found.jsonl")
    assert kept.entities == found.entities
    assert kept.example.knowledge == found.example.knowledge


def record(path: Path, settings: LLMSettings, request: Request, text: str) -> None:
    with path.open("a") as file:
        file.write(json.dumps({**asked(request, settings), "answer": {"text": text, "model": "m"}}) + "\n")


def test_published_knowledge_instead_of_a_model(taggers: dict[bool, str], tmp_path: Path) -> None:
    words = "\n".join(f"{word}\tO" for word in POST.text.split())
    (tmp_path / "test.txt").write_text(f"{words}\n<EOS>\tX\nrecorded\tX\n\n")
    system = plim.load(tagger=taggers[True], knowledge=[str(tmp_path / "test.txt")])
    assert isinstance(system.stages[0], RecordedKnowledge)
    [found] = system.predict([POST])
    assert found.example.knowledge == "recorded"


def test_settings_are_a_file_too(taggers: dict[bool, str], tmp_path: Path) -> None:
    settings = PlimSettings(tagger=Path(taggers[False]), llm=LLMSettings(model="m"), expression="released")
    write_toml(settings, tmp_path / "plim.toml")
    assert read_toml(PlimSettings, tmp_path / "plim.toml") == settings
    assert kinds(plim.build(settings)) == ["recognise", "expand"]


def test_settings_that_can_not_be(taggers: dict[bool, str], pool: str) -> None:
    with pytest.raises(ConfigError, match="'tagger' is missing"):
        load("plim")
    with pytest.raises(UnknownNameError, match="examples"):
        load("plim", tagger=taggers[True], example={})
    with pytest.raises(ConfigError, match="9 examples from a pool of 3"):
        load("plim", tagger=taggers[True], examples={"pool": pool, "count": 9, "choice": "random"})
    with pytest.raises(DataError, match=r"absent\.jsonl"):
        load("plim", tagger=taggers[True], examples={"pool": "absent.jsonl"})
    for captioner in ({}, {"model": "x", "llm": {"model": "m"}}):
        with pytest.raises(ConfigError, match="a captioner with"):
            load("plim", tagger=taggers[True], caption=captioner)


def test_captions_come_first(taggers: dict[bool, str]) -> None:
    llm = {"model": "eyes"}
    system = plim.load(tagger=taggers[True], caption={"llm": llm}, description={"llm": llm})
    assert kinds(system) == ["caption", "description", "knowledge", "recognise", "expand"]
    short, long = system.stages[:2]
    assert "one short line" in short.captioner.prompt.block  # type: ignore[attr-defined]
    assert "one paragraph" in long.captioner.prompt.block  # type: ignore[attr-defined]
