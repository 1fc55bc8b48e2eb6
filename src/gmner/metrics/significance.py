"""How sure a score is: bootstrap intervals, and paired tests between two systems on the same gold.

All of it resamples posts from the counts that a report keeps. Posts with equal counts are interchangeable, so a draw
is one multinomial (or binomial) number for each distinct row of counts instead of one for each post.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from gmner.errors import ConfigError, MismatchError
from gmner.metrics.score import Report, Score, averaged


class Interval(NamedTuple):
    """F1 and its bootstrap percentile interval."""

    f1: float
    low: float
    high: float


class Comparison(NamedTuple):
    """F1 of one system less that of another on the same posts.

    `low` and `high` are the paired bootstrap's percentile interval. Both p-values are two-sided, for the hypothesis
    that the systems are equally good, and never 0: (1 + as extreme) / (1 + samples).
    """

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float


def bootstrap(report: Report, task: str, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The F1 of a task with its percentile interval over resampled posts (Efron 1979).

    The average is the protocol's: micro, or macro under `mqspn`.

    Raises:
        UnknownNameError: the report does not hold the task.
        ConfigError: `samples` or `confidence` is out of range.
        MismatchError: there are no posts.
    """
    _check(report, samples, confidence)
    score = report[task]
    [totals] = _resample([score.counts], samples, np.random.default_rng(seed))
    low, high = _percentiles(_f1(totals, score), confidence)
    return Interval(score.f1, low, high)


def compare(
    left: Report, right: Report, task: str, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Whether `left` is better than `right` on a task, by paired bootstrap and by approximate randomisation.

    Paired bootstrap: both systems' counts of the same resampled posts; its p-value is the share of samples whose
    difference strays from the observed one by at least its size (Berg-Kirkpatrick et al. 2012, two-sided).
    Approximate randomisation: the two systems' outputs of each post are swapped or not by a coin (Noreen 1989); its
    p-value is the share of shuffles that differ by at least the observed difference.

    Raises:
        UnknownNameError: a report does not hold the task.
        ConfigError: `samples` or `confidence` is out of range.
        MismatchError: the reports are of different protocols, thresholds, posts or gold, or of no posts.
    """
    _check(left, samples, confidence)
    ours, theirs = left[task], right[task]
    if (
        (left.protocol, left.threshold, left.ids) != (right.protocol, right.threshold, right.ids)
        or not np.array_equal(ours.counts[..., 2], theirs.counts[..., 2])
    ):  # fmt: skip
        raise MismatchError(
            f"two reports of {left.heading} and {right.heading} whose gold differs",
            allowed="a paired test needs the same gold posts, protocol and threshold on both sides",
            todo="score both systems against one gold file in the same way",
        )
    rng = np.random.default_rng(seed)
    difference = ours.f1 - theirs.f1

    drawn_ours, drawn_theirs = _resample([ours.counts, theirs.counts], samples, rng)
    drawn = _f1(drawn_ours, ours) - _f1(drawn_theirs, theirs)
    low, high = _percentiles(drawn, confidence)

    swapped_ours, swapped_theirs = _swap(ours.counts, theirs.counts, samples, rng)
    shuffled = _f1(swapped_ours, ours) - _f1(swapped_theirs, theirs)
    return Comparison(difference, low, high, _p_value(drawn - difference, difference), _p_value(shuffled, difference))


Counts = Int64[np.ndarray, "posts types 3"]
Totals = Int64[np.ndarray, "samples types 3"]


def _resample(systems: Sequence[Counts], samples: int, rng: np.random.Generator) -> list[Totals]:
    """Summed counts of each system over posts drawn with replacement, the same posts for all systems."""
    rows, sizes = _distinct(systems)
    times = rng.multinomial(sizes.sum(), sizes / sizes.sum(), size=samples)
    return [np.tensordot(times, system, 1) for system in rows]


def _swap(left: Counts, right: Counts, samples: int, rng: np.random.Generator) -> tuple[Totals, Totals]:
    """Summed counts of both systems after swapping them in each post with probability one half."""
    (left_rows, right_rows), sizes = _distinct([left, right])
    moved = np.tensordot(rng.binomial(sizes, 0.5, size=(samples, len(sizes))), right_rows - left_rows, 1)
    return left.sum(axis=0) + moved, right.sum(axis=0) - moved


def _distinct(systems: Sequence[Counts]) -> tuple[list[Counts], Int64[np.ndarray, " rows"]]:
    """The distinct posts as all systems' counts see them, and how many posts each stands for."""
    stacked = np.stack(systems, axis=1)
    rows, sizes = np.unique(stacked.reshape(len(stacked), -1), axis=0, return_counts=True)
    return list(rows.reshape(-1, *stacked.shape[1:]).swapaxes(0, 1)), sizes


def _f1(totals: Totals, score: Score) -> Float[np.ndarray, " samples"]:
    return averaged(totals, score.average)[:, 2]


def _percentiles(values: Float[np.ndarray, " samples"], confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _p_value(null: Float[np.ndarray, " samples"], observed: float) -> float:
    """Share of the null distribution at least as far from 0 as what was observed (equal up to rounding)."""
    return float((1 + (np.abs(null) >= abs(observed) - 1e-12).sum()) / (1 + len(null)))


_MOST_SAMPLES = 200_000
"""More would only fill the memory: the share of samples is known to 0.2 % by then."""


def _check(report: Report, samples: int, confidence: float) -> None:
    if not 1 <= samples <= _MOST_SAMPLES or not 0 < confidence < 1:
        raise ConfigError(
            f"{samples} samples at confidence {confidence}",
            allowed=f"one to {_MOST_SAMPLES:,} samples, confidence between 0 and 1",
            todo="give numbers like 1000 and 0.95",
        )
    if not report.ids:
        raise MismatchError("a report of no posts", allowed="posts are resampled", todo="score at least one post")
