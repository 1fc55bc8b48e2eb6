"""What went wrong: gold and predicted entities of a post paired one-to-one, and the faults of every pair."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from gmner.errors import EntityError, MismatchError
from gmner.metrics.overlap import Threshold, overlap
from gmner.metrics.posts import Post
from gmner.types import ENTITY_TYPES, Entity, EntityType

Fault = Literal["span", "type", "called visible", "called absent", "box", "mask"]
"""What can be wrong with a pair, in the order of the cascade."""
Kind = Literal["right", "span", "type", "called visible", "called absent", "box", "mask", "spurious", "missed"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Match(NamedTuple):
    """A gold and a predicted entity of one post (their positions) that mean the same mention, and what is wrong.

    One side is None where nobody on the other side means it.
    """

    gold: int | None
    predicted: int | None
    faults: tuple[Fault, ...] = ()

    @property
    def kind(self) -> Kind:
        """The one word for it: missed, spurious, the first fault, or right."""
        if self.predicted is None:
            return "missed"
        if self.gold is None:
            return "spurious"
        return self.faults[0] if self.faults else "right"

    @property
    def alone(self) -> bool:
        """Whether mending `kind` alone makes it right."""
        return len(self.faults) < 2


class Count(NamedTuple):
    """How often a kind occurs: altogether, as the only fault, and by type (of gold; of the spurious, as predicted)."""

    kind: Kind
    total: int
    alone: int
    by_type: dict[EntityType, int]


def masks_are_judged(posts: Sequence[Post]) -> bool:
    """Whether both sides hold masks somewhere: a system of boxes is not blamed for every mask it does not draw."""
    return any(entity.masks for post in posts for entity in post.gold) and any(
        entity.masks for post in posts for entity in post.predicted
    )


def classify(post: Post, threshold: Threshold, *, masks: bool) -> list[Match]:
    """All entities of a post, each in one match: gold in its order, then what is spurious.

    Two entities may be paired if their spans share a character. Among all one-to-one pairings the one is taken that
    has the most pairs right by span, type and box; of several, the most pairs right by mask as well; then the most
    of equal spans; then the largest overlap of spans (characters, intersection over union). So the pairs without any
    fault but `mask` are those that task `gmner` counts under protocol `span` at this threshold.

    Raises:
        MismatchError: masks of the two sides are of different sizes.
    """
    try:
        faults = {
            (i, j): tuple(_faults(gold, predicted, threshold, masks))
            for i, gold in enumerate(post.gold)
            for j, predicted in enumerate(post.predicted)
            if _shared(gold, predicted)
        }
    except EntityError as error:
        raise MismatchError(f"post {post.id!r}: {error.given}", allowed=error.allowed, todo=error.todo) from None
    pairs = dict(_pair_off(post, faults))
    matches = [Match(i, pairs.get(i), faults[i, pairs[i]] if i in pairs else ()) for i in range(len(post.gold))]
    taken = set(pairs.values())
    return matches + [Match(None, j) for j in range(len(post.predicted)) if j not in taken]


def count(posts: Sequence[Post], matches: Sequence[Sequence[Match]]) -> list[Count]:
    """The number of matches of every kind, in the order of `KINDS`; kinds that do not occur stand with 0."""
    found = [(post, match) for post, of_post in zip(posts, matches, strict=True) for match in of_post]
    types = Counter((match.kind, _entity(post, match).type) for post, match in found)
    alone = Counter(match.kind for _, match in found if match.alone)
    by_type = {kind: {type_: types[kind, type_] for type_ in ENTITY_TYPES} for kind in KINDS}
    return [Count(kind, sum(by_type[kind].values()), alone[kind], by_type[kind]) for kind in KINDS]


def _entity(post: Post, match: Match) -> Entity:
    """The gold entity of a match; of a spurious one the predicted entity."""
    return post.predicted[match.predicted or 0] if match.gold is None else post.gold[match.gold]


def _faults(gold: Entity, predicted: Entity, threshold: Threshold, masks: bool) -> Iterator[Fault]:
    if (gold.start, gold.end) != (predicted.start, predicted.end):
        yield "span"
    if gold.type != predicted.type:
        yield "type"
    if gold.visible != predicted.visible:
        yield "called absent" if gold.visible else "called visible"
    elif not threshold.passed(overlap(gold, predicted, "box")):
        yield "box"
    elif masks and not threshold.passed(overlap(gold, predicted, "mask")):
        yield "mask"


def _shared(gold: Entity, predicted: Entity) -> float:
    """Characters that two spans share, as a share of all that either covers; 0 where a side has no offsets."""
    if gold.start is None or gold.end is None or predicted.start is None or predicted.end is None:
        return 0.0
    shared = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return max(shared, 0) / (max(gold.end, predicted.end) - min(gold.start, predicted.start))


def _pair_off(post: Post, faults: dict[tuple[int, int], tuple[Fault, ...]]) -> list[tuple[int, int]]:
    """The best one-to-one choice among the pairs that have `faults`."""
    if len({i for i, _ in faults}) == len(faults) == len({j for _, j in faults}):
        return list(faults)
    from scipy.optimize import linear_sum_assignment  # here: most posts have no choice, and scipy loads slowly

    # Each level outweighs all that a whole post can gain on the levels below it.
    base = min(len(post.gold), len(post.predicted)) + 1
    gain: Float[np.ndarray, "gold predicted"] = np.zeros((len(post.gold), len(post.predicted)))
    for (i, j), found in faults.items():
        levels = not {*found} - {"mask"}, not found, "span" not in found
        gain[i, j] = _shared(post.gold[i], post.predicted[j]) + sum(
            base**power for power, reached in zip((3, 2, 1), levels, strict=True) if reached
        )
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if gain[i, j] > 0]
