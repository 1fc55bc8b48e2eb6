"""Drawn pictures under real sentences: the text, tags, picture sizes and box geometry of Twitter-GMNER.

Each gold box is filled with a figure that its entity's type allows. Entities that can not be seen stay so.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.annotation import annotate, shown_figures
from gmner.data.drawn.cast import Part, choose_bystanders, make_figures, make_look, make_team
from gmner.data.drawn.chance import generator, pick
from gmner.data.drawn.figure import Look, extent
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.layout import Figure, arrange
from gmner.data.drawn.names import Category
from gmner.data.drawn.objects import OBJECTS
from gmner.data.drawn.picture import render
from gmner.data.drawn.places import PLACES
from gmner.data.drawn.posts import picture_size
from gmner.data.drawn.scene import Place
from gmner.data.drawn.view import observe
from gmner.data.splits import SPLIT_KEY, SPLITS, split_name
from gmner.types import Box, Entity, EntityType, Example


def draw_like(model: Example, number: int, seed: int) -> Example:
    """The post `model`, of Twitter-GMNER, with a drawn picture: the text and tags are the model's, the boxes nearly so.

    Where the model does not know the size of its picture, one is drawn. A figure that those before it hide, or that
    is too small to be told from the others, is left out, and its entity then is not in the picture.
    """
    split = split_name(str(model.extra.get(SPLIT_KEY, "train")))
    key = (seed, len(SPLITS) + SPLITS.index(split), number)
    rng = generator(*key)
    size = model.image_size or picture_size(rng)
    entities = model.entities or ()
    meant = {(entity.text, entity.type): pick(rng, _CATEGORIES[entity.type]) for entity in entities}
    categories = tuple(meant[entity.text, entity.type] for entity in entities)
    bare = replace(model, entities=tuple(replace(entity, boxes=()) for entity in entities))
    names = {entity.text for entity in entities}
    left_out: set[str] = set()
    attempt = 0
    while True:
        rng = generator(*key, attempt)
        parts, fixed = _cast(rng, entities, categories, size, left_out)
        bystanders = choose_bystanders(rng, entities, categories, parts, split, names) if attempt < _PATIENCE else []
        scene, owners = arrange(rng, bystanders[:3], size, (*key, attempt), fixed)
        view = observe(scene)
        post = annotate(rng, bare, categories, parts, scene, shown_figures(owners, view.sights, size))
        if isinstance(post, Example):
            return replace(post, image=render(scene, view.layers))
        if post.half_seen or attempt >= 2 * _PATIENCE:
            left_out.add(entities[post.entity].text)
        if attempt >= 4 * _PATIENCE:  # nothing tells what is imagined from what is there
            left_out |= names
        attempt += 1


_PATIENCE: Final = 4
"""Attempts with bystanders; as many again without them, before an entity is left out of the picture."""

_CATEGORIES: Final[dict[EntityType, tuple[Category, ...]]] = {
    "PER": ("person",),
    "LOC": ("town",),
    "ORG": ("club", "band", "firm", "channel"),
    "OTHER": ("film", "car", "event", "phone", "book", "guitar", "ball"),
}


def _cast(
    rng: Generator,
    entities: Sequence[Entity],
    categories: Sequence[Category],
    size: tuple[int, int],
    left_out: set[str],
) -> tuple[list[Part], list[tuple[Figure, Place]]]:
    """A part for each entity, and the places of the figures that are in the picture.

    Mentions of one name are one part, and two entities with the same box are one figure.
    """
    parts: dict[str, Part] = {}
    fixed: dict[Place, Figure] = {}
    for index, (entity, category) in enumerate(zip(entities, categories, strict=True)):
        boxes = entity.boxes if entity.text not in left_out else ()
        places = [_place(box) for box in boxes]
        if places and entity.text not in parts:
            figures = _figures(rng, index, entity, places, size)
        elif entity.text not in parts:
            figures = make_figures(rng, index, entity, category)
        else:
            figures = parts[entity.text].figures
        parts[entity.text] = Part(tuple(figures), bool(places))
        for place, figure in zip(places, figures, strict=False):
            there = fixed.get(place, replace(figure, entities=()))
            fixed[place] = replace(there, entities=(*there.entities, index))
    return [parts[entity.text] for entity in entities], [(figure, place) for place, figure in fixed.items()]


def _place(box: Box) -> Place:
    x, y = round(box.x1), round(box.y1)
    return Place(x, y, max(round(box.x2) - x, 2), max(round(box.y2) - y, 2))


def _figures(
    rng: Generator, index: int, entity: Entity, places: Sequence[Place], size: tuple[int, int]
) -> tuple[Figure, ...]:
    """A figure for each place; several upright places of an organisation hold its team, else the same thing again."""
    if entity.type == "ORG" and len(places) > 1 and all(place.height > 1.2 * place.width for place in places):
        return make_team(rng, index, len(places))
    return (_fitting(rng, index, entity, places[0], size),) * len(places)


def _fitting(rng: Generator, index: int, entity: Entity, place: Place, size: tuple[int, int]) -> Figure:
    """Of some figures that may stand for the entity, the one that has to be stretched least to fill the place."""
    kinds = {"PER": ("person",), "LOC": tuple(PLACES), "ORG": ("emblem",), "OTHER": tuple(OBJECTS)}[entity.type]
    kinds_and_looks = [(kind, make_look(rng, kind, entity.text)) for kind in (pick(rng, kinds) for _ in range(_TRIES))]
    kind, look = min(kinds_and_looks, key=lambda one: _stretch(one[0], one[1], place, size))
    return Figure(kind, look, (index,))


def _stretch(kind: str, look: Look, place: Place, size: tuple[int, int]) -> float:
    """How far a figure has to be stretched to fill a place; people that are cut off belong to the lower edge."""
    own = extent(KINDS[kind], look)
    stretch = own.width / own.height * place.height / place.width
    cut_off = KINDS[kind].pool == "person" and own.y2 < 0.9 and place.y + place.height < 0.9 * size[1]
    return max(stretch, 1 / stretch) * (2 if cut_off else 1)


_TRIES: Final = 8
