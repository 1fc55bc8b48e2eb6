import math

import pytest

from gmner.errors import EntityError, TextError
from gmner.types import Box, Entity, Example, entity_type, valid_box


@pytest.mark.parametrize(("name", "kind"), [("PER", "PER"), ("misc", "OTHER"), ("Other", "OTHER"), ("loc", "LOC")])
def test_types_are_read_in_any_case_and_misc_is_other(name: str, kind: str) -> None:
    assert entity_type(name) == kind
    assert Entity("x", name).type == kind  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [(3, 2, 1, 4), (0, 0, 0, 5), (0, 0, math.nan, 5), (0, 0, math.inf, 5)])
def test_a_box_has_an_area(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(EntityError, match="a box is"):
        valid_box(*box)
    with pytest.raises(EntityError, match="a box is"):
        Entity("x", "PER", boxes=(Box(*box),))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": None}, "entity type 'None'"),
        ({"type": "PERSON"}, "map your types"),
        ({"start": 0}, "a span is"),
        ({"start": 2, "end": 2}, "a span is"),
        ({"groundable": 2.0}, "a groundable of 2.0"),
        ({"score": math.nan}, "a score of nan"),
        ({"boxes": ["x"]}, "a box is"),
        ({"boxes": [(1, 2, 3)]}, "a box is"),
    ],
)
def test_entities_that_can_not_be(settings: dict[str, object], words: str) -> None:
    with pytest.raises(EntityError, match=words):
        Entity(**{"text": "x", "type": "PER", **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"text": 5},
        {"text": None},
        {"text": b"x"},
        {"text": ["a"]},
        {"tokens": "abc"},
        {"text": " "},
        {"text": "\ud83d"},
    ],
)
def test_texts_that_can_not_be(settings: dict[str, object]) -> None:
    with pytest.raises(TextError):
        Example(**settings)  # type: ignore[arg-type]


def test_entities_of_an_example_lie_in_its_text() -> None:
    Example(text="Ada", entities=(Entity("Ada", "PER", 0, 3), Entity("somebody", "PER")))
    for wrong in (Entity("Ada", "PER", 0, 4), Entity("Bob", "PER", 0, 3), 5):
        with pytest.raises(EntityError):
            Example(text="Ada", entities=(wrong,))  # type: ignore[arg-type]
