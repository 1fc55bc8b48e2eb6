"""COCO instances: one JSON file with pictures, and an annotation for each region of each entity.

A category is an entity type. COCO has no place for text, so that a picture's record carries its post as our row does,
without regions (`post`), and an annotation says which of its entities it is of (`entity`, from 0). Masks are written
as run-length codes, which pycocotools reads for any annotation; polygons, which other tools write, are read as well.
Of an entity's n-th box and n-th mask one annotation is made; a mask that has no box gets the tight one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from gmner.data.fields import BOX, LIST, OBJECT, OFFSET, POLYGONS, SIDE, STRING, Fields
from gmner.data.files import located
from gmner.data.ids import SeenIds
from gmner.data.regions import picture_size, region_pairs
from gmner.data.rows import admit_row, example_from_row, read_mask, row_from_example
from gmner.data.strict_json import read_json, write_json
from gmner.errors import DataError, EntityError
from gmner.geometry import encode_mask, mask_area, polygon_pixels
from gmner.types import ENTITY_TYPES, Box, Entity, EntityType, Example, Mask, entity_type, valid_box

POST: Final = "post"
"""The key of a picture's record under which its post stands."""
ENTITY: Final = "entity"
"""The key of an annotation that says which entity of the post it is of."""

_CATEGORIES: Final = {name: number for number, name in enumerate(ENTITY_TYPES, 1)}


def write_coco(path: str | Path, examples: Sequence[Example]) -> None:
    """Write posts as COCO instances; pictures are named as seen from the file's folder.

    Raises:
        DataError: the place can not be written to, or the regions of a post are in pictures of different sizes.
    """
    path = Path(path)
    images = [_image(number, example, path.parent) for number, example in enumerate(examples, 1)]
    regions = [
        (image["id"], place, entity, box, mask)
        for image, example in zip(images, examples, strict=True)
        for place, entity in enumerate(example.entities or ())
        for box, mask in region_pairs(entity)
    ]
    write_json(
        path,
        {
            "info": {"description": "posts of gmner"},
            "images": images,
            "annotations": [_annotation(number, *region) for number, region in enumerate(regions, 1)],
            "categories": [{"id": number, "name": name} for name, number in _CATEGORIES.items()],
        },
    )


def read_coco(path: str | Path) -> list[Example]:
    """The posts of a file that `write_coco` wrote, and that a tool for COCO may have changed the regions of.

    Raises:
        DataError: the file is not COCO's, a picture carries no post, or an annotation is of no entity or no picture.
    """
    path = Path(path)
    fields = Fields(read_json(path), str(path))
    posts: dict[int, Example] = {}
    ids = SeenIds()
    for number, value in enumerate(fields.need("images", LIST), 1):
        image = fields.inner(value, f"images[{number - 1}]")
        key = image.need("id", OFFSET)
        if key in posts:
            raise image.error("id", key, "a number of its own")
        posts[key] = _post(image, number, path.parent, ids)
    types = dict(_category(fields.inner(value, "categories")) for value in fields.need("categories", LIST))
    regions: dict[int, list[_Region]] = {key: [] for key in posts}
    for number, value in enumerate(fields.need("annotations", LIST)):
        annotation = fields.inner(value, f"annotations[{number}]")
        key = annotation.need("image_id", OFFSET)
        if key not in posts:
            raise annotation.error("image_id", key, "the id of a picture")
        regions[key].append(_region(annotation, posts[key], types))
    return [_with_regions(post, regions[key]) for key, post in posts.items()]


class _Region(NamedTuple):
    """A region as it is annotated: of which entity of its post, its box and its mask."""

    entity: int
    box: Box
    mask: Mask | None


def _image(number: int, example: Example, folder: Path) -> dict[str, Any]:
    post = row_from_example(example, folder)
    for record in post.get("entities", ()):
        del record["boxes"], record["masks"]
    name = post.get("image", f"{example.id}.jpg")
    visible = any(entity.visible for entity in example.entities or ())
    size = picture_size(example) if visible else example.image_size
    sides = {} if size is None else {"width": size[0], "height": size[1]}
    return {"id": number, "file_name": name, **sides, POST: post}


def _annotation(number: int, image: int, place: int, entity: Entity, box: Box, mask: Mask | None) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": _CATEGORIES[entity.type],
        ENTITY: place,
        "bbox": [box.x1, box.y1, box.width, box.height],
        "area": box.area if mask is None else mask_area(mask),
        "iscrowd": 0,
        "segmentation": [] if mask is None else {"size": list(mask.size), "counts": mask.counts},
    }


def _post(image: Fields, number: int, folder: Path, ids: SeenIds) -> Example:
    """The post of a picture, without regions."""
    record = image.take(POST, OBJECT)
    if record is None:
        raise DataError(
            f"{image.where}: {image.name}",
            "a picture without a post",
            allowed=f"COCO holds no text, so that each picture has our row as `{POST}`",
            todo="convert the posts to COCO with gmner data convert, and annotate that",
        )
    where = f"{image.where}: {image.name}.{POST}"
    post = example_from_row(admit_row(record, where, folder, number, ids), where)
    width, height = image.take("width", SIDE), image.take("height", SIDE)
    return post if width is None or height is None else replace(post, image_size=(width, height))


def _category(category: Fields) -> tuple[int, EntityType]:
    """The number of a category and the type that it is."""
    try:
        return category.need("id", OFFSET), entity_type(category.need("name", STRING))
    except EntityError as error:
        raise located(error, category.where) from None


def _region(annotation: Fields, post: Example, types: Mapping[int, EntityType]) -> _Region:
    entities, place = post.entities or (), annotation.need(ENTITY, OFFSET)
    if place >= len(entities):
        raise annotation.error(ENTITY, place, f"one of the {len(entities)} entities of its post, from 0")
    category = annotation.need("category_id", OFFSET)
    if types.get(category) != entities[place].type:
        raise annotation.error("category_id", category, f"that of {entities[place].text!r}, {entities[place].type}")
    x, y, width, height = annotation.need("bbox", BOX)
    try:
        return _Region(place, valid_box(x, y, x + width, y + height), _mask(annotation, post))
    except EntityError as error:
        raise located(error, f"{annotation.where}: {annotation.name}") from None


def _mask(annotation: Fields, post: Example) -> Mask | None:
    """The segmentation of an annotation: a run-length code of either kind, or polygons, which together are one mask."""
    value = annotation.rest.get("segmentation")
    if not value:
        return None
    if isinstance(value, list):
        polygons = annotation.take("segmentation", POLYGONS)
        if post.image_size is None:
            raise annotation.error("segmentation", value, "of a picture whose `width` and `height` are given")
        drawn = [polygon_pixels(np.array(points).reshape(-1, 2), *post.image_size) for points in polygons]
        return encode_mask(np.any(drawn, axis=0))
    return read_mask(annotation.inner(value, "segmentation"))


def _with_regions(post: Example, regions: Sequence[_Region]) -> Example:
    """The post with the regions of each entity, all of them in one picture."""
    entities = []
    for place, entity in enumerate(post.entities or ()):
        own = [region for region in regions if region.entity == place]
        masks = tuple(region.mask for region in own if region.mask is not None)
        entities.append(replace(entity, boxes=tuple(region.box for region in own), masks=masks))
    found = replace(post, entities=None if post.entities is None else tuple(entities))
    if any(entity.masks for entity in entities):
        picture_size(found)
    return found
