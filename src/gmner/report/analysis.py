"""All that a report says of one system, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

from gmner.metrics.posts import Missing, Post, join
from gmner.metrics.regions import RegionMeasures, measure_regions
from gmner.report.calibration import Calibration, calibration
from gmner.report.oracle import Swap, swaps
from gmner.report.scores import Scores, score_all
from gmner.report.taxonomy import Count, Match, classify, count, masks_are_judged
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class Analysis:
    """A system's predictions, what they score, and what goes wrong in them, all under protocol `span`.

    `posts` are sorted by id, `matches` stand beside them; `masks` says whether masks are judged.
    """

    name: str
    posts: list[Post]
    scores: Scores
    matches: list[list[Match]]
    counts: list[Count]
    swaps: list[Swap]
    calibration: Calibration
    regions: RegionMeasures
    masks: bool


def analyse(
    name: str,
    gold: Sequence[Example],
    predicted: Sequence[Prediction],
    *,
    samples: int = 1000,
    missing: Missing = "error",
) -> Analysis:
    """Score a system and take its errors apart.

    Raises:
        MismatchError: gold and predictions do not belong together, or can not be scored under protocol `span`.
        ConfigError: `samples` or `missing` is out of range.
    """
    scores = score_all(gold, predicted, samples=samples, missing=missing)
    span = scores.reports["span"]
    posts = join(gold, predicted, missing=missing)
    masks = masks_are_judged(posts)
    matches = [classify(post, span.threshold, masks=masks) for post in posts]
    tasks = [task for task in span.scores if masks or task not in ("ees", "smner")]
    return Analysis(
        name=name,
        posts=posts,
        scores=scores,
        matches=matches,
        counts=count(posts, matches),
        swaps=swaps(posts, matches, span.threshold, tasks),
        calibration=calibration(posts, matches),
        regions=measure_regions(gold, predicted, missing=missing),
        masks=masks,
    )
