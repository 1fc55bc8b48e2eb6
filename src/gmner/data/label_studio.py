"""Label Studio: posts as tasks in which names are marked in the text and regions in the picture, and back.

A task's text spans carry the entity's type; its rectangles and brush strokes carry none, and belong to the entity from
which a relation leads to them. So a type is changed in one place, and a region is moved to another name by drawing one
line. Rectangles are written as `data/regions.py` says. The task's data holds our row without entities as `post`, which
the text and the picture stand beside for Label Studio to show: all that it does not show comes back.
`labeling_config` is the project's configuration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from gmner.data.brush import decode_brush, encode_brush
from gmner.data.fields import BYTES, ID, LIST, NUMBER, OBJECT, OFFSET, PROBABILITY, SIDE, STRING, STRINGS, Fields
from gmner.data.files import located, replacing
from gmner.data.ids import SeenIds
from gmner.data.regions import drawn_boxes, picture_size, with_regions
from gmner.data.rows import admit_row, example_from_row, row_from_example
from gmner.data.strict_json import read_json, write_json
from gmner.errors import DataError, GmnerError
from gmner.types import ENTITY_TYPES, Box, Entity, EntityType, Example, Mask, check_span, entity_type, valid_box

POST: Final = "post"
"""The key of a task's data under which its post stands."""

LOCAL_FILES: Final = "/data/local-files/?d="
"""How Label Studio calls a file below the folder that it serves (`LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`)."""

COLOURS: Final[dict[EntityType, str]] = {"PER": "#D55E00", "LOC": "#009E73", "ORG": "#0072B2", "OTHER": "#CC79A7"}

_SHOWN: Final = "shown here"
_DIGITS: Final = 4
"""Decimals of a pixel that percents are trusted for."""


def labeling_config() -> str:
    """The labelling configuration of a project (XML): types for the text, rectangles, brush, and the relation."""
    labels = "\n".join(f'    <Label value="{name}" background="{COLOURS[name]}"/>' for name in ENTITY_TYPES)
    return f"""<View>
  <Relations>
    <Relation value="{_SHOWN}"/>
  </Relations>
  <Labels name="type" toName="text">
{labels}
  </Labels>
  <Text name="text" value="$text"/>
  <Rectangle name="box" toName="image"/>
  <Brush name="mask" toName="image"/>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
</View>
"""


def write_label_studio(path: str | Path, examples: Sequence[Example]) -> None:
    """Write posts as annotated tasks (JSON), and the labelling configuration beside them (`.xml`).

    Raises:
        DataError: the place can not be written to, a post has no picture, or an entity has no offsets.
    """
    _write(Path(path), examples, "annotations")


def write_label_studio_predictions(path: str | Path, examples: Sequence[Example]) -> None:
    """The same as predictions, which Label Studio shows to an annotator to correct; raises as `write_label_studio`."""
    _write(Path(path), examples, "predictions")


def read_label_studio(path: str | Path) -> list[Example]:
    """The posts of exported tasks, with the entities that were annotated.

    A task that nobody annotated has no gold: its `entities` are None, whatever was predicted.

    Raises:
        DataError: the first task that breaks the format (see `iterate_tasks`).
    """
    examples = []
    for example in iterate_tasks(Path(path)):
        if isinstance(example, DataError):
            raise example
        examples.append(example)
    return examples


def iterate_tasks(path: Path) -> Iterator[Example | DataError]:
    """The posts of exported tasks, or what is wrong with a task.

    An error are: two annotations of which neither is the ground truth, a region that no relation leads to or that two
    do, a span that does not read as it says, a turned rectangle, a region of another kind, a damaged brush stroke.

    Raises:
        DataError: the file is no list of tasks.
    """
    tasks, ids = read_json(path), SeenIds()
    if not isinstance(tasks, list):
        raise DataError(
            str(path),
            "no list of tasks",
            allowed="Label Studio exports a list (JSON)",
            todo="export as JSON, not JSON-MIN",
        )
    for number, task in enumerate(tasks, 1):
        where = f"{path}: task {number}"
        try:
            yield _read_task(Fields(task, where), number, path.parent, ids)
        except GmnerError as error:
            yield located(error, where)


