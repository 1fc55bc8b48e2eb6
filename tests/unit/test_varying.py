"""Posts that vary: other names stand where they should, and crops are off by no more than they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmner.errors import ConfigError, TextError
from gmner.training.recipes import read_recipe
from gmner.training.varying import Varying, names_by_type, renamed, shifted, varied
from gmner.types import Box, Entity, Example

RECIPES = Path(__file__).parents[2] / "recipes"
ADA = Entity("Ada", "PER", 0, 3, boxes=(Box(0, 0, 9, 9),), extra={"expansion": "a woman"})
ROME = Entity("Rome", "LOC", 7, 11)
POST = Example(text="Ada in Rome!", tokens=("Ada", "in", "Rome", "!"), entities=(ROME, ADA))
NAMES = {"PER": ["Grace Hopper"], "LOC": ["Oz"]}


def test_names_are_counted_by_type() -> None:
    assert names_by_type([POST, POST, Example(text="x")]) == {"PER": ["Ada", "Ada"], "LOC": ["Rome", "Rome"]}


def test_other_names_stand_in_the_sentence_and_nothing_else_changes() -> None:
    post = renamed(POST, NAMES, 1.0)
    assert post.text == "Grace Hopper in Oz!" and post.tokens is None
    assert [post.text[e.start : e.end] for e in post.entities or ()] == ["Grace Hopper", "Oz"]
    ada = (post.entities or ())[0]
    assert (ada.text, ada.type, ada.boxes, ada.extra) == ("Grace Hopper", "PER", ADA.boxes, ADA.extra)
    assert renamed(POST, NAMES, 0.0) is POST


def test_a_share_of_the_names_is_replaced() -> None:
    torch.manual_seed(0)
    replaced = sum(renamed(POST, NAMES, 0.5).text.startswith("Grace") for _ in range(400))
    assert 160 < replaced < 240


@pytest.mark.parametrize("odd", [Entity("a in", "ORG", 2, 6), Entity("Ada", "PER")])
def test_posts_whose_names_overlap_or_stand_nowhere_are_left_alone(odd: Entity) -> None:
    post = Example(text=POST.text, entities=(ADA, odd))
    assert renamed(post, {**NAMES, "ORG": ["X"]}, 1.0) is post


@dataclass
class Read:
    """A post as a codec has read it."""

    example: Example
    seen: object = None


def test_posts_are_read_again_with_what_is_told_of_the_new_names() -> None:
    class Reader:
        def encode(self, examples: Sequence[Example], pictures: Sequence[None]) -> list[Read]:
            assert len(pictures) == len(examples)
            return [Read(example) for example in examples]

    before = Read(POST)
    [read] = varied([before], NAMES, 1.0, Reader(), lambda post, seen: Read(post.example, seen))
    assert read.example.knowledge == "Grace Hopper - a woman" and read.seen is before


def test_posts_that_become_too_long_stay_as_they_are() -> None:
    class Refuser:
        def encode(self, examples: Sequence[Example], pictures: Sequence[None]) -> list[Read]:
            raise TextError("the text", allowed="less", todo="split it")

    posts = [Read(POST)]
    assert varied(posts, NAMES, 1.0, Refuser(), lambda post, _: post) == posts


@given(crops=st.integers(0, 3), side=st.integers(1, 6), pixels=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_crop_is_off_by_at_most_so_many_pixels(crops: int, side: int, pixels: int, seed: int) -> None:
    torch.manual_seed(seed)
    given_crops = np.random.default_rng(seed).integers(0, 256, (crops, side, side, 3), dtype=np.uint8)
    moved = shifted(given_crops, pixels)
    assert moved.shape == given_crops.shape and moved.dtype == np.uint8
    places = np.arange(side)
    for crop, new in zip(given_crops, moved, strict=True):
        offsets = range(-pixels, pixels + 1)
        rows = [(places + by).clip(0, side - 1) for by in offsets]
        assert any((crop[down][:, across] == new).all() for down in rows for across in rows)


@pytest.mark.parametrize("settings", [{"names": 1.5}, {"names": -0.1}, {"shift": -1}])
def test_numbers_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a share of the names"):
        Varying(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "change"),
    [("h-index-drawn", "expansions=false"), ("h-index-drawn", "model.crop=0"), ("mqspn-drawn", "expansions=false")],
)
def test_what_can_not_vary_is_refused(name: str, change: str) -> None:
    with pytest.raises(ConfigError, match="varying"):
        read_recipe(RECIPES / f"{name}.toml", [change])
