"""Shards: what a source is cut into, and the files that each becomes, which appear whole or not at all.

    entities/_gmner.json                what the run is: its source, system, settings and version
    entities/posts-000000.parquet       the predictions of the first rows of posts.jsonl, in their order
    entities/posts-000001.parquet
    entities.errors/posts-000001.jsonl  the errors of its second shard, if there are any

A folder of Parquet files gives shards of each of them, under their own names. The predictions are written last: with
them the shard is done, and it says in its metadata of which rows it is. So it does not matter which machine makes a
shard, how often, or whether the run is killed in between.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final, NamedTuple

from gmner.batch.journal import sync
from gmner.batch.manifest import Manifest, check_same
from gmner.batch.share import ERROR, ROW
from gmner.batch.source import Source, said
from gmner.data import jsonl, parquet
from gmner.data.files import elsewhere, unreadable
from gmner.data.rows import SCHEMA, GivenRow
from gmner.data.strict_json import read_json, write_json
from gmner.errors import DataError

_MANIFEST: Final = "_gmner.json"
_NOTE: Final = "gmner_shard"


class Shard(NamedTuple):
    """Some rows of a source, one after another; `name` is a path below the output, without ending."""

    name: str
    source: Source
    rows: list[GivenRow]

    def digest(self) -> str:
        """What the rows add up to."""
        return hashlib.sha256(b"".join(map(said, self.rows))).hexdigest()


class Counts(NamedTuple):
    """What became of the rows of a shard."""

    name: str
    posts: int
    entities: int
    errors: int


def cut(name: str, source: Source, size: int) -> Iterator[Shard]:
    """All rows of a source in shards of `size`, the last one perhaps smaller.

    Raises:
        DataError: as `Source.rows`.
    """
    rows = source.rows()
    for number in count():
        if not (taken := list(islice(rows, size))):
            return
        yield Shard(f"{name}-{number:06}", source, taken)


@dataclass(frozen=True)
class ShardFolder:
    """The output of a run: a folder of Parquet files, and beside it one of JSONL files with errors."""

    path: Path

    @property
    def errors(self) -> Path:
        return self.path.with_name(f"{self.path.name}.errors")

    def begin(self, manifest: Manifest, *, restart: bool) -> None:
        """Make the folder that of a run, which goes on with the shards that are there; `restart` drops those.

        Raises:
            DataError: it can not be written to, is that of another run, or holds files that are of no run.
        """
        file = self.path / _MANIFEST
        try:
            if not file.exists():
                self._refuse_files()
                self.path.mkdir(parents=True, exist_ok=True)
            elif restart:
                for old in (*self.path.rglob("*.parquet"), *self.errors.rglob("*.jsonl")):
                    old.unlink()
            else:
                check_same(file, read_json(file), manifest)
                return
            write_json(file, manifest)
        except OSError as error:
            raise unreadable(self.path, error) from None

    def folder_of(self, name: str) -> Path:
        """Where the predictions of a shard lie."""
        return (self.path / name).parent

    def counts(self, shard: Shard) -> Counts | None:
        """What became of a shard that is done; None if it is not.

        Raises:
            DataError: a shard of this name is done whose rows were others.
        """
        file = self._file(self.path, shard, "parquet")
        if not file.exists():
            return None
        try:
            note = json.loads(parquet.read_notes(file)[_NOTE])
        except (DataError, KeyError):  # a loss of power may leave an empty file
            return None
        if note.pop("rows") != shard.digest():
            raise DataError(
                str(file),
                f"the rows that are done are no longer those of {shard.source.path}",
                allowed="a run goes on with the source that it was begun with",
                todo="bring the source back, or restart the run (--restart), which drops what it has done",
            )
        return Counts(shard.name, **note)

    def save(self, shard: Shard, entries: Iterable[bytes]) -> Counts:
        """Write what became of the rows of a shard; on return it is done.

        Raises:
            DataError: the files can not be written.
        """
        parsed = [json.loads(entry) for entry in entries]
        posts = [entry[ROW] for entry in parsed if ROW in entry]
        errors = [entry[ERROR] for entry in parsed if ERROR in entry]
        counts = Counts(shard.name, len(posts), sum(len(post["entities"]) for post in posts), len(errors))
        note = {"rows": shard.digest(), **{key: value for key, value in counts._asdict().items() if key != "name"}}
        rows_file, errors_file = self._file(self.path, shard, "parquet"), self._file(self.errors, shard, "jsonl")
        try:
            if errors:
                errors_file.parent.mkdir(parents=True, exist_ok=True)
                jsonl.write_records(errors_file, errors)
                _sync(errors_file)
            else:
                errors_file.unlink(missing_ok=True)
            rows_file.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_records(rows_file, posts, SCHEMA, {_NOTE: json.dumps(note)})
            _sync(rows_file)
        except OSError as error:
            raise unreadable(rows_file, error) from None
        return counts

    def check_whole(self, names: set[str]) -> None:
        """Raise a DataError if a shard is there that is none of `names`, which are those of the source."""
        there = (path.relative_to(self.path).as_posix() for path in self.path.rglob("*.parquet"))
        alien = min((name for name in there if name.removesuffix(".parquet") not in names), default=None)
        if alien is not None:
            raise DataError(
                str(self.path / alien),
                "a file that is of no row of the source",
                allowed="the output holds what was made of its source, which has become smaller or was moved about",
                todo="take the file away, or restart the run (--restart), which drops what it has done",
            )

    def _file(self, folder: Path, shard: Shard, ending: str) -> Path:
        return folder / f"{shard.name}.{ending}"

    def _refuse_files(self) -> None:
        if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir())):
            raise DataError(
                str(self.path),
                "not the output of such a run",
                allowed="shards are written to a new or empty folder, or to one that a run has begun",
                todo="name another folder, or move away what is there",
            )


def _sync(file: Path) -> None:
    """On disk, and its name as well; elsewhere what is written is kept when it is written."""
    if not elsewhere(file):
        sync(file)
        sync(file.parent)