def _write(path: Path, examples: Sequence[Example], kind: str) -> None:
    write_json(path, [_task(number, example, path.parent, kind) for number, example in enumerate(examples, 1)])
    with replacing(path.with_suffix(".xml")) as temporary:
        temporary.write_text(labeling_config(), encoding="utf-8", newline="\n")


def _task(number: int, example: Example, folder: Path, kind: str) -> dict[str, Any]:
    post = row_from_example(replace(example, entities=None), folder)
    if "image" not in post:
        raise DataError(
            f"post {example.id!r}",
            "no picture",
            allowed="Label Studio shows each task's picture beside its text",
            todo="name the folder of the pictures with --images, or leave the post out",
        )
    data = {"text": example.text, "image": _address(post["image"]), POST: post}
    task: dict[str, Any] = {"id": number, "data": data}
    if example.entities is not None:
        results = [part for n, entity in enumerate(example.entities) for part in _results(f"e{n}", entity, example)]
        task[kind] = [{"model_version": "gmner", "result": results}]
    return task


def _address(image: str) -> str:
    """The picture as Label Studio can fetch it: a URL, or a file below the folder that it serves."""
    return image if "://" in image else LOCAL_FILES + quote(image)


def _results(name: str, entity: Entity, example: Example) -> Iterator[dict[str, Any]]:
    """The span of an entity, its regions, and a relation to each of them."""
    if entity.start is None or entity.end is None:
        raise DataError(
            f"post {example.id!r}",
            f"entity {entity.text!r} has no offsets",
            allowed="Label Studio marks names at their place in the text",
            todo="give `start` and `end`",
        )
    span = {"start": entity.start, "end": entity.end, "text": entity.text, "labels": [entity.type]}
    yield {"id": name, "from_name": "type", "to_name": "text", "type": "labels", "value": span} | (
        {} if entity.score is None else {"score": float(entity.score)}
    )
    if not entity.visible:
        return
    width, height = picture_size(example)
    frame = {"original_width": width, "original_height": height, "image_rotation": 0, "to_name": "image"}
    boxes = [
        {
            "x": 100 * box.x1 / width,
            "y": 100 * box.y1 / height,
            "width": 100 * box.width / width,
            "height": 100 * box.height / height,
            "rotation": 0,
        }
        for box in drawn_boxes(entity)
    ]
    regions: list[dict[str, Any]] = [{"from_name": "box", "type": "rectangle", "value": value} for value in boxes]
    regions += [
        {"from_name": "mask", "type": "brush", "value": {"format": "rle", "rle": encode_brush(mask)}}
        for mask in entity.masks
    ]
    for number, region in enumerate(regions):
        key = f"{name}r{number}"
        yield {"id": key} | frame | region
        yield {"from_id": name, "to_id": key, "type": "relation", "direction": "right", "labels": [_SHOWN]}


def _read_task(task: Fields, number: int, folder: Path, ids: SeenIds) -> Example:
    data = task.inner(task.need("data", OBJECT), "data")
    record = data.take(POST, OBJECT) or {"text": data.need("text", STRING)}
    if "id" not in record and task.rest.get("id") is not None:
        record["id"] = task.need("id", ID)
    post = example_from_row(admit_row(record, task.where, folder, number, ids), task.where)
    annotations = [task.inner(value, "annotation") for value in task.take("annotations", LIST) or ()]
    done = [annotation for annotation in annotations if annotation.rest.get("was_cancelled") is not True]
    chosen = [annotation for annotation in done if annotation.rest.get("ground_truth") is True] or done
    if len(chosen) > 1:
        raise DataError(
            task.where,
            f"{len(chosen)} annotations of post {post.id!r}",
            allowed="a post has one gold",
            todo="mark one as ground truth, or export each annotator's tasks for gmner data agreement",
        )
    if not chosen:
        return post
    results = [chosen[0].inner(value, f"result[{n}]") for n, value in enumerate(chosen[0].need("result", LIST))]
    return _with_entities(post, results)


