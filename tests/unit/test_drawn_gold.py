"""The gold of drawn posts: spans, boxes, masks, expressions, and how much each of them gives away."""

from collections import Counter

import numpy as np
import pytest

from gmner.data.drawn import draw_post, draw_posts
from gmner.data.drawn.chance import generator
from gmner.data.drawn.colours import alike
from gmner.data.drawn.kinds import KINDS, POOLS
from gmner.data.drawn.names import TYPES, make_name, may_use
from gmner.errors import UnknownNameError
from gmner.geometry import decode_mask, mask_box, pair_iou
from gmner.tagging import locate_tokens, to_token_span
from gmner.types import Box, Entity, Example

pytestmark = pytest.mark.slow

POSTS = 240


@pytest.fixture(scope="module")
def posts() -> list[Example]:
    return list(draw_posts("train", POSTS, seed=1))


def mentions(posts: list[Example]) -> list[tuple[Example, Entity]]:
    return [(post, entity) for post in posts for entity in post.entities or ()]


def rivals(post: Example, entity: Entity) -> list[int]:
    """The positions of all figures that an entity of this type may be shown by."""
    figures = post.extra["figures"]
    return [n for n, figure in enumerate(figures) if KINDS[figure["kind"]].pool in POOLS[entity.type]]


def fits(figure: dict, traits: dict[str, list[str]]) -> bool:
    """Whether the figure may be meant: nothing that can be made out on it speaks against it."""
    seen = figure["traits"]
    return all(name not in seen or all(map(alike, seen[name], key)) for name, key in traits.items())


def test_spans_match_text_and_tokens(posts: list[Example]) -> None:
    for post, entity in mentions(posts):
        assert post.text[entity.start : entity.end] == entity.text
        assert to_token_span(entity, locate_tokens(post.text, post.tokens)) is not None
        assert entity.expression == f"{entity.text} ({entity.type}) - {entity.extra['expansion']}"


def test_boxes_are_those_of_the_masks_and_lie_in_the_picture(posts: list[Example]) -> None:
    for post, entity in mentions(posts):
        height, width, _ = post.image.shape
        assert post.image_size == (width, height)
        assert post.image.dtype == np.uint8
        assert len(entity.boxes) == len(entity.masks)
        for box, mask in zip(entity.boxes, entity.masks, strict=True):
            pixels = decode_mask(mask)
            assert pixels.shape == (height, width)
            rows, columns = np.nonzero(pixels)
            around = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert mask_box(mask) == around
            assert pair_iou(box, around) > 0.98
            assert 0 <= box.x1 < box.x2 <= width
            assert 0 <= box.y1 < box.y2 <= height
            assert min(box.width, box.height) >= 5


def test_no_pixel_belongs_to_two_figures(posts: list[Example]) -> None:
    for post in posts:
        masks = [decode_mask(mask) for entity in post.entities for mask in entity.masks]
        if masks:
            assert np.sum(masks, axis=0).max() == 1


def test_several_boxes_come_largest_first(posts: list[Example]) -> None:
    several = [entity for _, entity in mentions(posts) if len(entity.boxes) > 1]
    assert len(several) >= 5
    for entity in several:
        areas = [box.area for box in entity.boxes]
        assert areas == sorted(areas, reverse=True)


def test_expressions_decide_among_the_figures_of_the_type(posts: list[Example]) -> None:
    """What an expansion says fits the entity's own figures, and no others that its type allows; if the entity is not
    in the picture, it fits none. This is the attribute oracle: it is right everywhere."""
    for post, entity in mentions(posts):
        figures = post.extra["figures"]
        fitting = [n for n in rivals(post, entity) if fits(figures[n], entity.extra["decides"])]
        assert sorted(fitting) == sorted(entity.extra["figures"]), (post.id, entity.expression)
        assert [tuple(figures[n]["box"]) for n in entity.extra["figures"]] == list(entity.boxes)


def test_expansions_say_what_decides(posts: list[Example]) -> None:
    """Each deciding trait stands in the words: the colour, the hat, the side."""
    places = {"left": "on the left", "right": "on the right"}
    for _, entity in mentions(posts):
        words = entity.extra["expansion"]
        for name, key in entity.extra["decides"].items():
            if name in ("colour", "roof", "shape"):
                assert key[0] in words, entity.expression
            elif name == "hat":
                assert f"{key[1]} {key[0]}" in words, entity.expression
            elif name == "place":
                assert places[key[0]] in words, entity.expression
            elif name in ("sign", "glasses", "beard"):
                assert key[0] in words, entity.expression
            elif name == "lettering":
                assert key[0] == entity.text
                assert "its name on it" in words


def test_what_is_not_there_looks_different(posts: list[Example]) -> None:
    """That it would stand elsewhere is said as often of what is not there, but never decides."""
    sides = {True: [], False: []}
    for _, entity in mentions(posts):
        words = entity.extra["expansion"]
        sides[bool(entity.boxes)].append("on the left" in words or "on the right" in words)
        assert entity.boxes or "place" not in entity.extra["decides"]
    here, elsewhere = (np.array(sides[label], dtype=float) for label in (True, False))
    error = np.sqrt(here.var() / len(here) + elsewhere.var() / len(elsewhere))
    assert abs(here.mean() - elsewhere.mean()) < 3 * error


