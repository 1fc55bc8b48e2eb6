"""Protocol `span`, the default: exact span, region by IoU, one-to-one, micro average."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmner.errors import EntityError, MismatchError
from gmner.metrics.overlap import Threshold, overlap
from gmner.metrics.posts import Post
from gmner.metrics.protocols.protocol import Protocol, Tally, types_of
from gmner.metrics.tasks import EEG, EES, GMNER, MNER, SMNER, RegionKind, Task


class Pair(NamedTuple):
    """A gold and a predicted entity of one post (their positions) that have the same span.

    `overlaps` is their regions' overlap of each kind that was asked for, as `overlap.overlap` gives it.
    """

    gold: int
    predicted: int
    same_type: bool
    overlaps: dict[RegionKind, float]

    def right(self, task: Task, threshold: Threshold) -> bool:
        """Whether the two agree in all that `task` asks for."""
        return (self.same_type or not task.typed) and (
            task.region is None or threshold.passed(self.overlaps[task.region])
        )


def pair_spans(post: Post, kinds: Sequence[RegionKind]) -> list[Pair]:
    """All pairs of gold and predicted entities that have the same character span, with their regions' overlaps.

    Raises:
        MismatchError: the masks of the two sides are of different sizes.
    """
    try:
        return [
            Pair(i, j, gold.type == predicted.type, {kind: overlap(gold, predicted, kind) for kind in kinds})
            for i, gold in enumerate(post.gold)
            for j, predicted in enumerate(post.predicted)
            if gold.start == predicted.start and gold.end == predicted.end
        ]
    except EntityError as error:
        raise MismatchError(f"post {post.id!r}: {error.given}", allowed=error.allowed, todo=error.todo) from None


def pair_off(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """A largest one-to-one choice among `pairs` of (gold, predicted): nothing is used twice, order is no matter."""
    golds, predictions = sorted({gold for gold, _ in pairs}), sorted({predicted for _, predicted in pairs})
    if len(golds) == len(pairs) == len(predictions):
        return list(pairs)
    from scipy.optimize import linear_sum_assignment  # here: hardly any post repeats a span, and scipy loads slowly

    allowed = np.array([[(gold, predicted) in pairs for predicted in predictions] for gold in golds])
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    return [
        (golds[row], predictions[column]) for row, column in zip(rows, columns, strict=True) if allowed[row, column]
    ]


@dataclass(frozen=True)
class Span(Protocol):
    """Exact character span, type where the task has one, region by IoU with any gold region, one-to-one."""

    def tally(self, post: Post, tasks: Sequence[Task]) -> Iterator[Tally]:
        kinds = tuple(dict.fromkeys(task.region for task in tasks if task.region is not None))
        pairs = pair_spans(post, kinds)
        return (tally_pairs(post, pairs, task, self.threshold) for task in tasks)


def tally_pairs(post: Post, pairs: Sequence[Pair], task: Task, threshold: Threshold) -> Tally:
    """What `task` counts in a post whose `pairs` of equal spans are known."""
    chosen = pair_off([(pair.gold, pair.predicted) for pair in pairs if pair.right(task, threshold)])
    return Tally([post.gold[gold].type for gold, _ in chosen], types_of(post.predicted), types_of(post.gold))


def span(iou: float = 0.5, inclusive: bool = False) -> Span:
    """Protocol `span` at a threshold; the papers' is IoU > 0.5."""
    return Span("span", (MNER, EEG, GMNER, EES, SMNER), Threshold(iou, inclusive))
