"""Predictions of a file of posts: in order, in bounded memory, resumed after a kill, errors beside the results."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gmner import __version__
from gmner.batch.journal import Journal, sync
from gmner.batch.share import ERROR, ROW, Outcome, failure, predict_rows
from gmner.batch.source import Source
from gmner.batch.workers import Rows, in_processes, in_this_process
from gmner.data.files import refuse_folder, unreadable
from gmner.data.jsonl import Record, write_records
from gmner.data.rows import GivenRow, save_rows
from gmner.errors import ConfigError, DataError, FailureError
from gmner.progress import progress_bar
from gmner.systems.system import System

BATCH_SIZE: Final = 32

_FAILURES: Final = 20
"""Posts in a row that make the system fail before it is taken to be the system's trouble, not theirs."""


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


def predict_file(
    make: Callable[[], System],
    source: Source,
    target: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    processes: int = 1,
    batch_size: int = BATCH_SIZE,
    restart: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Predict every post of `source` and write the predictions to `target` (JSONL or Parquet), in input order.

    A row that can not be read or predicted stops nothing: it goes to `<target stem>.errors.jsonl` beside the target
    as `{"line", "id", "error", "row"}` (`id` and `row` null where JSON can not hold what was read). Both files
    appear whole when all is done; without errors there is no file of errors, and one of an earlier run is removed.

    Until then, what is done lies in `<target>.unfinished` (`batch.journal`). A run that finds this file goes on from
    there, and the end is what an uninterrupted run gives; `restart` drops it. `settings` say, in terms of JSON, what
    `make` makes: a run that was begun with others is not gone on with.

    One batch is in flight at a time: so many posts are in memory, and are computed again after a kill. With several
    `processes`, each of which holds a system that it has made itself, a batch is dealt out to them in shares; `make`
    is then pickled. `progress` shows a bar on stderr, if that is a terminal; `say` is told where a run goes on.

    Raises:
        DataError: there is no such source, the target can not be written or is the source, or there is an unfinished
            output that is not of this run.
        ConfigError: a number of processes or posts that is not positive, or one that `source.rows` raises.
        FailureError: the system fails whatever it is given; what was done before is kept.
    """
    for name, number in (("processes", processes), ("batch size", batch_size)):
        if number < 1:
            raise ConfigError(f"a number of {name} of {number}", allowed="it is 1 or more", todo="give a higher one")
    refuse_folder(target)
    errors_file = target.with_name(f"{target.stem}.errors.jsonl")
    journal_file = target.with_name(f"{target.name}.unfinished")
    for written in (target, errors_file, journal_file):
        _check_target(written, source.path)
    manifest = {
        "gmner": __version__,
        "source": str(source.path.resolve()),
        "split": source.split,
        "images": source.images and str(source.images.resolve()),
        "target": str(target.resolve()),
        "settings": settings or {},
    }
    predict = partial(predict_rows, source=source, folder=target.parent)
    reader = _Reader(source)
    with Journal(journal_file, manifest, restart=restart) as journal:
        done = reader.skip(journal.through, journal.digest, journal_file)
        if done:
            say(f"going on after {done:,} rows that are done, from {journal_file}")
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(progress_bar("posts", shown=progress))
            task = bar.add_task(source.path.name, total=None if bar.disable else source.count(), completed=done)
            if processes == 1:
                outcomes = in_this_process(make, predict, reader.shares(batch_size))
            else:
                lost = partial(failure, source=source, folder=target.parent)
                size = max(1, batch_size // (2 * processes))  # two for each: no process waits for the others
                outcomes = in_processes(make, predict, lost, reader.shares(size), processes, max(1, batch_size // size))
            stack.enter_context(contextlib.closing(outcomes))
            for rows, outcome in _while_it_works(outcomes):
                journal.commit(outcome.entries, rows[-1].number, reader.digests.pop(rows[-1].number))
                bar.advance(task, len(rows))
        summary = _publish(journal, target, errors_file)
        journal.remove()
    return summary


class _Reader:
    """The rows of a source, read once, and what they add up to."""

    def __init__(self, source: Source) -> None:
        self._rows = source.rows()
        self._digest = hashlib.sha256()
        self.digests: dict[int, str] = {}  # by the last row of each share that is in flight

    def skip(self, through: int, digest: str, journal: Path) -> int:
        """Pass over the rows up to number `through`, which add up to `digest`, and say how many they are."""
        count, number = 0, 0
        while number < through and (row := next(self._rows, None)) is not None:
            self._add(row)
            count, number = count + 1, row.number
        if through and (number, self._digest.hexdigest()) != (through, digest):
            raise DataError(
                str(journal),
                f"the rows up to {through:,}, which are done, are no longer those of the source",
                allowed="an unfinished run goes on with the source that it was begun with",
                todo="bring the source back, or restart the run (--restart), which drops what it has done",
            )
        return count

    def shares(self, size: int) -> Iterator[list[GivenRow]]:
        """The rows that are left, so many at a time."""
        while rows := list(islice(self._rows, size)):
            for row in rows:
                self._add(row)
            self.digests[rows[-1].number] = self._digest.hexdigest()
            yield rows

    def _add(self, row: GivenRow) -> None:
        said = row.given if row.given is not None or not isinstance(row.row, DataError) else row.row.given
        self._digest.update(json.dumps([row.number, said], default=str).encode())


def _while_it_works(outcomes: Iterator[tuple[Rows, Outcome]]) -> Iterator[tuple[Rows, Outcome]]:
    """The outcomes, as long as the system does not fail on post after post.

    Outcomes in which it has only failed are held back until it works again, so that they are computed again by the
    run that goes on if it never does.
    """
    held: list[tuple[Rows, Outcome]] = []
    for rows, outcome in outcomes:
        held.append((rows, outcome))
        if outcome.predicted or not any(outcome.failed for _, outcome in held):
            yield from held
            held.clear()
        elif sum(outcome.failed for _, outcome in held) >= _FAILURES:
            last = json.loads(held[-1][1].entries[-1])[ERROR]["error"]
            raise FailureError(
                f"the system fails on post after post, at last in row {held[-1][0][-1].number:,}: {last}",
                allowed="a run goes on past single posts only; what was done before is kept",
                todo="mend the system, and start the same command again",
            )
    yield from held


def _check_target(written: Path, source: Path) -> None:
    """Refuse to write over the posts, or where no file can be; make the folder."""
    refuse_folder(written)
    if written.resolve() == source.resolve():
        raise DataError(
            str(written),
            "the file of posts would be overwritten",
            allowed="predictions and their errors are written to new files",
            todo="name another target",
        )
    try:
        written.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unreadable(written.parent, error) from None


def _publish(journal: Journal, target: Path, errors_file: Path) -> Summary:
    """Make the output and the file of errors from the journal, the output last."""
    counts = {"posts": 0, "entities": 0, "errors": 0}

    def errors() -> Iterator[Record]:
        for error in journal.entries(ERROR):
            counts["errors"] += 1
            yield error

    def predictions() -> Iterator[Record]:
        for row in journal.entries(ROW):
            counts["posts"] += 1
            counts["entities"] += len(row["entities"])
            yield row

    write_records(errors_file, errors())
    sync(errors_file)
    if not counts["errors"]:
        errors_file.unlink()
    save_rows(target, predictions())
    sync(target)
    sync(target.parent)
    return Summary(**counts, errors_file=errors_file if counts["errors"] else None)
