"""The boxes of Twitter-GMNER: one Pascal VOC file for each image that shows an entity (specs/datasets.md section 1).

One `object` stands for one entity in one region. The file's name is the image id; what the file says of its own
name and folder is the annotators' and of no use.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

from gmner.data.files import unreadable
from gmner.errors import DataError
from gmner.types import Box

_LINE: Final = "#line"  # no attribute of a file can be called so


class NamedBox(NamedTuple):
    """A box with the name of its entity; `line` is where its object starts. The box is as the file has it."""

    name: str
    box: Box
    line: int = 0


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotated boxes of one image; `size` is (width, height), a 0 where the annotators' tool did not know it."""

    id: str
    size: tuple[int, int]
    objects: tuple[NamedBox, ...]
    path: Path | None = None
    filename: str = ""
    verified: bool = False


def annotation_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by image id."""
    return {path.stem: path for path in sorted(folder.glob("*.xml"))}


def read_annotation(path: Path) -> Annotation:
    """The boxes of one file. Whether they have an area and lie in the image is for the caller to ask.

    Raises:
        DataError: the file is not XML, declares a document type, or lacks a size, a name, a box or a coordinate.
    """
    root = _parse(path)
    size = _child(root, "size", path)
    return Annotation(
        id=path.stem,
        size=(_side(size, "width", path), _side(size, "height", path)),
        objects=tuple(_named_box(element, path) for element in root.findall("object")),
        path=path,
        filename=root.findtext("filename", ""),
        verified=root.get("verified") == "yes",
    )


def format_annotation(annotation: Annotation) -> str:
    """The text of a file; `read_annotation` gives the annotation back.

    Raises:
        DataError: a name holds a control character, which XML has no place for.
    """
    lines = ['<annotation verified="yes">' if annotation.verified else "<annotation>"]
    filename = annotation.filename or f"{annotation.id}.jpg"
    width, height = annotation.size
    lines += [f"\t<filename>{escape(filename)}</filename>"]
    lines += ["\t<size>", f"\t\t<width>{width}</width>", f"\t\t<height>{height}</height>", "\t\t<depth>3</depth>"]
    lines += ["\t</size>"]
    for name, box, _ in annotation.objects:
        corners = zip(_CORNERS, box, strict=True)
        lines += ["\t<object>", f"\t\t<name>{escape(name)}</name>", "\t\t<bndbox>"]
        lines += [f"\t\t\t<{corner}>{_plain(value)}</{corner}>" for corner, value in corners]
        lines += ["\t\t</bndbox>", "\t</object>"]
    text = "".join(f"{line}\n" for line in [*lines, "</annotation>"])
    if foreign := _NOT_XML.search(text):
        raise DataError(
            f"post {annotation.id!r}",
            f"the character {foreign[0]!a} in the name of an entity",
            allowed="annotations are XML, which holds no control characters",
            todo="take the character out of the text, or stay with JSONL or Parquet",
        )
    return text


_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no character of XML 1.0 is (section 2.2)."""

_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


def _named_box(element: Element, path: Path) -> NamedBox:
    corners = _child(element, "bndbox", path)
    box = Box(*(_number(corners, corner, path) for corner in _CORNERS))
    return NamedBox(_child(element, "name", path).text or "", box, _line(element))


def _child(element: Element, tag: str, path: Path) -> Element:
    """The one child called `tag`."""
    children = element.findall(tag)
    if len(children) != 1:
        raise _broken(f"{path}:{_line(element)}", f"<{element.tag}> with {len(children)} <{tag}>")
    return children[0]


def _number(element: Element, tag: str, path: Path) -> float:
    """The finite number that the child called `tag` holds."""
    child = _child(element, tag, path)
    try:
        number = float(child.text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _broken(f"{path}:{_line(child)}", f"<{tag}> holds {child.text!r}")
    return number


def _side(element: Element, tag: str, path: Path) -> int:
    """The whole number of pixels that the child called `tag` holds."""
    number = _number(element, tag, path)
    if number < 0 or number != int(number):
        raise _broken(f"{path}:{_line(element)}", f"<{tag}> is {number}")
    return int(number)


def _line(element: Element) -> int:
    return int(element.attrib[_LINE])


def _broken(where: str, given: str) -> DataError:
    return DataError(
        where,
        given,
        allowed="an annotation is Pascal VOC: a size, and objects with one name and one box of four numbers each",
        todo="mend the file",
    )


def _plain(value: float) -> str:
    """A coordinate as the data set writes it: a whole number wherever it is one."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _parse(path: Path) -> Element:
    """The root of an XML file, each element with the line where it starts.

    ElementTree's own parser knows no lines. Document types are refused, so that no entity is ever expanded.
    """
    parser, builder = expat.ParserCreate(), TreeBuilder()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {**attributes, _LINE: str(parser.CurrentLineNumber)})

    def refuse(*_: object) -> None:
        raise _broken(f"{path}:{parser.CurrentLineNumber}", "a document type declaration")

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise unreadable(path, error) from None
    except expat.ExpatError as error:
        raise _broken(f"{path}:{error.lineno}", f"not XML: {expat.ErrorString(error.code)}") from None
    except (LookupError, ValueError) as error:  # the encoding that the first line names
        raise _broken(f"{path}:1", f"not XML: {error}") from None
    return builder.close()
