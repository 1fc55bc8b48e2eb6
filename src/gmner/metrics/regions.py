"""How well regions are found, apart from names: candidate coverage, mean IoU, precision and F1 over thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gmner.errors import ConfigError
from gmner.geometry import box_iou
from gmner.metrics.candidates import candidate_boxes, refuse_without_candidates
from gmner.metrics.evaluation import refuse_without_masks
from gmner.metrics.overlap import Threshold, entity_boxes
from gmner.metrics.posts import Missing, join, refuse_unknown_gold
from gmner.metrics.protocols import find_protocol
from gmner.metrics.protocols.protocol import refuse_without_offsets
from gmner.metrics.protocols.span import pair_spans, tally_pairs
from gmner.metrics.tasks import RegionKind, find_tasks
from gmner.types import Example, Prediction


def candidate_coverage(
    gold: Sequence[Example], tops: Sequence[int], *, iou: float = 0.5, inclusive: bool = True
) -> Float[np.ndarray, " tops"]:
    """TopN-Prec@t: the share of groundable entities that one of the first N candidates finds, for each N of `tops`.

    Candidates stand in file order, the detector's best first. An entity is found if a candidate's IoU with one of
    its boxes reaches `iou` (RiVEG, Table II, where t is 0.5). NaN if no entity is groundable.

    Raises:
        MismatchError: a post with gold regions names no candidates, or the gold of a post is unknown.
        ConfigError: an N is below 1.
    """
    if min(tops, default=1) < 1:
        raise ConfigError(f"the top {min(tops)} candidates", allowed="N is at least 1", todo="give numbers like 10")
    refuse_unknown_gold(gold)
    refuse_without_candidates("TopN-Prec", gold)
    threshold = Threshold(iou, inclusive)
    # The rank of the first candidate that finds each entity; past every N where none does.
    ranks = np.array(
        [
            next((rank for rank, best in enumerate(overlaps.max(axis=0, initial=0)) if threshold.passed(best)), np.inf)
            for example in gold
            for entity in example.entities or ()
            if entity.visible
            for overlaps in [box_iou(entity_boxes(entity), candidate_boxes(example, max(tops, default=1)))]
        ]
    )
    return np.array([(ranks < top).mean() if len(ranks) else np.nan for top in tops])


@dataclass(frozen=True, eq=False)
class Grounding:
    """The overlap of every groundable gold entity's region with what was predicted for it.

    `ious` stand in the order of the posts' ids and of the entities in them, 0 where no region was predicted.
    """

    ious: Float[np.ndarray, " entities"]

    @property
    def mean_iou(self) -> float:
        """mIoU; NaN if no entity is groundable."""
        return float(self.ious.mean()) if len(self.ious) else float("nan")

    def precision(self, iou: float = 0.5, *, inclusive: bool = True) -> float:
        """Prec@t: the share of groundable entities whose region reaches `iou`; NaN if none is groundable."""
        passed = self.ious >= iou if inclusive else self.ious > iou
        return float(passed.mean()) if len(passed) else float("nan")


def grounding(
    gold: Sequence[Example], predicted: Sequence[Prediction], *, kind: RegionKind = "box", missing: Missing = "error"
) -> Grounding:
    """Overlap of regions over all groundable gold entities, types apart.

    A gold entity is compared with the prediction of the same span (of several, each serves one gold entity, so that
    the sum is largest); its overlap is the best IoU of the prediction's first region with any of its own. For
    `mask`, only gold entities that have masks are looked at.

    Raises:
        MismatchError: as `evaluate`.
    """
    from scipy.optimize import linear_sum_assignment

    posts = join(gold, predicted, missing=missing)
    refuse_without_offsets("span", posts)
    if kind == "mask":
        refuse_without_masks("mask IoU", posts)
    found: list[float] = []
    for post in posts:
        groundable = [i for i, entity in enumerate(post.gold) if (entity.masks if kind == "mask" else entity.visible)]
        overlaps = np.zeros((len(post.gold), len(post.predicted)))
        for pair in pair_spans(post, [kind]):
            overlaps[pair.gold, pair.predicted] = max(pair.overlaps[kind], 0.0)
        best = np.zeros(len(post.gold))
        rows, columns = linear_sum_assignment(overlaps[groundable], maximize=True)
        best[np.array(groundable, dtype=int)[rows]] = overlaps[groundable][rows, columns]
        found.extend(best[groundable].tolist())
    return Grounding(np.array(found))


def f1_curve(
    gold: Sequence[Example],
    predicted: Sequence[Prediction],
    thresholds: Sequence[float],
    *,
    task: str = "gmner",
    inclusive: bool = False,
    missing: Missing = "error",
) -> Float[np.ndarray, " thresholds"]:
    """F1 of a task under protocol `span` at each IoU threshold; overlaps are computed once.

    Raises:
        MismatchError, UnknownNameError, ConfigError: as `evaluate`.
    """
    (wanted,) = find_tasks([task])
    rules = [find_protocol("span", iou=iou, inclusive=inclusive) for iou in thresholds]
    posts = join(gold, predicted, missing=missing)
    refuse_without_offsets("span", posts)
    if wanted.region == "mask":
        refuse_without_masks(wanted.name, posts)
    pairs = [pair_spans(post, [wanted.region] if wanted.region else []) for post in posts]
    total = sum(len(post.gold) + len(post.predicted) for post in posts)
    right = [
        sum(
            len(tally_pairs(post, known, wanted, rule.threshold).right)
            for post, known in zip(posts, pairs, strict=True)
        )
        for rule in rules
    ]
    return 2 * np.array(right, dtype=float) / max(total, 1)
