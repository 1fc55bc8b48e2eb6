"""Twitter-SMNER: labelme's drawings read and written, counted and checked, and what is broken in them."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.twitter_sample import TEST, TRAIN, write_gmner
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read, recognise, write
from gmner.data.check import check
from gmner.data.corpus import read_corpus
from gmner.data.labelme import Drawing, Shape, format_drawing, read_drawing
from gmner.data.statistics import count
from gmner.errors import DataError
from gmner.geometry import decode_mask, encode_mask, mask_area, mask_box
from gmner.types import Box, Entity, Example, Mask

SIZE = (40, 30)


def shape(label: str, points: object, kind: str = "polygon", **more: object) -> dict[str, object]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[list[float]]:
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def drawing(*shapes: object, size: tuple[int, int] = SIZE, **more: object) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "x.jpg",
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
        **more,
    }


DRAWINGS = {
    "101": drawing(shape("Ada Quill", rectangle(10, 5, 20, 25))),
    "102": drawing(
        shape("Otters", rectangle(0, 0, 8, 8)),
        shape("Otters", rectangle(6, 6, 12, 30), group_id=1),
        shape("Otters", rectangle(30, 6, 36, 30), group_id=1),
    ),
    "O_8": drawing(
        shape("Café ' s", [[3, 4], [5, 7]], "mask", mask=png(np.eye(4, 3) > 0)),
        shape("R&B", rectangle(0, 0, 40, 30)),
    ),
}


def write_smner(folder: Path, drawings: dict[str, Any] | None = None) -> Path:
    write_gmner(folder)
    (folder / "json").mkdir()
    for name, content in (DRAWINGS if drawings is None else drawings).items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "json" / f"{name}.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def smner(tmp_path: Path) -> Path:
    return write_smner(tmp_path / "smner")


def post(folder: Path, name: str) -> Example:
    [found] = [example for example in read(folder) if example.id == name]
    return found


class TestReading:
    def test_a_polygon_is_a_mask_and_its_box(self, smner: Path) -> None:
        ada, fenwick = post(smner, "101").entities or ()
        assert recognise(smner) == "twitter-smner"
        assert ada.boxes == (Box(10, 5, 20, 25),) and fenwick.masks == ()
        [mask] = ada.masks
        assert mask.size == (30, 40) and decode_mask(mask)[5:25, 10:20].all() and mask_area(mask) == 200
        assert post(smner, "101").image_size == SIZE and post(smner, "103").image_size is None

    def test_parts_of_a_group_are_one_mask_and_masks_may_overlap(self, smner: Path) -> None:
        first, second = post(smner, "102").entities or ()
        assert first.masks == second.masks and [mask_area(mask) for mask in first.masks] == [64, 2 * 6 * 24]
        assert first.boxes == (Box(0, 0, 8, 8), Box(6, 6, 36, 30))

    def test_a_bitmap_lies_at_its_corners(self, smner: Path) -> None:
        [entity] = post(smner, "O_8").entities or ()
        [mask] = entity.masks
        assert np.argwhere(decode_mask(mask)).tolist() == [[4, 3], [5, 4], [6, 5]]

    def test_a_rectangle_is_a_box_that_goes_before_the_tight_one(self, tmp_path: Path) -> None:
        drawn = drawing(
            shape("Ada Quill", rectangle(10, 5, 20, 25)), shape("Ada Quill", [[30, 27], [8, 3]], "rectangle")
        )
        entity = (post(write_smner(tmp_path, {"101": drawn}), "101").entities or ())[0]
        assert entity.boxes == (Box(8, 3, 30, 27),) and len(entity.masks) == 1

    def test_a_polygon_is_cut_at_the_edge_of_the_picture(self, tmp_path: Path) -> None:
        drawn = drawing(shape("Ada Quill", rectangle(-5, -5, 6, 100)))
        entity = (post(write_smner(tmp_path, {"101": drawn}), "101").entities or ())[0]
        assert entity.boxes == (Box(0, 0, 6, 30),)

    def test_splits_and_pictures(self, smner: Path, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        assert [example.id for example in read(smner, "test")] == list(TEST)
        assert read(smner, "train", tmp_path / "images")[0].image == str(tmp_path / "images" / "101.jpg")


BROKEN = {
    "no json": ("{", "not JSON"),
    "not an object": ([], "the row"),
    "no size": ({"shapes": []}, "`imageWidth` is missing"),
    "size of zero": (drawing(size=(0, 9)), "`imageWidth` is 0"),
    "endless picture": (drawing(size=(10**6, 10**6)), "a picture of at most"),
    "no shapes": ({"imageWidth": 3, "imageHeight": 3}, "`shapes` is missing"),
    "two points": (drawing(shape("Ada", [[1, 1], [9, 9]])), r"`shapes\[0\].points`.*at least 3 points of a polygon"),
    "a flat polygon": (drawing(shape("Ada", [[1, 1], [9, 1], [5, 1]])), "around a pixel of the picture"),
    "wholly outside": (drawing(shape("Ada", rectangle(50, 50, 60, 60))), "around a pixel of the picture of 40 x 30"),
    "a circle": (drawing(shape("Ada", [[1, 1], [9, 9]], "circle")), "polygon, mask, rectangle"),
    "a flat rectangle": (drawing(shape("Ada", [[1, 1], [1, 9]], "rectangle")), r"box \["),
    "no label": (drawing({"points": rectangle(1, 1, 2, 2)}), r"`shapes\[0\].label` is missing"),
    "words for points": (drawing(shape("Ada", [["a", "b"]])), "a list of points"),
    "far away": (drawing(shape("Ada", [[0, 0], [9e9, 0], [0, 9]])), "a list of points"),
    "bitmap without bits": (drawing(shape("Ada", [[1, 1], [2, 2]], "mask")), r"`shapes\[0\].mask` is missing"),
    "bitmap not base64": (drawing(shape("Ada", [[1, 1], [2, 2]], "mask", mask="?")), "is not base64"),
    "bitmap no picture": (drawing(shape("Ada", [[1, 1], [2, 2]], "mask", mask="AAAA")), "in no known format|is text"),
    "bitmap of another size": (
        drawing(shape("Ada", [[1, 1], [9, 9]], "mask", mask=png(np.ones((4, 3), bool)))),
        "the corners of its bitmap of 3 x 4 pixels",
    ),
    "bitmap reaches out": (
        drawing(shape("Ada", [[38, 1], [40, 4]], "mask", mask=png(np.ones((4, 3), bool)))),
        "within the picture",
    ),
    "empty bitmap": (
        drawing(shape("Ada", [[1, 1], [3, 4]], "mask", mask=png(np.zeros((4, 3), bool)))),
        "around a pixel",
    ),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_an_error_and_a_finding(tmp_path: Path, content: object, message: str) -> None:
    folder = write_smner(tmp_path, {"101": content})
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(error.value).startswith(str(folder / "json" / "101.json"))
    [finding] = [finding for finding in check(folder) if finding.level == "error"]
    assert finding.kind == "unreadable annotation" and "101.json" in finding.where


class TestChecking:
    def test_oddities_are_found(self, smner: Path) -> None:
        odd = drawing(
            shape("Ada", rectangle(10, 5, 20, 25)),
            shape("Fenwick", rectangle(30, 20, 45, 25)),
            shape("Fenwick", rectangle(30, 20, 45, 25)),
        )
        for name, content in (("101", odd), ("999", drawing())):
            (smner / "json" / f"{name}.json").write_text(json.dumps(content))
        found = [(finding.kind, finding.where.removeprefix(f"{smner}/")) for finding in check(smner)]
        masks = [finding for finding in found if finding[1].startswith(("json", "xml"))]
        assert masks == [
            ("boxes beside masks", "xml"),
            ("shape out of the picture", "json/101.json: shapes[1]"),
            ("shape out of the picture", "json/101.json: shapes[2]"),
            ("shape given twice", "json/101.json: shapes[2]"),
            ("name that matches no entity", "json/101.json: shapes[0]"),
            ("annotation without shape", "json/999.json"),
            ("annotation without tweet", "json/999.json"),
            ("name that matches no entity", "json/O_8.json: shapes[1]"),
        ]

    def test_sizes_are_held_against_the_pictures(self, smner: Path, tmp_path: Path) -> None:
        images = tmp_path / "images"
        images.mkdir()
        Image.new("RGB", SIZE).save(images / "101.jpg")
        (smner / "json" / "101.json").write_text(json.dumps(DRAWINGS["101"] | {"imageData": "?"}))
        Image.new("RGB", SIZE[::-1]).save(images / "102.jpg")
        carried = drawing(shape("Otters", rectangle(0, 0, 8, 8)), imageData=png(np.zeros((31, 40), np.uint8)))
        (smner / "json" / "102.json").write_text(json.dumps(carried))
        found = {(finding.kind, finding.where) for finding in check(smner, images) if "picture" in finding.kind}
        other = "drawing of a picture of another size"
        assert found == {
            (other, f"{smner / 'json' / '102.json'}: imageData"),
            (other, str(images / "102.jpg")),
            ("picture can not be opened", f"{smner / 'json' / '101.json'}: imageData"),
            ("picture can not be opened", str(images / "O_8.jpg")),
        }
        result = CliRunner().invoke(app, ["data", "check", str(smner), "--images", str(images)])
        assert result.exit_code == 2 and "40 x 31" in result.stdout


def test_the_counts_of_table_iii(smner: Path) -> None:
    counts = count(read_corpus(smner))["masks"]
    names = ("tweets", "entities", "groundable entities", "masks", "masks counted per mention", "masks in the files")
    assert [counts["train"][name] for name in names] == [3, 4, 3, 3, 5, 3]
    assert [counts["test"][name] for name in names] == [2, 2, 1, 1, 1, 2]
    assert [counts["all"][name] for name in names] == [6, 7, 4, 4, 6, 5]
    assert counts["train"]["groundable ORG"] == 2 and counts["train"]["entities of several masks"] == 2
    shares = ("pictures without a mask, %", "pictures with one mask, %", "pictures with several masks, %")
    assert [counts["train"][name] for name in shares] == [33.33, 33.33, 33.33]
    assert counts["all"]["masks that overlap one of another name"] == 0
    result = CliRunner().invoke(app, ["data", "stats", str(smner)])
    assert result.exit_code == 0 and "groundable entities" in result.stdout


def test_rows_with_masks_have_the_same_counts(smner: Path, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", read(smner))
    ours, theirs = (count(read_corpus(path))["masks"] for path in (tmp_path / "rows.jsonl", smner))
    for split in ("train", "test", "all"):
        assert ours[split] | {"masks in the files": 0} == theirs[split] | {
            "masks in the files": 0,
            "pictures with one mask, %": ours[split]["pictures with one mask, %"],
            "pictures with several masks, %": ours[split]["pictures with several masks, %"],
        }


MASKS = st.builds(
    lambda bits: encode_mask(np.array(bits, dtype=bool).reshape(6, 7)),
    st.lists(st.booleans(), min_size=42, max_size=42),
).filter(lambda mask: mask_area(mask) > 0)
BOXES = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), *(st.integers(0, 3),) * 2, *(st.floats(0.5, 4, width=32),) * 2
)


@settings(max_examples=60)
@given(st.lists(MASKS, max_size=3), st.lists(BOXES, max_size=3), st.booleans(), st.sampled_from(["", "-polygons"]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, masks: list[Mask], boxes: list[Box], tight: bool, drawn: str
) -> None:
    folder = tmp_path_factory.mktemp("smner")
    tight_boxes = tuple(box for mask in masks if (box := mask_box(mask)))
    entity = Entity("Ada", "PER", 0, 3, tight_boxes if tight else tuple(boxes), tuple(masks))
    example = Example(
        id="1", tokens=("Ada",), entities=(entity,), image_size=(7, 6), extra={"split": "test"}, image="x/1.jpg"
    )
    write(folder / "out", [example], f"twitter-smner{drawn}")
    [back] = read(folder / "out") if masks or entity.boxes else [example]
    expected = entity if entity.boxes else replace(entity, boxes=tight_boxes)
    assert back.entities == (expected,)


def test_drawings_open_in_labelme(smner: Path, tmp_path: Path) -> None:
    """A bitmap's second corner is its last pixel, and the picture is named as seen from the drawing."""
    images = tmp_path / "images"
    images.mkdir()
    write(tmp_path / "out", read(smner, images=images), "twitter-smner")
    written = json.loads((tmp_path / "out" / "json" / "101.json").read_text())
    assert written["imagePath"] == "../../images/101.jpg"
    [drawn] = written["shapes"]
    assert drawn["shape_type"] == "mask" and drawn["points"] == [[10, 5], [19, 24]]
    bitmap = Image.open(io.BytesIO(base64.b64decode(drawn["mask"])))
    assert bitmap.size == (10, 20) and np.asarray(bitmap).all()
    assert read(tmp_path / "out") == [replace(example, image=None) for example in read(smner)]


