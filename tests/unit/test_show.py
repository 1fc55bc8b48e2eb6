"""Overlays are looked at by people; what can be checked of them by number is checked here."""

from io import StringIO
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor, ImageFont
from rich.console import Console

from gmner import fonts, show
from gmner.errors import EntityError, ImageError
from gmner.geometry import encode_mask, shared_area
from gmner.show import COLOURS, contrast, draw, ink_on, place_tag, save_overlay, segments, text_table
from gmner.types import Box, Entity, Example, Mask, Prediction

TEXT = "Grace Hopper of the US Navy"
GREY = np.full((400, 800, 3), 100, np.uint8)


def hopper(**changes: object) -> Entity:
    return Entity(**{"text": "Grace Hopper", "type": "PER", "start": 0, "end": 12, **changes})  # type: ignore[arg-type]


def navy(**changes: object) -> Entity:
    return Entity(**{"text": "US Navy", "type": "ORG", "start": 20, "end": 27, **changes})  # type: ignore[arg-type]


def rgb(paint: str) -> tuple[int, ...]:
    return ImageColor.getrgb(paint)


def count(image: Image.Image, paint: str) -> int:
    return int((np.asarray(image) == rgb(paint)).all(-1).sum())


spans = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12)).filter(lambda span: span[0] < span[1]), max_size=6)


@given(spans)
def test_segments_tile_the_text_and_know_who_covers_them(pairs: list[tuple[int, int]]) -> None:
    text = "abcdefghijkl"
    entities = [Entity(text[start:end], "PER", start, end) for start, end in pairs]
    pieces = segments(text, entities)
    assert "".join(text[start:end] for start, end, _ in pieces) == text
    for start, end, inside in pieces:
        for position in range(start, end):
            assert set(inside) == {i for i, e in enumerate(entities) if e.start <= position < e.end}  # type: ignore[operator]
        lengths = [pairs[i][1] - pairs[i][0] for i in inside if pairs[i][0] == pairs[inside[0]][0]]
        assert lengths == sorted(lengths, reverse=True)


def test_entities_without_offsets_colour_no_text() -> None:
    assert segments("Bob", [Entity("Bob", "PER")]) == [(0, 3, ())]


def test_colours_differ_and_bear_letters_that_can_be_read() -> None:
    assert len(set(COLOURS)) == len(COLOURS) >= 10
    assert all(contrast(paint, ink_on(paint)) >= 4.5 for paint in COLOURS)
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21) and contrast("#777777", "#FFFFFF") == pytest.approx(
        4.48, abs=0.01
    )


def test_a_box_is_framed_where_it_lies() -> None:
    image = draw(GREY, [hopper(boxes=(Box(200, 150, 600, 350),))])
    paint = rgb(COLOURS[0])
    pixels = np.asarray(image)
    for x, y in [(400, 152), (400, 347), (202, 250), (597, 250)]:
        assert tuple(pixels[y, x]) == paint
    assert (pixels[160:340, 210:590] == 100).all() and (pixels[355:400] == 100).all()


def test_a_mask_is_tinted_inside_and_rimmed() -> None:
    inside = np.zeros((400, 800), bool)
    inside[100:300, 200:600] = True
    pixels = np.asarray(draw(GREY, [hopper(masks=(encode_mask(inside),))]))
    third = np.array([100, 100, 100]) + (np.array(rgb(COLOURS[0])) - 100) / 3
    assert np.abs(pixels[200, 400] - third).max() <= 1
    assert tuple(pixels[200, 201]) == tuple(pixels[298, 400]) == rgb(COLOURS[0])
    assert (pixels[310:400] == 100).all() and (pixels[200, 610:] == 100).all()


def test_every_entity_has_its_own_colour() -> None:
    boxes = [Box(100.0 * i, 100, 100.0 * i + 60, 300) for i in range(7)]
    image = draw(GREY, [Entity(f"P{i}", "PER", boxes=(box,)) for i, box in enumerate(boxes)])
    assert all(count(image, paint) > 500 for paint in COLOURS[:7]) and count(image, COLOURS[7]) == 0


