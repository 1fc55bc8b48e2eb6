"""The unfinished output of a run, in one file beside the target that only ever grows: what a killed run goes on from.

    {"gmner_unfinished": 1, ...}      what the run is: its source, target, system and settings
    {"row": {...}}                    a predicted row, or
    {"error": {...}}                  an error with its row
    {"through": 64, "digest": "..."}  all rows up to number 64 of the source stand above

Each share of rows is one write that ends in a line `through`, followed by fsync. Whatever a kill or a loss of power
leaves after the last whole one is cut off. When all is done the target is made from the file, and the file is removed:
a run that is killed in between makes the target again.
"""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from gmner.batch.manifest import Manifest, check_same
from gmner.data.files import unreadable
from gmner.data.jsonl import Record, record_line
from gmner.errors import DataError

_MARK: Final = "gmner_unfinished"
_VERSION: Final = 1
_BEGINNING: Final = f'{{"{_MARK}": '.encode()
_THROUGH: Final = "through"


class Journal:
    """What a run has done so far, on disk. A context manager: it leaves nothing behind where nothing was done.

    `through` is the number of the last row of the source that is done, 0 at the beginning, and `digest` what the
    rows up to it add up to.

    Raises:
        DataError: the file can not be written, is being written by another run, or is that of another kind of run.
    """

    def __init__(self, path: Path, manifest: Manifest, *, restart: bool = False) -> None:
        self.path, self.through, self.digest = path, 0, ""
        head = {_MARK: _VERSION, **manifest}
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise unreadable(path, error) from None
        try:
            self._lock()
            begun = self._recover(restart)
            if self.through:
                check_same(path, begun or {}, head)
            os.ftruncate(self._file, self._end)
            if not self.through:
                self._begin(head)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.through:
            self.remove()
        with contextlib.suppress(OSError):
            os.close(self._file)

    def commit(self, entries: Sequence[bytes], through: int, digest: str) -> None:
        """Append the entries of the rows up to number `through`; on return they are on disk.

        Raises:
            DataError: the disk is full or fails; what was committed before is whole.
        """
        self._append(b"".join(entries) + record_line({_THROUGH: through, "digest": digest}).encode())
        self.through, self.digest = through, digest

    def entries(self, kind: str) -> Iterator[Record]:
        """What the committed entries of a kind (`row` or `error`) hold, in the order of the source."""
        with self.path.open("rb") as lines:
            for line in lines:
                entry = json.loads(line)
                if kind in entry and len(entry) == 1:
                    yield entry[kind]

    def remove(self) -> None:
        """Remove the file: the target is made, or there is nothing to keep."""
        self.path.unlink(missing_ok=True)

    def _lock(self) -> None:
        """Hold the file until it is closed or the process ends, however it ends."""
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                str(self.path),
                "another run is writing it",
                allowed="one run writes one target",
                todo="wait for that run, or name another target",
            ) from None

    def _recover(self, restart: bool) -> Record | None:
        """Find the end of what is whole, and the manifest that stands there."""
        self._end = end = 0
        head: Record | None = None
        with self.path.open("rb") as lines:
            for line in lines:
                end += len(line)
                entry = _parsed(line)
                if head is None:
                    if not (line.startswith(_BEGINNING) or _BEGINNING.startswith(line) or not line.strip(b"\0")):
                        raise DataError(
                            str(self.path),
                            "not the unfinished output of a run",
                            allowed="this name is taken by what a run has done so far",
                            todo="move the file away",
                        )
                    head = entry
                if entry is None or restart:
                    break
                if _THROUGH in entry:
                    self._end, self.through, self.digest = end, entry[_THROUGH], entry["digest"]
        return head

    def _begin(self, head: Record) -> None:
        try:
            self._append(record_line(head).encode())
        except DataError:
            self.remove()
            raise

    def _append(self, data: bytes) -> None:
        try:
            os.lseek(self._file, self._end, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise DataError(
                str(self.path),
                error.strerror or str(error),
                allowed=f"what is done so far (up to row {self.through:,}) is kept there",
                todo="make room or mend the disk, and start the same command again",
            ) from None
        self._end += len(data)


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on disk before anything that relies on them goes."""
    with contextlib.suppress(OSError):  # folders of some systems can not be opened
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOSPC):
                raise unreadable(path, error) from None
        finally:
            os.close(file)


def _parsed(line: bytes) -> Record | None:
    """The entry on a line; None for the torn end of a write."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
