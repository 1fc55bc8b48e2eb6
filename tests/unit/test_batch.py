"""Files of posts go in, files of predictions and of errors come out, whatever is in a row."""

import errno
import gc
import json
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from tests.killing import Capitals

from gmner.batch import files
from gmner.batch.source import Source
from gmner.batch.summary import Summary
from gmner.data.rows import GivenRow, read_predictions, write_rows
from gmner.errors import ConfigError, DataError, FailureError, GmnerError
from gmner.image import open_image
from gmner.systems import cascade
from gmner.systems.cascade import NO_PICTURE, Cascade
from gmner.systems.system import System
from gmner.types import Entity, Example, Prediction


class Watched(Capitals):
    """Remembers how many posts each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        self.calls.append(len(examples))
        return super().attempt(examples)


def predict_file(system: System, source: Path, target: Path, **choices: Any) -> Summary:
    """The run in this process, with a system that is made already."""
    return files.predict_file(lambda: system, Source(source), target, **choices)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def source_of(folder: Path, *rows: object) -> Path:
    path = folder / "posts.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


MIXED = (
    {"id": "a", "text": "we met Bob and Eve"},
    "{not json",
    {"id": "b", "text": "  "},
    {"id": "c", "text": "SHOUT"},
    {"id": "d", "text": "nobody"},
    "",
    {"id": "a", "text": "a again"},
    {"id": "e", "text": 7},
    {"text": "the last is Zoe", "likes": 3},
)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_bad_rows_are_kept_beside_the_results(tmp_path: Path, batch_size: int) -> None:
    source, target = source_of(tmp_path, *MIXED), tmp_path / "out.jsonl"
    system = Watched()
    summary = predict_file(system, source, target, batch_size=batch_size)
    errors = tmp_path / "out.errors.jsonl"
    assert summary == Summary(posts=3, entities=3, errors=5, errors_file=errors)
    assert str(summary) == f"3 posts with 3 entities, 5 errors (kept in {errors})"
    assert [(post.id, [entity.text for entity in post.entities]) for post in read_predictions(target)] == [
        ("a", ["Bob", "Eve"]),
        ("d", []),
        ("row-9", ["Zoe"]),
    ]
    assert lines(target)[2]["likes"] == 3
    kept = lines(errors)
    assert [set(error) for error in kept] == [{"line", "id", "error", "row"}] * 5
    assert [(error["line"], error["id"]) for error in kept] == [(2, None), (3, "b"), (4, "c"), (7, "a"), (8, "e")]
    assert "not JSON" in kept[0]["error"] and kept[0]["row"] is None  # type: ignore[operator]
    assert kept[3]["row"] == {"id": "a", "text": "a again"}
    assert kept[2]["row"]["text"] == "SHOUT" and kept[2]["error"] == "a post that shouts; posts speak; be calm."  # type: ignore[index]
    assert max(system.calls) <= batch_size and sum(system.calls) == 4


def test_results_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    source = source_of(tmp_path, *MIXED)
    outputs = []
    for size in (1, 4, 50):
        predict_file(Capitals(), source, tmp_path / "out.jsonl", batch_size=size)
        outputs.append([(tmp_path / name).read_bytes() for name in ("out.jsonl", "out.errors.jsonl")])
    assert outputs[0] == outputs[1] == outputs[2]


def test_no_more_than_a_batch_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def endless(path: Path) -> Iterator[GivenRow]:
        nonlocal read
        for number in range(1, 1001):
            read += 1
            row = {"id": str(number), "text": "Bob"}
            yield GivenRow(number, row, row)

    class Watching(Watched):
        def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
            assert read <= sum(self.calls) + 10
            return super().attempt(examples)

    monkeypatch.setattr("gmner.batch.source.iterate_given", endless)
    summary = predict_file(Watching(), source_of(tmp_path), tmp_path / "out.jsonl", batch_size=10)
    assert summary.posts == 1000 and read == 1000


def test_without_errors_there_is_no_file_of_errors(tmp_path: Path) -> None:
    stale = tmp_path / "out.errors.jsonl"
    stale.write_text("old\n")
    summary = predict_file(Capitals(), source_of(tmp_path, MIXED[0]), tmp_path / "out.jsonl")
    assert summary == Summary(posts=1, entities=2, errors=0, errors_file=None)
    assert not stale.exists() and sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "posts.jsonl"]


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    assert predict_file(Capitals(), source_of(tmp_path), tmp_path / "out.jsonl").posts == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_only_bad_rows_give_an_empty_file(tmp_path: Path) -> None:
    system = Watched()
    assert predict_file(system, source_of(tmp_path, "[]", "{"), tmp_path / "out.jsonl").errors == 2
    assert (tmp_path / "out.jsonl").read_bytes() == b"" and system.calls == []


def test_an_interrupted_run_leaves_what_was_there_and_is_gone_on_with(tmp_path: Path) -> None:
    class Interrupted(Watched):
        def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().attempt(examples)

    source, target, errors = source_of(tmp_path, *MIXED), tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"
    predict_file(Capitals(), source, target)
    whole = target.read_bytes(), errors.read_bytes()
    target.write_text("old\n")
    errors.write_text("old errors\n")
    with pytest.raises(KeyboardInterrupt):
        predict_file(Interrupted(), source, target, batch_size=1)
    assert target.read_text() == "old\n" and errors.read_text() == "old errors\n"
    assert len(list(tmp_path.iterdir())) == 4
    said: list[str] = []
    rest = Watched()
    predict_file(rest, source, target, say=said.append)
    assert (target.read_bytes(), errors.read_bytes()) == whole
    assert rest.calls == [2]  # of four readable posts
    assert said == [f"going on after 4 rows that are done, from {tmp_path / 'out.jsonl.unfinished'}"]
    assert len(list(tmp_path.iterdir())) == 3


def test_posts_that_make_the_system_fail_are_errors_and_the_others_are_not(tmp_path: Path) -> None:
    source = source_of(tmp_path, {"text": "Ada"}, {"text": "fail"}, {"text": "Bob"}, {"text": "fail again"})
    summary = predict_file(Capitals(), source, tmp_path / "out.jsonl")
    assert (summary.posts, summary.errors) == (2, 2)
    [first, _] = lines(tmp_path / "out.errors.jsonl")
    assert first["line"] == 2 and "RuntimeError: no memory (killing.py:" in str(first["error"])
    assert first["row"] == {"text": "fail"}


def test_a_system_that_fails_on_post_after_post_stops_the_run_and_those_are_not_done(tmp_path: Path) -> None:
    rows = [{"text": "Ada"}] * 3 + [{"text": "fail"}] * 30
    with pytest.raises(FailureError, match=r"post after post, at last in row 23: .*no memory"):
        predict_file(Capitals(), source_of(tmp_path, *rows), tmp_path / "out.jsonl", batch_size=1)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["out.jsonl.unfinished", "posts.jsonl"]
    mended = Watched()
    mended._one = lambda example: Prediction(example=example)  # type: ignore[method-assign]
    assert predict_file(mended, tmp_path / "posts.jsonl", tmp_path / "out.jsonl") == Summary(33, 3, 0, None)
    assert sum(mended.calls) == 30


def test_a_missing_source_and_an_unwritable_target_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.jsonl: No such file"):
        predict_file(Capitals(), tmp_path / "missing.jsonl", tmp_path / "out.jsonl")
    source = source_of(tmp_path, MIXED[0])
    with pytest.raises(DataError, match=r"posts\.jsonl"):
        predict_file(Capitals(), source, source / "out.jsonl")  # a file stands where the folder would be
    assert [p.name for p in tmp_path.iterdir()] == ["posts.jsonl"]


def test_the_folder_of_the_target_is_made(tmp_path: Path) -> None:
    summary = predict_file(Capitals(), source_of(tmp_path, MIXED[0]), tmp_path / "new" / "folder" / "out.jsonl")
    assert len(read_predictions(tmp_path / "new" / "folder" / "out.jsonl")) == summary.posts == 1


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = source_of(tmp_path, MIXED[0])
    before = source.read_bytes()
    with pytest.raises(DataError, match="what is read"):
        predict_file(Capitals(), source, tmp_path / "." / "posts.jsonl")
    kept = source.rename(tmp_path / "out.errors.jsonl")
    with pytest.raises(DataError, match="what is read"):
        predict_file(Capitals(), kept, tmp_path / "out.jsonl")
    assert kept.read_bytes() == before


def test_an_output_has_no_ending_of_another_format(tmp_path: Path) -> None:
    """It would be read again as that format."""
    for name in ("out.csv", "out.json", "out.txt"):
        with pytest.raises(DataError, match="choose such an ending"):
            predict_file(Capitals(), source_of(tmp_path, MIXED[0]), tmp_path / name)


def test_parquet_in_and_out(tmp_path: Path) -> None:
    posts = [Example(id=str(n), text=f"Bob number {n}") for n in range(5)] + [Example(id="x", text="SHOUT")]
    write_rows(tmp_path / "posts.parquet", posts)
    summary = predict_file(Capitals(), tmp_path / "posts.parquet", tmp_path / "out.parquet", batch_size=2)
    assert (summary.posts, summary.errors) == (5, 1)
    assert [post.id for post in read_predictions(tmp_path / "out.parquet")] == list("01234")
    assert lines(tmp_path / "out.errors.jsonl")[0]["id"] == "x"


def test_a_number_that_json_lacks_stops_nothing(tmp_path: Path) -> None:
    entity = Entity("Bob", "PER", 0, 3, score=0.5)
    object.__setattr__(entity, "score", float("nan"))  # as a file of somebody else's may have it
    write_rows(tmp_path / "posts.parquet", [Example(id="x", text="Bob", entities=(entity,)), Example(text="Bob")])
    assert predict_file(Capitals(), tmp_path / "posts.parquet", tmp_path / "out.jsonl").posts == 1
    [error] = lines(tmp_path / "out.errors.jsonl")
    assert error["id"] == "x" and error["row"] is None and "score" in str(error["error"])


def test_pictures_are_found_beside_the_file_and_a_bad_one_is_its_rows_error(tmp_path: Path) -> None:
    posts = tmp_path / "posts"
    posts.mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(posts / "good.png")
    (posts / "bad.png").write_bytes((posts / "good.png").read_bytes()[:40])
    source = source_of(
        posts,
        {"id": "good", "text": "a", "image": "good.png"},
        {"id": "bad", "text": "b", "image": "bad.png"},
        {"id": "gone", "text": "c", "image": "gone.png"},
        {"id": "none", "text": "d"},
    )
    predict_file(Cascade("opens pictures", ()), source, tmp_path / "out.jsonl")
    good, none = read_predictions(tmp_path / "out.jsonl")
    assert good.image_size == (30, 20) and Path(str(good.example.image)).samefile(posts / "good.png")
    assert none.notes == (NO_PICTURE,)
    bad, gone = lines(tmp_path / "out.errors.jsonl")
    assert "damaged" in str(bad["error"]) and "does not exist" in str(gone["error"])
    assert bad["row"] == {"id": "bad", "text": "b", "image": "posts/bad.png"}


def test_the_bar_is_for_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of(tmp_path, *MIXED)
    predict_file(Capitals(), source, tmp_path / "out.jsonl")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    predict_file(Capitals(), source, tmp_path / "out.jsonl", progress=False)
    assert capsys.readouterr() == ("", "")
    predict_file(Capitals(), source, tmp_path / "out.jsonl", batch_size=1)
    out, shown = capsys.readouterr()
    assert out == "" and "posts.jsonl" in shown and "8/8" in shown and "posts/s" in shown


def test_a_picture_column_of_another_library_stops_nothing(tmp_path: Path) -> None:
    column = [{"bytes": b"jpeg", "path": "a.jpg"}, None]
    pyarrow.parquet.write_table(pyarrow.table({"text": ["Ada", "Bob"], "image": column}), tmp_path / "posts.parquet")
    summary = predict_file(Capitals(), tmp_path / "posts.parquet", tmp_path / "out.jsonl")
    assert (summary.posts, summary.errors) == (1, 1)
    [row] = (tmp_path / "out.errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row)["line"] == 1
    assert "`image`" in json.loads(row)["error"]


def test_a_target_that_can_not_be_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("posts.jsonl").write_text('{"text": "Ada"}\n', encoding="utf-8")
    Path("folder").mkdir()
    system = Watched()
    for target in (".", "folder", "posts.jsonl/out.jsonl"):
        with pytest.raises(DataError, match=r"check the path|what is read"):
            predict_file(system, Path("posts.jsonl"), Path(target))
    assert system.calls == []


def test_paths_that_are_no_characters_are_told(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    source = source_of(tmp_path, MIXED[0])
    for posts, target in ((odd / "posts.jsonl", tmp_path / "out.jsonl"), (source, odd / "out.jsonl")):
        with pytest.raises(DataError, match="bytes that are no characters"):
            predict_file(Capitals(), posts, target)


def test_posts_that_name_a_picture_by_equal_paths_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    opened: list[object] = []
    monkeypatch.setattr(cascade, "open_image", lambda image: opened.append(image) or open_image(image))
    posts = [Example(text="Ada", image=kind(tmp_path / "a.png")) for kind in (str, Path, Path)]
    Cascade("none", ()).predict(posts)
    assert len(opened) == 1


@pytest.mark.parametrize("choice", [{"processes": 0}, {"batch_size": 0}])
def test_numbers_that_can_not_be(tmp_path: Path, choice: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        predict_file(Capitals(), source_of(tmp_path), tmp_path / "out.jsonl", **choice)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for number in (2000, 5000):  # buffers and caches are full by then
        source = source_of(tmp_path, *({"id": f"post {n}", "text": f"Ada {n}"} for n in range(number)))
        gc.collect()  # what earlier tests left in cycles is not this one's
        tracemalloc.start()
        predict_file(Capitals(), source, tmp_path / "out.jsonl")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000  # bytes; 3,000 more predictions take 5 million


def test_a_disk_that_is_full_when_the_output_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = source_of(tmp_path, *MIXED), tmp_path / "out.jsonl"
    target.write_text("old\n")

    def full(record: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("gmner.data.jsonl.record_line", full)
        with pytest.raises(DataError, match=r"No space left on device; .*make room there"):
            predict_file(Capitals(), source, target)
    assert target.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.unfinished", "posts.jsonl"]
    system = Watched()
    assert predict_file(system, source, target).posts == 3 and system.calls == []
