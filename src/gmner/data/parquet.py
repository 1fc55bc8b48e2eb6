"""Records as a Parquet file: the keys of the row format are its columns, the version stands in its metadata.

Keys that are no columns are kept as one JSON text in the column `extra`, of rows and of entities alike, so that a
row comes back from Parquet exactly as it comes back from JSONL.
"""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gmner.data.files import replacing, unreadable
from gmner.data.jsonl import Record
from gmner.errors import DataError

if TYPE_CHECKING:
    import pyarrow

_VERSION = b"gmner_schema"
_ROWS_AT_ONCE = 1000


def read_records(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Row numbers (from 1) with the records of a Parquet file, or with what is wrong with the row.

    Columns that the format does not know are kept as JSON holds them: dates and times as text (ISO 8601), decimal
    numbers as text with all their digits. A row with bytes, a duration or NaN there is bad.

    Raises:
        DataError: there is no such file, or it is not Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as content, pyarrow.parquet.ParquetFile(content) as file:
            version = (file.schema_arrow.metadata or {}).get(_VERSION)
            batches = file.iter_batches(_ROWS_AT_ONCE)
            cells_of_rows = (cells for batch in batches for cells in batch.to_pylist())
            head = {} if version is None else {"schema": json.loads(version)}
            own = set(_schema().names)
            for number, cells in enumerate(cells_of_rows, 1):
                row = _unpack_row(cells) | head
                foreign = {key: value for key, value in row.items() if key not in own}
                try:
                    yield number, row | _as_json(foreign, f"{path}:{number}")
                except DataError as error:
                    yield number, error
    except OSError as error:
        raise unreadable(path, error) from None
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise _not_posts(path, error) from None


def write_records(
    path: Path, records: Iterable[Record], version: int, notes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write rows, all of one `version` of the format, as a Parquet file; it appears whole or not at all.

    `notes` are kept in its metadata (`read_notes`).
    """
    import pyarrow
    import pyarrow.parquet

    schema = _schema().with_metadata(
        {key.encode(): word.encode() for key, word in notes.items()} | {_VERSION: str(version).encode()}
    )
    rest = iter(records)
    with (
        replacing(path) as temporary,
        temporary.open("wb") as file,
        pyarrow.parquet.ParquetWriter(file, schema) as writer,
    ):
        while rows := list(islice(rest, _ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist([_pack_row(row, schema) for row in rows], schema))


def read_notes(path: Path) -> dict[str, str]:
    """What stands in the metadata of a Parquet file; the rows are not read.

    Raises:
        DataError: there is no such file, or it is not Parquet.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            metadata = pyarrow.parquet.read_metadata(file).metadata or {}
    except OSError as error:
        raise unreadable(path, error) from None
    except pyarrow.ArrowException as error:
        raise _not_posts(path, error) from None
    return {key.decode(): value.decode() for key, value in metadata.items()}


def _schema() -> "pyarrow.Schema":
    """The columns: one for each key of a row that `gmner.data.rows` knows."""
    import pyarrow as pa

    box = pa.list_(pa.float64())
    mask = pa.struct({"size": pa.list_(pa.int64()), "counts": pa.string()})
    entity = {
        "text": pa.string(),
        "type": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "boxes": pa.list_(box),
        "masks": pa.list_(mask),
        "score": pa.float64(),
        "groundable": pa.float64(),
        "expression": pa.string(),
        "provenance": pa.map_(pa.string(), pa.string()),
        "extra": pa.string(),
    }
    candidate = {"box": box, "kind": pa.string(), "score": pa.float64(), "text": pa.string()}
    return pa.schema(
        {
            "id": pa.string(),
            "text": pa.string(),
            "tokens": pa.list_(pa.string()),
            "image": pa.string(),
            "image_size": pa.list_(pa.int64()),
            "entities": pa.list_(pa.struct(entity)),
            "candidates": pa.list_(pa.struct(candidate)),
            "caption": pa.string(),
            "description": pa.string(),
            "knowledge": pa.string(),
            "notes": pa.list_(pa.string()),
            "extra": pa.string(),
        }
    )


def _pack_row(row: Record, schema: "pyarrow.Schema") -> Record:
    """A row as the cells of its columns."""
    cells = _pack(row, set(schema.names))
    if cells.get("entities"):
        names = {field.name for field in schema.field("entities").type.value_type}
        cells["entities"] = [_pack(entity, names) for entity in cells["entities"]]
    return cells


def _pack(record: Record, columns: set[str]) -> Record:
    """The values that have a column of their own, and all others as one JSON text."""
    own = columns - {"extra"}
    others = {key: value for key, value in record.items() if key not in own}
    cells = {key: value for key, value in record.items() if key in own}
    return cells | {"extra": json.dumps(others, ensure_ascii=False, allow_nan=False) if others else None}


def _unpack_row(cells: Record) -> Record:
    """The inverse of `_pack_row`."""
    row = _unpack(cells)
    for key in ("entities", "candidates"):
        if isinstance(row.get(key), list):
            row[key] = [_unpack(value) if isinstance(value, dict) else value for value in row[key]]
    return row


def _not_posts(path: Path, error: Exception) -> DataError:
    return DataError(
        str(path),
        f"not a Parquet file of posts ({error})",
        allowed="a .parquet file is what `gmner data convert` writes",
        todo="write it again",
    )


def _as_json(record: Record, where: str) -> Record:
    """The values as JSON holds them.

    Raises:
        DataError: it can not hold one of them.
    """
    held: Record = {}
    for key, value in record.items():
        try:
            held[key] = json.loads(json.dumps(value, default=_words, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise DataError(
                where,
                f"the column {key!r} ({error})",
                allowed="columns beside those of the row format hold what JSON can hold, dates, times and decimals",
                todo="turn it into text or finite numbers, or drop the column",
            ) from None
    return held


def _words(value: object) -> str:
    """What JSON has no type for and text says as well."""
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _unpack(cells: Record) -> Record:
    """The inverse of `_pack`: an empty cell is a key that is not there."""
    own = {key: value for key, value in cells.items() if value is not None and key != "extra"}
    if isinstance(own.get("provenance"), list):
        own["provenance"] = dict(own["provenance"])  # Arrow gives a map as a list of pairs
    others: Record = json.loads(cells.get("extra") or "{}")
    return own | others
