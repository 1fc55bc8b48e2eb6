"""One share of rows through a system: the function that every way of running calls, here or on another machine."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gmner.batch.source import Source
from gmner.data.jsonl import record_line
from gmner.data.rows import GivenRow, example_from_row, row_from_prediction
from gmner.errors import FailureError, GmnerError
from gmner.image import Picture
from gmner.systems.system import System
from gmner.types import Example, Prediction

ROW: Final = "row"
ERROR: Final = "error"
"""The keys of an entry: a predicted row as it will stand in the output, or an error with its row."""


class Outcome(NamedTuple):
    """What became of some rows: an entry for each, as a line of JSON, and how many the system has seen.

    `predicted` posts have a prediction, `failed` posts made the system fail.
    """

    entries: list[bytes]
    predicted: int
    failed: int


class Share(NamedTuple):
    """Some rows of `source`, whose predictions are for an output in `folder`.

    `pictures` are those that are open already, by their paths as the rows have them.
    """

    source: Source
    folder: Path
    rows: Sequence[GivenRow]
    pictures: Mapping[str, Picture] = {}


def predict_share(system: System, share: Share) -> Outcome:
    """Predict some rows. No row stops another, whatever it does to the system.

    Rows that can not be read, and posts that the system refuses or on which it fails, are errors.
    """
    posts = [_post(row, share) for row in share.rows]
    results = iter(attempt_isolated(system.attempt, [post for post in posts if isinstance(post, Example)]))
    finished = [post if isinstance(post, GmnerError) else next(results) for post in posts]
    entries = [_entry(row, result, share) for row, result in zip(share.rows, finished, strict=True)]
    return Outcome(
        entries,
        predicted=sum(isinstance(result, Prediction) for result in finished),
        failed=sum(isinstance(result, FailureError) for result in finished),
    )


def attempt_isolated(
    attempt: Callable[[Sequence[Example]], list[Prediction | GmnerError]], posts: Sequence[Example]
) -> list[Prediction | GmnerError]:
    """What a system's `attempt` gives; where it fails, it is asked post by post, so that none suffers for another.

    A post on which it fails alone has a FailureError.
    """
    if not posts:
        return []
    try:
        return attempt(posts)
    except Exception as error:
        if len(posts) == 1:
            return [_failure(_told(error))]
    return [result for post in posts for result in attempt_isolated(attempt, [post])]


def failure(share: Share, reason: str) -> Outcome:
    """The outcome of rows that a system could not survive."""
    entries = [_error(row, _failure(reason), share) for row in share.rows]
    return Outcome(entries, predicted=0, failed=len(entries))


def _post(row: GivenRow, share: Share) -> Example | GmnerError:
    if isinstance(row.row, GmnerError):
        return row.row
    try:
        post = example_from_row(row.row, f"{share.source.path}:{row.number}")
        if isinstance(post.image, str) and (picture := share.pictures.get(post.image)) is not None:
            return replace(post, image=picture)
        return share.source.with_picture(post)
    except GmnerError as error:
        return error


def _told(error: Exception) -> str:
    """An exception in words, with the place that it comes from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def _failure(reason: str) -> FailureError:
    return FailureError(
        f"the system failed on this post: {reason}",
        allowed="a system gives a prediction or says what is wrong with the post",
        todo="try the post alone, and report it",
    )


def _entry(row: GivenRow, result: Prediction | GmnerError, share: Share) -> bytes:
    if isinstance(result, GmnerError):
        return _error(row, result, share)
    if isinstance(result.example.image, bytes | np.ndarray) and isinstance(row.row, dict):  # it was opened or fetched
        result = replace(result, example=replace(result.example, image=row.row["image"]))
    try:
        return record_line({ROW: row_from_prediction(result, share.folder)}).encode()
    except ValueError as error:  # a number or a character that JSON does not have
        return _error(row, _failure(str(error)), share)


def _error(row: GivenRow, error: GmnerError, share: Share) -> bytes:
    name = None if row.given is None else row.given.get("id")
    told = {
        "line": row.number,
        "id": name if isinstance(name, str | int) else None,
        "error": str(error),
        ROW: share.source.kept(row, share.folder),
    }
    return record_line({ERROR: told}).encode(errors="backslashreplace")
