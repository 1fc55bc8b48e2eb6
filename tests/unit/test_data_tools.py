"""COCO and Label Studio: what is written is read again, by us and by others; what is broken is told."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data import read, recognise, write
from gmner.data.brush import decode_brush, encode_brush
from gmner.data.check import check
from gmner.data.corpus import read_corpus
from gmner.data.label_studio import labeling_config
from gmner.data.regions import tight_boxes
from gmner.data.rows import read_predictions, write_rows
from gmner.errors import DataError, EntityError, UnknownNameError
from gmner.geometry import decode_mask, encode_mask, mask_area
from gmner.types import Box, Candidate, Entity, Example, Mask, Prediction

WIDTH, HEIGHT = 9, 7
TOOLS = ("coco", "label-studio")


def pixels_of(bits: list[bool]) -> Mask:
    return encode_mask(np.array(bits, dtype=bool).reshape(HEIGHT, WIDTH))


MASKS = st.lists(st.booleans(), min_size=WIDTH * HEIGHT, max_size=WIDTH * HEIGHT).map(pixels_of)
SIDES = st.floats(0.25, 4, width=16)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), SIDES, SIDES, SIDES, SIDES)
NAMES = {"Ada": ("PER", 3, 6), "Rome": ("LOC", 10, 14)}
TEXT = "\U0001f600 \U0001f601Ada in Rome"  # two emoji: 17 UTF-16 units, 15 characters


def post(*entities: Entity, **more: Any) -> Example:
    return Example(id="a-1", text=TEXT, image="images/a.jpg", entities=entities, **more)


def named(name: str, boxes: tuple[Box, ...] = (), masks: tuple[Mask, ...] = (), **more: Any) -> Entity:
    kind, start, end = NAMES[name]
    return Entity(name, kind, start, end, boxes, masks, **more)


def some(name: str, boxes: list[Box], masks: list[Mask], tight: bool) -> Entity:
    return named(name, tight_boxes(masks) if tight else tuple(boxes), tuple(masks))


SEEN = MASKS.filter(lambda mask: mask_area(mask) > 0)
ENTITIES = st.tuples(
    *(
        st.builds(some, st.just(name), st.lists(BOXES, max_size=3), st.lists(SEEN, max_size=3), st.booleans())
        for name in NAMES
    )
)


def near(left: tuple[Box, ...], right: tuple[Box, ...]) -> bool:
    return len(left) == len(right) and np.allclose(np.array(left), np.array(right), atol=1e-4)


@pytest.mark.parametrize("form", TOOLS)
@settings(max_examples=60)
@given(entities=ENTITIES)
def test_what_is_written_is_read_again(
    form: str, entities: tuple[Entity, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tools") / "posts.json"
    before = post(*entities, image_size=(WIDTH, HEIGHT), caption="two", extra={"split": "dev", "mine": [1]})
    write(path, [before], form)
    assert recognise(path) == form
    [after] = read(path)
    image = str(path.parent / "images" / "a.jpg")
    assert replace(after, entities=None) == replace(before, entities=None, image=after.image)
    assert Path(str(after.image)).resolve() == Path("images/a.jpg").resolve() or after.image == image
    for old, new in zip(before.entities or (), after.entities or (), strict=True):
        assert new.masks == old.masks and (new.text, new.type, new.start, new.end) == (old.text, old.type, *_span(old))
        expected = old.boxes or tight_boxes(old.masks)
        if form == "coco":  # a mask always has its box beside it
            expected += tight_boxes(old.masks[len(expected) :])
        assert near(new.boxes, expected)


def _span(entity: Entity) -> tuple[int | None, int | None]:
    return entity.start, entity.end


def square(x: int, y: int, side: int) -> Mask:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    pixels[y : y + side, x : x + side] = True
    return encode_mask(pixels)


ADA = named("Ada", (Box(1, 1, 4, 4),), (square(1, 1, 3),))
ROME = named("Rome", (Box(0, 0, 9, 7),), (square(3, 2, 4),))


class TestCoco:
    def test_pycocotools_reads_it(self, tmp_path: Path) -> None:
        path = tmp_path / "posts.json"
        write(path, [post(ADA, ROME)], "coco")
        coco = COCO(str(path))
        assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["PER", "LOC", "ORG", "OTHER"]
        [image] = coco.loadImgs(coco.getImgIds())
        assert (image["width"], image["height"], image["file_name"]) == (WIDTH, HEIGHT, image["post"]["image"])
        first, second = coco.loadAnns(coco.getAnnIds())
        assert first["bbox"] == [1, 1, 3, 3] and first["area"] == 9 and second["category_id"] == 2
        for annotation, mask in ((first, ADA.masks[0]), (second, ROME.masks[0])):
            np.testing.assert_array_equal(coco.annToMask(annotation), decode_mask(mask))

    def test_everything_of_a_post_survives(self, tmp_path: Path) -> None:
        entity = replace(ADA, score=0.5, groundable=0.75, expression="Ada (PER)", provenance={"a": "b"}, extra={"c": 1})
        candidates = (Candidate(Box(0, 0, 1, 1), "face", 0.5),)
        before = post(entity, description="d", knowledge="k", candidates=candidates, image_size=(WIDTH, HEIGHT))
        write(tmp_path / "a.json", [before, replace(before, id="b", entities=None)], "coco")
        write(tmp_path / "a.jsonl", read(tmp_path / "a.json"))
        assert read(tmp_path / "a.jsonl") == read(tmp_path / "a.json")
        first, second = read(tmp_path / "a.json")
        assert first.entities == (entity,) and second.entities is None
        assert replace(first, image=None, entities=None) == replace(before, image=None, entities=None)

    def test_polygons_and_plain_runs_of_other_tools(self, tmp_path: Path) -> None:
        def change(coco: dict[str, Any]) -> None:
            coco["annotations"][0]["segmentation"] = [[1, 1, 4, 1, 4, 4, 1, 4], [6, 1, 8, 1, 8, 3, 6, 3]]
            coco["annotations"][1]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, 7, 56]}

        ada, rome = changed(tmp_path, change)[0].entities or ()
        expected = decode_mask(square(1, 1, 3)) | decode_mask(square(6, 1, 2))
        np.testing.assert_array_equal(decode_mask(ada.masks[0]), expected)
        assert mask_area(rome.masks[0]) == 7

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda coco: coco.pop("images"), "no known format"),
            (lambda coco: coco["images"][0].pop("post"), r"images\[0\]: a picture without a post"),
            (lambda coco: coco["images"].append(coco["images"][0]), "a number of its own"),
            (lambda coco: coco["images"].append(coco["images"][0] | {"id": 9}), "the id 'a-1' for the second time"),
            (lambda coco: coco["annotations"][0].update(image_id=5), "the id of a picture"),
            (lambda coco: coco["annotations"][0].update(entity=2), "one of the 2 entities"),
            (lambda coco: coco["annotations"][0].update(category_id=2), "that of 'Ada', PER"),
            (lambda coco: coco["categories"][0].update(name="CAR"), "entity type 'CAR'"),
            (lambda coco: coco["annotations"][0].update(bbox=[1, 1, 0, 1]), r"annotations\[0\]: box"),
            (lambda coco: coco["annotations"][0].update(bbox=[1, 1]), r"annotations\[0\].bbox"),
            (lambda coco: coco["annotations"][0].update(segmentation=[[1, 1, 2, 2]]), "at least 3 points"),
            (lambda coco: coco["annotations"][0]["segmentation"].update(size=[9, 9]), "runs cover 63 pixels"),
            (lambda coco: coco["images"][0].update(width=WIDTH + 1), "sizes"),
        ],
    )
    def test_what_is_broken_is_told(
        self, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            changed(tmp_path, change)
        if "format" not in message:
            [finding] = check(tmp_path / "posts.json")
            assert finding.level == "error"


def changed(folder: Path, change: Callable[[Any], object], form: str = "coco") -> list[Example]:
    """Two entities written, changed in the file, and read again."""
    path = folder / "posts.json"
    write(path, [post(ADA, ROME)], form)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return read(path)


def documented(code: list[int]) -> list[int]:
    """The words of a brush stroke, bit by bit as Label Studio's documentation of the code has it."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def take(size: int) -> int:
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    words: list[int] = []
    while len(words) < total:
        repeated, size = take(1), sizes[take(2)]
        length = take(size) + 1
        words += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    assert len(bits) - place < 8 and "1" not in bits[place:]
    return words


