"""Stages that ask a model about expressions: what it is asked, how often, and where its answers go."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from gmner.geometry import box_mask
from gmner.image import Picture
from gmner.stages.entail_by_model import EntailByModel
from gmner.stages.ground_by_model import GroundByModel
from gmner.stages.segment_by_query import SegmentByQuery
from gmner.types import Box, Entity, Example, Mask, Prediction

RED, BLUE = np.full((20, 30, 3), 200, dtype=np.uint8), np.zeros((40, 30, 3), dtype=np.uint8)


@dataclass
class Oracle:
    """A model that answers by the expression's length and the picture's height, and writes down what it was asked."""

    asked: list[tuple[int, str | None, list[str]]] = field(default_factory=list)

    def entail(
        self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], captions: Sequence[str | None]
    ) -> list[list[float]]:
        self.asked += [(p.shape[0], c, list(e)) for p, c, e in zip(pictures, captions, expressions, strict=True)]
        return [[min(len(e) / 20, 1.0) for e in some] for some in expressions]

    def ground(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Box]]:
        self.asked += [(p.shape[0], None, list(e)) for p, e in zip(pictures, expressions, strict=True)]
        return [[Box(0, 0, len(e), p.shape[0]) for e in some] for p, some in zip(pictures, expressions, strict=True)]

    def segment(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Mask]]:
        return [
            [box_mask(Box(0, 0, len(e), 9), p.shape[1], p.shape[0]) for e in some]
            for p, some in zip(pictures, expressions, strict=True)
        ]


def draft(*entities: Entity, caption: str | None = None) -> Prediction:
    return Prediction(example=Example(text="Ada in Rome", caption=caption), entities=entities)


ADA, ROME = Entity("Ada", "PER", 0, 3, expression="Ada (PER) - a woman"), Entity("Rome", "LOC", 7, 11)
DRAFTS = [draft(ADA, ROME, caption="a woman"), draft(ROME), draft(ADA, caption="a woman"), draft(ADA)]
PICTURES = [RED, None, RED, BLUE]


def test_a_model_is_asked_once_of_each_picture_and_expression() -> None:
    model = Oracle()
    first, second, third, fourth = EntailByModel(model, "oracle")(DRAFTS, PICTURES)
    assert model.asked == [
        (20, "a woman", ["Ada (PER) - a woman", "Rome (LOC)"]),  # one picture of two posts, one expression asked once
        (40, None, ["Ada (PER) - a woman"]),
    ]
    assert [entity.groundable for entity in first.entities] == [19 / 20, 0.5]
    assert [entity.groundable for entity in second.entities] == [0.0]  # it has no picture
    assert second.entities[0].provenance["entail"] == "no picture"
    assert first.entities[0].provenance["entail"] == "oracle"
    assert [third.entities[0].groundable, fourth.entities[0].groundable] == [19 / 20, 19 / 20]


def test_the_same_picture_with_another_caption_is_asked_again() -> None:
    model = Oracle()
    EntailByModel(model, "oracle")([draft(ADA, caption="one"), draft(ADA, caption="two")], [RED, RED])
    assert [caption for _, caption, _ in model.asked] == ["one", "two"]


@pytest.mark.parametrize(("probability", "found"), [(0.49, False), (0.5, True), (None, True)])
def test_only_what_is_likely_enough_is_grounded(probability: float | None, found: bool) -> None:
    seen = Entity("Ada", "PER", 0, 3, boxes=(Box(1, 1, 2, 2),), groundable=probability)
    [grounded] = GroundByModel(Oracle(), "oracle")([draft(seen)], [RED])
    assert grounded.entities[0].boxes == ((Box(0, 0, 9, 20),) if found else ())
    [masked] = SegmentByQuery(Oracle(), "oracle")([draft(seen)], [RED])
    assert len(masked.entities[0].masks) == found


def test_nothing_to_ask_asks_nothing() -> None:
    model = Oracle()
    drafts = [draft(), draft(ROME)]
    assert GroundByModel(model, "oracle")(drafts, [RED, None]) == drafts
    assert SegmentByQuery(model, "oracle")([], []) == []
    assert model.asked == []
