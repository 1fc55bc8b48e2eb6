r"""Our row format: a post, gold or predicted, as one row of a JSONL or Parquet file.

    {"schema": 1, "id": "17", "text": "Grace Hopper of the US Navy", "image": "images/17.jpg",
     "entities": [{"text": "Grace Hopper", "type": "PER", "start": 0, "end": 12, "boxes": [[x1, y1, x2, y2]],
                   "masks": [{"size": [height, width], "counts": "..."}]}]}

`text` or `tokens` is needed; where only tokens are given, the text is the tokens joined by blanks. `start` and `end`
are character offsets into the text; a row may lack them (only the surface string is known), and an entity may lack
`text` where it has them. Further keys of a row: `image_size` ([width, height]), `caption`, `description`,
`knowledge`, `candidates` ([{box, kind, score, text}]) and `notes`; of an entity: `score`, `groundable`, `expression`
and `provenance`. Any other key is kept (`extra`) and written back. A null is as good as a missing key. A row without
an id is called `row-<its number>`, which no given id is likely to be. Image paths are relative to the file's folder.

Each row carries the version of the format as `schema`, so that files can be split, joined and appended to by the line.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from gmner.data import csv_rows, jsonl, parquet, pictures
from gmner.data.fields import (
    BOX,
    BOXES,
    COUNTS,
    ID,
    LIST,
    MASK_SIZE,
    NUMBER,
    OFFSET,
    PROBABILITY,
    PROVENANCE,
    SIZE,
    STRING,
    STRINGS,
    VERSION,
    Fields,
)
from gmner.data.files import elsewhere, located, refuse_folder
from gmner.data.ids import SeenIds
from gmner.data.jsonl import Record
from gmner.errors import DataError, EntityError, TextError
from gmner.geometry import mask_of_runs, mask_runs
from gmner.tagging import locate_tokens
from gmner.types import Box, Candidate, Entity, Example, Mask, Prediction, check_span, entity_type, valid_box

SCHEMA: Final = 1
"""The version of the row format that is written; rows of a newer one are refused."""

T = TypeVar("T")


class GivenRow(NamedTuple):
    """A row of a file: its number (line number, in JSONL and CSV), what stands there, and what it is taken for.

    `given` is None where nothing could be read. `row` has its id, and its image path leads from the working folder;
    of a row that can not be taken it is the error.
    """

    number: int
    given: Record | None
    row: Record | DataError


def iterate_given(path: str | os.PathLike[str]) -> Iterator[GivenRow]:
    """The rows of a file, one after another, good and bad; the memory that this takes does not grow with the file.

    `.parquet` files are Parquet, `.csv` files are CSV, all others JSONL; a folder is one of pictures with their texts.

    Raises:
        DataError: there is no such file, or it is of another kind than its name says.
    """
    path = Path(path) if isinstance(path, str | os.PathLike) else path
    if path.is_dir():
        return admit_rows(pictures.read_records(path), path, path)
    readers = {".parquet": parquet.read_records, ".csv": csv_rows.read_records}
    return admit_rows(readers.get(path.suffix.lower(), jsonl.read_records)(path), path, path.parent)


def admit_rows(records: Iterable[tuple[int, Record | DataError]], path: Path, folder: Path) -> Iterator[GivenRow]:
    """Numbered records of `path` as rows, each with its id; their image paths are relative to `folder`."""
    ids = SeenIds()
    for number, record in records:
        if isinstance(record, DataError):
            yield GivenRow(number, None, record)
            continue
        try:
            yield GivenRow(number, record, admit_row(record, f"{path}:{number}", folder, number, ids))
        except DataError as error:
            yield GivenRow(number, record, error)


def iterate_rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, Record | DataError]]:
    """The numbers and rows of `iterate_given`, without what stands in the file.

    Raises:
        DataError: as `iterate_given`.
    """
    for number, _, row in iterate_given(path):
        yield number, row


def unnamed(number: int) -> str:
    """The id of a row that has none."""
    return f"row-{number}"


def read_examples(path: str | os.PathLike[str]) -> list[Example]:
    """The posts of a JSONL or Parquet file, with their gold entities if they have any.

    Raises:
        DataError: the first row that breaks the format, as `file:line`.
    """
    return _read(path, example_from_row)


def read_predictions(path: str | os.PathLike[str]) -> list[Prediction]:
    """The predictions of a JSONL or Parquet file.

    Raises:
        DataError: there is no such file, or the first row that breaks the format, as `file:line`.
    """
    refuse_folder(Path(path))
    return _read(path, prediction_from_row)


def write_rows(path: str | os.PathLike[str], posts: Iterable[Example | Prediction]) -> None:
    """Write examples or predictions as Parquet (`.parquet`) or JSONL (any other name).

    The file appears whole or not at all. Image paths are written relative to its folder where they share one with it.

    Raises:
        DataError: the folder does not exist or can not be written to, or an example's picture has no path.
    """
    folder = Path(path).parent
    save_rows(
        path,
        (
            row_from_prediction(post, folder) if isinstance(post, Prediction) else row_from_example(post, folder)
            for post in posts
        ),
    )


def save_rows(path: str | os.PathLike[str], rows: Iterable[Record]) -> None:
    """Write rows that `row_from_example` or `row_from_prediction` made; otherwise as `write_rows`."""
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        parquet.write_records(path, rows, SCHEMA)
    else:
        jsonl.write_records(path, rows)


def example_from_row(row: Mapping[str, Any], where: str) -> Example:
    """The post that a row holds; `where` (`file:line`) is named in errors.

    The row of a prediction can be read as well: its entities then stand as the example's, its notes in `extra`.

    Raises:
        DataError: a value is of the wrong kind, or the row is no possible post.
    """
    fields = Fields(row, where)
    try:
        post = _post(fields)
        entities, candidates = _entities(fields, post.text), _candidates(fields)
        size = _size(fields)
        fields.check("notes", STRINGS)
        return replace(post, entities=entities, candidates=candidates, image_size=size, extra=fields.rest)
    except (EntityError, TextError) as error:
        raise located(error, where) from None


def prediction_from_row(row: Mapping[str, Any], where: str) -> Prediction:
    """The prediction that a row holds; `where` (`file:line`) is named in errors. Its example has no gold entities.

    Raises:
        DataError: a value is of the wrong kind, or the row is no possible prediction.
    """
    fields = Fields(row, where)
    try:
        post = _post(fields)
        entities, candidates = _entities(fields, post.text) or (), _candidates(fields) or ()
        for entity in entities:
            check_span(entity, post.text)
        size, notes = _size(fields), tuple(fields.take("notes", STRINGS) or ())
        post = replace(post, extra=fields.rest)
        return Prediction(example=post, entities=entities, candidates=candidates, image_size=size, notes=notes)
    except (EntityError, TextError) as error:
        raise located(error, where) from None


def row_from_example(example: Example, folder: Path | None = None) -> Record:
    """The row of a post; its image path is written relative to `folder` where the two share a folder.

    Raises:
        DataError: the picture is in memory only, so that the row could not name it.
    """
    if not isinstance(example.image, str | os.PathLike | None):
        raise DataError(
            f"post {example.id!r}",
            f"a picture that is in memory only ({type(example.image).__name__})",
            allowed="a row names its picture by its path",
            todo="save the picture and give the example its path",
        )
    row = _row_from_post(example, folder)
    if example.image_size is not None:
        row["image_size"] = list(example.image_size)
    if example.entities is not None:
        row["entities"] = [entity_record(entity) for entity in example.entities]
    if example.candidates is not None:
        row["candidates"] = [_candidate_record(candidate) for candidate in example.candidates]
    return row | {key: value for key, value in example.extra.items() if key not in _POST_KEYS | _EXAMPLE_KEYS}


def row_from_prediction(prediction: Prediction, folder: Path | None = None) -> Record:
    """The row of a prediction; its image path is written relative to `folder` where the two share a folder.

    A picture that is in memory only is left out: the prediction was made from it, and its boxes stand for
    themselves. Gold entities of the example are not part of the prediction and not of its row.
    """
    row = _row_from_post(prediction.example, folder)
    if prediction.image_size is not None:
        row["image_size"] = list(prediction.image_size)
    row["entities"] = [entity_record(entity) for entity in prediction.entities]
    if prediction.candidates:
        row["candidates"] = [_candidate_record(candidate) for candidate in prediction.candidates]
    if prediction.notes:
        row["notes"] = list(prediction.notes)
    extra = prediction.example.extra
    return row | {key: value for key, value in extra.items() if key not in _POST_KEYS | _EXAMPLE_KEYS | {"notes"}}


_POST_KEYS: Final = frozenset({"schema", "id", "text", "tokens", "image", "caption", "description", "knowledge"})
_EXAMPLE_KEYS: Final = frozenset({"image_size", "entities", "candidates"})


def _read(path: str | os.PathLike[str], convert: Callable[[Record, str], T]) -> list[T]:
    """All rows of a file, converted; the first bad one is raised."""
    posts = []
    for number, row in iterate_rows(path):
        if isinstance(row, DataError):
            raise row
        posts.append(convert(row, f"{path}:{number}"))
    return posts


def admit_row(record: Record, where: str, folder: Path, number: int, ids: SeenIds) -> Record:
    """The row with its id and with its image path seen from the working folder, if its version can be read.

    `folder` is the one that the image path leads from, `number` the row's, and `ids` those so far, to which its own
    is added.

    Raises:
        DataError: the row is of a newer version, its id came before, or its image is an empty text.
    """
    fields = Fields(record, where)
    version = fields.take("schema", VERSION)
    if version is not None and version > SCHEMA:
        raise DataError(
            where,
            f"a row of version {version} of the row format",
            allowed=f"this gmner reads up to version {SCHEMA}",
            todo="update gmner, or write the file again with this one",
        )
    given = fields.take("id", ID)
    name = unnamed(number) if given is None or given == "" else str(given)  # 0 is an id
    if (first := ids.first(name, number)) != number:
        raise DataError(
            where,
            f"the id {name!r} for the second time (first in line {first})",
            allowed="ids are unique within a file",
            todo="give each post its own id",
        )
    row = {**fields.rest, "id": name}
    image = row.get("image")
    if image == "":
        raise DataError(where, "the image is an empty text", allowed="a row names its picture's file", todo="drop it")
    if isinstance(image, str) and "://" not in image:
        row["image"] = str(folder / image)
    return row


def _post(fields: Fields) -> Example:
    """What examples and predictions have in common: the post without its entities.

    Raises:
        DataError: there is no text.
        TextError: the text is empty, or does not hold the tokens in their order.
    """
    name, text, tokens = fields.take("id", ID), fields.take("text", STRING), fields.take("tokens", STRINGS)
    if text is None and tokens is None:
        raise fields.error("text", None, "given, or `tokens` are")
    post = Example(
        id="" if name is None else str(name),
        text=text or "",
        tokens=tokens,
        image=fields.take("image", STRING),
        caption=fields.take("caption", STRING),
        description=fields.take("description", STRING),
        knowledge=fields.take("knowledge", STRING),
    )
    if post.tokens is not None:
        locate_tokens(post.text, post.tokens)
    return post


def _size(fields: Fields) -> tuple[int, int] | None:
    """The width and height of a row's picture."""
    size = fields.take("image_size", SIZE)
    return None if size is None else (size[0], size[1])


