"""Every task under every protocol that a gold file allows, each with its interval, and systems compared in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from gmner.errors import GmnerError
from gmner.metrics import PROTOCOLS, Comparison, Interval, Report, bootstrap, compare, evaluate
from gmner.metrics.posts import Missing
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class Scores:
    """One system's reports by protocol, the 95 % intervals of F1 by protocol and task, and what was not scored, why."""

    reports: dict[str, Report]
    intervals: dict[tuple[str, str], Interval]
    refused: dict[str, str]


class Pairwise(NamedTuple):
    """Two systems (their positions) compared on a task under a protocol."""

    left: int
    right: int
    protocol: str
    task: str
    comparison: Comparison


def score_all(
    gold: Sequence[Example],
    predicted: Sequence[Prediction],
    *,
    tasks: Sequence[str] | None = None,
    samples: int = 1000,
    missing: Missing = "error",
) -> Scores:
    """Score a system on all tasks, or on those that are named, under every protocol.

    A protocol that the posts do not allow, or that has not all of these tasks, is left out with its reason.

    Raises:
        MismatchError: the posts can not be scored under `span`, on which a report rests.
        UnknownNameError: there is no such task.
        ConfigError: `samples` or `missing` is out of range.
    """
    reports: dict[str, Report] = {}
    refused: dict[str, str] = {}
    for protocol in PROTOCOLS:
        try:
            reports[protocol] = evaluate(gold, predicted, tasks=tasks, protocol=protocol, missing=missing)
        except GmnerError as error:
            if protocol == "span":
                raise
            refused[protocol] = f"{error}"
    intervals = {
        (protocol, task): bootstrap(report, task, samples=samples)
        for protocol, report in reports.items()
        for task in report.scores
    }
    return Scores(reports, intervals, refused)


def compare_all(systems: Sequence[Scores], *, samples: int = 1000) -> list[Pairwise]:
    """Every pair of systems on every task under every protocol that both are scored by."""
    return [
        Pairwise(left, right, protocol, task, compare(report, other, task, samples=samples))
        for (left, ours), (right, theirs) in combinations(enumerate(systems), 2)
        for protocol, report in ours.reports.items()
        if (other := theirs.reports.get(protocol)) is not None
        for task in report.scores
    ]
