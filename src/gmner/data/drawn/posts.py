"""Posts: a sentence with names, a picture that shows some of them among others, and the exact gold.

A post depends on the seed, its split and its number only, so that any process may draw any of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.annotation import annotate, shown_figures
from gmner.data.drawn.cast import choose_cast
from gmner.data.drawn.chance import between, generator, weighted
from gmner.data.drawn.layout import arrange
from gmner.data.drawn.mentions import mention_more
from gmner.data.drawn.picture import render
from gmner.data.drawn.sentences import make_sentence
from gmner.data.drawn.view import observe
from gmner.data.splits import SPLIT_KEY, SPLITS, split_name
from gmner.types import Example


def draw_posts(split: str, size: int, seed: int, more: int = 0) -> Iterator[Example]:
    """The first `size` posts of a split, one after another; pictures are RGB arrays. `more` as in `draw_post`.

    Raises:
        UnknownNameError: there is no such split.
    """
    split = split_name(split)
    return (draw_post(split, number, seed, more) for number in range(size))


def draw_post(split: str, number: int, seed: int, more: int = 0) -> Example:
    """The post of a split with this number; up to `more` further names are added to its text, to learn from.

    Raises:
        UnknownNameError: there is no such split.
    """
    split = split_name(split)
    key = (seed, SPLITS.index(split), number)
    rng = generator(*key)
    sentence, size = make_sentence(rng, split), picture_size(rng)
    bare = Example(
        id=f"drawn-{split}-{number}",
        text=sentence.text,
        tokens=sentence.tokens,
        entities=sentence.entities,
        extra={SPLIT_KEY: split},
    )
    attempt = 0
    while True:
        rng = generator(*key, attempt)
        cast = choose_cast(rng, sentence.entities, sentence.categories, size, split)
        scene, owners = arrange(rng, cast.figures, size, (*key, attempt))
        view = observe(scene)
        shown = shown_figures(owners, view.sights, size)
        post = annotate(rng, bare, sentence.categories, cast.parts, scene, shown)
        if isinstance(post, Example):
            named = mention_more(rng, post, shown, more, split) if more else post
            return replace(named, image=render(scene, view.layers))
        attempt += 1


def picture_size(rng: Generator) -> tuple[int, int]:
    """A width and height in pixels, spread as those of Twitter-GMNER's annotated pictures are."""
    form = weighted(rng, {"common": 58, "free": 32, "large": 6, "small": 4})
    if form == "common":
        return weighted(rng, _COMMON)
    if form == "large":
        return weighted(rng, _LARGE)
    width = int(rng.integers(260, 720)) if form == "free" else int(rng.integers(64, 260))
    height = round(width / between(rng, 0.6, 1.9))
    return width, min(max(height, 58), 1200)


_COMMON: Final = {
    (600, 600): 22,
    (600, 450): 18,
    (600, 338): 17,
    (600, 800): 14,
    (600, 400): 11,
    (600, 300): 11,
    (600, 900): 3,
}
_LARGE: Final = {(1200, 675): 6, (900, 1200): 4, (1200, 900): 4, (1200, 1200): 4, (675, 1200): 3, (1024, 768): 2}
