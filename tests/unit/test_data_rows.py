"""The row format: what is read, kept, written back and refused."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmner.data import (
    iterate_rows,
    read,
    read_examples,
    read_predictions,
    row_from_example,
    row_from_prediction,
    write_rows,
)
from gmner.data.ids import SeenIds
from gmner.data.jsonl import count_records
from gmner.data.rows import SCHEMA, example_from_row, iterate_given, prediction_from_row
from gmner.errors import DataError
from gmner.geometry import decode_mask, encode_mask
from gmner.types import Box, Candidate, Entity, Example, Prediction

PIXELS = np.zeros((4, 5), dtype=bool)
PIXELS[1:3, 2:4] = True
MASK = encode_mask(PIXELS)

POST = Example(
    id="17",
    text="Ada Quill of the Otters",
    tokens=("Ada", "Quill", "of", "the", "Otters"),
    image="pictures/17.jpg",
    image_size=(5, 4),
    caption="a woman",
    description="A woman.\n\nShe waves.",
    knowledge="Named entities: 1. Ada Quill",
    entities=(
        Entity("Ada Quill", "PER", 0, 9, (Box(1.5, 0, 3, 4), Box(0, 0, 1, 1)), (MASK,), extra={"by": [1, None]}),
        Entity("Otters", "ORG", 17, 23),
    ),
    extra={"split": "test", "likes": 3, "note": None},
)
PREDICTION = Prediction(
    example=Example(id="17", text="Ada Quill of the Otters", image="pictures/17.jpg", extra={"lang": "en"}),
    entities=(
        Entity(
            "Ada Quill", "PER", 0, 9, (Box(1, 0, 3, 4),), (MASK,), 0.75, 0.5, "Ada Quill (PER)", {"recognise": "crf"}
        ),
        Entity("Otters", "ORG"),
    ),
    candidates=(Candidate(Box(1, 0, 3, 4), "face", 0.9), Candidate(Box(0, 0, 1, 1), "lettering", 0.5, "OTTERS")),
    image_size=(5, 4),
    notes=("the picture is small",),
)


def write_lines(path: Path, *lines: object) -> Path:
    """A JSONL file of objects, or of lines as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
class TestBothFiles:
    def test_examples_come_back(self, tmp_path: Path, name: str) -> None:
        bare = Example(id="18", tokens=("nothing", "here"))
        empty = Example(id="19", text="nobody", entities=(), candidates=())
        posts = [replace(POST, image=str(tmp_path / "pictures/17.jpg")), bare, empty]
        write_rows(tmp_path / name, posts)
        assert read_examples(tmp_path / name) == posts

    def test_predictions_come_back(self, tmp_path: Path, name: str) -> None:
        image = str(tmp_path / "pictures/17.jpg")
        predictions = [
            replace(PREDICTION, example=replace(PREDICTION.example, image=image)),
            Prediction(example=Example(id="18", text="nothing here")),
        ]
        write_rows(tmp_path / name, predictions)
        assert read_predictions(tmp_path / name) == predictions

    def test_image_paths_are_relative_to_the_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "out").mkdir()
        write_rows(tmp_path / "out" / name, [Example(id="1", text="x", image=tmp_path / "pictures" / "1.jpg")])
        [(_, row)] = iterate_rows(tmp_path / "out" / name)
        assert row["image"] == str(tmp_path / "out" / "../pictures/1.jpg")

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, name: str) -> None:
        write_rows(tmp_path / name, [POST])
        before = (tmp_path / name).read_bytes()
        unwritable = Example(id="2", text="x", image=np.zeros((2, 2, 3), np.uint8))
        with pytest.raises(DataError, match="in memory only"):
            write_rows(tmp_path / name, [POST, unwritable])
        assert (tmp_path / name).read_bytes() == before
        assert list(tmp_path.iterdir()) == [tmp_path / name]

    def test_a_missing_folder_is_told(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match="No such file or directory"):
            write_rows(tmp_path / "absent" / name, [POST])

    def test_a_missing_file_is_told(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match="No such file"):
            read_examples(tmp_path / name)


