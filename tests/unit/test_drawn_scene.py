"""Drawn scenes: the brush, and masks that are exactly what is seen of a figure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmner.data.drawn.annotation import Unclear, annotate, shown_figures
from gmner.data.drawn.cast import Part, choose_cast
from gmner.data.drawn.chance import between, generator, happens, shuffled, weighted
from gmner.data.drawn.colours import COLOURS, alike, shade
from gmner.data.drawn.expansions import article
from gmner.data.drawn.figure import extent, paint
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.layout import Figure, arrange
from gmner.data.drawn.pen import Brush, Pattern, Ruler
from gmner.data.drawn.picture import render
from gmner.data.drawn.scene import Light, Place, Placed, Scene
from gmner.data.drawn.sentences import make_sentence
from gmner.data.drawn.view import observe
from gmner.geometry import decode_mask
from gmner.types import Box, Entity, Example

pytestmark = pytest.mark.slow

RED = (200, 0, 0)


def test_a_rectangle_covers_exactly_its_pixels() -> None:
    brush = Brush(Box(0, 0, 10, 10), (40, 40))
    brush.rectangle(2, 3, 5, 9, RED)
    patch = brush.patch()
    inside = np.zeros((40, 40), dtype=bool)
    inside[12:36, 8:20] = True
    assert np.array_equal(patch.coverage >= 128, inside)
    assert (patch.colour[13:35, 9:19] == RED).all()
    assert np.array_equal(patch.parts[13:35, 9:19], np.ones((22, 10)))


def test_edges_are_antialiased_and_colour_is_taken_times_coverage() -> None:
    brush = Brush(Box(0, 0, 1, 1), (50, 50))
    brush.ellipse(0.5, 0.5, 0.4, 0.4, RED)
    patch = brush.patch()
    assert 0.95 < patch.coverage.sum() / 255 / (np.pi * 20 * 20) < 1.05
    edge = (patch.coverage > 20) & (patch.coverage < 235)
    assert edge.sum() > 60
    expected = patch.coverage[edge].astype(int) * RED[0] // 255
    assert np.abs(patch.colour[edge][:, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["striped", "checked", "dotted"])
def test_patterns_show_both_colours(kind: str) -> None:
    brush = Brush(Box(0, 0, 1, 1), (60, 60))
    brush.rectangle(0, 0, 1, 1, Pattern((0, 0, 0), (255, 255, 255), kind, 0.25))
    assert 0.25 < brush.patch().colour.mean() / 255 < 0.6


def test_letters_stay_on_what_is_painted() -> None:
    brush = Brush(Box(0, 0, 2, 1), (200, 100))
    brush.rectangle(0, 0, 1, 1, RED)
    before = brush.patch()
    brush.letters("NAME", 0.1, 0.2, 1.9, 0.8, (255, 255, 255))
    after = brush.patch()
    assert np.array_equal(before.coverage, after.coverage)
    assert not np.array_equal(before.colour, after.colour)
    assert not after.colour[:, 110:].any()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_fills_its_extent(name: str) -> None:
    for number in range(4):
        look = KINDS[name].look(generator(3, number))
        box = extent(KINDS[name], look)
        ratio = box.width / box.height
        size = (max(24, round(120 * ratio)), 120)
        solid = paint(KINDS[name], look, size).coverage >= 128
        assert solid.any(1).mean() > 0.95
        assert solid.any(0).mean() > 0.93


def test_the_ruler_measures_above_the_cut() -> None:
    ruler = Ruler(bottom=0.5)
    ruler.rectangle(-1, 0, 1, 0.4, RED)
    ruler.rectangle(-3, 0.6, 3, 2, RED)
    assert ruler.extent == Box(-1, 0, 1, 0.5)


def some_scene(seed: int) -> Scene:
    rng = generator(seed)
    sentence = make_sentence(rng, "train")
    cast = choose_cast(rng, sentence.entities, sentence.categories, (320, 260), "train")
    scene, _ = arrange(rng, cast.figures, (320, 260), (seed,))
    return replace(scene, light=Light(noise=0))


def test_masks_are_the_pixels_that_change_when_a_figure_is_taken_away() -> None:
    """The picture with a figure and the one without it differ in the figure's mask, and besides only in pixels that
    the figure, or one before it, covers in part."""
    checked = 0
    for seed in range(12):
        scene = some_scene(seed)
        view = observe(scene)
        for index, sight in enumerate(view.sights):
            if sight is None:
                continue
            without = replace(scene, items=scene.items[:index] + scene.items[index + 1 :])
            changed = (pixels(without) != pixels(scene)).any(2)
            seen = view.owner == index
            edges = [partly_covered(item, scene.size) for item in scene.items[index:]]
            assert not (changed & ~seen & ~np.any(edges, axis=0)).any()
            assert changed[seen].mean() > 0.9 or seen.sum() < 30
            if sight.mask is not None:
                assert np.array_equal(decode_mask(sight.mask), seen)
            checked += 1
    assert checked > 25


def pixels(scene: Scene) -> np.ndarray:
    return render(scene, observe(scene).layers)


def partly_covered(item: Placed, size: tuple[int, int]) -> np.ndarray:
    """Where an item covers a pixel, but not all of it."""
    (layer,) = observe(Scene(size, "studio", (item,), Light(), (0,))).layers
    found = np.zeros(size[::-1], dtype=bool)
    found[layer.area] = (layer.inside.coverage > 0) & (layer.inside.coverage < 255)
    return found


def two(front: Place, back: Place, entities: tuple[int, ...]) -> tuple[Scene, list[Figure]]:
    """A car in front of a poster, which shows the entities."""
    looks = [KINDS[kind].look(generator(1)) for kind in ("poster", "car")]
    items = (Placed("poster", back, looks[0]), Placed("car", front, looks[1]))
    figures = [Figure("poster", looks[0], entities), Figure("car", looks[1])]
    return Scene((200, 200), "studio", items, Light(), (7,)), figures


def test_half_hidden_figures_keep_only_their_visible_pixels() -> None:
    behind = Place(60, 20, 80, 110)
    scene, _ = two(Place(20, 100, 160, 70), behind, ())
    both = observe(scene)
    alone = observe(replace(scene, items=scene.items[:1]))
    car = observe(replace(scene, items=scene.items[1:]))
    poster, front = decode_mask(both.sights[0].mask), decode_mask(both.sights[1].mask)
    assert np.array_equal(front, decode_mask(car.sights[0].mask))
    assert np.array_equal(poster, decode_mask(alone.sights[0].mask) & ~front)
    assert both.sights[0].share < 1
    assert both.sights[0].whole == alone.sights[0].whole
    assert sum(both.sights[0].seen.values()) == poster.sum()
    assert both.sights[0].box.y2 < behind.y + behind.height


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        (Place(20, 95, 160, 60), "gold"),
        (Place(-30, 20, 260, 100), "unclear"),
        (Place(-60, -20, 340, 180), "absent"),
    ],
)
def test_figures_that_are_too_hidden_are_no_gold(front: Place, expected: str) -> None:
    scene, figures = two(front, Place(70, 40, 60, 80), (0,))
    example = Example(text="Nightglass is out", entities=(Entity("Nightglass", "OTHER", 0, 10),))
    part = Part((figures[0],), present=True)
    post = annotate(
        generator(4),
        example,
        ("film",),
        (part,),
        scene,
        figures,
        shown_figures(figures, observe(scene).sights, scene.size),
    )
    if expected == "unclear":
        assert post == Unclear(0, half_seen=True)
    else:
        assert isinstance(post, Example)
        assert bool(post.entities[0].boxes) == (expected == "gold")


def test_what_lies_outside_the_picture_counts_as_hidden() -> None:
    look = KINDS["ball"].look(generator(1))
    scene = Scene((100, 100), "studio", (Placed("ball", Place(60, 30, 80, 80), look),), Light(), (7,))
    (sight,) = observe(scene).sights
    assert sight.box.x2 == 100
    assert 0.4 < sight.share < 0.6


@given(st.sampled_from(sorted(COLOURS)), st.sampled_from(sorted(COLOURS)))
def test_alike_is_symmetric_and_holds_for_the_same(one: str, other: str) -> None:
    assert alike(one, one)
    assert alike(one, other) == alike(other, one)


@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(-1, 1))
def test_shades_stay_colours(base: tuple[int, int, int], amount: float) -> None:
    assert all(0 <= value <= 255 for value in shade(base, amount))


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_chance_keeps_its_bounds(seed: int) -> None:
    rng = generator(seed)
    assert 2 <= between(rng, 2, 3) < 3
    assert not happens(rng, 0)
    assert happens(rng, 1)
    assert weighted(rng, {"never": 0, "always": 1}) == "always"
    assert sorted(shuffled(rng, "hello")) == sorted("hello")


def test_keys_of_different_length_draw_differently() -> None:
    assert generator(1, 2, 3).integers(1 << 62) != generator(1, 2, 3, 0).integers(1 << 62)


def test_articles() -> None:
    assert article("orange car") == "an orange car"
    assert article("red car") == "a red car"
