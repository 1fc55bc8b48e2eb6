"""Who and what is in a picture: the figures of the entities that can be seen, and bystanders of the same kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.figure import Look
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.layout import Figure
from gmner.data.drawn.names import TYPES, Category, landmark_kind, make_name
from gmner.data.drawn.objects import OBJECTS
from gmner.data.drawn.places import PLACES
from gmner.types import Entity, EntityType


@dataclass(frozen=True)
class Part:
    """The figures that stand for an entity, and whether they are in the picture or only imagined."""

    figures: tuple[Figure, ...]
    present: bool


@dataclass(frozen=True)
class Cast:
    """A part for each entity, in order, and the bystanders."""

    parts: tuple[Part, ...]
    bystanders: tuple[Figure, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures that are to be drawn."""
        return (*(figure for part in self.parts if part.present for figure in part.figures), *self.bystanders)


SEEN: Final[dict[EntityType, float]] = {"PER": 0.53, "LOC": 0.2, "ORG": 0.32, "OTHER": 0.33}
"""The part of the entities of each type that is in the picture; 40 % of all, as in Twitter-GMNER."""


def choose_cast(
    rng: Generator, entities: Sequence[Entity], categories: Sequence[Category], size: tuple[int, int], split: str
) -> Cast:
    """A cast for a sentence and a picture of `size`: fewer figures in small pictures.

    Bystanders are chosen without a look at who is present (but for the room that is left), and often are look-alikes
    of an entity's figure, so that neither their number nor their looks say whether the entity is there.
    """
    room = 3 if size[0] * size[1] < 40_000 else 7
    parts = tuple(
        Part(make_figures(rng, index, entity, category), happens(rng, SEEN[entity.type]))
        for index, (entity, category) in enumerate(zip(entities, categories, strict=True))
    )
    taken = {entity.text for entity in entities}
    bystanders = choose_bystanders(rng, entities, categories, parts, split, taken)
    crowd = sum(len(part.figures) for part in parts if part.present)
    return Cast(parts, tuple(bystanders[: max(room - crowd, 0)]))


def make_figures(rng: Generator, index: int, entity: Entity, category: Category) -> tuple[Figure, ...]:
    """What stands for an entity: one figure, or several for a team or where the same thing is seen twice."""
    kind = kind_of(rng, entity.text, category)
    if kind == "team":
        return make_team(rng, index, weighted(rng, {2: 2, 3: 3, 4: 1}))
    look = make_look(rng, kind, entity.text)
    return (Figure(kind, look, (index,)),) * (2 if kind not in ("person", *PLACES) and happens(rng, 0.1) else 1)


def make_team(rng: Generator, index: int, members: int) -> tuple[Figure, ...]:
    """People who wear the same, each with hair and a face of their own."""
    looks = [KINDS["person"].look(rng) for _ in range(members)]
    shared = {slot: looks[0][slot] for slot in ("colour", "pattern", "garment")} | {
        "view": pick(rng, ("whole", "knees"))
    }
    if shared["garment"] == "dress":
        shared["garment"] = "sweater"
    return tuple(Figure("person", {**look, **shared}, (index,)) for look in looks)


def make_look(rng: Generator, kind: str, name: str) -> Look:
    """Any look of a kind; some of those that can bear lettering bear the name, if it is short enough and ASCII."""
    look = KINDS[kind].look(rng)
    if happens(rng, _LETTERED.get(kind, 0.0)) and name.isascii() and 0 < len(name) <= _LONGEST_LETTERING:
        return {**look, "lettering": name}
    return look


def choose_bystanders(
    rng: Generator,
    entities: Sequence[Entity],
    categories: Sequence[Category],
    parts: Sequence[Part],
    split: str,
    taken: set[str],
) -> list[Figure]:
    """Figures that nobody names, mostly of the types that the sentence names."""
    found: list[Figure] = []
    for kind in dict.fromkeys(entity.type for entity in entities):
        models = [
            (part, category)
            for entity, category, part in zip(entities, categories, parts, strict=True)
            if entity.type == kind
        ]
        for _ in range(weighted(rng, {0: 2, 1: 5, 2: 4, 3: 1} if len(models) == 1 else {0: 4, 1: 4, 2: 1})):
            part, category = pick(rng, models)
            found.append(_bystander(rng, part, category, split, taken))
    while not found or (happens(rng, 0.45 if entities else 0.7) and len(found) < 6):
        category = pick(rng, tuple(TYPES))
        kind_name = kind_of(rng, "", category).replace("team", "person")
        found.append(Figure(kind_name, make_look(rng, kind_name, _other_name(rng, category, split, taken))))
    return found


_LETTERED: Final = {"emblem": 0.45, "poster": 0.45, "book": 0.4, "sign": 0.8}
"""The part of the figures of a kind that bear a name."""

_LONGEST_LETTERING: Final = 18
"""Characters."""

SHOWN_BY: Final[dict[Category, dict[str, int]]] = {
    "person": {"person": 1},
    "club": {"emblem": 6, "team": 4},
    "band": {"team": 5, "emblem": 3},
    "firm": {"emblem": 1},
    "channel": {"emblem": 1},
    "film": {"poster": 1},
    "event": {"trophy": 1},
    "car": {"car": 3, "van": 1},
    "phone": {"phone": 1},
    "book": {"book": 1},
    "guitar": {"guitar": 1},
    "ball": {"ball": 1},
}


def kind_of(rng: Generator, name: str, category: Category) -> str:
    """What shows a name of the category."""
    if category == "landmark":
        return landmark_kind(name) or pick(rng, tuple(PLACES))
    if category == "town":
        return "sign" if happens(rng, 0.3) else pick(rng, tuple(PLACES))
    return weighted(rng, SHOWN_BY[category])


def _bystander(rng: Generator, part: Part, category: Category, split: str, taken: set[str]) -> Figure:
    """A figure of the part's type: mostly of its kind, and then often alike in one family of slots.

    Whoever wears what a team does would be of the team, so that a team's bystanders are alike in other things.
    """
    model = part.figures[0]
    kind = model.kind
    if happens(rng, 0.3) and kind not in ("person", "emblem"):
        kind = pick(rng, tuple(PLACES if kind in PLACES else OBJECTS))
    look = make_look(rng, kind, _other_name(rng, category, split, taken))
    if kind == model.kind and happens(rng, 0.55):
        family = pick(rng, KINDS[kind].families[len(part.figures) > 1 :])
        look = {**look, **{slot: model.look[slot] for slot in family}}
    return Figure(kind, look)


def _other_name(rng: Generator, category: Category, split: str, taken: set[str]) -> str:
    """A name that the sentence does not hold, short enough to be lettered."""
    while True:
        name = make_name(rng, category, split)
        if name not in taken and len(name) <= _LONGEST_LETTERING:
            return name
