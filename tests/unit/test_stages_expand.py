"""The expand stage: its prompt, the forms of expressions, and what happens without an answer."""

import json
from pathlib import Path

import pytest
from tests.unit.speaking import Speaker

from gmner.config import to_dict
from gmner.expression import Form
from gmner.llm import LLM, LLMSettings, Replay
from gmner.llm.request import asked
from gmner.prompts import Prompt, read_prompt
from gmner.stages.expand import NO_MODEL, Expander
from gmner.types import Entity, Example, Prediction

ADA = Entity("Ada Lovelace", "PER", 0, 12)
ROME = Entity("Rome", "LOC", 16, 20)


def draft(*entities: Entity, name: str = "7", description: str | None = None, caption: str | None = None) -> Prediction:
    example = Example(id=name, text="Ada Lovelace in Rome", description=description, caption=caption)
    return Prediction(example=example, entities=entities)


def name_of(prompt: str) -> str:
    """The name that a prompt asks about: the last one."""
    return prompt.rsplit("what is the ", 1)[1].split(" in the Text?")[0]


def expressions(drafts: list[Prediction]) -> list[list[str | None]]:
    return [[entity.expression for entity in post.entities] for post in drafts]


@pytest.mark.parametrize(
    ("form", "ada", "rome"),
    [
        ("paper", "Ada Lovelace (PER) - a pioneer", "Rome (LOC) - a city"),
        ("released", "Ada Lovelace(PER)-a pioneer", "Rome(LOC)-a city"),
        ("expansion", "a pioneer", "a city"),
        ("name", "Ada Lovelace (PER)", "Rome (LOC)"),
    ],
)
def test_the_forms(form: Form, ada: str, rome: str) -> None:
    speaker = Speaker(lambda request: " a pioneer \n" if "Ada" in name_of(request.prompt) else "a\ncity")
    drafts = Expander(speaker, form)([draft(ADA, ROME), draft(), draft(ROME)], [None, None, None])
    assert expressions(drafts) == [[ada, rome], [], [rome]]
    assert len(speaker.calls) == (form != "name")
    assert not any(post.notes for post in drafts)


def test_the_question() -> None:
    speaker = Speaker(lambda request: "it")
    Expander(speaker)([draft(ADA, description="A woman\n\nat a desk.", caption="a woman")], [None])
    [request] = speaker.requests
    assert request.prompt.endswith(
        "\n\nBackground: A woman at a desk.\n"
        "Text: Ada Lovelace in Rome\n"
        "Question: In the context of the provided information, tell me briefly what is the Ada Lovelace in the Text?\n"
        "Answer:"
    )
    assert request.prompt.count("Background: ") == 4  # three worked examples
    assert request.system
    assert request.id == "7: Ada Lovelace"


def test_the_background_is_the_description_or_else_the_caption_or_else_none() -> None:
    stage = Expander(None)
    [described], [captioned], [bare] = (
        stage.requests(draft(ADA, description="in detail", caption="in short")),
        stage.requests(draft(ADA, caption="in short")),
        stage.requests(draft(ADA)),
    )
    for request, background in ((described, "in detail"), (captioned, "in short"), (bare, "none")):
        assert f"Background: {background}\nText: Ada" in request.prompt


def test_without_a_model_it_goes_by_name_and_type_and_says_so() -> None:
    named, empty = Expander(None)([draft(ADA, ROME), draft()], [None, None])
    assert expressions([named]) == [["Ada Lovelace (PER)", "Rome (LOC)"]]
    assert named.notes == (NO_MODEL,)
    assert empty.notes == ()


def test_an_error_stays_with_its_entity() -> None:
    speaker = Speaker(lambda request: None if name_of(request.prompt) == "Rome" else "a pioneer")
    both, good = Expander(speaker, "released")([draft(ADA, ROME), draft(ADA)], [None, None])
    assert expressions([both, good]) == [["Ada Lovelace(PER)-a pioneer", "Rome (LOC)"], ["Ada Lovelace(PER)-a pioneer"]]
    assert both.notes == ("'Rome' goes by name and type: nobody is there; a model answers; start it.",)
    assert good.notes == ()


def test_an_answer_that_was_cut_is_told() -> None:
    [post] = Expander(Speaker(lambda request: "a pioneer of", complete=False))([draft(ADA)], [None])
    assert expressions([post]) == [["Ada Lovelace (PER) - a pioneer of"]]
    assert post.notes == ("what 'Ada Lovelace' stands for was cut off",)


def test_expressions_that_are_there_stay() -> None:
    known = Entity("Ada", "PER", 0, 3, expression="a countess")
    speaker = Speaker(lambda request: "a city")
    for stage in (Expander(speaker), Expander(None), Expander(None, "name")):
        [post] = stage([draft(known)], [None])
        assert post.entities == (known,)
        assert post.notes == ()
    [post] = Expander(speaker)([draft(known, ROME)], [None])
    assert expressions([post]) == [["a countess", "Rome (LOC) - a city"]]
    assert len(speaker.requests) == 1


def test_who_said_it() -> None:
    [post] = Expander(Speaker(lambda request: "a pioneer"))([draft(ADA)], [None])
    version = read_prompt("expansion").version
    assert post.entities[0].provenance == {"expand": f"speaker, expansion prompt {version}"}


def test_names_with_braces_are_names() -> None:
    odd = Entity("{text} 100%", "ORG")
    [post] = Expander(Speaker(lambda request: "{a firm}"))([draft(odd)], [None])
    assert expressions([post]) == [["{text} 100% (ORG) - {a firm}"]]


def test_recorded_answers_are_replayed_and_what_is_missing_is_named(tmp_path: Path) -> None:
    settings = LLMSettings(model="m", cache=tmp_path / "answers.sqlite")
    stage = Expander(None)
    [request] = stage.requests(draft(ADA))
    row = {**asked(request, settings), "answer": {"text": "a pioneer", "model": "m"}}
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n")
    replay = Replay(settings, tmp_path / "answers.jsonl")
    [post] = Expander(replay)([draft(ADA, ROME)], [None])
    assert expressions([post]) == [["Ada Lovelace (PER) - a pioneer", "Rome (LOC)"]]
    assert "has no answer for sample '7: Rome'" in post.notes[0]
    assert [request.id for request in replay.unanswered(stage.requests(draft(ADA, ROME)))] == ["7: Rome"]
    assert "2 requests to m: 2 to ask" in LLM(settings).dry_run(stage.requests(draft(ADA, ROME)))


@pytest.mark.parametrize("name", ["knowledge", "expansion", "caption", "description"])
def test_packaged_prompts_have_a_version_and_ask_something(name: str) -> None:
    prompt = read_prompt(name)  # type: ignore[arg-type]
    assert prompt.version >= 1
    assert "{answer}" in prompt.block
    assert len(prompt.examples) == (3 if name == "expansion" else 0)
    assert prompt == Prompt(**{**to_dict(prompt), "examples": prompt.examples})
