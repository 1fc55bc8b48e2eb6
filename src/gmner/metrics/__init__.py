"""Scores: five tasks, four protocols, region and agreement measures, significance. numpy and scipy only."""

from gmner.metrics.agreement import dice, fleiss_kappa, region_ratings
from gmner.metrics.evaluation import evaluate
from gmner.metrics.protocols import PROTOCOLS
from gmner.metrics.regions import Grounding, candidate_coverage, entailment, f1_curve, grounding, measure_regions
from gmner.metrics.score import Report, Row, Score
from gmner.metrics.significance import Comparison, Interval, bootstrap, compare
from gmner.metrics.tasks import TASKS

__all__ = [
    "PROTOCOLS",
    "TASKS",
    "Comparison",
    "Grounding",
    "Interval",
    "Report",
    "Row",
    "Score",
    "bootstrap",
    "candidate_coverage",
    "compare",
    "dice",
    "entailment",
    "evaluate",
    "f1_curve",
    "fleiss_kappa",
    "grounding",
    "measure_regions",
    "region_ratings",
]
