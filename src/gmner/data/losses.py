"""What a format has no place for, so that nothing is lost in silence."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from gmner.data.splits import SPLIT_KEY
from gmner.data.tweets import tweet_of
from gmner.types import Entity, Example


def _any(holds: Callable[[Entity], object]) -> Callable[[Example], bool]:
    return lambda example: any(map(holds, example.entities or ()))


_TEXT: Final = "the text as it was (words joined by blanks are written)"
_ENTITIES: Final = "scores, expressions and provenance of entities"
_OWN: Final = "keys of its own"
_OWN_OF_ENTITIES: Final = "entities' keys of their own"
_SIZE: Final = "image size without regions"

HOLDS: Final[dict[str, Callable[[Example], bool]]] = {
    _TEXT: lambda example: example.text != tweet_of(example).text,
    "caption": lambda example: example.caption is not None,
    "description": lambda example: example.description is not None,
    "knowledge": lambda example: example.knowledge is not None,
    "candidates": lambda example: example.candidates is not None,
    "image path": lambda example: example.image is not None,
    _SIZE: lambda example: example.image_size is not None and not _any(lambda entity: entity.visible)(example),
    "masks": _any(lambda entity: entity.masks),
    _ENTITIES: _any(
        lambda entity: (entity.score, entity.groundable, entity.expression) != (None,) * 3 or entity.provenance
    ),
    _OWN: lambda example: bool(example.extra.keys() - {SPLIT_KEY}),
    _OWN_OF_ENTITIES: _any(lambda entity: entity.extra),
}
"""What may be lost, and whether a post has it."""

_SMNER: Final = tuple(name for name in HOLDS if name not in ("masks", "image path"))

LOST: Final[dict[str, tuple[str, ...]]] = {
    "twitter-gmner": tuple(HOLDS),
    "twitter-smner": _SMNER,
    "twitter-smner-polygons": _SMNER,
    "label-studio": (_ENTITIES, _OWN_OF_ENTITIES),
    "label-studio-predictions": (_ENTITIES, _OWN_OF_ENTITIES),
}
"""What each format loses; one that is not here keeps everything."""


def left_out(form: str, examples: Iterable[Example]) -> dict[str, int]:
    """What would be lost in a format, each with the number of posts that have it."""
    posts = list(examples)
    counts = Counter(name for name in LOST.get(form, ()) for post in posts if HOLDS[name](post))
    return dict(counts)
