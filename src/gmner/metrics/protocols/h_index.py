"""Protocol `h-index`: the rule of H-Index's released scorer, regions as sets of candidate numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gmner.geometry import pair_iou
from gmner.metrics.candidates import candidate_boxes, candidate_index, note_strangers, refuse_without_candidates
from gmner.metrics.overlap import Threshold, entity_boxes
from gmner.metrics.posts import Post
from gmner.metrics.protocols.protocol import Protocol, Tally, types_of
from gmner.metrics.tasks import EEG, GMNER, MNER, Task
from gmner.types import Box, Entity

NO_REGION: Final = -1


@dataclass(frozen=True)
class HIndex(Protocol):
    """A predicted region is a candidate's number or "no region"; a gold entity's is the set of numbers that fit.

    The set of a gold entity is every one of the first `top` candidates that overlaps one of its boxes; it is empty,
    and the entity never found, where no candidate does.
    """

    top: int = 18

    def check(self, posts: Sequence[Post]) -> tuple[str, ...]:
        refuse_without_candidates(f"protocol {self.name!r}", [post.example for post in posts])
        return (*super().check(posts), *note_strangers(posts, self.top))

    def tally(self, post: Post, tasks: Sequence[Task]) -> Iterator[Tally]:
        candidates = candidate_boxes(post.example, self.top)
        # One entity a span on either side, the later one: the release keeps them in a table by span.
        gold = {(entity.start, entity.end): entity for entity in post.gold}
        predicted = {(entity.start, entity.end): entity for entity in post.predicted}
        found = [(gold[span], predicted[span]) for span in gold if span in predicted]
        reached = [self._region(guess, candidates) in self._regions(truth, candidates) for truth, guess in found]
        for task in tasks:
            right = [
                truth.type
                for (truth, guess), in_region in zip(found, reached, strict=True)
                if (truth.type == guess.type or not task.typed) and (in_region or task.region is None)
            ]
            yield Tally(right, types_of(predicted.values()), types_of(gold.values()))

    def _region(self, predicted: Entity, candidates: Sequence[Box]) -> int | None:
        return candidate_index(predicted, candidates) if predicted.visible else NO_REGION

    def _regions(self, gold: Entity, candidates: Sequence[Box]) -> set[int]:
        if not gold.visible:
            return {NO_REGION}
        return {
            index
            for index, candidate in enumerate(candidates)
            if any(self.threshold.passed(pair_iou(box, candidate)) for box in entity_boxes(gold))
        }


def h_index(top: int = 18) -> HIndex:
    """Protocol `h-index` over the first `top` candidates; the release trains with 18 and tests with 16."""
    return HIndex("h-index", (MNER, EEG, GMNER), Threshold(0.5, inclusive=False), top=top)
