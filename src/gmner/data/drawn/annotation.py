"""From a composed scene to a post with its gold: boxes, masks, expansions, captions, candidate regions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from numpy.random import Generator

from gmner.data.drawn.candidates import propose
from gmner.data.drawn.captions import in_detail, one_line
from gmner.data.drawn.cast import Part
from gmner.data.drawn.expansions import Expansion, Seen, expand, seen
from gmner.data.drawn.figure import Trait
from gmner.data.drawn.kinds import KINDS, POOLS
from gmner.data.drawn.layout import Figure, place_anywhere
from gmner.data.drawn.names import Category
from gmner.data.drawn.scene import Scene
from gmner.data.drawn.scenery import BACKDROPS
from gmner.data.drawn.view import Sight, sight_alone
from gmner.expression import EXPANSION_KEY
from gmner.types import Box, Entity, Example, Mask

VISIBLE: Final = 0.3
"""The part of a figure that must be seen for it to be gold."""
HIDDEN: Final = 0.08
"""A figure of which less is seen is there for nobody."""
SMALLEST: Final = 5
"""Pixels a side of the smallest gold box."""

DECIDES_KEY: Final = "decides"
"""The key of an entity's row with the traits that tell its figure apart, by name."""
FIGURES_KEY: Final = "figures"
"""The key of a post's row with every figure in the picture and what can be made out of it, and of an entity's row
with the positions of its own in that list."""


class Shown(NamedTuple):
    """A figure that is in the picture, with what is seen of it."""

    figure: Figure
    sight: Sight
    box: Box
    mask: Mask
    seen: Seen

    @property
    def plain(self) -> bool:
        """Whether enough of a figure is seen for it to be gold: enough to say how it looks."""
        large = min(self.box.width, self.box.height) >= SMALLEST
        told = any(trait.words for name, trait in self.seen.traits.items() if name != "place")
        return large and self.sight.share >= VISIBLE and told


class Unclear(NamedTuple):
    """An entity whose gold would be open to doubt: its figure is half seen, or there are no words for it."""

    entity: int
    half_seen: bool


def annotate(
    rng: Generator,
    example: Example,
    categories: Sequence[Category],
    parts: Sequence[Part],
    scene: Scene,
    shown: Sequence[Shown],
) -> Example | Unclear:
    """The post with its gold and its picture in words, or the first entity for which there is no gold.

    An entity whose figures are hidden is not in the picture, whatever its part says. One whose figures are neither
    plainly seen nor hidden is `Unclear`, as is one that no words tell apart from the other figures.
    """
    for one in shown:
        if one.figure.entities and not one.plain:
            return Unclear(one.figure.entities[0], half_seen=True)
    entities = []
    for index, (entity, category) in enumerate(zip(example.entities or (), categories, strict=True)):
        own = [one for one in shown if index in one.figure.entities]
        named = name_figures(rng, entity, category, own, parts[index].figures, shown, scene.size)
        if named is None:
            return Unclear(index, half_seen=False)
        entities.append(named)
    ordered = [one.seen for one in sorted(shown, key=lambda one: -one.box.area)]
    setting = BACKDROPS[scene.backdrop].words
    return replace(
        example,
        image_size=scene.size,
        entities=tuple(entities),
        caption=one_line(rng, ordered, setting),
        description=in_detail(rng, ordered, setting),
        candidates=propose(rng, [one.box for one in shown], scene.size),
        extra={**example.extra, FIGURES_KEY: [_record(one) for one in shown]},
    )


def shown_figures(
    owners: Sequence[Figure | None], sights: Sequence[Sight | None], size: tuple[int, int]
) -> list[Shown]:
    """The figures that can be seen: neither props nor hidden."""
    return [
        Shown(figure, sight, sight.box, sight.mask, seen(figure.kind, figure.look, sight, sight.box, size))
        for figure, sight in zip(owners, sights, strict=True)
        if figure is not None and sight is not None and sight.box is not None and sight.mask is not None
        if sight.share >= HIDDEN
    ]


def name_figures(
    rng: Generator,
    entity: Entity,
    category: Category,
    own: Sequence[Shown],
    imagined: Sequence[Figure],
    shown: Sequence[Shown],
    size: tuple[int, int],
) -> Entity | None:
    """The entity with its `own` figures for gold, or with none; None if no words tell it from the others in `shown`.

    Where nothing is its own, `imagined` is what it would look like.
    """
    rivals = [one.seen for one in shown if one not in own and KINDS[one.figure.kind].pool in POOLS[entity.type]]
    as_seen = [one.seen for one in own] or _imagined(rng, imagined, size, len(shown))
    expansion = expand(rng, as_seen, rivals, category, imagined=not own)
    if expansion is None:
        return None
    return _gold(entity, own, expansion, [position for position, one in enumerate(shown) if one in own])


def _imagined(rng: Generator, figures: Sequence[Figure], size: tuple[int, int], count: int) -> list[Seen]:
    """The figures of an entity as they would be seen if they were there."""
    found = []
    for figure in figures[:2]:
        place = place_anywhere(rng, figure, size, count + 1)
        sight = sight_alone(figure.kind, figure.look, place)
        found.append(seen(figure.kind, figure.look, sight, place.box, size))
    return found


def _gold(entity: Entity, own: Sequence[Shown], expansion: Expansion, positions: Sequence[int]) -> Entity:
    """The entity with its regions, largest first, and its expression."""
    ordered = sorted(zip(positions, own, strict=True), key=lambda pair: -pair[1].box.area)
    return replace(
        entity,
        boxes=tuple(one.box for _, one in ordered),
        masks=tuple(one.mask for _, one in ordered),
        expression=f"{entity.text} ({entity.type}) - {expansion.words}",
        extra={
            EXPANSION_KEY: expansion.words,
            DECIDES_KEY: _keys(expansion.decides),
            FIGURES_KEY: [position for position, _ in ordered],
        },
    )


def _record(one: Shown) -> dict[str, Any]:
    """A figure as a row holds it."""
    return {
        "kind": one.figure.kind,
        "box": list(one.box),
        "share": round(one.sight.share, 3),
        "traits": _keys(one.seen.traits),
    }


def _keys(traits: Mapping[str, Trait]) -> dict[str, list[str]]:
    return {name: list(trait.key) for name, trait in traits.items()}
