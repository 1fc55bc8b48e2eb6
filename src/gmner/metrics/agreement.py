"""Agreement of annotators: Fleiss' kappa, and the Dice coefficient of masks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64

from gmner.errors import ConfigError, EntityError
from gmner.geometry import box_iou, encode_mask, mask_area, mask_iou
from gmner.metrics.protocols.span import pair_off
from gmner.types import Box, Mask


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
