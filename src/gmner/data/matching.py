"""Which boxes belong to which entity of Twitter-GMNER, and why a box belongs to none.

The rule of every reference (specs/datasets.md section 1): the box's name equals the entity's tokens joined by single
blanks, exactly: case counts, nothing is trimmed, types play no role. Mentions of one string share all its boxes.
Version 1 has 56 names that match nothing; reading never repairs them, as published scores count them as they are.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from gmner.data.voc import NamedBox
from gmner.types import Box

Reason = Literal["stray white space", "written differently", "part of a mention or more", "untagged", "not in the text"]
"""Why a name matches no entity; see `why_unmatched`."""

_SIGNS: Final = re.compile(r"[\W_]+")


def boxes_by_name(objects: Iterable[NamedBox]) -> dict[str, tuple[Box, ...]]:
    """All boxes of each name, in the file's order."""
    boxes: dict[str, tuple[Box, ...]] = {}
    for name, box, _ in objects:
        boxes[name] = (*boxes.get(name, ()), box)
    return boxes


def why_unmatched(name: str, mentions: Sequence[str], text: str) -> Reason:
    """What comes closest to a name that equals none of the `mentions` (surface strings) of its `text`.

    - stray white space: a mention, but for white space at its ends;
    - written differently: a mention, but for case, blanks and signs;
    - part of a mention or more: the one holds the other, case, blanks and signs aside;
    - untagged: it stands in the text, but not as an entity;
    - not in the text: nothing of this.
    """
    if name.strip() in mentions:
        return "stray white space"
    plain, plain_mentions = _plain(name), [_plain(mention) for mention in mentions if _plain(mention)]
    if plain in plain_mentions:
        return "written differently"
    if plain and any(plain in mention or mention in plain for mention in plain_mentions):
        return "part of a mention or more"
    return "untagged" if plain and plain in _plain(text) else "not in the text"


def _plain(text: str) -> str:
    return _SIGNS.sub("", text).casefold()
