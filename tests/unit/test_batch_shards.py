"""Shards: a source is cut up, and each piece becomes one file, here or where only a URL leads."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.killing import Capitals

from gmner.batch.manifest import describe
from gmner.batch.shards import Counts, Shard, ShardFolder, cut
from gmner.batch.share import Share, predict_share
from gmner.batch.source import Source
from gmner.data import parquet
from gmner.data.files import elsewhere, location
from gmner.data.rows import SCHEMA, iterate_given, row_from_example, write_rows
from gmner.errors import DataError, MissingPackageError
from gmner.systems.cascade import Cascade
from gmner.types import Example

ROWS = [{"id": f"p{number}", "text": "SHOUT" if number == 3 else f"Ada {number}"} for number in range(7)]


@pytest.fixture(params=["here", "elsewhere"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of this computer, and one of another file system."""
    if request.param == "here":
        yield tmp_path
        return
    pytest.importorskip("upath")
    folder = location(f"memory://{tmp_path.name}")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    folder.fs.rm(str(folder), recursive=True)  # type: ignore[attr-defined]


def written(folder: Path, rows: list[dict[str, Any]] = ROWS) -> Source:
    (folder / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source(folder / "posts.jsonl")


def begun(source: Source, folder: Path, *, restart: bool = False, **settings: object) -> ShardFolder:
    output = ShardFolder(folder)
    output.begin(describe(source, folder, settings), restart=restart)
    return output


def make(output: ShardFolder, shard: Shard) -> Counts:
    share = Share(shard.source, output.folder_of(shard.name), shard.rows)
    return output.save(shard, predict_share(Capitals(), share).entries)


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [given.given or {} for given in iterate_given(file)]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_all_rows_become_shards_in_their_order(place: Path) -> None:
    source = written(place)
    output = begun(source, place / "out")
    shards = list(cut("posts", source, 3))
    assert [output.counts(shard) for shard in shards] == [None] * 3
    made = [make(output, shard) for shard in shards]
    assert made == [Counts(f"posts-00000{n}", *rest) for n, rest in enumerate([(3, 3, 0), (2, 2, 1), (1, 1, 0)])]
    assert [output.counts(shard) for shard in shards] == made
    output.check_whole({shard.name for shard in shards})
    files = [f"posts-00000{number}.parquet" for number in range(3)]
    assert names(output.path) == ["_gmner.json", *files] and names(output.errors) == ["posts-000001.jsonl"]
    assert [row["id"] for file in files for row in rows_of(output.path / file)] == ["p0", "p1", "p2", "p4", "p5", "p6"]
    [error] = map(json.loads, (output.errors / "posts-000001.jsonl").read_text(encoding="utf-8").splitlines())
    assert error == {"line": 4, "id": "p3", "error": "a post that shouts; posts speak; be calm.", "row": ROWS[3]}


def test_a_shard_that_is_made_again_is_the_same_and_its_old_errors_go(place: Path) -> None:
    source = written(place)
    output = begun(source, place / "out")
    [shard] = cut("posts", source, 10)
    counts = make(output, shard)
    file = output.path / "posts-000000.parquet"
    before = file.read_bytes()
    assert make(output, shard) == counts and file.read_bytes() == before
    calm = output.save(shard, (line for line in predict_share(Capitals(), Share(source, output.path, [])).entries))
    assert calm == Counts("posts-000000", 0, 0, 0) and names(output.errors) == []


def test_a_shard_that_a_loss_of_power_left_empty_is_not_done(tmp_path: Path) -> None:
    source = written(tmp_path)
    output = begun(source, tmp_path / "out")
    [shard] = cut("posts", source, 10)
    make(output, shard)
    (output.path / "posts-000000.parquet").write_bytes(b"")
    assert output.counts(shard) is None


def test_other_rows_than_those_that_are_done_are_refused(place: Path) -> None:
    output = begun(written(place), place / "out")
    for shard in cut("posts", written(place), 3):
        make(output, shard)
    first, changed, _ = cut("posts", written(place, [*ROWS[:4], {"id": "new", "text": "Eve"}, *ROWS[5:]]), 3)
    assert output.counts(first) is not None
    with pytest.raises(DataError, match=r"posts-000001\.parquet: .* no longer those of .*--restart"):
        output.counts(changed)
    with pytest.raises(DataError, match=r"posts-000002\.parquet: a file that is of no row of the source"):
        output.check_whole({"posts-000000", "posts-000001"})


def test_a_folder_is_of_one_run(place: Path) -> None:
    source = written(place)
    output = begun(source, place / "out", people=True)
    for shard in cut("posts", source, 3):
        make(output, shard)
    begun(source, place / "out", people=True)
    with pytest.raises(DataError, match=r'begun with settings \{"people": true\}, which is now \{"people": false\}'):
        begun(source, place / "out", people=False)
    assert len(names(output.path)) == 4
    begun(source, place / "out", restart=True, people=False)
    assert names(output.path) == ["_gmner.json"] and names(output.errors) == []


def test_a_folder_of_something_else_is_not_written_to(place: Path) -> None:
    source = written(place)
    for restart in (False, True):
        with pytest.raises(DataError, match="not the output of such a run"):
            begun(source, place, restart=restart)
        with pytest.raises(DataError, match="not the output of such a run"):
            begun(source, source.path, restart=restart)
    assert names(place) == ["posts.jsonl"]


def test_the_parts_of_a_folder_of_parquet(place: Path) -> None:
    folder = place / "posts"
    for name in ("b", "a", "day=2/c", "_hidden/d", ".e", "day=2/_f"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        row = row_from_example(Example(id="same", text=f"Ada of {name}"))
        parquet.write_records(folder / f"{name}.parquet", [row], SCHEMA)
    parts = Source(folder).parts()
    assert [name for name, _ in parts] == ["a", "b", "day=2/c"]
    output = begun(Source(folder), place / "out")
    for name, part in parts:
        assert [make(output, shard).posts for shard in cut(name, part, 10)] == [1]
    assert names(output.path) == ["_gmner.json", "a-000000.parquet", "b-000000.parquet", "day=2/c-000000.parquet"]
    [row] = rows_of(output.path / "day=2" / "c-000000.parquet")
    assert row["text"] == "Ada of day=2/c"
    assert "gmner_shard" in parquet.read_notes(output.path / "a-000000.parquet")


def test_what_the_batch_engine_reads_is_one_part(tmp_path: Path) -> None:
    source = written(tmp_path)
    assert source.parts() == [("posts", source)]
    write_rows(tmp_path / "train.parquet", [Example(text="Ada")])
    assert Source(tmp_path).parts() == [(tmp_path.name, Source(tmp_path))]  # a data set with a split


def test_pictures_are_fetched_from_where_the_source_lies_and_nowhere_else(tmp_path: Path) -> None:
    pytest.importorskip("upath")
    folder = location(f"memory://{tmp_path.name}")
    folder.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file, "PNG")
    (folder / "a.png").write_bytes(file.getvalue())
    (folder / "broken.png").write_bytes(file.getvalue()[:40])
    pictures = ("a.png", "gone.png", "broken.png", "memory://other/a.png", "https://127.0.0.1:9/a.png")
    source = written(folder, [{"id": name, "text": "Ada", "image": name} for name in pictures])
    output = begun(source, folder / "out")
    [shard] = cut("posts", source, 10)
    outcome = predict_share(Cascade("opens pictures", ()), Share(source, output.folder_of(shard.name), shard.rows))
    entries = [json.loads(entry) for entry in outcome.entries]
    assert entries[0]["row"]["image"] == f"{folder}/a.png" and entries[0]["row"]["image_size"] == [30, 20]
    words = [entry["error"]["error"] for entry in entries[1:]]
    assert [word in text for word, text in zip(("gone.png can", "damaged", "URL", "URL"), words, strict=True)] == [
        True
    ] * 4, words
    assert output.save(shard, outcome.entries) == Counts("posts-000000", 1, 0, 4)
    folder.fs.rm(str(folder), recursive=True)  # type: ignore[attr-defined]


def test_locations(tmp_path: Path) -> None:
    assert location("posts.jsonl") == Path("posts.jsonl") and not elsewhere(Path("posts.jsonl"))
    pytest.importorskip("upath")
    assert location(f"file://{tmp_path}/a.jsonl") == tmp_path / "a.jsonl"
    assert elsewhere(location("memory://posts/a.jsonl"))
    with pytest.raises(DataError, match=r"nosuch://posts: .*a kind that fsspec knows"):
        location("nosuch://posts")


def test_a_url_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(MissingPackageError, match=r'pip install "gmner\[ray\]"'):
        location("s3://bucket/posts")
