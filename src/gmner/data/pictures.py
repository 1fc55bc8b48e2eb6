"""Records of a folder of pictures: `name.jpg` (or another ending) with its text in `name.txt` is the post `name`."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from gmner.data.files import read_text, unreadable
from gmner.data.jsonl import Record
from gmner.errors import DataError

ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
"""By these a folder is recognised as one of pictures; whether a file is a picture its content says."""

_LONGEST: Final = 1_000_000
"""Bytes of a text; more is no text of a post."""


def read_records(folder: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Numbers (from 1, in the order of names) with the posts of a folder, or with what is wrong with a name.

    The id is the name, the text is that of the file without white space around it, the image is the file's name.
    Every file belongs to a post: a picture without a text, a text without a picture, two pictures of one name, a
    folder and a link that leads out of the folder are errors. Files whose names begin with a dot are not looked at.

    Raises:
        DataError: there is no such folder.
    """
    try:
        names = sorted((path.name for path in folder.iterdir() if not path.name.startswith(".")), key=_stem_first)
    except OSError as error:
        raise unreadable(folder, error) from None
    for number, (stem, group) in enumerate(groupby(names, key=lambda name: Path(name).stem), 1):
        try:
            yield number, _record(folder, stem, list(group))
        except DataError as error:
            yield number, error


def _stem_first(name: str) -> tuple[str, str]:
    return Path(name).stem, name


def _record(folder: Path, stem: str, names: list[str]) -> Record:
    texts = [name for name in names if Path(name).suffix.lower() == ".txt"]
    images = [name for name in names if name not in texts]
    told = ", ".join(map(ascii, names))
    for name in names:
        path = folder / name
        if not path.is_file() or not name.isprintable() or not path.resolve().is_relative_to(folder.resolve()):
            raise _refused(folder, f"{name!a} is a folder, a link that leads out of the folder, or oddly named")
    if len(texts) != 1 or len(images) != 1:
        raise _refused(folder, f"{told} {'are' if len(names) > 1 else 'is'} not one picture with one text")
    text = folder / texts[0]
    if text.stat().st_size > _LONGEST:
        raise _refused(folder, f"{texts[0]!a} has {text.stat().st_size:,} bytes")
    return {"id": stem, "text": read_text(text).strip(), "image": images[0]}


def _refused(folder: Path, given: str) -> DataError:
    return DataError(
        str(folder),
        given,
        allowed=f"a post is a picture and its text of the same name in .txt, at most {_LONGEST:,} bytes long",
        todo="give both, or take it out",
    )
