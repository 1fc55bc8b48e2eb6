"""Candidate coverage and grounding, by hand and in general."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scored_posts import FAR, HALF, MOST, SQUARE, answer, echo, entity, mask, post, scored

from gmner.errors import ConfigError, MismatchError
from gmner.metrics import candidate_coverage, entailment, f1_curve, grounding, measure_regions
from gmner.metrics.regions import THRESHOLDS
from gmner.types import Box, Example

NAME = "Grace Hopper of the US Navy"


def test_candidate_coverage_by_hand():
    gold = [
        post(NAME, ("US Navy", "ORG", [SQUARE]), ("Grace Hopper", "PER", [FAR]), candidates=[FAR, HALF, SQUARE]),
        post(NAME, ("US Navy", "ORG", [SQUARE]), ("Grace Hopper", "PER"), post_id="2", candidates=[]),
        post(NAME, ("US Navy", "ORG", [FAR, SQUARE]), post_id="3", candidates=[Box(50, 50, 51, 51), MOST]),
        post(NAME, ("US Navy", "ORG"), post_id="4"),  # nothing to cover, so nothing needs to be known
    ]
    assert candidate_coverage(gold, [1, 2, 10]).tolist() == [1 / 4, 3 / 4, 3 / 4]
    assert candidate_coverage(gold, [2, 3], inclusive=False).tolist() == [2 / 4, 3 / 4]
    assert candidate_coverage(gold, [3], iou=0.55).tolist() == [3 / 4]
    assert candidate_coverage(gold, [1, 2, 3], iou=0.7).tolist() == [1 / 4, 1 / 4, 2 / 4]
    assert candidate_coverage(gold, []).tolist() == []
    assert np.isnan(candidate_coverage(gold[3:], [5])).all()


def test_coverage_needs_candidates():
    with pytest.raises(MismatchError, match=r"without candidate regions: 1 \('1'\).*TopN-Prec"):
        candidate_coverage([post(NAME, ("US Navy", "ORG", [SQUARE]))], [1])
    with pytest.raises(ConfigError, match="top 0"):
        candidate_coverage([], [0])


@given(scored(), st.lists(st.integers(1, 14), min_size=1))
def test_more_candidates_never_cover_less(case, tops):
    gold, _ = case
    coverage = candidate_coverage(gold, sorted(tops))
    if not any(one.visible for example in gold for one in example.entities):
        assert np.isnan(coverage).all()
    else:
        assert (np.diff(coverage) >= 0).all()
        assert ((coverage >= 0) & (coverage <= 1)).all()


def test_grounding_by_hand():
    gold = [
        post(NAME, ("Grace Hopper", "PER", [FAR, SQUARE]), ("US Navy", "ORG"), post_id="a"),
        post(NAME, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG", [SQUARE]), post_id="b"),
        post(NAME, ("US Navy", "ORG", [SQUARE]), post_id="c"),
    ]
    predicted = [
        answer(gold[2], ("US Navy", "PER", [HALF, SQUARE])),  # the type is no matter; the first box is scored
        answer(gold[1], ("Grace Hopper", "PER"), ("Navy", "ORG", [SQUARE])),  # no region, and another span
        answer(gold[0], ("Grace Hopper", "PER", [MOST]), ("US Navy", "ORG", [SQUARE])),
    ]
    found = grounding(gold, predicted)
    assert found.ious.tolist() == [0.6, 0, 0, 0.5]
    assert found.mean_iou == pytest.approx(1.1 / 4)
    assert (found.precision(0.5), found.precision(0.5, inclusive=False)) == (0.5, 0.25)
    assert grounding(gold[2:], [answer(gold[2], ("US Navy", "ORG"))]).ious.tolist() == [0]
    nothing = grounding([], [])
    assert np.isnan(nothing.mean_iou) and np.isnan(nothing.precision())


def test_grounding_of_masks():
    gold = post(NAME, ("Grace Hopper", "PER", [], [mask(0, 0, 10, 10)]), ("US Navy", "ORG", [SQUARE]))
    guess = answer(gold, ("Grace Hopper", "PER", [FAR], [mask(0, 0, 10, 6)]), ("US Navy", "ORG", [SQUARE]))
    assert grounding([gold], [guess], kind="mask").ious.tolist() == [0.6]
    assert grounding([gold], [guess]).ious.tolist() == [0, 1]
    with pytest.raises(MismatchError, match="no masks, as needed for mask IoU"):
        grounding([post(NAME, ("US Navy", "ORG", [SQUARE]))], [answer(post(NAME))], kind="mask")


def test_predictions_of_one_span_are_assigned_for_the_best():
    gold = post(NAME, ("US", "LOC", [SQUARE]), ("US", "ORG", [FAR]))
    guesses = [entity(NAME, "US", "LOC", [FAR]), entity(NAME, "US", "LOC", [MOST])]
    for order in (guesses, guesses[::-1]):
        assert grounding([gold], [answer(gold, *order)]).ious.tolist() == [0.6, 1]
    assert grounding([gold], [answer(gold, guesses[1], guesses[1])]).ious.tolist() == [0.6, 0]


@given(scored(repeated_spans=False))
def test_gold_regions_given_back_overlap_wholly(case):
    gold, _ = case
    assert (grounding(gold, echo(gold)).ious == 1).all()
    assert grounding(gold, echo(gold), kind="mask").ious == pytest.approx(1)


def test_f1_curve_by_hand():
    gold = [post(NAME, ("US Navy", "ORG", [SQUARE]), ("Grace Hopper", "PER", [SQUARE]))]
    predicted = [answer(gold[0], ("US Navy", "ORG", [MOST]), ("Grace Hopper", "PER", [HALF]))]
    assert f1_curve(gold, predicted, [0.4, 0.5, 0.6, 0.7]).tolist() == [1, 0.5, 0, 0]
    assert f1_curve(gold, predicted, [0.4, 0.5, 0.6, 0.7], inclusive=True).tolist() == [1, 1, 0.5, 0]
    assert f1_curve([], [], [0.5]).tolist() == [0]
    with pytest.raises(MismatchError, match="as needed for smner"):
        f1_curve(gold, predicted, [0.5], task="smner")


def test_coverage_of_unknown_gold_is_refused():
    with pytest.raises(MismatchError, match="'7'"):
        candidate_coverage([Example(id="7", text="Ada")], [5])


def test_entailment_by_hand():
    gold = [
        post(NAME, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG"), post_id="a"),
        post(NAME, ("Grace Hopper", "PER", [], [mask(0, 0, 5, 5)]), ("US Navy", "ORG"), post_id="b"),
    ]
    seen, unseen = entity(NAME, "Grace Hopper", "PER", [FAR]), entity(NAME, "US Navy", "LOC")
    predicted = [
        answer(gold[0], seen, replace(unseen, groundable=0.5)),  # where is no matter, nor is the type
        answer(gold[1], replace(seen, groundable=0.4), entity(NAME, "Navy", "ORG")),  # its probability goes before
    ]
    found = entailment(gold, predicted)
    assert (found.judged, found.right, found.accuracy) == (3, 1, 1 / 3)
    assert entailment(gold, echo(gold)).accuracy == 1
    assert np.isnan(entailment(gold, [answer(one) for one in gold]).accuracy)


def test_all_measures_together():
    gold = [post(NAME, ("Grace Hopper", "PER", [SQUARE], [mask(0, 0, 10, 10)]), ("US Navy", "ORG"), candidates=[HALF])]
    guess = answer(gold[0], ("Grace Hopper", "PER", [MOST], [mask(0, 0, 10, 8)]), ("US Navy", "ORG"))
    found = measure_regions(gold, [guess])
    assert found.boxes.mean_iou == 0.6 and found.masks.mean_iou == 0.8 and found.coverage == {10: 1, 15: 1, 20: 1}
    for task, iou in (("gmner", 0.6), ("smner", 0.8)):
        assert found.curves[task].tolist() == [1.0 if iou > threshold else 0.5 for threshold in THRESHOLDS]
    plain = found.to_dict()
    assert plain["overlap"]["mask"] == {
        "mean_iou": 0.8, "precision@0.5": 1.0, "precision@0.7": 1.0, "precision@0.9": 0.0, "entities": 1
    }  # fmt: skip
    assert plain["entailment"] == {"accuracy": 1.0, "entities": 2} and plain["f1"]["smner"]["0.8"] == 0.5


def test_measures_that_gold_does_not_allow_are_left_out():
    gold = [post(NAME, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG"))]
    found = measure_regions(gold, echo(gold))
    assert found.masks is None and found.coverage == {} and list(found.curves) == ["gmner"]
    blind = [post(NAME, ("US Navy", "ORG"))]
    assert measure_regions(blind, echo(blind)).to_dict()["overlap"]["box"]["mean_iou"] is None


@settings(max_examples=25)
@given(scored())
def test_what_is_given_back_is_judged_rightly(case):
    gold, _ = case
    found = measure_regions(gold, echo(gold))
    assert np.isnan(found.entailment.accuracy) or found.entailment.accuracy == 1
