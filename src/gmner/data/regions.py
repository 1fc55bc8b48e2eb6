"""Boxes beside masks in annotation tools, where both are drawn.

A box that is drawn says more than its mask only where it is not the tight one around it. So the formats of the tools
hold an entity's boxes only where they differ from the tight boxes of its masks, and an entity that is read with masks
alone has their tight boxes. An entity that had masks and no boxes has boxes thereafter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from gmner.errors import DataError
from gmner.geometry import mask_box
from gmner.types import Box, Entity, Example, Mask


def tight_boxes(masks: Sequence[Mask]) -> tuple[Box, ...]:
    """The tight box around each mask; an empty mask has none."""
    return tuple(box for mask in masks if (box := mask_box(mask)) is not None)


def region_pairs(entity: Entity) -> Iterator[tuple[Box, Mask | None]]:
    """The boxes of an entity with their masks, for formats that hold them together: the n-th with the n-th.

    A mask that has no box gets the tight one; one without pixels and without box is nothing.
    """
    for drawn, mask in zip_longest(entity.boxes, entity.masks):
        box = mask_box(mask) if drawn is None else drawn
        if box is not None:
            yield box, mask


def drawn_boxes(entity: Entity) -> tuple[Box, ...]:
    """The boxes that must be drawn beside the entity's masks: all, or none where its masks have the same."""
    return () if entity.boxes == tight_boxes(entity.masks) else entity.boxes


def with_regions(entity: Entity, boxes: Sequence[Box], masks: Sequence[Mask]) -> Entity:
    """The entity with regions as they were drawn."""
    return replace(entity, boxes=tuple(boxes) or tight_boxes(masks), masks=tuple(masks))


def picture_size(example: Example) -> tuple[int, int]:
    """Width and height of the post's picture, as the post or its masks know it.

    Raises:
        DataError: they do not, or do not agree.
    """
    sizes = {mask.size[::-1] for entity in example.entities or () for mask in entity.masks}
    sizes |= {example.image_size} if example.image_size is not None else set()
    if len(sizes) != 1:
        told = f"regions of pictures of the sizes {sorted(sizes)}" if sizes else "regions but no `image_size`"
        raise DataError(
            f"post {example.id!r}",
            told,
            allowed="regions are in a picture of one known size",
            todo="give the row `image_size`: [width, height], the size of its masks",
        )
    return sizes.pop()
