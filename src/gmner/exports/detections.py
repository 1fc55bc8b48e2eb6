"""supervision's `Detections`: the regions of a post as arrays, which its annotators, filters and metrics take.

A detection is one region: a box, its mask if it has one, and in `data` which entity of the post it is of (`entity`,
from 0). Supervision may drop, move and reorder them; `from_detections` puts what is left back into the post. As in COCO
files, an entity's n-th box goes with its n-th mask, and a mask that has no box gets the tight one.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from gmner.data.regions import region_pairs
from gmner.errors import DataError, EntityError
from gmner.exports.extras import require
from gmner.geometry import box_array, decode_mask, encode_mask
from gmner.types import ENTITY_TYPES, Example, Prediction, valid_box

if TYPE_CHECKING:
    from supervision import Detections

Post = TypeVar("Post", Example, Prediction)

ENTITY: Final = "entity"
"""The key of a detection's `data` that says which entity of the post it is of."""


def to_detections(post: Example | Prediction) -> "Detections":
    """The regions of a post's entities, in the order of the entities; those that are not in the picture have none.

    `class_id` counts `types.ENTITY_TYPES`, `confidence` is the entity's score (NaN where it has none; None where no
    entity has one). `data` has `class_name` (the type, which supervision's labels show), `text` (the name),
    `groundable` (NaN where unknown) and `entity`. Where some regions have masks, the mask of the others is empty.

    Raises:
        MissingPackageError: supervision is not installed.
        EntityError: masks are of pictures of different sizes, or a code is damaged.
    """
    supervision = require("supervision")
    entities = post.entities or ()
    regions = [(n, box, mask) for n, entity in enumerate(entities) for box, mask in region_pairs(entity)]
    of = [entities[place] for place, _, _ in regions]
    sizes = {mask.size for _, _, mask in regions if mask is not None}
    if len(sizes) > 1:
        raise EntityError(
            f"post {post.id!r} has masks of pictures of the sizes {sorted(sizes)}",
            allowed="the masks of a post are of one picture",
            todo="scale the masks to the size of the original picture",
        )
    masks = None
    if sizes:
        [size] = sizes
        masks = np.array([np.zeros(size, dtype=bool) if mask is None else decode_mask(mask) for *_, mask in regions])
    scores = np.array([np.nan if entity.score is None else entity.score for entity in of])
    return supervision.Detections(
        xyxy=box_array([box for _, box, _ in regions]),
        mask=masks,
        confidence=None if np.isnan(scores).all() else scores,
        class_id=np.array([ENTITY_TYPES.index(entity.type) for entity in of], dtype=np.int64),
        data={
            "class_name": np.array([entity.type for entity in of], dtype=str),
            "text": np.array([entity.text for entity in of], dtype=str),
            "groundable": np.array([np.nan if entity.groundable is None else entity.groundable for entity in of]),
            ENTITY: np.array([place for place, _, _ in regions], dtype=np.int64),
        },
    )


def from_detections(detections: "Detections", post: Post) -> Post:
    """The post with these detections as the regions of its entities, and no others.

    All else that is said of the entities stays as the post has it. A mask without pixels is none.

    Raises:
        DataError: a detection does not say of which entity it is, or is of another type than that entity.
        EntityError: a box has no area.
    """
    entities, where = post.entities or (), f"detections of post {post.id!r}"
    places = detections.data.get(ENTITY)
    if places is None and len(detections):
        raise DataError(
            where,
            f"no {ENTITY!r} in their data",
            allowed=f"`data[{ENTITY!r}]` says of which entity of the post each detection is, from 0",
            todo="start from to_detections(post), or add it",
        )
    owners = [] if places is None else [int(place) for place in places]
    for number, place in enumerate(owners):
        if not 0 <= place < len(entities):
            raise DataError(
                where,
                f"detection {number} is of entity {place}",
                allowed=f"the post has {len(entities)} entities, counted from 0",
                todo="give the post that the detections were made from",
            )
        if detections.class_id is not None and detections.class_id[number] != ENTITY_TYPES.index(entities[place].type):
            raise DataError(
                where,
                f"detection {number} has the class {detections.class_id[number]}",
                allowed=f"its entity {entities[place].text!r} is {entities[place].type}, "
                f"class {ENTITY_TYPES.index(entities[place].type)}",
                todo="change the type of the entity in the post",
            )
    found = []
    for place, entity in enumerate(entities):
        own = [number for number, owner in enumerate(owners) if owner == place]
        masks = [] if detections.mask is None else [np.asarray(detections.mask[number], dtype=bool) for number in own]
        found.append(
            replace(
                entity,
                boxes=tuple(valid_box(*detections.xyxy[number].tolist()) for number in own),
                masks=tuple(encode_mask(mask) for mask in masks if mask.any()),
            )
        )
    return replace(post, entities=None if post.entities is None else tuple(found))
