"""Fleiss' kappa and the Dice coefficient, from published and hand-made tables."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.unit.scored_posts import FAR, HALF, MOST, SQUARE, mask
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import write
from gmner.errors import ConfigError, EntityError, MismatchError
from gmner.geometry import encode_mask
from gmner.metrics import dice, fleiss_kappa, region_ratings
from gmner.metrics.agreement import agreement, pair_annotations
from gmner.types import Box, Entity, EntityType, Example, Mask

PSYCHIATRISTS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""A textbook table of 14 raters, 10 subjects and 5 categories; its kappa is 0.210."""


def test_kappa_of_the_textbook_table():
    assert fleiss_kappa(np.array(PSYCHIATRISTS)) == pytest.approx(0.20993, abs=1e-5)


def test_kappa_by_hand():
    assert fleiss_kappa(np.array([[3, 0], [0, 3], [3, 0]])) == 1
    # Agreement 1/2 and chance 1/2.
    assert fleiss_kappa(np.array([[2, 0], [0, 2], [1, 1], [1, 1]])) == 0
    # Never of one mind: agreement 0, chance 1/2.
    assert fleiss_kappa(np.array([[1, 1], [1, 1]])) == -1
    assert math.isnan(fleiss_kappa(np.array([[2, 0], [2, 0]])))
    assert math.isnan(fleiss_kappa(np.zeros((0, 2), dtype=int)))


@pytest.mark.parametrize("ratings", [[[2, 0], [1, 0]], [[1, 0]], [[3, -1], [1, 1]]])
def test_tables_that_are_none_are_refused(ratings):
    with pytest.raises(ConfigError, match="same number of raters"):
        fleiss_kappa(np.array(ratings))


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(3, 5)), elements=st.integers(0, 2)), st.randoms())
def test_kappa_does_not_depend_on_order_or_empty_categories(votes, random):
    table = np.stack([np.bincount(row[:3], minlength=3) for row in votes])  # three raters, three categories
    kappa = fleiss_kappa(table)
    rows, columns = random.sample(range(len(table)), len(table)), random.sample(range(3), 3)
    wider = np.pad(table[rows][:, columns], ((0, 0), (0, 1)))
    assert fleiss_kappa(wider) == pytest.approx(kappa, nan_ok=True)
    assert math.isnan(kappa) or -0.5 - 1e-9 <= kappa <= 1 + 1e-9  # at least -1 / (raters - 1)


def test_two_annotators_regions():
    first = [[SQUARE], [SQUARE], [], [SQUARE], [SQUARE, FAR]]
    second = [[MOST], [], [], [HALF], [FAR, SQUARE]]
    ratings = region_ratings(first, second)
    # agreed; drawn by one; neither; IoU of just one half is two regions, each drawn by one; two, whatever the order
    assert ratings.tolist() == [[0, 2], [1, 1], [2, 0], [1, 1], [1, 1], [0, 2], [0, 2]]
    no, yes = 5 / 14, 9 / 14
    chance = no**2 + yes**2
    assert fleiss_kappa(ratings) == pytest.approx((4 / 7 - chance) / (1 - chance))
    assert region_ratings(first, second, iou=0.4).tolist() != ratings.tolist()
    assert region_ratings([], []).shape == (0, 2)


def test_two_annotators_masks():
    first, second = [[mask(0, 0, 10, 10)], []], [[mask(0, 0, 10, 9)], [mask(0, 0, 2, 2)]]
    assert region_ratings(first, second).tolist() == [[0, 2], [1, 1]]
    with pytest.raises(EntityError, match="both draw boxes or both draw masks"):
        region_ratings([[mask(0, 0, 2, 2)]], [[SQUARE]])
    with pytest.raises(ConfigError, match="1 entities of one annotator and 0 of the other"):
        region_ratings([[SQUARE]], [])


def test_a_region_agrees_with_one_other_at_most():
    assert region_ratings([[SQUARE, SQUARE]], [[SQUARE]]).tolist() == [[0, 2], [1, 1]]


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda s: st.tuples(*[hnp.arrays(bool, s)] * 2)))
def test_dice_is_its_definition(pair):
    left, right = pair
    total = left.sum() + right.sum()
    expected = 2 * (left & right).sum() / total if total else 1
    assert dice(left, right) == pytest.approx(expected)
    assert dice(encode_mask(left), right) == pytest.approx(expected)
    assert dice(encode_mask(right), encode_mask(left)) == pytest.approx(expected)


def test_dice_of_different_sizes_is_refused():
    with pytest.raises(EntityError, match="different sizes"):
        dice(np.ones((2, 3), dtype=bool), np.ones((3, 2), dtype=bool))


def test_kappa_of_small_integers_is_that_of_large_ones():
    ratings = np.array([[200, 0], [0, 200], [100, 100]])
    assert fleiss_kappa(ratings.astype(np.uint8)) == fleiss_kappa(ratings)