def test_parquet_and_jsonl_give_the_same_rows(tmp_path: Path) -> None:
    odd = Example(id="18", text="Ada Quill of the Otters", extra={"extra": "a key called extra", "schema": 7})
    for name in ("rows.jsonl", "rows.parquet"):
        write_rows(tmp_path / name, [POST, replace(PREDICTION, example=odd)])
    assert list(iterate_rows(tmp_path / "rows.jsonl")) == list(iterate_rows(tmp_path / "rows.parquet"))


def test_parquet_says_its_version_in_the_metadata(tmp_path: Path) -> None:
    import pyarrow.parquet

    write_rows(tmp_path / "rows.parquet", [POST])
    schema = pyarrow.parquet.read_schema(tmp_path / "rows.parquet")
    assert schema.metadata[b"gmner_schema"] == str(SCHEMA).encode()
    assert "schema" not in schema.names


def test_parquet_of_others_and_no_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": ["Ada", "Bo"], "lang": ["en", None]})
    pyarrow.parquet.write_table(table, tmp_path / "other.parquet")
    first, second = read_examples(tmp_path / "other.parquet")
    assert (first.id, first.text, first.extra, second.extra) == ("row-1", "Ada", {"lang": "en"}, {})
    (tmp_path / "bad.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(DataError, match=r"bad\.parquet: not a Parquet file"):
        read_examples(tmp_path / "bad.parquet")


def test_a_written_row_reads_as_documented() -> None:
    assert row_from_example(POST) == {
        "schema": 1,
        "id": "17",
        "text": "Ada Quill of the Otters",
        "tokens": ["Ada", "Quill", "of", "the", "Otters"],
        "image": "pictures/17.jpg",
        "caption": "a woman",
        "description": "A woman.\n\nShe waves.",
        "knowledge": "Named entities: 1. Ada Quill",
        "image_size": [5, 4],
        "entities": [
            {
                "text": "Ada Quill",
                "type": "PER",
                "start": 0,
                "end": 9,
                "boxes": [[1.5, 0.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0]],
                "masks": [{"size": [4, 5], "counts": MASK.counts}],
                "by": [1, None],
            },
            {"text": "Otters", "type": "ORG", "start": 17, "end": 23, "boxes": [], "masks": []},
        ],
        "split": "test",
        "likes": 3,
        "note": None,
    }


def test_a_predicted_row_has_what_the_stages_added() -> None:
    row = row_from_prediction(PREDICTION)
    assert row["entities"][0] == {
        "text": "Ada Quill",
        "type": "PER",
        "start": 0,
        "end": 9,
        "boxes": [[1.0, 0.0, 3.0, 4.0]],
        "masks": [{"size": [4, 5], "counts": MASK.counts}],
        "score": 0.75,
        "groundable": 0.5,
        "expression": "Ada Quill (PER)",
        "provenance": {"recognise": "crf"},
    }
    assert row["candidates"][1] == {"box": [0.0, 0.0, 1.0, 1.0], "kind": "lettering", "score": 0.5, "text": "OTTERS"}
    assert (row["notes"], row["image_size"], row["lang"]) == (["the picture is small"], [5, 4], "en")


def test_a_prediction_read_as_gold_and_predicted_again_keeps_no_old_notes() -> None:
    gold = example_from_row(row_from_prediction(PREDICTION), "here")
    assert gold.extra["notes"] == ["the picture is small"]
    assert gold.entities == PREDICTION.entities
    assert row_from_example(gold)["notes"] == ["the picture is small"]
    assert "notes" not in row_from_prediction(Prediction(example=gold))


def test_a_prediction_from_a_picture_in_memory_names_none() -> None:
    post = Example(id="1", text="Ada", image=np.zeros((2, 2, 3), np.uint8))
    assert "image" not in row_from_prediction(Prediction(example=post))


class TestReading:
    def test_what_a_row_may_leave_out(self, tmp_path: Path) -> None:
        path = write_lines(
            tmp_path / "rows.jsonl",
            {"text": "Ada Quill", "entities": [{"start": 0, "end": 3, "type": "PER"}]},
            {"tokens": ["Ada", "Quill"], "entities": [{"text": "Quill", "type": "MISC"}]},
            {"id": 9, "text": "x", "caption": None, "entities": None},
        )
        first, second, third = read_examples(path)
        assert (first.id, first.entities) == ("row-1", (Entity("Ada", "PER", 0, 3),))
        assert (second.id, second.text, second.entities) == ("row-2", "Ada Quill", (Entity("Quill", "OTHER"),))
        assert (third.id, third.caption, third.entities, third.extra) == ("9", None, None, {})

    def test_the_first_row_may_follow_a_mark_and_lines_may_end_as_on_windows(self, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "Ada"}\r\n\r\n{"text": "Bo"}')
        posts = read_examples(tmp_path / "rows.jsonl")
        assert [(post.id, post.text) for post in posts] == [("row-1", "Ada"), ("row-3", "Bo")]

    def test_lines_end_at_line_feeds_only(self, tmp_path: Path) -> None:
        text = "one\u2028two\x85three\x0cfour"
        path = tmp_path / "rows.jsonl"
        path.write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
        assert [post.text for post in read_examples(path)] == [text]

    @pytest.mark.parametrize("counts", [[7, 2, 2, 2, 7], [0, 0, 9, 2, 2, 2, 5]])
    def test_uncompressed_masks_are_read(self, counts: list[int]) -> None:
        row = {"text": "A", "entities": [{"text": "A", "type": "PER", "masks": [{"size": [4, 5], "counts": counts}]}]}
        [mask] = example_from_row(row, "here").entities[0].masks
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        assert (decode_mask(mask) == flat.reshape(4, 5, order="F")).all()

    def test_addresses_and_absolute_paths_stay(self, tmp_path: Path) -> None:
        images = ["https://example.org/a.jpg", "/elsewhere/a.jpg"]
        path = write_lines(tmp_path / "rows.jsonl", *({"text": "x", "image": image} for image in images))
        posts = read_examples(path)
        assert [post.image for post in posts] == images
        assert [row_from_example(post, tmp_path)["image"] for post in posts] == images

    def test_surface_strings_need_no_place_in_the_text(self) -> None:
        row = {"text": "Ada", "entities": [{"text": "not there", "type": "PER", "score": 1}]}
        assert prediction_from_row(row, "here").entities == (Entity("not there", "PER", score=1.0),)


ENTITY = {"text": "Ada", "type": "PER", "start": 0, "end": 3}
MASK_ROW = {"size": [4, 5], "counts": MASK.counts}
BAD_ROWS = {
    "no JSON": ('{"text": "Ada"', "not JSON: Expecting ',' delimiter at column 15"),
    "a key twice": ('{"text": "Ada", "text": "Bo"}', "the key 'text' for the second time"),
    "a key twice within": ('{"text": "Ada", "more": [{"a": 1, "b": 2, "b": 3}]}', "the key 'b' for the second time"),
    "a list": (["Ada"], "a JSON list instead of an object"),
    "NaN": ('{"text": "Ada", "score": NaN}', "the number NaN"),
    "infinity": ('{"text": "Ada", "score": 1e999}', "the number 1e999"),
    "half a character": (r'{"text": "Ada", "caption": "\ud83d"}', "half a character"),
    "depth": ("[" * 100_000, "recursion"),
    "no text": ({"tweet": "Ada"}, "`text` is missing; `text` is given, or `tokens` are"),
    "an empty text": ({"text": ""}, "the text of post 'row-2' is empty"),
    "text": ({"text": 3}, "`text` is 3; `text` is a string"),
    "a newer version": ({"text": "Ada", "schema": 2}, "version 2 of the row format; this gmner reads up to version 1"),
    "a version of words": ({"text": "Ada", "schema": "one"}, "`schema` is 'one'"),
    "id": ({"text": "Ada", "id": 1.5}, "`id` is 1.5"),
    "id twice": ({"text": "Ada", "id": "first"}, r"the id 'first' for the second time \(first in line 1\)"),
    "tokens": ({"tokens": "Ada"}, "`tokens` is 'Ada'; `tokens` is a list of strings"),
    "blank in a token": ({"tokens": ["A da"]}, "a token that is empty or holds a blank"),
    "tokens of another text": ({"text": "Ada", "tokens": ["Bo"]}, "not with the token 'Bo'"),
    "image": ({"text": "Ada", "image": {"bytes": ""}}, "`image` is "),
    "size": ({"text": "Ada", "image_size": [0, 4]}, r"`image_size` is \[0, 4\]"),
    "notes": ({"text": "Ada", "notes": "one"}, "`notes` is 'one'"),
    "entities": ({"text": "Ada", "entities": {}}, "`entities` is {}"),
    "an entity": ({"text": "Ada", "entities": [ENTITY, "Ada"]}, r"`entities\[1\]` is 'Ada'"),
    "type missing": ({"text": "Ada", "entities": [{"text": "Ada"}]}, r"`entities\[0\].type` is missing"),
    "type": ({"text": "Ada", "entities": [{**ENTITY, "type": "DATE"}]}, "entity type 'DATE'"),
    "no name": ({"text": "Ada", "entities": [{"type": "PER"}]}, r"`entities\[0\].text` is missing"),
    "half a span": ({"text": "Ada", "entities": [{"text": "Ada", "type": "PER", "start": 0}]}, "spans 0 to None"),
    "another span": ({"text": "Bob", "entities": [ENTITY]}, "entity 'Ada' at 0:3 reads 'Bob' in the text"),
    "past the end": ({"text": "Ada", "entities": [{"type": "PER", "start": 7, "end": 9}]}, "at 7:9"),
    "true": ({"text": "Ada", "entities": [{**ENTITY, "start": True}]}, r"`entities\[0\].start` is True"),
    "score": ({"text": "Ada", "entities": [{**ENTITY, "score": "high"}]}, "`entities.0..score` is 'high'"),
    "groundable": ({"text": "Ada", "entities": [{**ENTITY, "groundable": 1.5}]}, "a number from 0 to 1"),
    "provenance": ({"text": "Ada", "entities": [{**ENTITY, "provenance": {"a": 1}}]}, "an object of strings"),
    "three corners": ({"text": "Ada", "entities": [{**ENTITY, "boxes": [[1, 2, 3]]}]}, r"is \[\[1, 2, 3\]\]"),
    "corners swapped": ({"text": "Ada", "entities": [{**ENTITY, "boxes": [[3, 0, 1, 2]]}]}, r"box \[3.0, 0.0"),
    "huge": ({"text": "Ada", "entities": [{**ENTITY, "boxes": [[0, 0, 1, 10**400]]}]}, "boxes` is"),
    "mask short": (
        {"text": "Ada", "entities": [{**ENTITY, "masks": [{**MASK_ROW, "size": [4, 4]}]}]},
        r"a mask of size \[4, 4\]",
    ),
    "runs short": ({"text": "Ada", "entities": [{**ENTITY, "masks": [{"size": [4, 5], "counts": [1]}]}]}, "a mask of"),
    "mask key": (
        {"text": "Ada", "entities": [{**ENTITY, "masks": [{**MASK_ROW, "area": 4}]}]},
        r"`entities\[0\].masks\[0\].area` is 4",
    ),
    "candidate": ({"text": "Ada", "candidates": [{"box": [0, 0, 1, 1]}]}, r"`candidates\[0\].kind` is missing"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_told_with_its_line_and_the_others_are_read(tmp_path: Path, name: str) -> None:
    line, message = BAD_ROWS[name]
    path = write_lines(tmp_path / "rows.jsonl", {"text": "Bo", "id": "first"}, line, {"text": "Cy"})
    with pytest.raises(DataError, match=message) as raised:
        read_examples(path)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert str(raised.value).count(str(path)) == 1
    if name not in ("notes", "candidate"):
        with pytest.raises(DataError, match=message):
            read_predictions(path)
    good = []
    for number, row in iterate_rows(path):
        try:
            good.append((number, example_from_row(row, "").text if isinstance(row, dict) else None))
        except DataError:
            good.append((number, None))
    assert good == [(1, "Bo"), (2, None), (3, "Cy")]


def test_a_line_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"text": "Ada"}\n{"text": "\xe9"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:2: a byte that is not UTF-8 \(0xe9\)"):
        read_examples(tmp_path / "rows.jsonl")


words = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
extras = st.dictionaries(words.map("x_{}".format), json_values, max_size=3)


@st.composite
def posts(draw: st.DrawFn) -> Example:
    tokens = tuple(draw(st.lists(words, min_size=1, max_size=6)))
    text = " ".join(tokens)
    corner, side = st.floats(0, 500, allow_subnormal=False), st.floats(1, 500)
    boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), corner, corner, side, side)
    entities = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        placed = draw(st.booleans())
        entities.append(
            Entity(
                text=text[start:end],
                type=draw(st.sampled_from(["PER", "LOC", "ORG", "OTHER"])),
                start=start if placed else None,
                end=end if placed else None,
                boxes=tuple(draw(st.lists(boxes, max_size=2))),
                score=draw(st.none() | st.floats(0, 1)),
                expression=draw(st.none() | words),
                provenance=draw(st.dictionaries(words, words, max_size=2)),
                extra=draw(extras),
            )
        )
    return Example(
        id=draw(words),
        tokens=tokens if draw(st.booleans()) else None,
        text=text,
        entities=draw(st.sampled_from([None, tuple(entities)])),
        caption=draw(st.none() | words),
        extra=draw(extras),
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(posts(), max_size=4, unique_by=lambda post: post.id))
def test_any_posts_survive_both_files(tmp_path_factory: pytest.TempPathFactory, some: list[Example]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    for name in ("rows.jsonl", "rows.parquet"):
        write_rows(folder / name, some)
        assert read_examples(folder / name) == some


def test_reading_text_formats_loads_neither_torch_nor_pyarrow() -> None:
    code = "import sys, gmner.data, gmner.cli.data; print({'torch', 'pyarrow', 'transformers'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_zero_is_an_id(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_text('{"id": 0, "text": "a"}\n{"id": 1, "text": "b"}\n{"id": "", "text": "c"}\n', encoding="utf-8")
    assert [post.id for post in read_examples(file)] == ["0", "1", "row-3"]
    assert example_from_row({"id": 0, "text": "a"}, "here").id == "0"


def test_a_picture_is_found_from_a_folder_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "home" / "pictures").mkdir(parents=True)
    (tmp_path / "home" / "out").symlink_to(tmp_path / "elsewhere" / "deep", target_is_directory=True)
    (tmp_path / "store.jpg").write_bytes(b"a picture")
    (tmp_path / "home" / "pictures" / "17.jpg").symlink_to(tmp_path / "store.jpg")
    file = tmp_path / "home" / "out" / "posts.jsonl"
    write_rows(file, [Example(id="1", text="a", image=str(tmp_path / "home" / "pictures" / "17.jpg"))])
    [post] = read_examples(file)
    assert Path(str(post.image)).read_bytes() == b"a picture"
    assert Path(str(post.image)).name == "17.jpg"


@pytest.mark.parametrize("name", ["note/out.jsonl", f"{'x' * 300}.jsonl", "."])
def test_where_nothing_can_be_written_is_one_error(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note").write_text("a file", encoding="utf-8")
    with pytest.raises(DataError, match="check the path"):
        write_rows(name, [Example(id="1", text="a")])
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize(
    "column", [[timedelta(days=1)], [b"jpeg"], [float("nan")], [{"bytes": b"jpeg", "path": "a.jpg"}]]
)
def test_foreign_parquet_values_that_json_can_not_hold_are_bad_rows(tmp_path: Path, column: list[object]) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "other": column}), tmp_path / "posts.parquet")
    [(number, error)] = iterate_rows(tmp_path / "posts.parquet")
    assert number == 1
    assert isinstance(error, DataError)
    assert "posts.parquet:1: the column 'other'" in str(error)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 678), "2026-01-02T03:04:05.000678"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Decimal("1.10"), "1.10"),
        ([{"at": date(2026, 1, 2)}], [{"at": "2026-01-02"}]),
    ],
)
def test_dates_times_and_decimals_of_foreign_columns_are_kept_as_text(
    tmp_path: Path, value: object, kept: object
) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "other": [value]}), tmp_path / "posts.parquet")
    [post] = read_examples(tmp_path / "posts.parquet")
    assert post.extra == {"other": kept}
    write_rows(tmp_path / "posts.jsonl", [post])
    assert read_examples(tmp_path / "posts.jsonl") == [post]


