"""Where F1 is lost: what it would be if one kind of error never happened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from gmner.metrics import evaluate
from gmner.metrics.overlap import Threshold
from gmner.metrics.posts import Post
from gmner.report.taxonomy import Kind, Match
from gmner.types import Entity, Prediction

MENDS: Final[tuple[Kind, ...]] = (
    *("span", "type", "called visible", "called absent", "box", "mask"),
    *("spurious", "missed"),
)
"""The kinds of error in the order in which they are mended one after another; after the last one all is right."""


class Swap(NamedTuple):
    """F1 by task when a kind of error is mended: it alone, and together with all kinds before it."""

    kind: Kind
    alone: Mapping[str, float]
    so_far: Mapping[str, float]


def mend(post: Post, matches: Sequence[Match], kinds: Collection[Kind]) -> tuple[Entity, ...]:
    """What is predicted for a post, with the errors of some kinds mended wherever they occur.

    `span` and `type` become gold's. An entity wrongly `called visible` loses its boxes and masks; one wrongly `called
    absent` gets gold's (which region the system would have chosen is not known: it is the best case), and so does one
    whose `box` is wrong; of `mask`, the masks alone. What is `spurious` goes, what was `missed` comes.
    """
    mended: list[Entity] = []
    for match in matches:
        gold = None if match.gold is None else post.gold[match.gold]
        entity = None if match.predicted is None else post.predicted[match.predicted]
        if gold is None or entity is None:
            if match.kind in kinds:
                entity = gold
        else:
            for fault in match.faults:
                if fault in kinds:
                    entity = _mended(entity, gold, fault)
        if entity is not None:
            mended.append(entity)
    return tuple(mended)


def swaps(
    posts: Sequence[Post], matches: Sequence[Sequence[Match]], threshold: Threshold, tasks: Sequence[str]
) -> list[Swap]:
    """F1 of every task under protocol `span` with each kind of error mended that occurs."""

    def f1(kinds: Collection[Kind]) -> dict[str, float]:
        predictions = [
            Prediction(example=post.example, entities=mend(post, found, kinds))
            for post, found in zip(posts, matches, strict=True)
        ]
        examples = [post.example for post in posts]
        report = evaluate(examples, predictions, tasks=tasks, iou=threshold.iou, inclusive=threshold.inclusive)
        return {task: score.f1 for task, score in report.scores.items()}

    occurring = {kind for found in matches for match in found for kind in (match.kind, *match.faults)}
    order = [kind for kind in MENDS if kind in occurring]
    return [Swap(kind, f1({kind}), f1(order[: place + 1])) for place, kind in enumerate(order)]


def _mended(entity: Entity, gold: Entity, fault: Kind) -> Entity:
    match fault:
        case "span":
            return replace(entity, text=gold.text, start=gold.start, end=gold.end)
        case "type":
            return replace(entity, type=gold.type)
        case "mask":
            return replace(entity, masks=gold.masks)
        case _:  # called visible, called absent, box
            return replace(entity, boxes=gold.boxes, masks=gold.masks)
