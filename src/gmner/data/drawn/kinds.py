"""All kinds of figures by name, and which of them may stand for an entity of each type."""

from typing import Final

from gmner.data.drawn.emblems import EMBLEM
from gmner.data.drawn.figure import Kind, Pool
from gmner.data.drawn.objects import OBJECTS
from gmner.data.drawn.people import PERSON
from gmner.data.drawn.places import PLACES
from gmner.types import EntityType

KINDS: Final[dict[str, Kind]] = {"person": PERSON, "emblem": EMBLEM, **PLACES, **OBJECTS}

POOLS: Final[dict[EntityType, tuple[Pool, ...]]] = {
    "PER": ("person",),
    "LOC": ("place",),
    "ORG": ("emblem", "person"),
    "OTHER": ("object",),
}
"""Among which figures an expression has to decide: an organisation is seen by its emblem or by its team."""
