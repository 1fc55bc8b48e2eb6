"""Annotated pools: posts with a written answer on their named entities, the examples that a language model is shown.

A pool is a JSONL file of rows (`rows.py`), each with one more key: `{"text": ..., "answer": ..., "id"?, "caption"?,
"entities"?, ...}`. The entities are those of the answer; they may have no offsets, and need not be words of the text.

PLIM's published pools (specs/riveg.md, section 1) are a folder with two files, `*train.txt` and `*train_GPT.txt`, of
CR LF lines in pairs. Each pair is an image id, then in the first file the answer, in the second the entities in it,
`['name', 'TYPE'], ['name', 'TYPE']` or `None` (names hold bare apostrophes, so that this is no Python). The texts are
those of the train splits of Twitter-2015 and Twitter-2017. The paper counts 120 and 200 samples; the files hold 123
and 202, and entities of two more that have no answer.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from gmner.data.bio import split_lines
from gmner.data.fields import Fields, Kind
from gmner.data.files import located, read_text
from gmner.data.image_ids import image_id
from gmner.data.jsonl import write_records
from gmner.data.rows import example_from_row, iterate_rows, row_from_example, unnamed
from gmner.data.sidecars import Entry
from gmner.errors import DataError, EntityError
from gmner.types import Entity, Example, entity_type

ANSWER: Final = "answer"
"""The key of a row that holds the answer."""

WORDS: Final = Kind("a string that is not blank", lambda value: isinstance(value, str) and bool(value.strip()))

_ENTITY: Final = re.compile(r"\['(.+?)', '([A-Z]+)'\](?:, |$)")


class AnnotatedPost(NamedTuple):
    """A post and what somebody wrote who was asked for its named entities; `example.entities` are those named there."""

    example: Example
    answer: str


@dataclass(frozen=True)
class PoolReport:
    """How well a published pool fits the posts. All but `annotated` are image ids.

    `alien` are annotated but not among the posts; `unanswered` have entities and no answer; `unlabelled` have an
    answer and no entities; of `duplicate` ones the first counts.
    """

    annotated: int
    alien: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()


def read_pool(path: str | Path) -> list[AnnotatedPost]:
    """The annotated posts of a JSONL file. An id that only counts the rows says nothing of the picture, and is dropped.

    Raises:
        DataError: there is no such file, or the first row that breaks the format or has no answer, as `file:line`.
    """
    pool = []
    for number, row in iterate_rows(path):
        if isinstance(row, DataError):
            raise row
        fields = Fields(row, f"{path}:{number}")
        answer = fields.need(ANSWER, WORDS)
        example = example_from_row(fields.rest, fields.where)
        pool.append(AnnotatedPost(replace(example, id="") if example.id == unnamed(number) else example, answer))
    return pool


def write_pool(path: str | Path, pool: Iterable[AnnotatedPost]) -> None:
    """Write a pool as JSONL. The file appears whole or not at all.

    Raises:
        DataError: the folder does not exist or can not be written to, or a post's picture has no path.
    """
    path = Path(path)
    rows = (row_from_example(item.example, path.parent) | {ANSWER: item.answer} for item in pool)
    write_records(path, rows)


def read_plim_pool(folder: str | Path, posts: Sequence[Example]) -> tuple[list[AnnotatedPost], PoolReport]:
    """PLIM's pool in `folder`, with texts, captions and pictures from `posts`, which are found by image id.

    Raises:
        DataError: the folder does not hold the two files, or one of them breaks its format.
    """
    answers_file, entities_file = _plim_files(Path(folder))
    answers, twice = _pairs(answers_file)
    entities, also_twice = _pairs(entities_file)
    known = {image_id(post): post for post in posts}
    pool = []
    for name, answer in answers.items():
        if name in known:
            labels = _entities(entities[name]) if name in entities else None
            pool.append(AnnotatedPost(replace(known[name], entities=labels), answer.text))
    report = PoolReport(
        annotated=len(pool),
        alien=tuple(name for name in answers if name not in known),
        unanswered=tuple(name for name in entities if name not in answers),
        unlabelled=tuple(name for name in answers if name not in entities),
        duplicate=tuple(twice | also_twice),
    )
    return pool, report


def _plim_files(folder: Path) -> tuple[Path, Path]:
    """The file of answers and that of entities."""
    files = sorted(folder.glob("*.txt"))
    entities = [path for path in files if path.stem.endswith("_GPT")]
    answers = [path for path in files if path not in entities]
    if len(answers) != 1 or len(entities) != 1:
        raise DataError(
            str(folder),
            f"{len(answers)} files of answers and {len(entities)} of entities" if folder.is_dir() else "no such folder",
            allowed="a pool of PLIM's is a folder with one file `<name>.txt` and one `<name>_GPT.txt`",
            todo="check the path",
        )
    return answers[0], entities[0]


def _pairs(path: Path) -> tuple[dict[str, Entry], dict[str, None]]:
    """The line after each image id, by image id, and the ids that come again, in order."""
    entries: dict[str, Entry] = {}
    duplicate: dict[str, None] = {}
    lines = split_lines(read_text(path))
    for number in range(0, len(lines) - (not lines[-1]), 2):
        name, text = (line.strip() for line in (*lines, "")[number : number + 2])
        if not name or not text or " " in name:
            raise DataError(
                f"{path}:{number + 1}",
                f"the line {lines[number][:40]!r}" + ("" if text else " with nothing after it"),
                allowed="lines come in pairs, an image id and what was written on it",
                todo="give a pool as PLIM published them",
            )
        if name in entries:
            duplicate[name] = None
        else:
            entries[name] = Entry(name, text, f"{path}:{number + 2}")
    return entries, duplicate


def _entities(entry: Entry) -> tuple[Entity, ...]:
    """The entities of a line, which may be `None`; they have no offsets, as annotators mend spellings."""
    if entry.text == "None":
        return ()
    found = list(_ENTITY.finditer(entry.text))
    if "".join(match.group() for match in found) != entry.text:
        raise DataError(
            entry.where,
            f"the line {entry.text[:40]!r}",
            allowed="entities are `['name', 'TYPE'], ['name', 'TYPE']`, or `None`",
            todo="mend the line",
        )
    try:
        return tuple(Entity(text=match[1], type=entity_type(match[2])) for match in found)
    except EntityError as error:
        raise located(error, entry.where) from None
