"""The values of a JSON object, each checked for its kind, with errors that name the place and the key."""

import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gmner.errors import DataError


class Fields:
    """The keys of one JSON object, taken out one by one; what is left in `rest` is unknown to the format."""

    def __init__(self, value: Any, where: str, name: str = "") -> None:
        self.where, self.name, self.rest = where, name, {}
        if not isinstance(value, Mapping):
            raise self.error("", value, "an object")
        self.rest = dict(value)

    def inner(self, value: Any, name: str) -> "Fields":
        """The fields of an object within this one."""
        return Fields(value, self.where, ".".join(filter(None, (self.name, name))))

    def take(self, key: str, kind: "Kind") -> Any:
        """The value of `key`, None where it is missing or null; it is no longer part of the rest."""
        self.check(key, kind)
        return self.rest.pop(key, None)

    def need(self, key: str, kind: "Kind") -> Any:
        """The value of `key`, which must be there."""
        value = self.take(key, kind)
        if value is None:
            raise self.error(key, None, kind.words)
        return value

    def check(self, key: str, kind: "Kind") -> None:
        """Raise DataError if `key` is there with a value of another kind."""
        value = self.rest.get(key)
        if value is not None and not kind.fits(value):
            raise self.error(key, value, kind.words)

    def end(self) -> None:
        """Raise DataError if there are more keys: this object has no place to keep them."""
        for key, value in self.rest.items():
            raise self.error(key, value, "not a key of this object")

    def error(self, key: str, value: Any, allowed: str) -> DataError:
        path = ".".join(filter(None, (self.name, key)))
        name = f"`{path}`" if path else "the row"
        given = "missing" if value is None else reprlib.repr(value)
        return DataError(self.where, f"{name} is {given}", allowed=f"{name} is {allowed}", todo="mend the row")


class Kind(NamedTuple):
    """A kind of JSON value: how it is called, and whether a value is of it."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    # bool is an int to Python, and an int may be too large for any float.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 2**63


def _is_list(value: Any, fits: Callable[[Any], bool], length: int | None = None) -> bool:
    return isinstance(value, list) and (length is None or len(value) == length) and all(map(fits, value))


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_side(value: Any) -> bool:
    return _is_whole(value, 1)


def _is_near(value: Any) -> bool:
    return _is_number(value) and abs(value) < 1e6


def _is_box(value: Any) -> bool:
    return _is_list(value, _is_number, 4)


VERSION: Final = Kind("a whole number from 1", lambda value: _is_whole(value, 1))
ID: Final = Kind("a string or a whole number", lambda value: _is_string(value) or type(value) is int)
STRING: Final = Kind("a string", _is_string)
STRINGS: Final = Kind("a list of strings", lambda value: _is_list(value, _is_string))
OBJECT: Final = Kind("an object", lambda value: isinstance(value, dict))
BYTES: Final = Kind(
    "a list of numbers from 0 to 255",
    lambda value: _is_list(value, lambda byte: type(byte) is int and 0 <= byte < 256),
)
LIST: Final = Kind("a list of objects", lambda value: isinstance(value, list))
SIDE: Final = Kind("a whole number of pixels from 1", _is_side)
OFFSET: Final = Kind("a whole number of characters from 0", lambda value: _is_whole(value, 0))
NUMBER: Final = Kind("a finite number", _is_number)
PROBABILITY: Final = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
SIZE: Final = Kind("[width, height] in whole pixels", lambda value: _is_list(value, _is_side, 2))
MASK_SIZE: Final = Kind("[height, width] in whole pixels", lambda value: _is_list(value, _is_side, 2))
COUNTS: Final = Kind(
    "COCO's string of run lengths or their list",
    lambda value: _is_string(value) or _is_list(value, lambda run: _is_whole(run, 0)),
)
POINTS: Final = Kind(
    "a list of points [x, y] in pixels, none a million away",
    lambda value: _is_list(value, lambda point: _is_list(point, _is_near, 2)),
)
POLYGONS: Final = Kind(
    "polygons [x1, y1, x2, y2, ...] of at least 3 points in pixels, none a million away",
    lambda value: _is_list(value, lambda numbers: _is_list(numbers, _is_near) and len(numbers) in range(6, 10**6, 2)),
)
BOX: Final = Kind("[x1, y1, x2, y2] in pixels", _is_box)
BOXES: Final = Kind("a list of boxes [x1, y1, x2, y2] in pixels", lambda value: _is_list(value, _is_box))
PROVENANCE: Final = Kind(
    "an object of strings", lambda value: isinstance(value, dict) and all(map(_is_string, value.values()))
)
