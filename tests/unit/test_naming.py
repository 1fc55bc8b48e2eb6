"""Naming: which candidates are called what, and what wrong names cost."""

from typing import Any

import pytest
import torch

from gmner.training.mentions import Pointer
from gmner.training.naming import Glance, Named, Naming, Told, described, named_regions
from gmner.types import Box, Entity, Example

CANDIDATES = [Box(0, 0, 10, 10), Box(20, 0, 30, 10), Box(0, 0, 10, 9)]


class Letters:
    """A tokenizer with a sub-word for each letter."""

    unk_token_id = 0

    def __call__(self, words: list[list[str]], **_: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in word] for [word] in words]}


def test_candidates_that_cover_an_entity_are_called_its_expansion() -> None:
    here = Entity("A", "PER", boxes=(CANDIDATES[0],), extra={"expansion": "in red"})
    away = Entity("B", "PER", boxes=(Box(50, 50, 60, 60),), extra={"expansion": "in blue"})
    absent = Entity("C", "PER", expression="in green")
    named = named_regions(Example(text="A B C", entities=(here, away, absent)), CANDIDATES, Letters())
    assert named == Named([0, 2], [[ord(letter) for letter in "inred"]] * 2)
    assert named_regions(Example(text="A"), CANDIDATES, Letters()) == Named([], [])


def test_right_names_cost_nothing_and_wrong_ones_much() -> None:
    naming = Naming([Named([0, 1], [[3], [5]]), Named([], []), Named([2], [[5]])])
    assert naming.words.tolist() == [3, 5]
    names = naming.batch([Named([], []), Named([1], [[5]])])
    assert names.post.tolist() == [1] and names.number.tolist() == [1] and names.called.tolist() == [[0, 1]]
    vectors = torch.zeros(6, 2)
    vectors[3, 0] = vectors[5, 1] = 1.0
    regions = torch.zeros(2, 2, 2)
    regions[1, 1, 1] = 20.0
    assert float(naming(regions, names, vectors)) < 1e-3
    assert float(naming(regions.flip(2), names, vectors)) == pytest.approx(20, rel=0.01)
    nothing = naming(regions, naming.batch([Named([], [])]), vectors)
    assert nothing == 0 and nothing.requires_grad


def test_texts_are_called_what_is_told_of_them() -> None:
    pointers = [Pointer([0], [1.0]), Pointer([3], [0.0], [7, 8]), Pointer([4], [0.0])]
    assert described(pointers) == Named([1], [[7, 8]])
    assert described([]) == Named([], [])


def test_only_what_is_called_something_is_looked_at() -> None:
    first = Told("abcd", Named([3, 1, 3], [[5], [6], [7]]))
    posts, named = Glance([first, Told("x", Named([0], [[8]]))]).only_named(
        lambda post, numbers: "".join(post[number] for number in numbers)
    )
    assert posts == ["bd", "x"]
    assert named == [Named([1, 0, 1], [[5], [6], [7]]), Named([0], [[8]])]
