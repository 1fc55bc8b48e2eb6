"""What a protocol is: a rule for when a prediction is right."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from typing import Protocol as TypingProtocol

from gmner.errors import MismatchError
from gmner.metrics.overlap import Threshold
from gmner.metrics.posts import Post, name_posts
from gmner.metrics.score import Average
from gmner.metrics.tasks import Task
from gmner.types import EntityType


class Tally(NamedTuple):
    """What one task counts in one post: the types of everything right, of everything predicted, of all gold."""

    right: Sequence[EntityType]
    predicted: Sequence[EntityType]
    gold: Sequence[EntityType]


@dataclass(frozen=True)
class Protocol(ABC):
    """A rule for when a prediction is right: which tasks it scores, its IoU threshold, how it averages over types."""

    name: str
    tasks: tuple[Task, ...]
    threshold: Threshold
    average: Average = "micro"

    def check(self, posts: Sequence[Post]) -> tuple[str, ...]:
        """Refuse posts that lack what the protocol needs; the sentences that a reader of the scores must know.

        Raises:
            MismatchError: a post lacks something.
        """
        refuse_without_offsets(self.name, posts)
        return ()

    @abstractmethod
    def tally(self, post: Post, tasks: Sequence[Task]) -> Iterable[Tally]:
        """What counts in one post, for each of `tasks`."""


def refuse_without_offsets(protocol: str, posts: Sequence[Post]) -> None:
    """Raise a MismatchError if an entity has no character offsets."""
    lacking = [post.id for post in posts if any(entity.start is None for entity in (*post.gold, *post.predicted))]
    if lacking:
        raise MismatchError(
            f"posts with entities that have no character offsets: {name_posts(lacking)}",
            allowed=f"protocol {protocol!r} compares `start` and `end`",
            todo="give offsets, or use protocol 'riveg', which compares surface strings",
        )


class Typed(TypingProtocol):
    """Anything of an entity type."""

    @property
    def type(self) -> EntityType: ...


def types_of(items: Iterable[Typed]) -> list[EntityType]:
    return [item.type for item in items]
