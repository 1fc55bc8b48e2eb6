"""Further mentions: names for what else a picture shows, and for what it does not, so that it teaches more.

A post of the plain data set names one or two figures of its picture. To learn from it what words look like, one wants
all of them named, several times and differently. The picture stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.annotation import Shown, name_figures
from gmner.data.drawn.cast import SHOWN_BY, make_figures, make_look
from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.layout import Figure
from gmner.data.drawn.names import TYPES, Category, make_name
from gmner.data.drawn.places import PLACES
from gmner.tagging import split_words
from gmner.types import Entity, Example


def mention_more(rng: Generator, post: Example, shown: Sequence[Shown], count: int, split: str) -> Example:
    """The post with up to `count` further names at the end of its text, about half of them of figures in `shown`.

    The other half are of figures that are not in the picture, most of them look-alikes of one that is. A name that no
    words would tell apart is left out.
    """
    text, entities = f"{post.text} with", list(post.entities or ())
    taken = {entity.text for entity in entities}
    named = [one for one in shown if one.plain]
    for _ in range(count):
        own: list[Shown] = []
        imagined: tuple[Figure, ...] = ()
        entity = None
        if named and happens(rng, 0.5):
            one = pick(rng, named)
            category = pick(rng, CATEGORIES[one.figure.kind])
            name = one.figure.look.get("lettering") or make_name(rng, category, split)
            own = [one]
        else:
            name, category, imagined = _absent(rng, named, split)
        if name not in taken:
            start = len(text) + 1
            bare = Entity(text=name, type=TYPES[category], start=start, end=start + len(name))
            entity = name_figures(rng, bare, category, own, imagined, shown, post.image_size or (1, 1))
        if entity is not None:
            taken.add(name)
            entities.append(entity)
            text += f" {name} ,"
    if len(entities) == len(post.entities or ()):
        return post
    text = text.removesuffix(" ,")
    tokens = tuple(text[start:end] for start, end in split_words(text))
    return replace(post, text=text, tokens=tokens, entities=tuple(entities))


def _absent(rng: Generator, named: Sequence[Shown], split: str) -> tuple[str, Category, tuple[Figure, ...]]:
    """A name, of what it is one, and the figures that would show it: none of them is in the picture."""
    if not named or happens(rng, 0.25):
        category = weighted(rng, _CATEGORIES)
        name = make_name(rng, category, split)
        return name, category, make_figures(rng, 0, Entity(name, TYPES[category]), category)
    model = pick(rng, named).figure
    category = pick(rng, CATEGORIES[model.kind])
    name = make_name(rng, category, split)
    look = make_look(rng, model.kind, name)
    if happens(rng, 0.7):
        look = {**look, **{slot: model.look[slot] for slot in pick(rng, KINDS[model.kind].families)}}
    return name, category, (Figure(model.kind, look),)


CATEGORIES: Final[dict[str, tuple[Category, ...]]] = {
    kind: ("town",) if kind in PLACES else tuple(category for category, kinds in SHOWN_BY.items() if kind in kinds)
    for kind in KINDS
}
"""Of what one figure of a kind may bear the name."""

_CATEGORIES: Final[dict[Category, int]] = {
    "person": 8,
    "town": 4,
    "club": 2,
    "firm": 2,
    "channel": 1,
    "film": 1,
    "event": 1,
    "car": 1,
    "phone": 1,
    "book": 1,
    "guitar": 1,
    "ball": 1,
}
