"""How well regions are found, apart from names: candidate coverage, mean IoU, precision and F1 over thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

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
from gmner.metrics.protocols.span import pair_off, pair_spans, tally_pairs
from gmner.metrics.tasks import RegionKind, find_tasks
from gmner.types import Entity, Example, Prediction


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


class Entailment(NamedTuple):
    """How often it is judged rightly whether a gold entity is in the picture (RiVEG, Table X, Acc.).

    `judged` are the gold entities whose span was predicted; what was not predicted was not judged either. The
    accuracy is NaN if there are none.
    """

    judged: int
    right: int

    @property
    def accuracy(self) -> float:
        return self.right / self.judged if self.judged else float("nan")


def entailment(gold: Sequence[Example], predicted: Sequence[Prediction], *, missing: Missing = "error") -> Entailment:
    """Whether gold entities are judged visible that are: by `groundable` (0.5 or more), or by having a region.

    Raises:
        MismatchError: as `evaluate`.
    """
    posts = join(gold, predicted, missing=missing)
    refuse_without_offsets("span", posts)
    judgements = [
        (post.gold[left].visible, _judged_visible(post.predicted[right]))
        for post in posts
        for left, right in pair_off([(pair.gold, pair.predicted) for pair in pair_spans(post, [])])
    ]
    return Entailment(len(judgements), sum(truth == said for truth, said in judgements))


def _judged_visible(entity: Entity) -> bool:
    return entity.visible if entity.groundable is None else entity.groundable >= 0.5


@dataclass(frozen=True)
class RegionMeasures:
    """What is measured of regions apart from F1 at one threshold; what gold does not allow is None or empty.

    `boxes` and `masks` are overlaps of groundable gold entities, `curves` F1 by task at `THRESHOLDS` (the IoU must be
    exceeded), `coverage` TopN-Prec@0.5 by N.
    """

    entailment: Entailment
    boxes: Grounding
    masks: Grounding | None
    curves: dict[str, Float[np.ndarray, " thresholds"]]
    coverage: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain data; NaN becomes None."""
        found = {"box": self.boxes, "mask": self.masks}
        return {
            "entailment": {"accuracy": _number(self.entailment.accuracy), "entities": self.entailment.judged},
            "overlap": {
                kind: {
                    "mean_iou": _number(some.mean_iou),
                    **{f"precision@{iou}": _number(some.precision(iou)) for iou in PRECISIONS},
                    "entities": len(some.ious),
                }
                for kind, some in found.items()
                if some is not None
            },
            "f1": {
                task: dict(zip(map(str, THRESHOLDS), curve.tolist(), strict=True))
                for task, curve in self.curves.items()
            },
            "coverage": {str(top): _number(share) for top, share in self.coverage.items()},
        }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


PRECISIONS: Final = (0.5, 0.7, 0.9)
"""The thresholds at which precision is told."""

THRESHOLDS: Final = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The IoU thresholds of curves, as in RiVEG's Fig. 9."""

TOPS: Final = (10, 15, 20)
"""The numbers of candidates in RiVEG's Table II."""


def measure_regions(
    gold: Sequence[Example], predicted: Sequence[Prediction], *, missing: Missing = "error"
) -> RegionMeasures:
    """All measures of regions that the gold posts allow.

    Raises:
        MismatchError: as `evaluate`.
    """
    entities = [entity for example in gold for entity in example.entities or ()]
    masks = any(entity.masks for entity in entities)
    candidates = all(
        example.candidates is not None for example in gold if any(entity.visible for entity in example.entities or ())
    )
    tops = candidate_coverage(gold, TOPS).tolist() if candidates and any(e.visible for e in entities) else ()
    return RegionMeasures(
        entailment=entailment(gold, predicted, missing=missing),
        boxes=grounding(gold, predicted, missing=missing),
        masks=grounding(gold, predicted, kind="mask", missing=missing) if masks else None,
        curves={
            task: f1_curve(gold, predicted, THRESHOLDS, task=task, missing=missing)
            for task in (("gmner", "smner") if masks else ("gmner",))
        },
        coverage=dict(zip(TOPS, tops, strict=False)),
    )


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
