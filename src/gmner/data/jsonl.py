"""Records as lines of JSON: one object a line, strict JSON, each broken line its own error."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from gmner.data.files import replacing, unreadable
from gmner.data.strict_json import parse_json
from gmner.errors import DataError

Record = dict[str, Any]

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a line; a longer one is an error, and is passed over without being held in memory."""


def read_records(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Line numbers (from 1) with the objects of a JSONL file, or with what is wrong with the line.

    Empty lines are passed over. A broken line does not end the stream.

    Raises:
        DataError: there is no such file.
    """
    try:
        with path.open("rb") as lines:
            for number, raw in enumerate(_whole_lines(lines), 1):
                if not raw.strip():
                    continue
                try:
                    if len(raw) > LONGEST:
                        raise _broken(f"{path}:{number}", f"a line of more than {LONGEST:,} bytes")
                    yield number, parse_record(raw, path, number)
                except DataError as error:
                    yield number, error
    except OSError as error:
        raise unreadable(path, error) from None


def count_records(path: Path) -> int:
    """How many records `read_records` gives, good and bad.

    Raises:
        DataError: there is no such file.
    """
    try:
        with path.open("rb") as lines:
            return sum(not raw.isspace() for raw in _whole_lines(lines))
    except OSError as error:
        raise unreadable(path, error) from None


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; of one that is longer than `LONGEST` the beginning, which is longer, too."""
    while line := file.readline(LONGEST + 1):
        yield line
        while len(line) > LONGEST and not line.endswith(b"\n"):
            line = file.readline(LONGEST + 1)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a JSONL file; it appears whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(record_line(record) for record in records)


def record_line(record: Record) -> str:
    """One record as a line of JSON, with the line's end; for those who append to a file.

    Raises:
        ValueError: a number is NaN or infinite, which JSON has no word for.
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def parse_record(raw: bytes, path: Path, line: int) -> Record:
    """The object on one line of a file.

    Raises:
        DataError: the line is not UTF-8, not JSON, not an object, or holds NaN, half a character or a key twice.
    """
    value = parse_json(raw, path, line)
    if not isinstance(value, dict):
        raise _broken(f"{path}:{line}", f"a JSON {type(value).__name__} instead of an object")
    return value


def _broken(where: str, given: str) -> DataError:
    return DataError(where, given, allowed="each line is one JSON object", todo="mend the line or take it out")
