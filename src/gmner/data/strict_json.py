"""JSON as its standard has it: UTF-8, finite numbers, whole characters; what breaks it is told with its line."""

import json
import math
import re
from pathlib import Path
from typing import Any, Final

from gmner.data.files import decode, replacing, unreadable
from gmner.errors import DataError

_HALF_CHARACTER: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(path: Path) -> Any:
    """The value that a JSON file holds.

    Raises:
        DataError: there is no such file, or it is not UTF-8, not JSON, or holds NaN, half a character or a key twice.
    """
    try:
        return parse_json(path.read_bytes(), path)
    except OSError as error:
        raise unreadable(path, error) from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file; it appears whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        temporary.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def parse_json(raw: bytes, path: Path, line: int = 1) -> Any:
    """The value in `raw`, of which the first line is `line` of the file at `path`.

    Raises:
        DataError: it is not UTF-8, not JSON, or holds NaN, half a character or a key twice.
    """
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
        where = f"{path}:{line + error.lineno - 1}"
        raise _broken(where, f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeEncodeError:
        raise _broken(f"{path}:{line}", r"half a character (a lone surrogate \ud800 to \udfff)") from None
    except (ValueError, RecursionError) as error:
        raise _broken(f"{path}:{line}", str(error)) from None
    return value


def _broken(where: str, given: str) -> DataError:
    return DataError(
        where, given, allowed="it is JSON with finite numbers and whole characters", todo="mend it or take it out"
    )


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
