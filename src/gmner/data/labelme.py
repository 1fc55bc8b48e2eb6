"""labelme's files: one JSON for each picture, with what was drawn in it and the name that was typed for it.

Read are polygons, bitmaps (labelme calls them masks) and rectangles; a picture's coordinates are those of boxes here.
Shapes with one label and one `group_id` are the parts of one mask: something stands before the thing. Shapes may
overlap. Masks are written as bitmaps, or as polygons along the edges of their pixels, which labelme's user can drag;
both are exact. Rectangles are written beside them as `data/regions.py` says.
"""

import base64
import binascii
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Int64

from gmner.data.fields import LIST, POINTS, SIDE, STRING, Fields
from gmner.data.files import located
from gmner.data.strict_json import read_json
from gmner.errors import EntityError, ImageError
from gmner.geometry import decode_mask, encode_mask, mask_box, mask_outlines, polygon_pixels
from gmner.types import Box, Mask, valid_box

VERSION: Final = "5.4.0"
"""The labelme whose form is written: the first that has bitmaps."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was drawn for one name: a mask or a box. `place` says which shape of the file it is (the first of a group).

    `outside` says whether a point of it lies outside the picture; of a mask that part is cut off.
    """

    name: str
    region: Mask | Box
    place: str = ""
    outside: bool = False

    @property
    def box(self) -> Box:
        """The box, or the tight one around the mask."""
        box = mask_box(self.region) if isinstance(self.region, Mask) else self.region
        if box is None:
            raise EntityError("an empty mask", allowed="a shape covers pixels", todo="drop it")
        return box


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that was drawn in one picture. `size` is (width, height); `image` is its path seen from the file."""

    id: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]
    image: str = ""
    data: str | None = None
    """The picture's file in base64, where the drawing carries it."""


def drawing_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by image id."""
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def read_drawing(path: Path) -> Drawing:
    """The drawing in a file.

    Raises:
        DataError: the file is not JSON or not labelme's, or a shape is of another kind, has too few points, is a
            broken bitmap, or covers no pixel of the picture.
    """
    from gmner.image import MAX_PIXELS

    fields = Fields(read_json(path), str(path))
    size = width, height = fields.need("imageWidth", SIDE), fields.need("imageHeight", SIDE)
    if width * height > MAX_PIXELS:
        raise fields.error("imageWidth", width, f"that of a picture of at most {MAX_PIXELS:,} pixels")
    drawn = [
        _read_shape(fields.inner(value, f"shapes[{n}]"), size) for n, value in enumerate(fields.need("shapes", LIST))
    ]
    return Drawing(
        id=path.stem,
        size=size,
        shapes=tuple(_joined(drawn)),
        image=fields.take("imagePath", STRING) or "",
        data=fields.take("imageData", STRING),
    )


def format_drawing(drawing: Drawing, *, polygons: bool = False) -> dict[str, Any]:
    """The content of a file; `read_drawing` gives the drawing back, but for the places of shapes.

    With `polygons` masks are written as such; one with a hole, for which labelme's polygons have no word, as a bitmap.
    """
    width, height = drawing.size
    records = [record for n, shape in enumerate(drawing.shapes, 1) for record in _format_shape(shape, n, polygons)]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": records,
        "imagePath": drawing.image or f"{drawing.id}.jpg",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def from_base64(text: str) -> bytes:
    """The file that `text` is.

    Raises:
        ImageError: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ImageError(
            f"a text that is not base64 ({error})",
            allowed="labelme's pictures are files in base64",
            todo="save the drawing again",
        ) from None


@dataclass(frozen=True, slots=True)
class _Part:
    """A shape as it stands in the file; those of one `group` are one mask."""

    shape: Shape
    group: tuple[str, Any] | None