def _row_from_post(post: Example, folder: Path | None) -> Record:
    """The inverse of `_post`."""
    row: Record = {"schema": SCHEMA}
    if post.id:
        row["id"] = post.id
    row["text"] = post.text
    if post.tokens is not None:
        row["tokens"] = list(post.tokens)
    if isinstance(post.image, str | os.PathLike):
        row["image"] = relative_image(os.fspath(post.image), folder)
    for key in ("caption", "description", "knowledge"):
        if (value := getattr(post, key)) is not None:
            row[key] = value
    return row


def relative_image(image: str, folder: Path | None) -> str:
    """The image path seen from `folder`, unless only the root of the file system holds both; URLs stay what they are.

    Links to folders are followed: `..` leads from where a folder truly is. The picture keeps its own name. What can be
    no path, as it holds a null character, stays what it is.
    """
    if folder is None or "://" in image or "\0" in image:
        return image
    absolute = Path(image).absolute()
    absolute = absolute.parent.resolve() / absolute.name
    if elsewhere(folder):
        return str(absolute)
    base = folder.resolve()
    if absolute.anchor != base.anchor or absolute.parts[:2] != base.parts[:2]:
        return str(absolute)
    return Path(os.path.relpath(absolute, base)).as_posix()


def _entities(fields: Fields, text: str) -> tuple[Entity, ...] | None:
    """The entities of a row; None where the row says nothing of entities."""
    objects = fields.take("entities", LIST)
    if objects is None:
        return None
    return tuple(read_entity(fields.inner(value, f"entities[{n}]"), text) for n, value in enumerate(objects))


