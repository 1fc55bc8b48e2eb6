"""Regions as numbers of a detector's candidates, as the joint systems' released scorers see them."""

from collections.abc import Sequence

from gmner.errors import MismatchError
from gmner.metrics.overlap import first_box
from gmner.metrics.posts import Post, name_posts
from gmner.types import Box, Entity, Example

SAME = 0.01
"""Pixels by which two boxes may differ in a coordinate and still be the same candidate: rounding in files."""


def refuse_without_candidates(purpose: str, examples: Sequence[Example]) -> None:
    """Raise a MismatchError if an example whose gold has a region names no candidates.

    A post without gold regions needs none: whatever region is predicted there is wrong.
    """
    lacking = [
        example.id
        for example in examples
        if example.candidates is None and any(entity.visible for entity in example.entities or ())
    ]
    if lacking:
        raise MismatchError(
            f"posts with gold regions but without candidate regions: {name_posts(lacking)}",
            allowed=f"{purpose} judges regions by the detector's candidates of the gold side (`Example.candidates`)",
            todo="add the detector's regions to the gold posts",
        )


def candidate_boxes(example: Example, top: int) -> list[Box]:
    """The boxes of the first `top` candidates, in file order."""
    return [candidate.box for candidate in (example.candidates or ())[:top]]


def candidate_index(entity: Entity, candidates: Sequence[Box]) -> int | None:
    """Which of `candidates` a predicted entity's box is; None if it is none of them."""
    box = first_box(entity)
    if box is None:
        return None
    for index, candidate in enumerate(candidates):
        if all(abs(a - b) <= SAME for a, b in zip(box, candidate, strict=True)):
            return index
    return None


def note_strangers(posts: Sequence[Post], top: int) -> tuple[str, ...]:
    """A sentence that tells how many predicted regions are no candidate, if there are any."""
    regions = [
        candidate_index(entity, candidate_boxes(post.example, top))
        for post in posts
        for entity in post.predicted
        if entity.visible
    ]
    strangers = regions.count(None)
    if not strangers:
        return ()
    return (f"{strangers} of {len(regions)} predicted regions are none of the first {top} candidates: counted wrong",)
