"""Agreement of annotators: Fleiss' kappa, and the Dice coefficient of masks (RiVEG, section III-A)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from gmner.errors import ConfigError, EntityError, MismatchError
from gmner.geometry import box_iou, encode_mask, mask_area, mask_iou
from gmner.metrics.overlap import entity_boxes
from gmner.metrics.posts import refuse_repeated, refuse_unknown_gold
from gmner.metrics.protocols.span import pair_off
from gmner.metrics.tasks import RegionKind
from gmner.types import Box, Entity, Example, Mask


def fleiss_kappa(ratings: Int64[np.ndarray, "subjects categories"]) -> float:
    """Fleiss' kappa of how many raters put each subject into each category (Fleiss 1971).

    NaN where chance alone explains everything: no subjects, or one category for all of them.

    Raises:
        ConfigError: subjects have different numbers of raters, or fewer than two.
    """
    ratings = np.asarray(ratings, dtype=np.int64)  # squares of small integers would overflow
    if len(ratings) == 0:
        return float("nan")
    raters = ratings.sum(axis=1)
    if (raters != raters[0]).any() or raters[0] < 2 or ratings.min() < 0:
        raise ConfigError(
            f"ratings with {raters.min()} to {raters.max()} raters a subject",
            allowed="every subject is rated by the same number of raters, at least two",
            todo="give a table of counts, subjects by categories",
        )
    agreement = ((ratings**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = float(((ratings.sum(axis=0) / ratings.sum()) ** 2).sum())
    return float((agreement.mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


def region_ratings(
    first: Sequence[Sequence[Box] | Sequence[Mask]],
    second: Sequence[Sequence[Box] | Sequence[Mask]],
    *,
    iou: float = 0.5,
) -> Int64[np.ndarray, "subjects 2"]:
    """What two annotators drew, as ratings for `fleiss_kappa`: columns "not a region" and "a region".

    `first[i]` and `second[i]` are the regions that each drew for entity `i`. Two regions are the same subject if
    their IoU exceeds `iou` (one-to-one); a region that only one annotator drew is a subject on which they differ; an
    entity for which neither drew any is a subject on which both say no. RiVEG (section III-A) gives the IoU rule and
    the score, not how subjects are counted: that part is ours.

    Raises:
        ConfigError: the annotators did not see the same number of entities.
        EntityError: masks of one entity are of different sizes, or boxes are held against masks.
    """
    if len(first) != len(second):
        raise ConfigError(
            f"{len(first)} entities of one annotator and {len(second)} of the other",
            allowed="both annotate the same entities",
            todo="give an empty list where an annotator drew nothing",
        )
    rows: list[tuple[int, int]] = []
    for ours, theirs in zip(first, second, strict=True):
        drawn_twice = np.argwhere(_region_iou(ours, theirs) > iou).tolist()
        same = len(pair_off([(left, right) for left, right in drawn_twice]))
        alone = len(ours) + len(theirs) - 2 * same
        rows += [(0, 2)] * same + [(1, 1)] * alone + [(2, 0)] * (not ours and not theirs)
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def dice(left: Mask | Bool[np.ndarray, "height width"], right: Mask | Bool[np.ndarray, "height width"]) -> float:
    """The Dice coefficient of two masks, 2 |A and B| / (|A| + |B|); 1 where both are empty.

    Raises:
        EntityError: the masks are of different sizes, or a code is damaged.
    """
    masks = [mask if isinstance(mask, Mask) else encode_mask(mask) for mask in (left, right)]
    iou = float(mask_iou(masks[:1], masks[1:])[0, 0])
    if not any(mask_area(mask) for mask in masks):
        return 1.0
    return 2 * iou / (1 + iou)


class Agreement(NamedTuple):
    """How far two annotators agree on the regions of the same entities. Numbers of what does not occur are NaN.

    `both`, `one` and `neither` count entities by who drew a region; `first` and `second` are numbers of regions;
    `consistent` of them have a partner whose IoU passes the threshold. `observed` is the share of subjects on which
    both say the same, `kappa` Fleiss' (see `region_ratings`). `dice` is the mean Dice coefficient of regions that are
    paired within an entity so that the sum of IoUs is largest; `dice_all` counts a region without partner as 0.
    """

    entities: int
    both: int
    one: int
    neither: int
    first: int
    second: int
    consistent: int
    observed: float
    kappa: float
    dice: float
    dice_all: float


@dataclass(frozen=True)
class Annotated:
    """The entities that two annotators share, and what only one of them has.

    `pairs` are the first annotator's entity and the second's, of equal span in the same post; `apart` counts
    entities of shared posts that only one marked; `alone` are the ids of posts that only one has.
    """

    pairs: list[tuple[Entity, Entity]]
    apart: tuple[int, int]
    alone: tuple[list[str], list[str]]


def pair_annotations(first: Sequence[Example], second: Sequence[Example]) -> Annotated:
    """The entities of two annotators' data sets, joined by post and span, in the order of the first.

    Raises:
        MismatchError: the text of a post differs, the gold of one is unknown, an id or a span in a post comes twice, or
            an entity has no offsets.
    """
    refuse_unknown_gold([*first, *second])
    for side in (first, second):
        refuse_repeated((example.id for example in side), "posts of one annotator")
    ours, theirs = ({example.id: example for example in side} for side in (first, second))
    pairs: list[tuple[Entity, Entity]] = []
    apart = [0, 0]
    for name in (name for name in ours if name in theirs):
        if ours[name].text != theirs[name].text:
            raise MismatchError(
                f"the text of post {name!r} differs", allowed="both annotate the same texts", todo="take the same data"
            )
        left, right = (dict(_by_span(side[name])) for side in (ours, theirs))
        pairs += [(left[span], right[span]) for span in left if span in right]
        apart[0] += len(left.keys() - right.keys())
        apart[1] += len(right.keys() - left.keys())
    alone = [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]
    return Annotated(pairs, (apart[0], apart[1]), alone)


def agreement(pairs: Sequence[tuple[Entity, Entity]], kind: RegionKind, *, iou: float = 0.5) -> Agreement:
    """How far two annotators agree on entities, each given as the first's and the second's.

    Raises:
        EntityError: masks of one entity are of different sizes.
    """
    first, second = ([_regions(pair[side], kind) for pair in pairs] for side in (0, 1))
    ratings = region_ratings(first, second, iou=iou)
    drawn = [bool(ours) + bool(theirs) for ours, theirs in zip(first, second, strict=True)]
    coefficients = [value for ours, theirs in zip(first, second, strict=True) for value in _dice(ours, theirs)]
    regions = sum(map(len, first)), sum(map(len, second))
    alone = sum(regions) - 2 * len(coefficients)
    return Agreement(
        entities=len(pairs),
        both=drawn.count(2),
        one=drawn.count(1),
        neither=drawn.count(0),
        first=regions[0],
        second=regions[1],
        consistent=int((ratings[:, 1] == 2).sum()),
        observed=float((ratings != 1).all(axis=1).mean()) if len(ratings) else float("nan"),
        kappa=fleiss_kappa(ratings),
        dice=sum(coefficients) / len(coefficients) if coefficients else float("nan"),
        dice_all=sum(coefficients) / (len(coefficients) + alone) if coefficients or alone else float("nan"),
    )


def _by_span(example: Example) -> Iterator[tuple[tuple[int, int], Entity]]:
    spans = Counter((entity.start, entity.end) for entity in example.entities or ())
    for entity in example.entities or ():
        if entity.start is None or entity.end is None:
            raise MismatchError(
                f"entity {entity.text!r} of post {example.id!r} has no offsets",
                allowed="annotators are compared entity by entity, by their spans",
                todo="give `start` and `end`",
            )
        if spans[entity.start, entity.end] > 1:
            raise MismatchError(
                f"post {example.id!r} has {spans[entity.start, entity.end]} entities {entity.text!r} at one place",
                allowed="annotators are compared entity by entity, by their spans",
                todo="keep one of them",
            )
        yield (entity.start, entity.end), entity


def _regions(entity: Entity, kind: RegionKind) -> Sequence[Box] | Sequence[Mask]:
    return entity.masks if kind == "mask" else entity_boxes(entity)


def _dice(ours: Sequence[Box] | Sequence[Mask], theirs: Sequence[Box] | Sequence[Mask]) -> list[float]:
    """The Dice coefficient, 2 IoU / (1 + IoU), of each pair of overlapping regions."""
    from scipy.optimize import linear_sum_assignment

    overlaps = _region_iou(ours, theirs)
    best = overlaps[linear_sum_assignment(overlaps, maximize=True)]
    return [2 * value / (1 + value) for value in best.tolist() if value > 0]


def _region_iou(
    left: Sequence[Box] | Sequence[Mask], right: Sequence[Box] | Sequence[Mask]
) -> Float[np.ndarray, "left right"]:
    """IoU of every pair of regions, which are all boxes or all masks."""
    masks = [[region for region in regions if isinstance(region, Mask)] for regions in (left, right)]
    boxes = [[region for region in regions if isinstance(region, Box)] for regions in (left, right)]
    if any(masks) and any(boxes):
        raise EntityError(
            "an entity with boxes of one annotator and masks of the other",
            allowed="both draw boxes or both draw masks",
            todo="turn the masks into boxes with gmner.geometry.mask_box",
        )
    return mask_iou(*masks) if any(masks) else box_iou(*boxes)
