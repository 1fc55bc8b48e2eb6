"""The page stands alone, holds everything, and lets nothing that a post says become part of it."""

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.unit.html_page import Page

from gmner.geometry import decode_mask, encode_mask
from gmner.report.html import _outline, write_page
from gmner.types import Box, Entity, Example, Mask, Prediction

TEXT = "Grace Hopper of the US Navy"


def page(tmp_path: Path, *predictions: Prediction, **options: object) -> Page:
    path = tmp_path / "page.html"
    write_page(path, predictions, **options)  # type: ignore[arg-type]
    return Page(path.read_text(encoding="utf-8"))


def post(*entities: Entity, text: str = TEXT, **example: object) -> Prediction:
    return Prediction(example=Example(id="p1", text=text, **example), entities=entities)  # type: ignore[arg-type]


def disc(height: int = 60, width: int = 80) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (height / 3) ** 2


HOPPER = Entity(
    "Grace Hopper",
    "PER",
    0,
    12,
    boxes=(Box(10, 5, 40, 55), Box(50, 5, 60, 15)),
    masks=(encode_mask(disc()),),
    score=0.97,
    groundable=0.91,
    expression="Grace Hopper (PER) - an admiral",
    provenance={"ground": "largest face"},
)
NAVY = Entity("US Navy", "ORG", 20, 27, groundable=0.03)
PICTURE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_everything_of_a_post_is_on_the_page(tmp_path: Path) -> None:
    prediction = Prediction(
        example=Example(id="p1", text=TEXT, image=PICTURE, caption="a woman", knowledge="she wrote a compiler"),
        entities=(HOPPER, NAVY),
        notes=("one face was found",),
    )
    result = page(tmp_path, prediction, title="Two names")
    for words in (
        *("Two names", "1. p1", "Grace Hopper1 PER", "US Navy2 ORG", "0.97", "yes 0.91", "no 0.03", "10 5 40 55 (+1)"),
        *("Grace Hopper (PER) - an admiral", "ground: largest face", "one face was found", "a woman", "compiler"),
        f"{disc().mean():.1%}",
    ):
        assert words in result.words
    assert [mark["class"] for mark in result.all("mark")[-2:]] == ["e0", "e1 absent"]
    assert len(result.all("rect", "box")) == 2 and len(result.all("path", "mask")) == 1
    assert [tag["class"] for tag in result.all("span") if "e0" in tag["class"]] == ["e0 tag", "e0 tag"]
    assert "2 US Navy" not in result.all("img")[0]["alt"] and "1 Grace Hopper (PER)" in result.all("img")[0]["alt"]


def test_shapes_are_in_the_frame_of_the_original_picture(tmp_path: Path) -> None:
    large = np.zeros((3000, 4000, 3), np.uint8)
    result = page(
        tmp_path, post(Entity("Grace Hopper", "PER", 0, 12, boxes=(Box(100, 200, 3900.5, 2900),)), image=large)
    )
    assert result.all("svg")[0]["viewbox"] == "0 0 4000 3000"
    box = result.all("rect", "box")[0]
    assert [float(box[name]) for name in ("x", "y", "width", "height")] == [100, 200, 3800.5, 2700]
    with Image.open(BytesIO(base64.b64decode(result.all("img")[0]["src"].partition(",")[2]))) as embedded:
        assert embedded.format == "JPEG" and embedded.size == (1000, 750)


def test_boxes_are_cut_to_the_picture(tmp_path: Path) -> None:
    boxes = (Box(-10, -10, 20, 20), Box(500, 500, 600, 600))
    result = page(tmp_path, post(Entity("Grace Hopper", "PER", 0, 12, boxes=boxes), image=PICTURE))
    (box,) = result.all("rect", "box")
    assert (box["x"], box["width"]) == ("0.0", "20.0")


def painted(mask: Mask, width: int, height: int) -> np.ndarray:
    """An outline filled by even-odd, as a browser would."""
    image = np.zeros((height, width), bool)
    for path in re.findall(r"M([^Z]*)Z", _outline(mask, width, height)):
        points = [tuple(float(value) for value in pair.split()) for pair in path.split("L")]
        layer = Image.new("1", (width * 4, height * 4))
        ImageDraw.Draw(layer).polygon([(x * 4 - 0.5, y * 4 - 0.5) for x, y in points], fill=1)
        image ^= np.asarray(layer)[2::4, 2::4]
    return image


def test_outlines_follow_masks_with_their_holes() -> None:
    ring = disc(90, 120) & ~np.pad(disc(30, 40), ((30, 30), (40, 40)))
    for pixels in (disc(), ring, np.ones((20, 30), bool), np.eye(40, dtype=bool)[:, ::-1]):
        again = painted(encode_mask(pixels), pixels.shape[1], pixels.shape[0])
        assert (again & pixels).sum() / (again | pixels).sum() > 0.95


def test_one_pixel_has_an_outline_and_none_has_not() -> None:
    pixels = np.zeros((50, 50), bool)
    assert _outline(encode_mask(pixels), 50, 50) == ""
    pixels[20, 30] = True
    points = np.array(re.findall(r"[\d.]+", _outline(encode_mask(pixels), 50, 50)), float).reshape(-1, 2)
    assert (points.min(0) >= [30, 20]).all() and (points.max(0) <= [31, 21]).all() and np.ptp(points, axis=0).min() > 0


