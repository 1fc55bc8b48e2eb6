"""Predictions of a file of posts: in order, in bounded memory, resumed after a kill, errors beside the results."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gmner.batch.journal import Journal, sync
from gmner.batch.manifest import describe
from gmner.batch.openers import opened_ahead
from gmner.batch.share import ERROR, ROW, Share
from gmner.batch.source import Source, said
from gmner.batch.summary import Summary
from gmner.batch.workers import in_processes, in_this_process, while_it_works
from gmner.data.files import refuse_folder, refuse_source, unreadable
from gmner.data.formats import FOREIGN
from gmner.data.jsonl import Record, write_records
from gmner.data.rows import GivenRow, save_rows
from gmner.errors import ConfigError, DataError
from gmner.progress import progress_bar
from gmner.systems.system import System

BATCH_SIZE: Final = 32


def predict_file(
    make: Callable[[], System],
    source: Source,
    target: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    processes: int = 1,
    openers: int = 0,
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
    is then pickled. With `openers`, so many processes open the pictures of the next batches while the system, in this
    process, works on one (`batch.openers`). `progress` shows a bar on stderr, if that is a terminal; `say` is told
    where a run goes on.

    Raises:
        DataError: there is no such source, the target can not be written, is the source or lies in it, has the ending
            of another format, or there is an unfinished output that is not of this run.
        ConfigError: a number of processes, posts or openers that can not be, openers for several processes, or one that
            `source.rows` raises.
        FailureError: the system fails whatever it is given; what was done before is kept.
    """
    for name, number, least in (("processes", processes, 1), ("batch size", batch_size, 1), ("openers", openers, 0)):
        if number < least:
            raise ConfigError(
                f"a number of {name} of {number}", allowed=f"it is {least} or more", todo="give a higher one"
            )
    if openers and processes > 1:
        raise ConfigError(
            f"openers for {processes} processes",
            allowed="several processes open their pictures themselves; openers work for one",
            todo="use one process (--processes 1), or no openers",
        )
    if target.suffix.lower() in FOREIGN:
        raise DataError(
            str(target),
            f"the ending {target.suffix} for rows",
            allowed="rows are written as Parquet (.parquet) or JSONL (.jsonl), and read again by their ending",
            todo="choose such an ending",
        )
    refuse_folder(target)
    errors_file = target.with_name(f"{target.stem}.errors.jsonl")
    journal_file = target.with_name(f"{target.name}.unfinished")
    for written in (target, errors_file, journal_file):
        _check_target(written, source.path)
    manifest = describe(source, target, settings or {})
    reader = _Reader(source, target.parent)
    with Journal(journal_file, manifest, restart=restart) as journal:
        done = reader.skip(journal.through, journal.digest, journal_file)
        if done:
            say(f"going on after {done:,} rows that are done, from {journal_file}")
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(progress_bar("posts", shown=progress))
            task = bar.add_task(source.path.name, total=None if bar.disable else source.count(), completed=done)
            if processes == 1:
                shares: Iterator[Share] = reader.shares(batch_size)
                if openers:
                    shares = stack.enter_context(contextlib.closing(opened_ahead(shares, openers)))
                outcomes = in_this_process(make, shares)
            else:
                size = max(1, batch_size // (2 * processes))  # two for each: no process waits for the others
                outcomes = in_processes(make, reader.shares(size), processes, max(1, batch_size // size))
            stack.enter_context(contextlib.closing(outcomes))
            for share, outcome in while_it_works(outcomes):
                last = share.rows[-1].number
                journal.commit(outcome.entries, last, reader.digests.pop(last))
                bar.advance(task, len(share.rows))
        summary = _publish(journal, target, errors_file)
        journal.remove()
    return summary


class _Reader:
    """The rows of a source, read once, and what they add up to."""

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder = source, folder
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

    def shares(self, size: int) -> Iterator[Share]:
        """The rows that are left, so many at a time."""
        while rows := list(islice(self._rows, size)):
            for row in rows:
                self._add(row)
            self.digests[rows[-1].number] = self._digest.hexdigest()
            yield Share(self._source, self._folder, rows)

    def _add(self, row: GivenRow) -> None:
        self._digest.update(said(row))


def _check_target(written: Path, source: Path) -> None:
    """Refuse to write over or among the posts, or where no file can be; make the folder."""
    refuse_folder(written)
    refuse_source(written, source)
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
