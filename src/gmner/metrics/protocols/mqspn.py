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
        gold = self._gold(post, candidates)
        predicted = predicted_quadruples(post, candidates)
        predicted |= pseudo_predictions(predicted, gold)
        for _ in tasks:
            yield Tally(types_of(predicted & gold), types_of(predicted), types_of(gold))

    def _gold(self, post: Post, candidates: Sequence[Box]) -> set[Quadruple]:
        """One quadruple for each region of each gold entity that survives the release's parser."""
        names = self._names(post, candidates)
        quadruples: set[Quadruple] = set()
        for entity in parsed(post):
            numbers = [index + 1 for index, name in enumerate(names) if name == entity.text] or [NO_REGION]
            quadruples.update(
                Quadruple(entity.start, entity.end, entity.type, number) for number in numbers if number < REGIONS
            )
        return quadruples

    def _names(self, post: Post, candidates: Sequence[Box]) -> list[str | None]:
        """The name of the annotated box that each candidate overlaps; of several the last one overwrites the rest."""
        names: list[str | None] = [None] * len(candidates)
        # Mentions of one string share their boxes, which are annotated once.
        for name, box in dict.fromkeys((entity.text, box) for entity in post.gold for box in entity_boxes(entity)):
            for index, candidate in enumerate(candidates):
                if self.threshold.passed(pair_iou(box, candidate)):
                    names[index] = name
        return names


def predicted_quadruples(post: Post, candidates: Sequence[Box]) -> set[Quadruple]:
    """The predictions of a post, each with the number of its region."""
    return {
        Quadruple(entity.start, entity.end, entity.type, region_number(entity, candidates)) for entity in post.predicted
    }


def pseudo_predictions(predicted: set[Quadruple], gold: set[Quadruple]) -> set[Quadruple]:
    """What the release adds: "no region" for every prediction that gold has with another region only."""
    known = {item[:3] for item in gold}
    return {item._replace(region=NO_REGION) for item in predicted - gold if item[:3] in known}


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


def region_number(predicted: Entity, candidates: Sequence[Box]) -> int:
    """The number of the region that was predicted."""
    if not predicted.visible:
        return NO_REGION
    index = candidate_index(predicted, candidates)
    return STRANGER if index is None else index + 1


MQSPN: Final = Mqspn("mqspn", (GMNER,), Threshold(0.5, inclusive=True), average="macro")
