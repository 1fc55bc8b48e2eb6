"""The nouns of the field, as values: `Example`, `Entity`, `Box`, `Mask`, `Candidate`, `Prediction`."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from gmner.errors import EntityError, TextError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

EntityType = Literal["PER", "LOC", "ORG", "OTHER"]
ENTITY_TYPES: Final[tuple[EntityType, ...]] = get_args(EntityType)

_SEPARATORS: Final = frozenset(" \t\n\r")


def entity_type(name: str) -> EntityType:
    """The type that `name` means: papers write MISC for OTHER; both are read, OTHER is written.

    Raises:
        EntityError: the name is none of the four types.
    """
    upper = name.upper()
    upper = "OTHER" if upper == "MISC" else upper
    for known in ENTITY_TYPES:
        if upper == known:
            return known
    raise EntityError(
        f"entity type {name!r}",
        allowed=f"allowed are {', '.join(ENTITY_TYPES)} (and MISC, read as OTHER)",
        todo="map your types to these four",
    )


class Box(NamedTuple):
    """A rectangle, `x1 < x2` and `y1 < y2`, in pixels of the original image after EXIF orientation.

    Pixels are areas: the whole of an image of width W and height H is `Box(0, 0, W, H)`.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)


def valid_box(x1: float, y1: float, x2: float, y2: float) -> Box:
    """A box of four finite numbers with a positive area.

    Raises:
        EntityError: a number is not finite, or the area is zero or negative.
    """
    box = Box(float(x1), float(y1), float(x2), float(y2))
    if not all(math.isfinite(value) for value in box) or box.width <= 0 or box.height <= 0:
        raise EntityError(
            f"box {list(box)}",
            allowed="a box is [x1, y1, x2, y2] in pixels with x1 < x2 and y1 < y2",
            todo="swap the corners or drop the box",
        )
    return box


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one region as a compressed COCO run-length code (column-major runs, background first).

    `size` is (height, width) of the image, as COCO writes it; `counts` is COCO's string.
    `geometry.encode_mask` and `geometry.decode_mask` convert from and to boolean arrays.
    """

    size: tuple[int, int]
    counts: str


def _boxes(boxes: Iterable[Any]) -> Iterator[Box]:
    for box in boxes:
        if isinstance(box, str) or not isinstance(box, Sequence) or len(box) != 4:
            raise EntityError(f"box {box!r}", allowed="a box is [x1, y1, x2, y2] in pixels", todo="give four numbers")
        yield valid_box(*box)


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity, gold or predicted.

    `start` and `end` are character offsets into the post's text, half-open; both are None where only the surface
    string is known. An entity without boxes and masks is not in the picture. Gold may have several boxes.
    `score` is the recogniser's probability of the entity, `groundable` the probability that it can be seen,
    `expression` the referring expression that was looked for, `provenance` who said what (stage name to words),
    and `extra` keeps the keys of a row that this package does not know.

    Raises:
        EntityError: the type is unknown, the span is empty, negative or half-given, a box has no area, or a
            probability is none.
    """

    text: str
    type: EntityType
    start: int | None = None
    end: int | None = None
    boxes: tuple[Box, ...] = ()
    masks: tuple[Mask, ...] = ()
    score: float | None = None
    groundable: float | None = None
    expression: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in ENTITY_TYPES:
            object.__setattr__(self, "type", entity_type(str(self.type)))
        object.__setattr__(self, "boxes", tuple(_boxes(self.boxes)))
        object.__setattr__(self, "masks", tuple(self.masks))
        for name, value in (("score", self.score), ("groundable", self.groundable)):
            if value is not None and not 0 <= value <= 1:
                raise EntityError(
                    f"entity {self.text!r} has a {name} of {value}",
                    allowed=f"a {name} is a probability, 0 to 1",
                    todo="mend it or leave it out",
                )
        if (self.start is None) != (self.end is None) or (
            self.start is not None and self.end is not None and not 0 <= self.start < self.end
        ):
            raise EntityError(
                f"entity {self.text!r} spans {self.start} to {self.end}",
                allowed="a span is 0 <= start < end in characters of the text, or start and end both left out",
                todo="mend the offsets",
            )

    @property
    def visible(self) -> bool:
        """Whether the entity has a region: a gold entity that has none is ungroundable."""
        return bool(self.boxes or self.masks)