def test_an_entity_that_is_not_in_the_picture_is_below_it_only() -> None:
    image = draw(GREY, [hopper(), navy(boxes=(Box(300, 100, 500, 300),))], TEXT)
    above, below = image.crop((0, 0, 800, 400)), image.crop((0, 400, 800, image.height))
    assert count(above, COLOURS[0]) == 0 and count(below, COLOURS[0]) > 100
    assert count(above, COLOURS[1]) > 500 and count(below, COLOURS[1]) > 500


def test_the_picture_itself_is_not_drawn_on() -> None:
    picture = GREY.copy()
    entities = [hopper(boxes=(Box(0, 0, 800, 400),), masks=(encode_mask(np.ones((400, 800), bool)),))]
    first = draw(picture, entities, TEXT)
    assert np.array_equal(picture, GREY) and first.tobytes() == draw(picture, entities, TEXT).tobytes()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5000, 3), (3, 5000), (60, 40), (3000, 2400), (800, 800)])
def test_any_size_of_picture_can_be_read(width: int, height: int) -> None:
    whole = Box(0, 0, width, height)
    mask = encode_mask(np.ones((height, width), bool))
    image = draw(np.zeros((height, width, 3), np.uint8), [hopper(boxes=(whole,), masks=(mask,)), navy()], TEXT)
    assert 640 <= image.width <= 1600 and count(image, COLOURS[0]) > 200 and count(image, COLOURS[1]) > 100


def test_boxes_beyond_the_picture_are_cut_or_left_out() -> None:
    image = draw(GREY, [hopper(boxes=(Box(-50, -50, 100, 100), Box(900, 500, 950, 600)))])
    assert count(image, COLOURS[0]) > 200


def test_without_a_picture_the_text_stands_alone() -> None:
    image = draw(None, [hopper(), navy()], TEXT)
    assert image.width == 640 and image.height < 200
    assert count(image, COLOURS[0]) > 50 and count(image, COLOURS[1]) > 50


def test_no_text_and_no_entities_draw_a_picture() -> None:
    assert draw(GREY, []).width == 800


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(EntityError, match=r"\[2, 3\] over a picture of \[400, 800\]"):
        draw(GREY, [hopper(masks=(Mask((2, 3), "6"),))])


@settings(max_examples=60, deadline=None)
@example([(0, 19), (89, 47)], 90)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 300)), min_size=1, max_size=7), st.integers(20, 220))
def test_tags_stay_inside_and_apart(corners: list[tuple[int, int]], width: int) -> None:
    boxes = [Box(x, y, x + 90, y + 90) for x, y in corners]
    tags: list[Box] = []
    for box in boxes:
        tags.append(place_tag((width, 24), box, tags, boxes, (800, 400)))
    assert all(tag.x1 >= 0 and tag.y1 >= 0 and tag.x2 <= 800 and tag.y2 <= 400 for tag in tags)
    assert all(shared_area(a, b) == 0 for a, b in combinations(tags, 2))


@pytest.mark.parametrize(
    "text", ["习近平", "Нью-Йорк", "محمد صلاح", "🚀", "a\u0301\u200d\ufe0f", "x" * 3000, "two\nlines", "\x1b[31m"]
)
def test_any_script_can_be_drawn(text: str) -> None:
    post = f"{text} was\nhere"
    entity = Entity(text, "PER", 0, len(text), boxes=(Box(100, 100, 300, 300),))
    image = draw(GREY, [entity], post)
    assert image.width == 800 and image.height > 430


def test_where_no_font_has_a_glyph_the_number_stands_for_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_fonts", lambda size: (ImageFont.load_default(size),))
    latin = fonts.Letters(20, "")
    assert latin.can_write("Grace Hopper") and not latin.can_write("习近平")
    assert show._tag_words(4, hopper(), latin, 800) == "5 Grace Hopper · PER"
    assert show._tag_words(4, Entity("习近平", "PER"), latin, 800) == "5 PER"
    assert show._tag_words(4, Entity("x" * 500, "PER"), latin, 800) == "5 PER"
    assert show._tag_words(4, hopper(), latin, 30) == "5"


