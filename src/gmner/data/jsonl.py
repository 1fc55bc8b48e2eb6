"""Records as lines of JSON: one object a line, strict JSON, each broken line its own error."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from gmner.data.files import decode, replacing, unreadable
from gmner.errors import DataError

Record = dict[str, Any]

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a line; a longer one is an error, and is passed over without being held in memory."""

_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


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
    where = f"{path}:{line}"
    try:
        value = json.loads(
            decode(raw.rstrip(), str(path), line),
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=_each_key_once,
        )
        if _HALF_CHARACTER.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _broken(where, f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeEncodeError:
        raise _broken(where, r"half a character (a lone surrogate \ud800 to \udfff)") from None
    except (ValueError, RecursionError) as error:
        raise _broken(where, str(error)) from None
    if not isinstance(value, dict):
        raise _broken(where, f"a JSON {type(value).__name__} instead of an object")
    return value


def _broken(where: str, given: str) -> DataError:
    return DataError(where, given, allowed="each line is one JSON object", todo="mend the line or take it out")


def _each_key_once(pairs: list[tuple[str, Any]]) -> Record:
    """The object of these keys; Python itself would keep the last of equal keys, other readers the first."""
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} for the second time")
    return record


def _refuse(name: str) -> float:
    raise ValueError(f"the number {name}, which JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits}, which is too large")
    return number