FACE: Final = "face"
LETTERING: Final = "lettering"
"""Kinds of candidates that stages tell apart."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A region that a detector proposes: where, of what kind (`FACE`, `LETTERING`, `object`), how sure.

    `text` is what is written there, for lettering. `score` is in [0, 1] and comparable within one kind only.
    """

    box: Box
    kind: str
    score: float
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A post: text or tokens, a picture or none, and the gold entities if they are known.

    Where only `tokens` are given, `text` is the tokens joined by single blanks; where only `text` is given,
    `tokens` stays None. `entities` is None where gold is unknown, and empty where there are none to find.
    `image_size` is (width, height) in pixels where a data set states it; nothing else may be concluded from its
    presence (Twitter-GMNER knows it only for pictures that were annotated). `caption` (one line), `description`
    (in detail) and `knowledge` come from sidecar files or from stages. `candidates` are a detector's regions.

    Raises:
        TextError: neither text nor tokens are given, a token is empty or holds a blank, or the text is not Unicode.
        EntityError: an entity's span lies outside the text or reads otherwise there.
    """

    id: str = ""
    text: str = ""
    tokens: tuple[str, ...] | None = None
    image: "str | PathLike[str] | bytes | Image | np.ndarray | None" = None
    entities: tuple[Entity, ...] | None = None
    image_size: tuple[int, int] | None = None
    caption: str | None = None
    description: str | None = None
    knowledge: str | None = None
    candidates: tuple[Candidate, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or isinstance(self.tokens, str | bytes):
            raise TextError(
                f"a text of kind {type(self.text).__name__} and tokens of kind {type(self.tokens).__name__}",
                allowed="`text` is a str, `tokens` a sequence of str",
                todo="decode bytes, and split the text for tokens or leave them out",
            )
        if self.tokens is not None:
            object.__setattr__(self, "tokens", tuple(self.tokens))
            # Only the separators of the research files: tweets hold tokens such as a lone no-break space.
            if any(not token or not _SEPARATORS.isdisjoint(token) for token in self.tokens or ()):
                raise TextError(
                    f"post {self.id!r} has a token that is empty or holds a blank, tab or line break",
                    allowed="tokens are words without blanks",
                    todo="give `text` instead and let it be split",
                )
            if not self.text:
                object.__setattr__(self, "text", " ".join(self.tokens or ()))
        if not self.text.strip():
            raise TextError(
                f"the text of post {self.id!r} is empty" if self.id else "the text is empty",
                allowed="a post has at least one character that is not white space",
                todo="give the post's text",
            )
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise TextError(
                f"the text of post {self.id!r} holds half a character (a lone surrogate) at offset {error.start}",
                allowed="text is whole Unicode characters",
                todo="decode the source with its right encoding",
            ) from None
        if self.entities is not None:
            object.__setattr__(self, "entities", tuple(self.entities))
            for entity in self.entities:
                if not isinstance(entity, Entity):
                    raise EntityError(
                        f"an entity of kind {type(entity).__name__}",
                        allowed="entities are gmner.Entity",
                        todo="make them with gmner.Entity(text, type, start, end)",
                    )
                check_span(entity, self.text)


def check_span(entity: Entity, text: str) -> None:
    """Raise EntityError unless the entity's span, if it has one, lies in `text` and reads as the entity says."""
    if entity.start is None or entity.end is None:
        return
    if entity.end > len(text) or text[entity.start : entity.end] != entity.text:
        raise EntityError(
            f"entity {entity.text!r} at {entity.start}:{entity.end} reads "
            f"{text[entity.start : entity.end]!r} in the text",
            allowed="start and end are character offsets (Unicode code points) into `text`, end exclusive",
            todo="mend the offsets or the text",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a system says about one example: its entities in text order, and what a reader must know beside them.

    `candidates` are the regions that were proposed, `image_size` is (width, height) of the opened picture in the
    frame of all boxes (None without a picture), `notes` are sentences such as "no picture: nothing was grounded".
    """

    example: Example
    entities: tuple[Entity, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    image_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.example.id

    @property
    def text(self) -> str:
        return self.example.text