class TestBrush:
    @settings(max_examples=50)
    @given(MASKS)
    def test_the_documented_decoding_gives_the_mask(self, mask: Mask) -> None:
        words = np.array(documented(encode_brush(mask))).reshape(HEIGHT, WIDTH, 4)
        np.testing.assert_array_equal(words, np.repeat(decode_mask(mask)[..., None] * 255, 4, axis=2))
        assert decode_brush(encode_brush(mask), WIDTH, HEIGHT) == mask

    @pytest.mark.parametrize("size", [(300, 200), (1, 1), (70_000, 1), (1, 70_000)])
    def test_runs_longer_than_a_length_can_be(self, size: tuple[int, int]) -> None:
        for fill in (False, True):
            mask = encode_mask(np.full(size[::-1], fill))
            assert decode_brush(encode_brush(mask), *size) == mask
        assert set(documented(encode_brush(mask))) == {255}

    def test_strokes_of_the_tool_itself(self) -> None:
        """The tool writes the brush's colour, fading rims, and words that repeat nothing."""
        words = [200, 30, 7, 255] * 2 + [200, 30, 7, 127, 200, 30, 7, 128] + [0] * 8
        bits = f"{len(words):032b}00111" + "0011" * 4
        bits += "0" + "11" + f"{11:04b}" + "".join(f"{word:08b}" for word in words[:12])
        bits += "0" + "00" + f"{3:04b}" + "".join(f"{word:08b}" for word in words[12:16])
        bits += "1" + "01" + f"{7:04b}" + f"{0:08b}"
        bits += "0" * (-len(bits) % 8)
        code = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
        assert documented(code) == words
        assert decode_mask(decode_brush(code, 3, 2)).tolist() == [[True, True, False], [True, False, False]]

    @pytest.mark.parametrize("damage", ["short", "other size", "empty", "long run"])
    def test_damage_is_told(self, damage: str) -> None:
        code = encode_brush(square(1, 1, 3))
        code = {"short": code[:-3], "empty": [], "long run": code[:7] + [0b11111111] * 20}.get(damage, code)
        with pytest.raises(EntityError, match="a brush stroke with"):
            decode_brush(code, WIDTH + (damage == "other size"), HEIGHT)


