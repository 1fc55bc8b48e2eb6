"""Answers on disk: an append-only SQLite file that several processes may use at once, and JSONL to hand them on."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from gmner.errors import DataError
from gmner.llm.request import Answer, fingerprint

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    stored TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
_BUSY_SECONDS: Final = 60.0
_KEYS_A_QUERY: Final = 500


class Record(NamedTuple):
    """A question, as `request.asked` writes it, and its answer."""

    question: dict[str, Any]
    answer: Answer


class AnswerCache:
    """The answers in one file, each written through to the disk before `add` returns. Use it in a `with` block.

    Raises:
        DataError: the file is no cache of answers, is damaged, or can not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            _set_up(self._connection)
        except (OSError, sqlite3.Error) as error:
            raise _damaged(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def find(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are known, by key."""
        found: dict[str, Answer] = {}
        for start in range(0, len(keys), _KEYS_A_QUERY):
            some = keys[start : start + _KEYS_A_QUERY]
            marks = ",".join("?" * len(some))
            for key, answer in self._execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some):
                found[key] = Answer(**json.loads(answer))
        return found

    def add(self, records: Iterable[Record]) -> int:
        """Store answers, all or none, and count the new ones. A question that has its answer already keeps that one."""
        rows = [(fingerprint(question), _json(question), _json(asdict(answer))) for question, answer in records]
        before = self._connection.total_changes
        self._execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._execute("INSERT OR IGNORE INTO answers (key, question, answer) VALUES (?, ?, ?)", row)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._execute("COMMIT")
        return self._connection.total_changes - before

    def __iter__(self) -> Iterator[Record]:
        for question, answer in self._execute("SELECT question, answer FROM answers ORDER BY key"):
            yield Record(json.loads(question), Answer(**json.loads(answer)))

    def _execute(self, statement: str, values: Sequence[str] = ()) -> list[tuple[str, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _damaged(self._path, error) from error


def export_answers(cache: Path, path: Path) -> int:
    """Write all answers of a cache as JSONL, one question and its answer a line, and count them.

    Raises:
        DataError: the cache does not exist or is damaged.
    """
    if not cache.is_file():
        raise DataError(str(cache), "there is no such file", allowed="a cache of answers", todo="check the path")
    with AnswerCache(cache) as answers, path.open("w", encoding="utf-8") as file:
        count = 0
        for count, (question, answer) in enumerate(answers, start=1):  # noqa: B007 - counted
            file.write(_json({**question, "answer": asdict(answer)}) + "\n")
    return count


def import_answers(path: Path, cache: Path) -> int:
    """Add the answers of a JSONL file to a cache, all or none, and count those that are new.

    Raises:
        DataError: a line is not what `export_answers` writes, or the cache is damaged.
    """
    records = list(read_answers(path))
    with AnswerCache(cache) as answers:
        return answers.add(records)


def read_answers(path: Path) -> Iterator[Record]:
    """The questions and answers of a JSONL file.

    Raises:
        DataError: the file is missing, or a line is not what `export_answers` writes.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            str(path), f"it can not be read ({error})", allowed="answers are JSONL in UTF-8", todo="check the file"
        ) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _record(line, f"{path}:{number}")


def _record(line: str, where: str) -> Record:
    try:
        question = json.loads(line)
        answer = Answer(**question.pop("answer"))
        whole = isinstance(question["model"], str) and isinstance(question["prompt"], str) and answer.text.strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = ""
    if not whole:
        raise DataError(
            where,
            "this line holds no answer",
            allowed='a line is {"model": ..., "prompt": ..., "answer": {"text": ..., "model": ...}} with a text that '
            "is not blank",
            todo="export the answers again",
        )
    return Record(question, answer)


def _set_up(connection: sqlite3.Connection) -> None:
    """Make the table if need be. Readers and one writer then get along; what a killed writer left is rolled back."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            return
        except sqlite3.OperationalError as error:
            # Where two processes make the file at once, SQLite does not wait as it does otherwise.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        str(path),
        f"the cache of answers can not be used ({error})",
        allowed="it is an SQLite file on a disk that can be written",
        todo="name another file, or move this one away and import an export of it",
    )