def _read_shape(fields: Fields, size: tuple[int, int]) -> _Part:
    name = fields.need("label", STRING)
    kind = fields.take("shape_type", STRING) or "polygon"  # files older than labelme 3 do not say
    points = np.array(fields.need("points", POINTS), dtype=np.float64).reshape(-1, 2)
    outside = bool((points < 0).any() or (points > size).any())
    if kind not in _LEAST_POINTS:
        raise fields.error("shape_type", kind, f"{', '.join(_LEAST_POINTS)}: what has an area")
    if len(points) < _LEAST_POINTS[kind]:
        raise fields.error("points", points.tolist(), f"at least {_LEAST_POINTS[kind]} points of a {kind}")
    group = fields.rest.get("group_id")
    if kind == "rectangle":
        try:
            box = valid_box(*points.min(axis=0), *points.max(axis=0))
        except EntityError as error:
            raise located(error, f"{fields.where}: {fields.name}") from None
        return _Part(Shape(name, box, fields.name, outside), None)
    pixels = polygon_pixels(points, *size) if kind == "polygon" else _bitmap(fields, points, size)
    if not pixels.any():
        raise fields.error("points", points.tolist(), f"around a pixel of the picture of {size[0]} x {size[1]}")
    return _Part(Shape(name, encode_mask(pixels), fields.name, outside), None if group is None else (name, str(group)))


_LEAST_POINTS: Final = {"polygon": 3, "mask": 2, "rectangle": 2}


def _bitmap(fields: Fields, corners: np.ndarray, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """A bitmap in its picture: the first of its corners is that of its first pixel, the second that of its last."""
    from gmner.image import open_image  # here: reading data without bitmaps needs no Pillow

    try:
        part = open_image(from_base64(fields.need("mask", STRING)))[..., 0] > 0
    except ImageError as error:
        raise located(error, f"{fields.where}: {fields.name}.mask") from None
    (left, top), (right, bottom) = np.round(corners[:2]).astype(int).tolist()
    height, width = part.shape
    # Labelme means pixels by the corners, so that the second is still part of it; other tools mean their edges.
    if (right - left, bottom - top) not in ((width - 1, height - 1), (width, height)):
        raise fields.error("points", corners.tolist(), f"the corners of its bitmap of {width} x {height} pixels")
    if min(left, top) < 0 or left + width > size[0] or top + height > size[1]:
        raise fields.error("points", corners.tolist(), f"within the picture of {size[0]} x {size[1]}")
    pixels = np.zeros(size[::-1], dtype=bool)
    pixels[top : top + height, left : left + width] = part
    return pixels


def _joined(parts: Iterable[_Part]) -> Iterable[Shape]:
    """The shapes, the parts of a group as one."""
    groups: dict[object, list[Shape]] = {}
    for number, part in enumerate(parts):
        groups.setdefault(number if part.group is None else part.group, []).append(part.shape)
    for shapes in groups.values():
        first = shapes[0]
        masks = [shape.region for shape in shapes if isinstance(shape.region, Mask)]
        region = encode_mask(np.any([decode_mask(mask) for mask in masks], axis=0)) if len(masks) > 1 else first.region
        yield Shape(first.name, region, first.place, any(shape.outside for shape in shapes))


def _format_shape(shape: Shape, group: int, polygons: bool) -> list[dict[str, Any]]:
    """The records of a shape: several, of one group, where it is written as polygons and has several parts."""
    box = shape.box
    record: dict[str, Any] = {"label": shape.name, "group_id": None, "description": "", "flags": {}, "mask": None}
    if isinstance(shape.region, Box):
        return [record | {"shape_type": "rectangle", "points": [list(box[:2]), list(box[2:])]}]
    outlines = mask_outlines(shape.region) if polygons else []
    if outlines and all(_clockwise(points) for points in outlines):
        record |= {"shape_type": "polygon", "group_id": group if len(outlines) > 1 else None}
        return [record | {"points": points.tolist()} for points in outlines]
    left, top, right, bottom = (int(side) for side in box)
    part = decode_mask(shape.region)[top:bottom, left:right]
    corners = [[left, top], [right - 1, bottom - 1]]
    return [record | {"shape_type": "mask", "points": corners, "mask": _png(part)}]


def _clockwise(points: Int64[np.ndarray, "points 2"]) -> bool:
    """Whether an outline goes around a part, not around a hole."""
    (x, y), (next_x, next_y) = points.T, np.roll(points, -1, axis=0).T
    return bool((x * next_y - next_x * y).sum() > 0)


def _png(pixels: Bool[np.ndarray, "height width"]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