def read_entity(fields: Fields, text: str) -> Entity:
    """An entity of a post whose text is `text`.

    Raises:
        DataError, EntityError: a value is of the wrong kind, or it is no possible entity.
    """
    start, end = fields.take("start", OFFSET), fields.take("end", OFFSET)
    surface = fields.take("text", STRING)
    if surface is None:
        if start is None or end is None:
            raise fields.error("text", None, "given, or `start` and `end` are")
        surface = text[start:end]
    masks = fields.take("masks", LIST) or ()
    return Entity(
        text=surface,
        type=entity_type(fields.need("type", STRING)),
        start=start,
        end=end,
        boxes=tuple(valid_box(*box) for box in fields.take("boxes", BOXES) or ()),
        masks=tuple(read_mask(fields.inner(value, f"masks[{n}]")) for n, value in enumerate(masks)),
        score=fields.take("score", NUMBER),
        groundable=fields.take("groundable", PROBABILITY),
        expression=fields.take("expression", STRING),
        provenance=fields.take("provenance", PROVENANCE) or {},
        extra=fields.rest,
    )


def entity_record(entity: Entity) -> Record:
    """The inverse of `read_entity`; numbers become plain Python ones, whatever a model left there."""
    record: Record = {"text": entity.text, "type": entity.type}
    if entity.start is not None and entity.end is not None:
        record |= {"start": int(entity.start), "end": int(entity.end)}
    record["boxes"] = [_box_record(box) for box in entity.boxes]
    record["masks"] = [{"size": [int(side) for side in mask.size], "counts": mask.counts} for mask in entity.masks]
    if entity.score is not None:
        record["score"] = float(entity.score)
    if entity.groundable is not None:
        record["groundable"] = float(entity.groundable)
    if entity.expression is not None:
        record["expression"] = entity.expression
    if entity.provenance:
        record["provenance"] = dict(entity.provenance)
    return record | {key: value for key, value in entity.extra.items() if key not in _ENTITY_KEYS}


