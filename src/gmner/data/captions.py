"""Pictures in words: BLIP-2's one-line captions and mPLUG-Owl's detailed descriptions, as their files have them.

BLIP-2: a line is `<image id>.jpg :<caption>`; in the published file for Twitter-2015 two captions are empty.
mPLUG-Owl: `imgid:<image id>###<text>`, and the text goes on, with empty lines in it, until the next such line; each
published file lacks one picture of its split.
"""

from collections.abc import Sequence
from pathlib import Path

from gmner.data.bio import split_lines
from gmner.data.files import read_text
from gmner.data.image_ids import image_id
from gmner.data.sidecars import Entry, SidecarReport, attach
from gmner.errors import DataError
from gmner.types import Example

_CAPTION = ".jpg :"
_DESCRIPTION, _SEPARATOR = "imgid:", "###"


def with_captions(examples: Sequence[Example], *paths: str | Path) -> tuple[list[Example], SidecarReport]:
    """The posts with their one-line captions from BLIP-2 files, found by image id.

    Raises:
        DataError: there is no such file, or it breaks its format.
    """
    entries = [entry for path in paths for entry in read_captions(Path(path))]
    return attach(examples, entries, "caption", image_id)


def with_descriptions(examples: Sequence[Example], *paths: str | Path) -> tuple[list[Example], SidecarReport]:
    """The posts with their detailed descriptions from mPLUG-Owl files, found by image id.

    Raises:
        DataError: there is no such file, or it breaks its format.
    """
    entries = [entry for path in paths for entry in read_descriptions(Path(path))]
    return attach(examples, entries, "description", image_id)


def read_captions(path: Path) -> list[Entry]:
    """The captions of a BLIP-2 file.

    Raises:
        DataError: there is no such file, or a line of it is no caption.
    """
    entries = []
    for number, line in enumerate(split_lines(read_text(path)), 1):
        name, separator, text = line.partition(_CAPTION)
        if name and separator:
            entries.append(Entry(name, text.strip(), f"{path}:{number}"))
        elif line:
            raise DataError(
                f"{path}:{number}",
                f"the line {line[:40]!r}",
                allowed="a line of captions is `<image id>.jpg :<caption>`",
                todo="give a BLIP-2 file, or give descriptions as such",
            )
    return entries


def read_descriptions(path: Path) -> list[Entry]:
    """The descriptions of an mPLUG-Owl file; line breaks within a text stay.

    Raises:
        DataError: there is no such file, or it does not start with a description.
    """
    heads: list[tuple[str, int]] = []
    texts: list[list[str]] = []
    for number, line in enumerate(split_lines(read_text(path)), 1):
        name, separator, text = line.removeprefix(_DESCRIPTION).partition(_SEPARATOR)
        if line.startswith(_DESCRIPTION) and name and separator:
            heads.append((name, number))
            texts.append([text])
        elif texts and not line.startswith(_DESCRIPTION):
            texts[-1].append(line)
        elif line:
            raise DataError(
                f"{path}:{number}",
                f"the line {line[:40]!r}",
                allowed="a description starts with `imgid:<image id>###`",
                todo="give an mPLUG-Owl file, or give captions as such",
            )
    return [
        Entry(name, "\n".join(lines).strip(), f"{path}:{number}")
        for (name, number), lines in zip(heads, texts, strict=True)
    ]
