"""Mentions: what points at which regions, and what wrong pointing costs."""

import pytest
import torch
from tests.unit.test_naming import CANDIDATES, Letters

from gmner.training.mentions import Pointer, Pointing, filled, pointers
from gmner.types import Box, Entity, Example

TEXT = "A meets B and C"
OFFSETS = [(0, 1), (2, 7), (8, 9), (10, 13), (14, 15)]
HERE = Entity("A", "PER", start=0, end=1, boxes=(CANDIDATES[1],), extra={"expansion": "in red"})
ABSENT = Entity("B", "PER", start=8, end=9, extra={"expansion": "in blue"})
UNCOVERED = Entity("C", "PER", start=14, end=15, boxes=(Box(50, 50, 60, 60),), extra={"expansion": "old"})
POST = Example(text=TEXT, entities=(HERE, ABSENT, UNCOVERED))


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text if letter != " "]


def test_names_point_and_what_is_told_of_them() -> None:
    sentence = letters(TEXT)
    words = [[0], [1, 2, 3, 4, 5], [6], [7, 8, 9], [10]]
    pieces = [*sentence, 0, *letters("A-inred.B-inblue.C-old"), 0]
    found = pointers(POST, OFFSETS, words, pieces, CANDIDATES, Letters())
    nowhere, second = [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    told = len(sentence) + 1
    assert found == [
        Pointer([0], second, letters("in red")),
        Pointer([6], nowhere, letters("in blue")),
        Pointer(list(range(told, told + 7)), second),
        Pointer(list(range(told + 8, told + 16)), nowhere),
    ]
    cut = pointers(POST, OFFSETS, words, pieces[: told + 10], CANDIDATES, Letters())
    assert cut == [found[0], Pointer([6], nowhere), found[2]]  # what has no room points at nothing and names nothing
    untold = pointers(POST, OFFSETS, words, sentence, CANDIDATES, Letters())
    assert untold == [Pointer([0], second), Pointer([6], nowhere)]


def test_right_pointing_costs_little_and_wrong_much() -> None:
    pointing = Pointing(2)
    batch = filled([[Pointer([0], [0.0, 1.0]), Pointer([1, 2], [0.0, 0.0])], []], pieces=3, regions=2)
    assert batch.present.tolist() == [[True, True], [False, False]]
    assert batch.shares[0].tolist() == [[1, 0, 0], [0, 0.5, 0.5]]
    text = torch.tensor([[[0.0, 9.0], [-9.0, -9.0], [-9.0, -9.0]]]).expand(2, -1, -1)
    regions = torch.tensor([[[9.0, 0.0], [0.0, 9.0]]]).expand(2, -1, -1)
    there = torch.ones(2, 2, dtype=torch.bool)
    with torch.no_grad():
        assert float(pointing(text, regions, there, batch)) < 1e-3
        assert float(pointing(text.flip(2), regions, there, batch)) > 10
        there[0, 1] = False
        assert float(pointing(text, regions, there, batch)) > 1000  # what is not there is never meant
        nothing = filled([[], []], 3, 2)
        assert float(pointing(text, regions, there, nothing)) == pytest.approx(0)