def entity(start: int, *masks: Mask, kind: EntityType = "PER", boxes: tuple[Box, ...] = ()) -> Entity:
    return Entity("abcdefgh"[start : start + 2], kind, start, start + 2, boxes, masks)


def annotated(name: str, *entities: Entity) -> Example:
    return Example(id=name, text="abcdefgh", entities=entities)


def test_annotations_are_joined_by_post_and_span():
    first = [annotated("1", entity(0), entity(2), entity(4)), annotated("2", entity(0)), annotated("3")]
    second = [annotated("2", entity(2)), annotated("1", entity(4), entity(0)), annotated("9")]
    found = pair_annotations(first, second)
    assert sorted(ours.start for ours, theirs in found.pairs) == [0, 4]
    assert all(ours.start == theirs.start for ours, theirs in found.pairs)
    assert found.apart == (2, 1) and found.alone == (["3"], ["9"])
    with pytest.raises(MismatchError, match="text of post '1'"):
        pair_annotations(first, [Example(id="1", text="other", entities=())])
    with pytest.raises(MismatchError, match="unknown"):
        pair_annotations(first, [Example(id="1", text="abcdefgh")])
    with pytest.raises(MismatchError, match="no offsets"):
        pair_annotations([annotated("1", Entity("ab", "PER"))], first)


def test_annotations_are_joined_in_the_order_of_the_first_and_nothing_is_dropped():
    posts = [Example(id=f"post {n}", text=f"Ada{n}", entities=(Entity(f"Ada{n}", "PER", 0, 4),)) for n in range(9)]
    found = pair_annotations(posts, posts[::-1])
    assert [entity.text for entity, _ in found.pairs] == [post.text for post in posts]
    with pytest.raises(MismatchError, match="ids that stand more than once"):
        pair_annotations(posts, [*posts, posts[0]])
    twice = Example(id="post 0", text="Ada0", entities=(Entity("Ada0", "PER", 0, 4), Entity("Ada0", "ORG", 0, 4)))
    with pytest.raises(MismatchError, match="2 entities 'Ada0' at one place"):
        pair_annotations(posts, [twice])


def test_agreement_by_hand():
    same, half = mask(*SQUARE), mask(*HALF)
    pairs = [
        (entity(0, same), entity(0, same)),
        (entity(0, same), entity(0, half)),  # IoU 1/2 exactly: not the same
        (entity(0, same), entity(0)),
        (entity(0), entity(0)),
        (entity(0, mask(12, 12, 18, 18), same), entity(0, same)),
    ]
    found = agreement(pairs, "mask")
    assert (found.entities, found.both, found.one, found.neither) == (5, 3, 1, 1)
    assert (found.first, found.second, found.consistent) == (5, 3, 2)
    # Subjects: same, two halves, one alone, neither, same, one alone.
    assert found.observed == pytest.approx(3 / 7)
    assert found.kappa == fleiss_kappa(np.array([[0, 2], [1, 1], [1, 1], [1, 1], [2, 0], [0, 2], [1, 1]]))
    assert found.dice == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert found.dice_all == pytest.approx((1 + 2 / 3 + 1) / 5)
    assert agreement(pairs, "mask", iou=0.4).consistent == 3
    boxes = agreement([(entity(0, boxes=(SQUARE,)), entity(0, boxes=(MOST,)))], "box")
    assert boxes.consistent == 1 and boxes.kappa != boxes.kappa  # one category explains everything
    nothing = agreement([], "mask")
    assert nothing.entities == 0 and nothing.dice != nothing.dice and nothing.observed != nothing.observed


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=5))
def test_agreement_does_not_depend_on_who_is_first(sides):
    drawn = (mask(*SQUARE), mask(*HALF), mask(12, 12, 18, 18))
    pairs = [(entity(0, *drawn[:left]), entity(0, *drawn[1 : right + 1])) for left, right in sides]
    ours = agreement(pairs, "mask")
    theirs = agreement([pair[::-1] for pair in pairs], "mask")
    assert theirs == pytest.approx(ours._replace(first=ours.second, second=ours.first), nan_ok=True)


def test_the_command(tmp_path):
    posts = [annotated("1", entity(0, mask(*SQUARE)), entity(2, mask(12, 12, 18, 18), kind="ORG")), annotated("2")]
    write(tmp_path / "a.jsonl", posts)
    write(tmp_path / "b.jsonl", [annotated("1", entity(0, mask(*MOST)), entity(2)), annotated("3", entity(4))])
    arguments = ["data", "agreement", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and "Fleiss' kappa" in result.stdout and "masks of the first" in result.stdout
    assert "a.jsonl: 1 posts that the other has not, such as 2" in result.stderr
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["regions"] == "mask" and found["all"]["entities"] == 2 and found["LOC"]["kappa"] is None
    assert found["PER"]["dice"] == pytest.approx(dice(mask(*SQUARE), mask(*MOST)))
    assert "Example: gmner data agreement " in " ".join(CliRunner().invoke(app, [*arguments, "--help"]).stdout.split())