def test_lettering_never_bears_the_name_of_something_else(posts: list[Example]) -> None:
    for post in posts:
        names = {entity.text: set(entity.extra["figures"]) for entity in post.entities}
        for number, figure in enumerate(post.extra["figures"]):
            (lettering,) = figure["traits"].get("lettering", [""])
            assert number in names.get(lettering, {number})


def test_shares_are_those_of_tweets(posts: list[Example]) -> None:
    found = mentions(posts)
    seen = np.mean([bool(entity.boxes) for _, entity in found])
    assert 0.35 < seen < 0.45
    types = Counter(entity.type for _, entity in found)
    assert types.most_common(1)[0][0] == "PER"
    assert set(types) == {"PER", "LOC", "ORG", "OTHER"}
    numbers = Counter(len(post.entities) for post in posts)
    assert numbers[1] > numbers[2] > numbers[3] > numbers[4]
    assert 0 < numbers[0] < POSTS / 8
    # Entities that are not there have figures of their type beside them, as those that are there do.
    absent = [bool(rivals(post, entity)) for post, entity in found if not entity.boxes]
    assert np.mean(absent) > 0.75


def test_name_and_type_do_not_give_the_region(posts: list[Example]) -> None:
    """The largest figure that the type allows is the right one in about half of all cases."""
    right = []
    for post, entity in mentions(posts):
        if entity.boxes:
            figures = post.extra["figures"]
            largest = max(rivals(post, entity), key=lambda n: Box(*figures[n]["box"]).area)
            right.append(largest in entity.extra["figures"])
    assert len(right) > 100
    assert np.mean(right) < 0.65


def test_expressions_need_the_type_at_times(posts: list[Example]) -> None:
    """Some words fit a figure of another type as well: the one in red may be a car or a man."""
    doubtful = [
        any(fits(figure, entity.extra["decides"]) for n, figure in enumerate(post.extra["figures"]) if n not in own)
        for post, entity in mentions(posts)
        for own in [entity.extra["figures"]]
    ]
    assert 0.02 < np.mean(doubtful) < 0.3


def test_candidates_are_like_a_detectors(posts: list[Example]) -> None:
    found, gold, empty = 0, 0, 0
    for post in posts:
        width, height = post.image_size
        scores = [region.score for region in post.candidates]
        assert scores == sorted(scores, reverse=True)
        assert all(region.kind == "object" and 0 < region.score < 1 for region in post.candidates)
        for region in post.candidates:
            assert 0 <= region.box.x1 < region.box.x2 <= width
            assert 0 <= region.box.y1 < region.box.y2 <= height
            empty += all(pair_iou(region.box, Box(*figure["box"])) < 0.1 for figure in post.extra["figures"])
        for entity in post.entities:
            for box in entity.boxes:
                gold += 1
                found += any(pair_iou(box, region.box) > 0.5 for region in post.candidates)
    assert 0.85 < found / gold < 1
    assert empty > POSTS


def test_captions_tell_of_the_figures_but_not_everything(posts: list[Example]) -> None:
    for post in posts:
        assert "\n" not in post.caption
        assert post.description.startswith("The image shows")
    named = [post for post in posts if post.extra["figures"]]
    assert np.mean([len(post.description) > len(post.caption) for post in named]) > 0.95
    for _, entity in mentions(posts):
        assert entity.extra["expansion"][0].islower()


def test_picture_sizes_are_spread_as_in_the_real_data(posts: list[Example]) -> None:
    sides = np.array([post.image_size for post in posts])
    assert sides.min() >= 58
    assert sides.max() <= 1200
    assert np.median(sides[:, 0]) == 600
    assert 300 <= np.median(sides[:, 1]) <= 500
    assert (sides.max(1) < 260).any()
    assert (sides.max(1) > 1000).any()


def test_names_of_one_split_are_unknown_to_the_others(posts: list[Example]) -> None:
    names = {
        split: {make_name(generator(number), category, split) for category in TYPES for number in range(60)}
        for split in ("train", "dev", "test")
    }
    for split, some in names.items():
        assert all(may_use(split, name) for name in some)
    only = [name for name in names["test"] if not may_use("train", name)]
    assert 0.2 < len(only) / len(names["test"]) < 0.8
    assert not {*only} & names["train"]
    assert not {*only} & {entity.text for _, entity in mentions(posts)}


def test_a_post_depends_on_seed_split_and_number_only() -> None:
    first = draw_post("dev", 3, seed=5)
    again = list(draw_posts("valid", 4, seed=5))[3]
    assert np.array_equal(first.image, again.image)
    assert (first.text, first.entities, first.candidates) == (again.text, again.entities, again.candidates)
    assert (first.caption, first.description, first.extra) == (again.caption, again.description, again.extra)
    for other in (draw_post("dev", 3, seed=6), draw_post("dev", 4, seed=5), draw_post("test", 3, seed=5)):
        assert other.text != first.text or not np.array_equal(other.image, first.image)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="there is no split 'eval'"):
        draw_posts("eval", 1, seed=0)
