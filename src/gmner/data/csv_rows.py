"""Records of a CSV file: the first line names the columns, an empty cell is a key that is not there."""

import csv
from collections.abc import Iterator
from pathlib import Path

from gmner.data.files import unreadable
from gmner.data.jsonl import Record
from gmner.errors import DataError


def read_records(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Line numbers (from 1; the line that a record begins in) with the records of a CSV file, or what is wrong there.

    Cells are separated by commas, and quoted with double quotes where they hold commas, quotes or line breaks; the
    file is UTF-8. All values are texts: `text`, `image`, `id`, and any further columns, which are kept.

    Raises:
        DataError: there is no such file, or its first line names no column `text`, or one column twice.
    """
    try:
        # Bytes that are not UTF-8 become halves of characters here, so that they cost their own record only.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = csv.reader(file, strict=True)
            columns = _columns(lines, path)
            while True:
                line = lines.line_num + 1
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, _broken(path, line, f"not CSV: {error}")
                    continue
                if cells:
                    yield line, _record(columns, cells, path, line)
    except OSError as error:
        raise unreadable(path, error) from None


def _columns(lines: Iterator[list[str]], path: Path) -> list[str]:
    try:
        columns = next(lines, [])
    except csv.Error as error:
        raise _broken(path, 1, f"not CSV: {error}") from None
    if "text" not in columns or len(set(columns)) < len(columns) or "" in columns:
        raise DataError(
            f"{path}:1",
            f"the columns {', '.join(map(repr, columns)) or 'are missing'}",
            allowed="the first line of a CSV file names its columns: `text`, perhaps `image` and `id`, and others once",
            todo="give the file such a line",
        )
    return columns


def _record(columns: list[str], cells: list[str], path: Path, line: int) -> Record | DataError:
    if len(cells) != len(columns):
        return _broken(path, line, f"{len(cells)} cells under {len(columns)} columns")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return _broken(path, line, "a byte that is not UTF-8")
    return {column: cell for column, cell in zip(columns, cells, strict=True) if cell}


def _broken(path: Path, line: int, given: str) -> DataError:
    return DataError(
        f"{path}:{line}",
        given,
        allowed="a record has a cell for each column, separated by commas, quoted where it holds a comma or quote",
        todo="mend the record or take it out",
    )