_ENTITY_KEYS: Final = frozenset(field.name for field in dataclasses.fields(Entity)) - {"extra"}


def read_mask(fields: Fields) -> Mask:
    """A mask, compressed or not.

    Raises:
        DataError, EntityError: it is no run-length code, or its runs do not fill its size.
    """
    height, width = fields.need("size", MASK_SIZE)
    counts = fields.need("counts", COUNTS)
    fields.end()
    if isinstance(counts, list):
        return mask_of_runs(counts, height, width)
    mask = Mask((height, width), counts)
    mask_runs(mask)
    return mask


def _candidates(fields: Fields) -> tuple[Candidate, ...] | None:
    """The candidate regions of a row; None where the row says nothing of them."""
    objects = fields.take("candidates", LIST)
    if objects is None:
        return None
    return tuple(_candidate(fields.inner(value, f"candidates[{n}]")) for n, value in enumerate(objects))


def _candidate(fields: Fields) -> Candidate:
    candidate = Candidate(
        box=valid_box(*fields.need("box", BOX)),
        kind=fields.need("kind", STRING),
        score=fields.need("score", NUMBER),
        text=fields.take("text", STRING) or "",
    )
    fields.end()
    return candidate


def _candidate_record(candidate: Candidate) -> Record:
    """The inverse of `_candidate`."""
    record = {"box": _box_record(candidate.box), "kind": candidate.kind, "score": float(candidate.score)}
    return record | ({"text": candidate.text} if candidate.text else {})


def _box_record(box: Box) -> list[float]:
    return [float(side) for side in box]
