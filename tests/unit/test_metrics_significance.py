"""Intervals and paired tests, against plain resampling and full enumeration."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.scored_posts import answer, post

from gmner.errors import ConfigError, MismatchError, UnknownNameError
from gmner.metrics import Report, Score, bootstrap, compare, evaluate
from gmner.metrics.overlap import Threshold
from gmner.metrics.score import averaged
from gmner.types import ENTITY_TYPES


def system(rng, posts, skill=0.7, gold=None, average="micro"):
    """A report of made-up counts."""
    gold = rng.poisson(0.4, size=(posts, 4)) if gold is None else gold
    right = rng.binomial(gold, skill)
    counts = np.stack([right, right + rng.poisson(0.1, size=gold.shape), gold], axis=-1)
    score = Score("gmner", average, ENTITY_TYPES, counts)
    return Report("span", Threshold(0.5, False), {"gmner": score}, tuple(map(str, range(posts))), groundable=0)


def f1(counts, average):
    return averaged(counts.sum(axis=0), average)[2]


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_bootstrap_agrees_with_plain_resampling(average):
    rng = np.random.default_rng(1)
    report = system(rng, 200, average=average)
    counts = report["gmner"].counts
    plain = [f1(counts[rng.integers(0, 200, size=200)], average) for _ in range(4000)]
    found = bootstrap(report, "gmner", samples=4000)
    assert found.f1 == report["gmner"].f1 == pytest.approx(f1(counts, average))
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]).tolist(), abs=0.004)
    narrow = bootstrap(report, "gmner", samples=4000, confidence=0.5)
    assert (narrow.low, narrow.high) == pytest.approx(np.quantile(plain, [0.25, 0.75]).tolist(), abs=0.004)


def test_bootstrap_is_seeded():
    report = system(np.random.default_rng(2), 50)
    assert bootstrap(report, "gmner") == bootstrap(report, "gmner")
    assert bootstrap(report, "gmner", seed=1) != bootstrap(report, "gmner")


def test_order_of_posts_does_not_move_the_interval():
    text = "Grace Hopper of the US Navy"
    gold = [post(text, ("US Navy", "ORG"), ("Grace Hopper", "PER"), post_id=f"{i}") for i in range(9)]
    predicted = [answer(one, *[("US Navy", "ORG"), ("Grace", "PER")][: i % 3]) for i, one in enumerate(gold)]
    forth, back = evaluate(gold, predicted), evaluate(gold[::-1], predicted[::2] + predicted[1::2])
    assert bootstrap(forth, "mner") == bootstrap(back, "mner")


def test_posts_that_are_all_alike_leave_no_doubt():
    gold = [post("US Navy", ("US Navy", "ORG"), post_id=f"{i}") for i in range(5)]
    report = evaluate(gold, [answer(one, ("US Navy", "ORG"), ("US", "LOC")) for one in gold])
    assert bootstrap(report, "mner") == pytest.approx((2 / 3, 2 / 3, 2 / 3))


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_randomisation_agrees_with_full_enumeration(average):
    rng = np.random.default_rng(3)
    ours = system(rng, 9, average=average)
    theirs = system(rng, 9, skill=0.4, gold=ours["gmner"].counts[..., 2], average=average)
    left, right = ours["gmner"].counts, theirs["gmner"].counts
    observed = f1(left, average) - f1(right, average)
    differences = []
    for swaps in itertools.product([False, True], repeat=9):
        swap = np.array(swaps)[:, None, None]
        differences.append(f1(np.where(swap, right, left), average) - f1(np.where(swap, left, right), average))
    exact = (np.abs(differences) >= abs(observed) - 1e-12).mean()
    found = compare(ours, theirs, "gmner", samples=200_000)
    assert found.difference == pytest.approx(observed)
    assert 0.002 < exact < 0.05
    assert found.p_randomisation == pytest.approx(exact, rel=0.1)


def test_paired_bootstrap_agrees_with_plain_resampling():
    rng = np.random.default_rng(4)
    ours = system(rng, 150)
    theirs = system(rng, 150, skill=0.64, gold=ours["gmner"].counts[..., 2])
    left, right = ours["gmner"].counts, theirs["gmner"].counts
    drawn = [rng.integers(0, 150, size=150) for _ in range(4000)]
    plain = np.array([f1(left[posts], "micro") - f1(right[posts], "micro") for posts in drawn])
    found = compare(ours, theirs, "gmner", samples=4000)
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]).tolist(), abs=0.006)
    strays = (np.abs(plain - found.difference) >= abs(found.difference)).mean()
    assert 0.01 < strays < 0.9
    assert found.p_bootstrap == pytest.approx(strays, abs=0.03)


def test_a_system_against_itself_and_against_a_much_better_one():
    rng = np.random.default_rng(5)
    ours = system(rng, 300, skill=0.9)
    theirs = system(rng, 300, skill=0.5, gold=ours["gmner"].counts[..., 2])
    assert compare(ours, ours, "gmner") == (0, 0, 0, 1, 1)
    better, worse = compare(ours, theirs, "gmner"), compare(theirs, ours, "gmner")
    assert better.difference == -worse.difference > 0
    assert better.low > 0 > worse.high
    assert max(better.p_bootstrap, better.p_randomisation) == 1 / 1001  # never 0


def test_equal_systems_are_told_apart_as_rarely_as_promised():
    rng = np.random.default_rng(6)
    verdicts = []
    for _ in range(200):
        ours = system(rng, 60)
        theirs = system(rng, 60, gold=ours["gmner"].counts[..., 2])
        found = compare(ours, theirs, "gmner", samples=200)
        verdicts.append((found.p_bootstrap < 0.05, found.p_randomisation < 0.05))
    assert (np.mean(verdicts, axis=0) < 0.11).all()  # 5 in 100, with four standard errors to spare


def test_what_can_not_be_tested_is_refused():
    rng = np.random.default_rng(7)
    ours = system(rng, 20)
    others = [
        system(rng, 20),  # other gold
        system(rng, 21),  # other posts
        replace(ours, protocol="riveg"),
        replace(ours, threshold=Threshold(0.6, False)),
    ]
    for other in others:
        with pytest.raises(MismatchError, match="same gold posts, protocol and threshold"):
            compare(ours, other, "gmner")
    with pytest.raises(MismatchError, match="no posts"):
        bootstrap(evaluate([], []), "gmner")
    with pytest.raises(UnknownNameError, match="eeg"):
        bootstrap(ours, "eeg")
    for settings in ({"samples": 0}, {"confidence": 0}, {"confidence": 1}):
        with pytest.raises(ConfigError, match="one to 200,000 samples"):
            bootstrap(ours, "gmner", **settings)


def test_ten_thousand_posts_take_a_moment():
    rng = np.random.default_rng(8)
    ours = system(rng, 10_000)
    theirs = system(rng, 10_000, gold=ours["gmner"].counts[..., 2])
    start = time.process_time()
    bootstrap(ours, "gmner", samples=1000)
    assert time.process_time() - start < 1
    start = time.process_time()
    compare(ours, theirs, "gmner", samples=1000)
    assert time.process_time() - start < 2
