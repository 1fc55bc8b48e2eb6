"""Fleiss' kappa and the Dice coefficient, from published and hand-made tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.unit.scored_posts import FAR, HALF, MOST, SQUARE, mask

from gmner.errors import ConfigError, EntityError
from gmner.geometry import encode_mask
from gmner.metrics import dice, fleiss_kappa, region_ratings

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
