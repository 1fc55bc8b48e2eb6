"""Texts from files beside a data set (captions, descriptions, knowledge), put into the posts they belong to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from gmner.types import Example


class Entry(NamedTuple):
    """One text of such a file: whose it is, what it says, and where it stands (`file:line`)."""

    id: str
    text: str
    where: str


@dataclass(frozen=True)
class SidecarReport:
    """How well the files fit the posts.

    `filled` posts got a text. `missing` are the ids of posts that have none; of these, `empty` have an entry without
    text. `duplicate` ids have several entries, of which the first counts. `alien` entries belong to none of the posts.
    """

    field: str
    filled: int
    missing: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()
    alien: tuple[str, ...] = ()


def attach(
    examples: Sequence[Example],
    entries: Iterable[Entry],
    field: Literal["caption", "description", "knowledge"],
    key: Callable[[Example], str],
) -> tuple[list[Example], SidecarReport]:
    """The posts with the text of the entry whose id is the post's `key` in their `field`, and how well that went."""
    texts: dict[str, str] = {}
    duplicate: dict[str, None] = {}
    for entry in entries:
        if entry.id in texts:
            duplicate[entry.id] = None
        else:
            texts[entry.id] = entry.text
    filled: list[Example] = []
    for example in examples:
        changes: dict[str, Any] = {field: text} if (text := texts.get(key(example))) else {}
        filled.append(replace(example, **changes))
    wanted = {key(example) for example in examples}
    report = SidecarReport(
        field=field,
        filled=sum(bool(texts.get(key(example))) for example in examples),
        missing=tuple(example.id for example in filled if getattr(example, field) is None),
        empty=tuple(name for name, text in texts.items() if name in wanted and not text),
        duplicate=tuple(duplicate),
        alien=tuple(name for name in texts if name not in wanted),
    )
    return filled, report