def test_letters_of_several_fonts_are_as_wide_as_their_parts() -> None:
    letters = fonts.Letters(20, "")
    assert letters.width("Łódź") > 0 and letters.width("") == 0
    assert letters.width("ab习cd") == pytest.approx(sum(letters.width(part) for part in ("ab", "习", "cd")))


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP")])
def test_overlays_are_written(tmp_path: Path, name: str, kind: str) -> None:
    post = Example(text=TEXT, image=GREY)
    save_overlay(tmp_path / name, Prediction(example=post, entities=(hopper(boxes=(Box(0, 0, 50, 50),)),)))
    with Image.open(tmp_path / name) as image:
        assert image.format == kind and image.width == 800


def test_of_an_example_the_gold_entities_are_drawn(tmp_path: Path) -> None:
    gold = (hopper(boxes=(Box(0, 0, 50, 50),)), navy())
    save_overlay(tmp_path / "gold.png", Example(text=TEXT, image=GREY, entities=gold))
    with Image.open(tmp_path / "gold.png") as image:
        assert image.convert("RGB").tobytes() == draw(GREY, gold, TEXT).tobytes()
    save_overlay(tmp_path / "unknown.png", Example(text=TEXT))
    assert (tmp_path / "unknown.png").exists()


def test_overlays_of_other_formats_or_of_no_picture_are_not(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\.png, \.jpg or \.webp"):
        save_overlay(tmp_path / "a.txt", Example(text=TEXT))
    with pytest.raises(ImageError, match="does not exist"):
        save_overlay(tmp_path / "a.png", Example(text=TEXT, image=tmp_path / "gone.jpg"))
    assert not list(tmp_path.iterdir())


def printed(*predictions: Prediction, width: int = 160) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=False).print(text_table(predictions))
    return out.getvalue()


def test_the_table_says_all_of_an_entity() -> None:
    half = np.zeros((10, 10), bool)
    half[:5] = True
    entities = (
        hopper(
            boxes=(Box(1.4, 2, 3, 4.6), Box(5, 5, 6, 6)),
            masks=(encode_mask(half),),
            groundable=0.914,
            provenance={"recognise": "list", "ground": "face"},
        ),
        navy(groundable=0.02),
    )
    lines = printed(Prediction(example=Example(id="p1", text=TEXT), entities=entities)).splitlines()
    first = next(line for line in lines if "Grace Hopper" in line)
    second = next(line for line in lines if "US Navy" in line)
    for words in ("p1", "PER", "yes 0.91", "1 2 3 5 (+1)", "50.0%", "recognise: list; ground: face"):
        assert words in first
    assert "no 0.02" in second and "p1" not in second and "ORG" in second


def test_the_table_numbers_posts_without_a_name_and_keeps_posts_without_entities() -> None:
    output = printed(Prediction(example=Example(text="a")), Prediction(example=Example(text="b"), entities=()))
    assert "│ 1 " in output and "│ 2 " in output and output.count("no entities") == 2


def test_the_table_passes_no_markup_and_no_escape_codes_on() -> None:
    text = "[red]Bob[/red]\x1b[31m :smile: \x9b2J\nLee"
    output = printed(
        Prediction(example=Example(id="[b]x\x1b", text=text), entities=(Entity(text, "PER", 0, len(text)),))
    )
    assert "[red]Bob[/red]" in output and ":smile:" in output and "[b]x" in output
    assert not any(code in output for code in ("\x1b", "\x9b"))


def test_the_table_folds_on_narrow_terminals() -> None:
    entities = tuple(product_entities())
    output = printed(Prediction(example=Example(text=TEXT), entities=entities), width=50)
    assert max(map(len, output.splitlines())) <= 50


def product_entities() -> list[Entity]:
    return [
        hopper(groundable=g, boxes=b, provenance={"ground": "a long reason " * 5})
        for g, b in product((None, 0.5), ((), (Box(0, 0, 1, 1),)))
    ]
