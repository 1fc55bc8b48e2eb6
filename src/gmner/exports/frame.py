"""A pandas table of entities: one row each, to count, filter, join and plot."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gmner.data.fields import Fields
from gmner.data.files import located
from gmner.data.rows import entity_record, read_entity
from gmner.errors import DataError, EntityError, MismatchError
from gmner.exports.extras import require
from gmner.exports.plain import plain
from gmner.types import Entity, Example, Prediction, check_span

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS: Final = {
    "id": "string",
    "text": "string",
    "type": "string",
    "start": "Int64",
    "end": "Int64",
    "score": "Float64",
    "groundable": "Float64",
    "expression": "string",
    "boxes": "object",
    "masks": "object",
}
"""The columns and their types in pandas; what an entity does not have is `pandas.NA` there."""


def to_frame(posts: Iterable[Example | Prediction]) -> "DataFrame":
    """A row for each entity of the posts, in their order; a post without entities has none.

    `id` is the post's, `text` the entity's; `boxes` holds lists [x1, y1, x2, y2], `masks` COCO's run-length codes
    ({"size": [height, width], "counts": "..."}). Provenance and keys of an entity's own have no column.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    pandas = require("pandas")
    rows = [{"id": post.id, **entity_record(entity)} for post in posts for entity in post.entities or ()]
    columns = {name: pandas.Series([row.get(name) for row in rows], dtype=kind) for name, kind in COLUMNS.items()}
    return pandas.DataFrame(columns)


def from_frame(frame: "DataFrame", posts: Sequence[Example | Prediction]) -> list[Prediction]:
    """A prediction for each post, whose entities are its rows of the table, in their order.

    `posts` are those that the rows name by `id`; of predictions all but the entities is kept. Only `id`, `text` and
    `type` must be there; columns that are not among `COLUMNS` are not read.

    Raises:
        DataError: a column is missing or of another kind, or a row is no possible entity of its post.
        MismatchError: two posts have one id, or a row is of no post.
    """
    found: dict[str, list[Entity]] = {post.id: [] for post in posts}
    if len(found) < len(posts):
        raise MismatchError(
            f"{len(posts)} posts that have {len(found)} ids",
            allowed="rows belong to posts by their ids",
            todo="give each post its own id",
        )
    texts = {post.id: post.text for post in posts}
    for number, (name, record) in enumerate(_records(frame)):
        if name not in found:
            raise MismatchError(
                f"row {number} of the table is of the post {name!r}",
                allowed=f"the {len(posts)} posts have other ids",
                todo="give the posts that the table was made from",
            )
        where = f"row {number} of the table"
        try:
            entity = read_entity(Fields(record, where), texts[name])
            check_span(entity, texts[name])
        except EntityError as error:
            raise located(error, where) from None
        found[name].append(entity)
    return [
        replace(
            post if isinstance(post, Prediction) else Prediction(example=post, image_size=post.image_size),
            entities=tuple(found[post.id]),
        )
        for post in posts
    ]


def _records(frame: "DataFrame") -> list[tuple[str, dict[str, Any]]]:
    """The id of the post of each row, and the entity as our row has it."""
    pandas = require("pandas")
    for name in ("id", "text", "type"):
        if name not in frame:
            raise DataError(
                "table", f"no column {name!r}", allowed=f"its columns are {', '.join(COLUMNS)}", todo="add it"
            )
    try:
        known = frame.astype({name: kind for name, kind in COLUMNS.items() if name in frame})
    except (TypeError, ValueError) as error:
        raise DataError(
            "table",
            str(error),
            allowed=f"its columns are {', '.join(f'{name} ({kind})' for name, kind in COLUMNS.items())}",
            todo="convert the column",
        ) from None
    rows = known[[name for name in COLUMNS if name in frame]].to_dict("records")
    records = [{key: plain(value) for key, value in row.items() if value is not pandas.NA} for row in rows]
    return [(row.pop("id", ""), row) for row in records]
