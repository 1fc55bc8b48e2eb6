"""What papers report, from `published.toml`: to stand beside our own scores, never to be one of them."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from gmner.config import from_dict
from gmner.errors import UnknownNameError


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Args:
        source: the paper and its table.
        data: the data set whose test split was scored, such as `twitter-gmner`.
        main: whether it is a paper's main table, and not one of variants.
        note: what a reader must know of the numbers.
        rows: by method and task, precision, recall and F1 in percent; NaN where the paper leaves a place empty.
        measures: by method and measure, numbers in percent that no task has.
    """

    source: str
    data: str
    main: bool
    note: str = ""
    rows: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)
    measures: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    table: tuple[PublishedTable, ...]


@cache
def all_tables() -> tuple[PublishedTable, ...]:
    """Every table of the file."""
    text = files("gmner.report").joinpath("published.toml").read_text(encoding="utf-8")
    return from_dict(_File, tomllib.loads(text)).table


def published(data: str) -> list[PublishedTable]:
    """The tables of scores on a data set's test split.

    Raises:
        UnknownNameError: none are known of it.
    """
    found = [table for table in all_tables() if table.data == data]
    if not found:
        raise UnknownNameError("data set with published scores", data, {table.data for table in all_tables()})
    return found
