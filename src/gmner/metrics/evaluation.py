"""Scoring: gold examples and predictions in, a report out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from gmner.errors import ConfigError, MismatchError
from gmner.metrics.posts import Missing, Post, join
from gmner.metrics.protocols import Protocol, find_protocol
from gmner.metrics.score import Report, collect
from gmner.metrics.tasks import Task, find_tasks
from gmner.types import ENTITY_TYPES, Example, Prediction


def evaluate(
    gold: Sequence[Example],
    predicted: Sequence[Prediction],
    *,
    tasks: Sequence[str] | None = None,
    protocol: str = "span",
    iou: float = 0.5,
    inclusive: bool = False,
    top: int = 18,
    missing: Missing = "error",
) -> Report:
    """Score predictions against gold, posts joined by id.

    Args:
        gold: posts with their gold entities known.
        predicted: one prediction for each of them.
        tasks: of `mner`, `eeg`, `gmner`, `ees`, `smner`. Left out: all that the protocol scores, without those
            of masks where no gold entity has a mask.
        protocol: `span` (default), `riveg`, `h-index` or `mqspn`; docs/protocols.md tells them apart.
        iou: the overlap that a region must exceed, for `span` only; the released protocols fix theirs.
        inclusive: whether reaching `iou` is enough, for `span` only.
        top: how many candidates a post keeps, for `h-index` only.
        missing: `error` refuses gold posts without a prediction, `empty` counts them as predicting nothing.

    Raises:
        MismatchError: the two sides are not about the same posts (see `posts.join`), masks of a post differ in size,
            tasks of masks are asked for where gold holds boxes only, or a post lacks what the protocol needs.
        UnknownNameError: a task or protocol does not exist.
        ConfigError: a setting is out of range or not one of this protocol, or the protocol does not score a task.
    """
    rule = find_protocol(protocol, iou=iou, inclusive=inclusive, top=top)
    posts = join(gold, predicted, missing=missing)
    chosen = _choose(rule, posts, tasks)
    notes = rule.check(posts)
    counts = count(posts, rule, chosen)
    if not any(entity.visible for post in posts for entity in post.gold):
        notes = (*notes, NO_REGIONS)
    return Report(
        protocol=rule.name,
        threshold=rule.threshold,
        scores={
            task.name: collect(task.name, rule.average, task.typed, counts[:, index])
            for index, task in enumerate(chosen)
        },
        ids=tuple(post.id for post in posts),
        groundable=sum(entity.visible for post in posts for entity in post.gold),
        unpredicted=len(posts) - len(predicted),
        notes=notes,
    )


NO_REGIONS = "gold holds no boxes and no masks: every entity counts as not in the picture"


def count(posts: Sequence[Post], rule: Protocol, tasks: Sequence[Task]) -> Int64[np.ndarray, "posts tasks types 3"]:
    """(right, predicted, gold) of every post, task and type."""
    counts = np.zeros((len(posts), len(tasks), len(ENTITY_TYPES), 3), dtype=np.int64)
    for row, post in enumerate(posts):
        if post.gold or post.predicted:
            counts[row] = [
                [[kinds.count(kind) for kinds in tally] for kind in ENTITY_TYPES] for tally in rule.tally(post, tasks)
            ]
    return counts


def _choose(rule: Protocol, posts: Sequence[Post], names: Sequence[str] | None) -> tuple[Task, ...]:
    """The tasks asked for, or all that the protocol scores and gold allows."""
    if names is None:
        masks = any(entity.masks for post in posts for entity in post.gold)
        return tuple(task for task in rule.tasks if masks or task.region != "mask")
    tasks = find_tasks(names)
    for task in tasks:
        if task not in rule.tasks:
            raise ConfigError(
                f"task {task.name!r} under protocol {rule.name!r}",
                allowed=f"this protocol scores {', '.join(known.name for known in rule.tasks)}",
                todo="choose one of these, or protocol 'span'",
            )
    if masked := [task.name for task in tasks if task.region == "mask"]:
        refuse_without_masks(" and ".join(masked), posts)
    return tasks


def refuse_without_masks(purpose: str, posts: Sequence[Post]) -> None:
    """Raise a MismatchError if gold holds regions, but as boxes only."""
    gold = [entity for post in posts for entity in post.gold]
    if any(entity.boxes for entity in gold) and not any(entity.masks for entity in gold):
        raise MismatchError(
            f"gold holds boxes but no masks, as needed for {purpose}",
            allowed="masks are scored against gold masks",
            todo="score gmner and eeg, or read a data set with masks such as Twitter-SMNER",
        )