def _with_entities(post: Example, results: Sequence[Fields]) -> Example:
    """The post with what an annotation says."""
    spans: dict[str, Entity] = {}
    regions: dict[str, tuple[Box | Mask, tuple[int, int]]] = {}
    lines: list[tuple[str, str]] = []
    for result in results:
        kind = result.need("type", STRING)
        if kind == "labels":
            spans[result.need("id", STRING)] = _span(result, post)
        elif kind == "relation":
            lines.append((result.need("from_id", STRING), result.need("to_id", STRING)))
        else:
            regions[result.need("id", STRING)] = _region(kind, result)
    sizes = {size for _, size in regions.values()} | ({post.image_size} if post.image_size else set())
    if len(sizes) > 1:
        raise DataError(
            results[0].where,
            f"regions in pictures of the sizes {sorted(sizes)}",
            allowed="all regions are in the one picture of the post",
            todo="annotate the picture that the post names",
        )
    owned: dict[str, list[Box | Mask]] = {name: [] for name in spans}
    for key, (region, _) in regions.items():
        owned[_owner(key, lines, spans, results[0].where)].append(region)
    entities = [
        with_regions(
            entity,
            [region for region in owned[name] if isinstance(region, Box)],
            [region for region in owned[name] if isinstance(region, Mask)],
        )
        for name, entity in spans.items()
    ]
    entities.sort(key=lambda entity: (entity.start or 0, entity.end or 0))
    return replace(post, entities=tuple(entities), image_size=sizes.pop() if sizes else None)


def _owner(region: str, lines: Sequence[tuple[str, str]], spans: Mapping[str, Entity], where: str) -> str:
    """The id of the name that a relation joins with a region; it may be drawn from either end."""
    names = {name for line in lines for name, other in (line, line[::-1]) if other == region and name in spans}
    if len(names) != 1:
        raise DataError(
            where,
            f"region {region!r} belongs to {len(names)} names",
            allowed="a relation leads from one name to each region",
            todo="draw it in Label Studio",
        )
    return names.pop()


def _span(result: Fields, post: Example) -> Entity:
    """The entity of a marked name. Offsets are characters; exports of older versions count emoji twice."""
    value = result.inner(result.need("value", OBJECT), "value")
    start, end = value.need("start", OFFSET), value.need("end", OFFSET)
    labels = value.need("labels", STRINGS)
    if len(labels) != 1:
        raise value.error("labels", labels, "one type")
    text = value.take("text", STRING)
    if text is None:
        text = post.text[start:end]
    elif post.text[start:end] != text:
        units = post.text.encode("utf-16-le")
        before, inside = (units[2 * a : 2 * b].decode("utf-16-le", "replace") for a, b in ((0, start), (start, end)))
        if inside == text:
            start, end = len(before), len(before) + len(inside)
    entity = Entity(text, entity_type(labels[0]), start, end, score=result.take("score", PROBABILITY))
    check_span(entity, post.text)
    return entity


def _region(kind: str, result: Fields) -> tuple[Box | Mask, tuple[int, int]]:
    """A rectangle or a brush stroke, and the size of the picture that it is in."""
    from gmner.image import MAX_PIXELS  # here: it loads Pillow

    if kind not in _REGIONS:
        raise result.error("type", kind, f"labels, relation, {', '.join(_REGIONS)}")
    size = width, height = result.need("original_width", SIDE), result.need("original_height", SIDE)
    if width * height > MAX_PIXELS:
        raise result.error("original_width", width, f"that of a picture of at most {MAX_PIXELS:,} pixels")
    if result.take("image_rotation", NUMBER):
        raise result.error("image_rotation", "not 0", "0: the picture is annotated upright")
    value = result.inner(result.need("value", OBJECT), "value")
    if kind.startswith("brush"):
        if value.take("format", STRING) != "rle":
            raise value.error("format", None, "rle")
        return decode_brush(value.need("rle", BYTES), width, height), size
    if value.take("rotation", NUMBER):
        raise value.error("rotation", "not 0", "0: boxes are upright")
    x, y, w, h = (value.need(side, NUMBER) / 100 for side in ("x", "y", "width", "height"))
    corners = (x * width, y * height, (x + w) * width, (y + h) * height)
    return valid_box(*(round(corner, _DIGITS) for corner in corners)), size


_REGIONS: Final = ("rectangle", "brush", "rectanglelabels", "brushlabels")
"""The last two are of projects whose regions have labels of their own; the type of the name is what counts."""
