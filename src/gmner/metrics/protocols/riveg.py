"""Protocol `riveg`: the rule of RiVEG's released scorer (`statistic.py`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gmner.metrics.overlap import Threshold, overlap
from gmner.metrics.posts import Post
from gmner.metrics.protocols.protocol import Protocol, Tally, types_of
from gmner.metrics.tasks import EEG, GMNER, MNER, Task
from gmner.types import EntityType


@dataclass(frozen=True)
class Riveg(Protocol):
    """Surface string instead of span, each prediction taking the first unused gold entity that fits, in file order."""

    def check(self, posts: Sequence[Post]) -> tuple[str, ...]:
        return ()

    def tally(self, post: Post, tasks: Sequence[Task]) -> Iterator[Tally]:
        overlaps = {
            (i, j): overlap(gold, predicted, "box")
            for i, gold in enumerate(post.gold)
            for j, predicted in enumerate(post.predicted)
            if gold.text == predicted.text
        }
        return (self._tally(post, task, overlaps) for task in tasks)

    def _tally(self, post: Post, task: Task, overlaps: dict[tuple[int, int], float]) -> Tally:
        unused = dict(enumerate(post.gold))
        right: list[EntityType] = []
        for j, predicted in enumerate(post.predicted):
            for i, gold in unused.items():
                if (
                    (i, j) in overlaps
                    and (gold.type == predicted.type or not task.typed)
                    and (task.region is None or self.threshold.passed(overlaps[i, j]))
                ):
                    right.append(gold.type)
                    del unused[i]
                    break
        return Tally(right, types_of(post.predicted), types_of(post.gold))


RIVEG = Riveg("riveg", (MNER, EEG, GMNER), Threshold(0.5, inclusive=True))