def test_large_masks_make_short_outlines() -> None:
    pixels = decode_mask(encode_mask(disc(3000, 4000)))
    assert len(_outline(encode_mask(pixels), 4000, 3000)) < 30_000


ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;${title}</svg>]]>"


def test_nothing_that_is_said_becomes_part_of_the_page(tmp_path: Path) -> None:
    entity = Entity(
        ATTACK,
        "PER",
        0,
        len(ATTACK),
        boxes=(Box(0, 0, 5, 5),),
        expression=ATTACK,
        provenance={ATTACK: ATTACK},
    )
    prediction = Prediction(
        example=Example(id=ATTACK, text=ATTACK, image=PICTURE, caption=ATTACK, description=ATTACK, knowledge=ATTACK),
        entities=(entity,),
        notes=(ATTACK,),
    )
    lost = Prediction(example=Example(text="x", image=f"/nowhere/{ATTACK[:40]}"))
    result = page(tmp_path, prediction, lost, title=ATTACK, errors=[(ATTACK, ATTACK)])
    clean = page(tmp_path, post(Entity("G", "PER", 0, 1, boxes=(Box(0, 0, 5, 5),)), image=PICTURE))
    assert {tag for tag, _ in result.elements} <= {tag for tag, _ in clean.elements} | {
        *("ul", "li", "section", "details", "summary", "dl", "dt", "dd")
    }
    names = {name for _, attributes in result.elements for name in attributes}
    assert not any(name.startswith("on") for name in names) and "<script" not in result.source.lower()
    assert result.words.count(ATTACK) >= 10


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    result = page(tmp_path, post(HOPPER, NAVY, image=PICTURE))
    policy = next(a["content"] for a in result.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in result.all("img"))
    assert not result.all("link") and not result.all("a") and not result.all("script")
    assert "url(" not in result.source and "@import" not in result.source and "http://" not in result.source


def test_entities_are_linked_and_can_be_reached_by_keyboard(tmp_path: Path) -> None:
    result = page(tmp_path, post(HOPPER, NAVY, image=PICTURE))
    style = result.source.partition("<style>")[2].partition("</style>")[0]
    assert ".post:has(.e0:hover" in style and ".post:has(.e1:hover" in style and ".e2" not in style
    assert all(mark.get("tabindex") == "0" for mark in result.all("mark", "e0") + result.all("mark", "e1"))
    assert all(tag.get("tabindex") == "0" for tag in result.all("span", "e0"))
    assert result.all("tr", "e0") and result.all("g", "e0") and not result.all("g", "e1")
    assert "prefers-color-scheme: dark" in style


def test_nested_entities_are_nested_marks(tmp_path: Path) -> None:
    text = "Bank of New York is open"
    bank, york = Entity("Bank of New York", "ORG", 0, 16), Entity("New York", "LOC", 8, 16)
    result = page(tmp_path, post(bank, york, text=text))
    assert "Bank of New York2 LOC1 ORG is open" in result.words
    assert [mark["class"] for mark in result.all("mark")[-3:]] == ["e0 absent", "e0 absent", "e1 absent"]


def test_posts_without_picture_entities_or_name(tmp_path: Path) -> None:
    result = page(tmp_path, Prediction(example=Example(text="No one is here.")), post(Entity("US Navy", "ORG")))
    assert "No entities were found." in result.words and not result.all("img")
    assert "2posts" in result.words and "1entity" in result.words and "0in the picture" in result.words
    assert len(result.all("div", "alone")) == 2


def test_an_empty_page(tmp_path: Path) -> None:
    assert "0posts" in page(tmp_path).words


def test_a_picture_that_can_not_be_opened_says_so(tmp_path: Path) -> None:
    result = page(tmp_path, post(HOPPER, image=str(tmp_path / "gone.jpg")))
    assert "gone.jpg' does not exist" in result.words and not result.all("img") and "Grace Hopper" in result.words


def test_a_mask_of_another_picture_says_so(tmp_path: Path) -> None:
    result = page(tmp_path, post(HOPPER, image=PICTURE[:30]))
    assert "size [60, 80] over a picture of [30, 80]" in result.words and not result.all("img")


def test_errors_stand_at_the_end(tmp_path: Path) -> None:
    result = page(tmp_path, post(NAVY), errors=[("line 7", "the text is empty")])
    assert "1error" in result.words and result.words.index("line 7") > result.words.index("US Navy")
    assert result.all("section", "errors") and not page(tmp_path, post(NAVY)).all("section")


@pytest.mark.parametrize("text", ["习近平 🚀", "محمد صلاح", "a\u0000b", "tab\tand\nline"])
def test_any_text(tmp_path: Path, text: str) -> None:
    assert text.replace("\0", "") in page(tmp_path, post(text=text)).words.replace("\ufffd", "").replace("\0", "")


def test_half_characters_of_models_do_not_stop_the_page(tmp_path: Path) -> None:
    assert "expression" in page(tmp_path, post(Entity("US Navy", "ORG", expression="expression \ud83d"))).words


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 4000), (4000, 3)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    whole = encode_mask(np.ones((height, width), bool))
    entity = Entity("US Navy", "ORG", boxes=(Box(0, 0, width, height),), masks=(whole,))
    result = page(tmp_path, post(entity, image=np.zeros((height, width, 3), np.uint8)))
    assert len(result.all("img")) == 1 and result.all("path", "mask")[0]["d"]