def test_masks_are_polygons_unless_they_have_a_hole() -> None:
    ring = np.zeros((30, 40), dtype=bool)
    ring[2:9, 2:9] = True
    two = ring.copy()
    two[20:25, 30:33] = True
    ring[4:6, 4:6] = False
    shapes = (Shape("ring", encode_mask(ring)), Shape("two", encode_mask(two)))
    written = format_drawing(Drawing("7", SIZE, shapes), polygons=True)["shapes"]
    assert [(record["label"], record["shape_type"], record["group_id"]) for record in written] == [
        ("ring", "mask", None),
        ("two", "polygon", 2),
        ("two", "polygon", 2),
    ]
    assert written[1]["points"] == [[2, 2], [9, 2], [9, 9], [2, 9]]


def test_a_drawing_survives_its_file(tmp_path: Path) -> None:
    pixels = np.zeros((30, 40), dtype=bool)
    pixels[0, 0] = pixels[29, 39] = True
    shapes = (Shape("a", encode_mask(pixels)), Shape("b", Box(0.5, 1, 2, 3.25)))
    (tmp_path / "7.json").write_text(json.dumps(format_drawing(Drawing("7", SIZE, shapes))))
    back = read_drawing(tmp_path / "7.json")
    assert [replace(shape, place="") for shape in back.shapes] == list(shapes)
    assert (back.id, back.size, back.image) == ("7", SIZE, "7.jpg")


def test_what_can_not_be_drawn_is_refused(tmp_path: Path) -> None:
    mask = encode_mask(np.ones((6, 7), dtype=bool))
    entity = Entity("Ada", "PER", 0, 3, masks=(mask,))
    example = Example(id="1", tokens=("Ada", "Ada"), entities=(entity,), extra={"split": "test"})
    write(tmp_path / "sized by the mask", [example], "twitter-smner")
    cases = {
        "sizes": replace(example, image_size=(6, 7)),
        "regions of 'Ada'": replace(example, entities=(entity, Entity("Ada", "PER", 4, 7))),
        "no `image_size`": replace(example, entities=(replace(entity, masks=(), boxes=(Box(0, 0, 1, 1),)),)),
    }
    for message, bad in cases.items():
        with pytest.raises(DataError, match=message):
            write(tmp_path / "bad", [bad], "twitter-smner")
    assert TRAIN and not (tmp_path / "bad").exists()
