"""Further mentions in drawn posts: the same pictures, more names, gold as exact as before."""

from collections import Counter

import numpy as np
import pytest

from gmner.data.drawn.annotation import FIGURES_KEY
from gmner.data.drawn.posts import draw_posts
from gmner.expression import EXPANSION_KEY
from gmner.tagging import to_token_span, word_offsets
from gmner.types import Example

PLAIN = list(draw_posts("train", 30, seed=3))
MORE = list(draw_posts("train", 30, seed=3, more=8))


def test_pictures_and_first_names_stay_as_they_are() -> None:
    for plain, more in zip(PLAIN, MORE, strict=True):
        assert np.array_equal(plain.image, more.image)
        assert more.entities[: len(plain.entities)] == plain.entities
        assert more.text.startswith(plain.text)
        assert (more.caption, more.description, more.candidates) == (plain.caption, plain.description, plain.candidates)


def test_names_stand_where_they_say() -> None:
    for post in MORE:
        offsets = word_offsets(post)
        assert len({entity.text for entity in post.entities}) == len(post.entities)
        for entity in post.entities:
            assert post.text[entity.start : entity.end] == entity.text
            assert to_token_span(entity, offsets) is not None
            assert entity.expression == f"{entity.text} ({entity.type}) - {entity.extra[EXPANSION_KEY]}"


def test_further_names_are_shown_as_often_as_not() -> None:
    further = [
        entity for plain, more in zip(PLAIN, MORE, strict=True) for entity in more.entities[len(plain.entities) :]
    ]
    assert len(further) > 4 * len(PLAIN)
    shown = sum(bool(entity.boxes) for entity in further)
    assert 0.35 < shown / len(further) < 0.65
    types = Counter(entity.type for entity in further)
    assert min(types[kind] for kind in ("PER", "LOC", "ORG", "OTHER")) > 0


@pytest.mark.parametrize("post", MORE[:10], ids=lambda post: post.id)
def test_what_decides_holds_for_the_figure_and_for_no_other(post: Example) -> None:
    figures = post.extra[FIGURES_KEY]
    for entity in post.entities:
        for position, figure in enumerate(figures):
            same = all(figure["traits"].get(name) == key for name, key in entity.extra["decides"].items())
            if position in entity.extra[FIGURES_KEY]:
                assert same
                assert list(entity.boxes[entity.extra[FIGURES_KEY].index(position)]) == figure["box"]