class TestLabelStudio:
    def test_a_task(self, tmp_path: Path) -> None:
        write(tmp_path / "tasks.json", [post(ADA, ROME)], "label-studio")
        [task] = json.loads((tmp_path / "tasks.json").read_text())
        data = task["data"]
        assert data["text"] == TEXT and data["image"] == f"/data/local-files/?d={data['post']['image']}"
        [annotation] = task["annotations"]
        span, mask, line, *_ = annotation["result"]
        assert span["value"] == {"start": 3, "end": 6, "text": "Ada", "labels": ["PER"]}
        assert mask["type"] == "brush" and (mask["original_width"], mask["original_height"]) == (WIDTH, HEIGHT)
        assert (line["type"], line["from_id"], line["to_id"]) == ("relation", span["id"], mask["id"])
        [box] = [
            result for result in annotation["result"] if result["type"] == "rectangle"
        ]  # Ada's is that of her mask
        assert box["value"] == {"x": 0, "y": 0, "width": 100, "height": 100, "rotation": 0}

    def test_the_configuration_names_what_the_tasks_use(self, tmp_path: Path) -> None:
        write(tmp_path / "tasks.json", [post(ADA, ROME)], "label-studio")
        view = ET.fromstring((tmp_path / "tasks.xml").read_text())
        assert (tmp_path / "tasks.xml").read_text() == labeling_config()
        controls = {control.get("name"): control for control in view if control.get("toName")}
        [task] = json.loads((tmp_path / "tasks.json").read_text())
        for result in task["annotations"][0]["result"]:
            if result["type"] != "relation":
                control = controls[result["from_name"]]
                assert (control.tag.lower(), control.get("toName")) == (result["type"], result["to_name"])
        assert [label.get("value") for label in controls["type"]] == ["PER", "LOC", "ORG", "OTHER"]
        shown = {node.get("name"): str(node.get("value")) for node in view if node.get("value")}
        assert {name: value.removeprefix("$") in task["data"] for name, value in shown.items()} == {
            "text": True,
            "image": True,
        }

    def test_predictions_are_corrected_and_come_back_as_gold(self, tmp_path: Path) -> None:
        prediction = Prediction(example=post(), entities=(replace(ADA, score=0.5), ROME), image_size=(WIDTH, HEIGHT))
        write_rows(tmp_path / "predicted.jsonl", [prediction])
        run = CliRunner().invoke
        tasks = tmp_path / "tasks.json"
        options = ["--to", "label-studio-predictions"]
        result = run(app, ["data", "convert", str(tmp_path / "predicted.jsonl"), str(tasks), *options])
        assert result.exit_code == 0 and "no place for it: scores, expressions" in result.stderr
        [task] = json.loads(tasks.read_text())
        assert "annotations" not in task and task["predictions"][0]["result"][0]["score"] == 0.5
        [unseen] = read(tasks)
        assert unseen.entities is None  # nobody has annotated it
        corrected = [part for part in task["predictions"][0]["result"] if "e1" not in json.dumps(part)]
        corrected[0]["value"]["labels"] = ["ORG"]
        exported = task | {"annotations": [{"id": 7, "was_cancelled": False, "result": corrected}]}
        tasks.write_text(json.dumps([exported]))
        assert run(app, ["data", "convert", str(tasks), str(tmp_path / "gold.jsonl")]).exit_code == 0
        [gold] = read(tmp_path / "gold.jsonl")
        assert gold.entities == (replace(ADA, type="ORG", score=0.5),)
        [again] = read_predictions(tmp_path / "gold.jsonl")
        assert again.id == "a-1" and again.image_size == (WIDTH, HEIGHT)

    def test_offsets_of_older_versions_count_emoji_twice(self, tmp_path: Path) -> None:
        def shift(tasks: list[Any]) -> None:
            for result in tasks[0]["annotations"][0]["result"]:
                if result["type"] == "labels":
                    result["value"]["start"] += 2
                    result["value"]["end"] += 2

        [found] = changed(tmp_path, shift, "label-studio")
        assert [(entity.text, entity.start) for entity in found.entities or ()] == [("Ada", 3), ("Rome", 10)]

    def test_lines_may_be_drawn_from_either_end_and_regions_may_have_labels(self, tmp_path: Path) -> None:
        def change(tasks: list[Any]) -> None:
            for result in tasks[0]["annotations"][0]["result"]:
                if result["type"] == "relation":
                    result["from_id"], result["to_id"] = result["to_id"], result["from_id"]
                if result["type"] in ("rectangle", "brush"):
                    result["type"] += "labels"
                    result["value"][result["type"]] = ["PER"]

        [found] = changed(tmp_path, change, "label-studio")
        assert [entity.masks for entity in found.entities or ()] == [ADA.masks, ROME.masks]

    def test_of_several_annotations_the_ground_truth_counts(self, tmp_path: Path) -> None:
        def second(**marks: bool) -> Callable[[Any], None]:
            return lambda tasks: tasks[0]["annotations"].append({"result": [], **marks})

        assert changed(tmp_path, second(ground_truth=True), "label-studio")[0].entities == ()
        assert len(changed(tmp_path, second(was_cancelled=True), "label-studio")[0].entities or ()) == 2
        with pytest.raises(DataError, match="2 annotations of post 'a-1'"):
            changed(tmp_path, second(), "label-studio")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda results: results[0]["value"].update(text="Eve"), "reads 'Ada' in the text"),
            (lambda results: results[0]["value"].update(end=99), "99"),
            (lambda results: results[0]["value"].update(labels=["CAR"]), "entity type 'CAR'"),
            (lambda results: results[0]["value"].update(labels=[]), "one type"),
            (lambda results: results[0].update(type="choices"), "labels, relation, rectangle"),
            (lambda results: results.pop(2), "region 'e0r0' belongs to 0 names"),
            (lambda results: results[2].update(from_id="e9"), "region 'e0r0' belongs to 0 names"),
            (lambda results: results.append(results[2] | {"from_id": "e1"}), "region 'e0r0' belongs to 2 names"),
            (lambda results: results[1].update(original_width=8), "252 words"),
            (lambda results: results[1].update(original_width=10**6, original_height=10**6), "at most"),
            (lambda results: results[1].update(image_rotation=90), "upright"),
            (lambda results: results[1]["value"].update(rle=[1, 300]), "0 to 255"),
            (lambda results: results[1]["value"].update(format="png"), "rle"),
            (lambda results: results[4].update(original_width=8), "pictures of the sizes"),
            (lambda results: results[4]["value"].update(rotation=30), "upright"),
            (lambda results: results[4]["value"].update(width=0), r"box \["),
            (lambda results: results[4]["value"].pop("x"), r"result\[4\].value.x` is missing"),
        ],
    )
    def test_what_is_broken_is_told(self, tmp_path: Path, change: Callable[[list[Any]], object], message: str) -> None:
        with pytest.raises(DataError, match=message) as error:
            changed(tmp_path, lambda tasks: change(tasks[0]["annotations"][0]["result"]), "label-studio")
        assert str(error.value).startswith(f"{tmp_path / 'posts.json'}: task 1: ")
        findings = [finding for finding in check(tmp_path / "posts.json") if finding.level == "error"]
        assert [finding.where for finding in findings] == [f"{tmp_path / 'posts.json'}: task 1"]

    def test_what_can_not_be_a_task_is_refused(self, tmp_path: Path) -> None:
        nowhere = Entity("Ada", "PER")
        for bad, message in ((replace(post(ADA), image=None), "no picture"), (post(nowhere), "has no offsets")):
            with pytest.raises(DataError, match=message):
                write(tmp_path / "tasks.json", [bad], "label-studio")
        assert not (tmp_path / "tasks.json").exists()


def test_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'coco'"):
        write(tmp_path / "posts.json", [post(ADA)], "cocoa")
    with pytest.raises(DataError, match="label-studio-predictions"):
        write(tmp_path / "posts.json", [post(ADA)])
    for name, form in (("posts.jsonl", "coco"), ("posts.json", "twitter-smner"), ("posts.jsonl", "parquet")):
        with pytest.raises(DataError, match=f"the ending {Path(name).suffix} for {form}"):
            write(tmp_path / name, [post(ADA)], form)
    (tmp_path / "other.json").write_text('{"shapes": []}')
    with pytest.raises(DataError, match="JSON of no known format"):
        read(tmp_path / "other.json")


def test_tools_files_are_counted_like_rows(tmp_path: Path) -> None:
    before = post(ADA, ROME, extra={"split": "dev"})
    for form in TOOLS:
        write(tmp_path / f"{form}.json", [before], form)
        corpus = read_corpus(tmp_path / f"{form}.json")
        assert list(corpus.splits) == ["dev"] and corpus.masks is not None
        assert corpus.masks["a-1"] == {"Ada": ADA.masks, "Rome": ROME.masks}