@pytest.mark.parametrize("extra", [5, "[1]"])
def test_a_foreign_column_called_extra_is_one_error(tmp_path: Path, extra: object) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "extra": [extra]}), tmp_path / "posts.parquet")
    with pytest.raises(DataError, match="not a Parquet file of posts"):
        read_examples(tmp_path / "posts.parquet")


def test_a_folder_of_row_files_is_a_data_set(tmp_path: Path) -> None:
    for split, ids in (("train", "ab"), ("valid", "c")):
        write_rows(tmp_path / f"{split}.jsonl", [Example(id=name, text="Ada") for name in ids])
    assert [(post.id, post.extra["split"]) for post in read(tmp_path)] == [("a", "train"), ("b", "train"), ("c", "dev")]
    assert [post.id for post in read(tmp_path, "dev")] == ["c"] == [post.id for post in read(tmp_path, "valid")]
    with pytest.raises(DataError, match="no file for the split test; it has train, dev"):
        read(tmp_path, "test")
    write_rows(tmp_path / "dev.parquet", [Example(id="d", text="Ada")])
    with pytest.raises(DataError, match=r"both dev.parquet and valid.jsonl"):
        read(tmp_path)


def test_a_row_without_id_and_an_id_that_is_its_number_are_two_posts(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"text": "a"}, {"id": 1, "text": "b"}, {"id": "row-1", "text": "c"})
    first, second, (number, given, refused) = iterate_given(path)
    assert [row.row["id"] for row in (first, second) if isinstance(row.row, dict)] == ["row-1", "1"]
    assert (number, given) == (3, {"id": "row-1", "text": "c"})
    assert isinstance(refused, DataError) and "'row-1' for the second time (first in line 1)" in str(refused)


def test_ids_do_not_fill_the_memory(tmp_path: Path) -> None:
    ids = SeenIds()
    tracemalloc.start()
    assert all(ids.first(f"post number {number}", number) == number for number in range(50_000))
    assert tracemalloc.get_traced_memory()[1] < 100_000  # bytes of Python's; a dict takes 8 million
    tracemalloc.stop()
    assert ids.first("post number 17", 99) == 17


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("length", [63, 64, 65, 129, 130, 131, 200])
def test_a_line_past_the_cap_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: str
) -> None:
    monkeypatch.setattr("gmner.data.jsonl.LONGEST", 64)
    long = json.dumps({"text": "x" * (length - 12)}) + end  # so many bytes before the line's end
    assert len(long) == length + len(end)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "Ada"}\n' + long + ('{"text": "Bo"}\n' if end else ""), encoding="utf-8")
    rows = list(iterate_rows(path))
    assert [number for number, _ in rows] == ([1, 2, 3] if end else [1, 2])
    assert isinstance(rows[1][1], DataError) == (len(long) > 64)
    assert isinstance(rows[-1][1], dict) or not end
    assert count_records(path) == len(rows)
