"""What visual entailment and visual grounding learn from: each gold entity as an expression beside its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmner.data.files import replacing
from gmner.data.jsonl import record_line
from gmner.data.rows import relative_image
from gmner.expression import Form, expression_of
from gmner.types import Box, Example, Mask

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


@dataclass(frozen=True)
class EntailmentPair:
    """A picture and an expression, and whether the picture shows it: a row of the paper's D(VE).

    `picture` is the post's image reference, `caption` its one-line caption, if it has one, and `boxes` are the gold
    boxes.
    """

    id: str
    picture: "str | PathLike[str] | bytes | Image | np.ndarray"
    expression: str
    caption: str | None
    visible: bool
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A picture and an expression that it shows, and where: a row of the paper's D(VG).

    `boxes` are all gold boxes, of which any counts as right; `masks` are the gold masks, if there are any.
    """

    id: str
    picture: "str | PathLike[str] | bytes | Image | np.ndarray"
    expression: str
    boxes: tuple[Box, ...]
    masks: tuple[Mask, ...] = ()

    @property
    def label(self) -> Box:
        """The one box that is learned: the largest."""
        return max(self.boxes, key=lambda box: box.area)


def entailment_pairs(examples: Sequence[Example], form: Form = "paper") -> list[EntailmentPair]:
    """A row for every gold mention of every post that has a picture (specs/riveg.md, section 3).

    The data set's reader has joined boxes with mentions by their surface strings, so `visible` is the released rule.
    """
    return [
        EntailmentPair(
            example.id, example.image, expression_of(entity, form), example.caption, entity.visible, entity.boxes
        )
        for example in examples
        if example.image is not None
        for entity in example.entities or ()
    ]


def references(examples: Sequence[Example], form: Form = "paper") -> list[Reference]:
    """A row for every gold mention that has a box, of every post that has a picture (specs/riveg.md, section 4)."""
    return [
        Reference(example.id, example.image, expression_of(entity, form), entity.boxes, entity.masks)
        for example in examples
        if example.image is not None
        for entity in example.entities or ()
        if entity.boxes
    ]


def write_pairs(path: Path, rows: Sequence[EntailmentPair | Reference]) -> None:
    """Write pairs or references as JSONL, for training code of other houses.

    A row has `id`, `image` (seen from the file's folder), `expression`, and `caption` and `visible`, or `box` (the
    label) and `boxes`.

    Raises:
        DataError: the file can not be written.
    """
    with replacing(path) as temporary:
        temporary.write_text("".join(record_line(_record(row, path.parent)) for row in rows), encoding="utf-8")


def _record(row: EntailmentPair | Reference, folder: Path) -> dict[str, Any]:
    picture = row.picture
    image = relative_image(str(picture), folder) if isinstance(picture, str | PathLike) else None
    shared = {"id": row.id, "image": image, "expression": row.expression}
    if isinstance(row, EntailmentPair):
        return {**shared, "caption": row.caption, "visible": row.visible}
    return {**shared, "box": list(row.label), "boxes": [list(box) for box in row.boxes]}
