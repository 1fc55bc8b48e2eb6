"""Reliability by hand."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.scored_posts import SQUARE, answer, entity, post

from gmner.metrics.overlap import Threshold
from gmner.metrics.posts import join
from gmner.report.calibration import Calibration, calibration
from gmner.report.taxonomy import classify


def calibrated(probability, visible) -> Calibration:
    return Calibration(np.array(probability, dtype=float), np.array(visible, dtype=bool), silent=0)


def test_numbers_by_hand():
    found = calibrated([0.1, 0.15, 0.9, 0.95, 1.0], [False, True, True, True, False])
    low, high = found.bins[1], found.bins[9]
    assert (low.entities, low.probability, low.visible) == (2, pytest.approx(0.125), 0.5)
    assert (high.entities, high.probability, high.visible) == (3, pytest.approx(0.95), pytest.approx(2 / 3))
    assert found.ece == pytest.approx((2 * 0.375 + 3 * (0.95 - 2 / 3)) / 5)
    assert found.brier == pytest.approx((0.1**2 + 0.85**2 + 0.1**2 + 0.05**2 + 1) / 5)
    assert found.accuracy == pytest.approx(3 / 5)


def test_bins_cover_the_scale_once():
    found = calibrated([0.0, 0.1, 0.3, 0.7, 0.999, 1.0], [False] * 6)
    assert [part.entities for part in found.bins] == [1, 1, 0, 1, 0, 0, 0, 1, 0, 2]
    assert [part.low for part in found.bins[1:]] == [part.high for part in found.bins[:-1]]
    assert np.isnan(found.bins[2].visible)


def test_a_perfect_and_an_empty_system():
    assert calibrated([0.0, 1.0], [False, True]).ece == calibrated([0.0, 1.0], [False, True]).brier == 0
    empty = calibrated([], [])
    assert np.isnan([empty.ece, empty.brier, empty.accuracy]).all()


def test_only_right_spans_with_a_probability_are_looked_at():
    gold = post("Ada met Grace Hopper in Rome", ("Ada", "PER", [SQUARE]), ("Grace Hopper", "PER"), ("Rome", "LOC"))

    def guess(phrase, kind, groundable):
        return replace(entity(gold.text, phrase, kind), groundable=groundable)

    predicted = answer(gold, guess("Ada", "ORG", 0.3), guess("Hopper", "PER", 0.4), guess("Rome", "LOC", None))
    posts = join([gold], [predicted])
    found = calibration(posts, [classify(one, Threshold(0.5, False), masks=False) for one in posts])
    assert (found.probability.tolist(), found.visible.tolist(), found.silent) == ([0.3], [True], 1)
