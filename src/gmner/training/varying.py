"""Training posts that differ a little each time: other names, and regions cut a little to the side.

A network from random weights sees a few thousand posts several times and learns by heart which name stands beside
which picture. Other names of the same type leave all that matters as it is, and so does a crop that is off by some
pixels: candidates of a detector are never exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8

from gmner.data.expansions import with_expansions
from gmner.errors import ConfigError, TextError
from gmner.training.predictions import Encoded
from gmner.types import Entity, EntityType, Example

Post = TypeVar("Post", bound=Encoded)
Names = Mapping[EntityType, Sequence[str]]


@dataclass(frozen=True)
class Varying:
    """How much training posts vary.

    Args:
        names: share of the gold names in whose place another of the same type stands, which may be itself. What the
            post is told (`expansions`) is told of the new name. A name that can be read in the picture no longer can.
        shift: most pixels by which a crop is off, across and down; its edge is repeated.

    Raises:
        ConfigError: a number out of its range.
    """

    names: float = 0.5
    shift: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.names <= 1 or self.shift < 0:
            raise ConfigError(
                f"varying settings 'names' = {self.names} and 'shift' = {self.shift}",
                allowed="a share of the names, 0 to 1, and so many pixels, 0 or more",
                todo="change them",
            )


def check_varying(*, expansions: bool, crops: bool) -> None:
    """Refuse a recipe whose posts can not vary.

    Raises:
        ConfigError: its knowledge names the names that are replaced, or its regions are not seen as crops.
    """
    if not (expansions and crops):
        raise ConfigError(
            "setting 'varying' for a recipe without expansions or without crops",
            allowed="new names are told of by their expansions, and only crops can be shifted",
            todo="set `expansions` and let the model see crops, or drop `varying`",
        )


def names_by_type(examples: Sequence[Example]) -> Names:
    """The gold names of posts, each as often as it comes."""
    names: dict[EntityType, list[str]] = {}
    for example in examples:
        for entity in example.entities or ():
            names.setdefault(entity.type, []).append(entity.text)
    return names


class Codec(Protocol[Post]):
    """What reads posts; `pictures` may be None, and then what is seen of them is missing."""

    def encode(self, examples: Sequence[Example], pictures: Sequence[None]) -> list[Post]:
        """Every post as numbers."""


def varied(
    posts: Sequence[Post], names: Names, share: float, codec: Codec[Post], seeing: Callable[[Post, Post], Post]
) -> list[Post]:
    """The posts as they are this time: with other names, and what `seeing` lets a post see of the one it was.

    Where a name makes a text too long, all keep their names.
    """
    examples = with_expansions([renamed(post.example, names, share) for post in posts])
    try:
        read = codec.encode(examples, [None] * len(examples))
    except TextError:
        read = list(posts)
    return [seeing(post, before) for post, before in zip(read, posts, strict=True)]


def renamed(example: Example, names: Names, share: float) -> Example:
    """The post with other names in the place of a share of its own, drawn by torch; overlapping ones are left alone."""
    text, end = "", 0
    entities: list[Entity] = []
    for entity in sorted(example.entities or (), key=lambda entity: entity.start or 0):
        if entity.start is None or entity.end is None or entity.start < end:
            return example
        name, others = entity.text, names[entity.type]
        if float(torch.rand(())) < share:
            name = others[int(torch.randint(len(others), ()))]
        text += example.text[end : entity.start]
        entities.append(replace(entity, text=name, start=len(text), end=len(text) + len(name)))
        text, end = text + name, entity.end
    text += example.text[end:]
    return example if text == example.text else replace(example, text=text, tokens=None, entities=tuple(entities))


def shifted(crops: UInt8[np.ndarray, "crops side side 3"], pixels: int) -> UInt8[np.ndarray, "crops side side 3"]:
    """Each crop moved by up to so many pixels across and down."""
    side = crops.shape[1] if len(crops) else 0
    wide = np.pad(crops, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
    moved = np.empty_like(crops)
    for number, (down, across) in enumerate(torch.randint(2 * pixels + 1, (len(crops), 2)).tolist()):
        moved[number] = wide[number, down : down + side, across : across + side]
    return moved
