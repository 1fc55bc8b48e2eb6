"""Protocol `mqspn`: the rule of MQSPN's released scorer, quadruples with candidate numbers, macro average."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gmner.geometry import pair_iou
from gmner.metrics.candidates import candidate_boxes, candidate_index, note_strangers, refuse_without_candidates
from gmner.metrics.overlap import Threshold, entity_boxes
from gmner.metrics.posts import Post
from gmner.metrics.protocols.protocol import Protocol, Tally, types_of
from gmner.metrics.tasks import GMNER, Task
from gmner.types import Box, Entity, EntityType

CANDIDATES: Final = 15
"""How many candidates get a name; region number i + 1 is candidate i."""

REGIONS: Final = 10
"""Gold region numbers stay below this; 0 is "no region"."""

NO_REGION: Final = 0
STRANGER: Final = -1
"""The number of a predicted box that is no candidate: no gold entity has it."""


class Quadruple(NamedTuple):
    """A span, a type and one region number."""

    start: int | None
    end: int | None
    type: EntityType
    region: int


@dataclass(frozen=True)
class Mqspn(Protocol):
    """Sets of quadruples; gold regions are the candidates that got the entity's name."""

    def check(self, posts: Sequence[Post]) -> tuple[str, ...]:
        refuse_without_candidates(f"protocol {self.name!r}", [post.example for post in posts])
        return (*super().check(posts), *note_strangers(posts, CANDIDATES))

    def tally(self, post: Post, tasks: Sequence[Task]) -> Iterator[Tally]:
        candidates = candidate_boxes(post.example, CANDIDATES)
        names = self._names(post, candidates)
        gold = {
            Quadruple(entity.start, entity.end, entity.type, number)
            for entity in parsed(post)
            for number in region_numbers(entity, names)
        }
        predicted = {
            Quadruple(entity.start, entity.end, entity.type, region_number(entity, candidates))
            for entity in post.predicted
        }
        return (tally_quadruples(predicted, gold) for _ in tasks)

    def _names(self, post: Post, candidates: Sequence[Box]) -> list[str | None]:
        """The name of the annotated box that each candidate overlaps; of several the last one overwrites the rest."""
        names: list[str | None] = [None] * len(candidates)
        # Mentions of one string share their boxes, which are annotated once.
        for name, box in dict.fromkeys((entity.text, box) for entity in post.gold for box in entity_boxes(entity)):
            for index, candidate in enumerate(candidates):
                if self.threshold.passed(pair_iou(box, candidate)):
                    names[index] = name
        return names


def tally_quadruples(predicted: set[Quadruple], gold: set[Quadruple]) -> Tally:
    """What counts in one post: a prediction that gold has with other regions only counts as "no region" as well."""
    known = {item[:3] for item in gold}
    pseudo = {item._replace(region=NO_REGION) for item in predicted - gold if item[:3] in known}
    predicted = predicted | pseudo
    return Tally(types_of(predicted & gold), types_of(predicted), types_of(gold))


def parsed(post: Post) -> list[Entity]:
    """The gold entities that the release's parser finds: after an entity it skips one word.

    So an entity that follows another without a word between them is lost, and the next one is found again.
    """
    found: list[Entity] = []
    for entity in sorted(post.gold, key=lambda entity: entity.start or 0):
        between = post.example.text[found[-1].end : entity.start] if found else "-"
        if between.strip(" \t\r\n"):
            found.append(entity)
    return found


def region_numbers(gold: Entity, names: Sequence[str | None]) -> list[int]:
    """The numbers of a gold entity's regions, given the candidates' names; none if all of them come too late."""
    numbers = [index + 1 for index, name in enumerate(names) if name == gold.text]
    return [number for number in numbers if number < REGIONS] if numbers else [NO_REGION]


def region_number(predicted: Entity, candidates: Sequence[Box]) -> int:
    """The number of the region that was predicted."""
    if not predicted.visible:
        return NO_REGION
    index = candidate_index(predicted, candidates)
    return STRANGER if index is None else index + 1


MQSPN: Final = Mqspn("mqspn", (GMNER,), Threshold(0.5, inclusive=True), average="macro")
