"""Predictions of a file of posts: in input order, in bounded memory, the errors kept beside the results."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from gmner.data.files import refuse_folder, replacing, unreadable
from gmner.data.jsonl import record_line
from gmner.data.rows import example_from_row, iterate_rows, relative_image, write_rows
from gmner.errors import DataError, GmnerError
from gmner.progress import progress_bar
from gmner.systems.system import System
from gmner.types import Example, Prediction

if TYPE_CHECKING:
    from rich.progress import Progress

BATCH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a file: how many posts have a prediction, with how many entities, and how many an error.

    `errors_file` holds the errors; it is None where there are none.
    """

    posts: int
    entities: int
    errors: int
    errors_file: Path | None

    def __str__(self) -> str:
        where = "" if self.errors_file is None else f" (kept in {self.errors_file})"
        posts = f"{self.posts:,} post{'' if self.posts == 1 else 's'}"
        entities = f"{self.entities:,} {'entity' if self.entities == 1 else 'entities'}"
        return f"{posts} with {entities}, {self.errors:,} error{'' if self.errors == 1 else 's'}{where}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the source: its number, what it says (None where that could not be read), and its post or error."""

    line: int
    record: dict[str, Any] | None
    post: Example | GmnerError


def predict_file(
    system: System, source: Path, target: Path, *, batch_size: int = BATCH_SIZE, progress: bool = True
) -> Summary:
    """Predict every post of `source` (JSONL or Parquet) and write the predictions to `target`, in input order.

    A row that can not be read or predicted stops nothing: it goes to `<target stem>.errors.jsonl` beside the target
    as `{"line", "id", "error", "row"}` (`id` and `row` null where JSON can not hold what was read). Both files
    appear whole when all is done, or not at all; without errors there is no file of errors, and one of an earlier
    run is removed. One batch is read at a time: of all posts only the ids stay in memory. `progress` shows a bar on
    stderr, if that is a terminal. The target's folder is made if need be.

    Raises:
        DataError: there is no such source, the target can not be written, or the target is the source.
    """
    refuse_folder(target)
    errors_file = target.with_name(f"{target.stem}.errors.jsonl")
    for written in (target, errors_file):
        if written.resolve() == source.resolve():
            raise DataError(
                str(written),
                "the file of posts would be overwritten",
                allowed="predictions and their errors are written to new files",
                todo="name another target",
            )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unreadable(target.parent, error) from None
    counts = {"posts": 0, "entities": 0, "errors": 0}

    def predictions(errors: TextIO, bar: "Progress") -> Iterator[Prediction]:
        task = bar.add_task(source.name, total=None if bar.disable else _count_rows(source))
        rows = _read(source)
        while batch := list(islice(rows, batch_size)):
            for row, result in zip(batch, _attempt(system, batch), strict=True):
                if isinstance(result, GmnerError):
                    counts["errors"] += 1
                    errors.write(_error_line(row, result, target.parent))
                else:
                    counts["posts"] += 1
                    counts["entities"] += len(result.entities)
                    yield result
            bar.advance(task, len(batch))

    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(errors_file))
        errors = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
        bar = stack.enter_context(progress_bar("posts", shown=progress))
        write_rows(target, predictions(errors, bar))
    if not counts["errors"]:
        errors_file.unlink()
    return Summary(**counts, errors_file=errors_file if counts["errors"] else None)


def _read(source: Path) -> Iterator[_Row]:
    for line, record in iterate_rows(source):
        if isinstance(record, DataError):
            yield _Row(line, None, record)
            continue
        try:
            yield _Row(line, record, example_from_row(record, f"{source}:{line}"))
        except GmnerError as error:
            yield _Row(line, record, error)


def _attempt(system: System, batch: list[_Row]) -> list[Prediction | GmnerError]:
    """One result for every row; rows that are errors already stay what they are."""
    posts = [row.post for row in batch if isinstance(row.post, Example)]
    results = iter(system.attempt(posts) if posts else ())
    return [row.post if isinstance(row.post, GmnerError) else next(results) for row in batch]


def _error_line(row: _Row, error: GmnerError, folder: Path) -> str:
    """The row as it came, but for its picture, which is seen from the folder of the errors."""
    record = row.record
    if record is not None and isinstance(record.get("image"), str):
        record = record | {"image": relative_image(record["image"], folder)}
    name = None if record is None else record.get("id")
    told = {"line": row.line, "id": name, "error": str(error)}
    try:
        return record_line(told | {"row": record})
    except (TypeError, ValueError):  # a date, bytes or NaN from Parquet, for which JSON has no word
        return record_line(told | {"row": None})


def _count_rows(source: Path) -> int | None:
    return sum(1 for _ in iterate_rows(source)) if source.is_file() else None  # a pipe is read once
