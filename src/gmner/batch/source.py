"""Where the posts of a run come from: any file or folder that holds posts, as numbered rows."""

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gmner.data.files import elsewhere, location, unreadable
from gmner.data.formats import FOREIGN, read, recognise
from gmner.data.jsonl import Record, count_records
from gmner.data.pictures import ENDINGS
from gmner.data.rows import GivenRow, admit_rows, iterate_given, relative_image, row_from_example
from gmner.errors import ConfigError, DataError, ImageError
from gmner.image import MAX_BYTES
from gmner.types import Example

_WHOLE: Final = ("twitter-gmner", "twitter-smner", "twitter-mner", "rows", "coco", "label-studio")
"""Data sets, which are read whole: the largest has some ten thousand posts."""


@dataclass(frozen=True)
class Source:
    """A file of rows (JSONL, Parquet, CSV), a folder of pictures with their texts, or a data set.

    Files and folders of pictures are streamed. Of a data set `split` is read, or all splits, and its pictures are
    `<id>.jpg` in the folder `images`.
    """

    path: Path
    split: str | None = None
    images: Path | None = None

    @property
    def folder(self) -> Path:
        """What the image paths of the rows, as they are given, are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def parts(self) -> list[tuple[str, "Source"]]:
        """What can be read side by side, each with a name: the Parquet files of a folder of them, else this source.

        The name is the file's path in the folder, without its ending. What begins with `.` or `_` is passed over, as
        all who write such folders agree. A folder that is a data set, or one of pictures, is one part.

        Raises:
            DataError: there is no such source, or a folder elsewhere has no Parquet file in it.
        """
        try:
            if not self.path.is_dir() or self._known():
                return [(self.path.stem, self)]
            names = sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*.parquet"))
        except OSError as error:
            raise unreadable(self.path, error) from None
        files = [name for name in names if not any(step.startswith((".", "_")) for step in name.split("/"))]
        if files:
            return [(name.removesuffix(".parquet"), Source(self.path / name)) for name in files]
        if elsewhere(self.path):
            raise DataError(
                str(self.path),
                "a folder without a .parquet file",
                allowed="elsewhere posts are read from .parquet, .jsonl and .csv files, and from folders of .parquet",
                todo="name such a file, or write the posts as Parquet",
            )
        return [(self.path.name, self)]

    def rows(self) -> Iterator[GivenRow]:
        """The rows in order, the same ones at every call.

        Raises:
            DataError: there is no such source, or a data set breaks its format.
            UnknownNameError: there is no such split.
            ConfigError: a split or a folder of pictures for a source that is no data set.
        """
        if not self.path.exists():
            raise unreadable(self.path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if self.path.is_file() and self.path.suffix.lower() in ENDINGS:
            raise DataError(
                str(self.path),
                "a picture, where posts belong",
                allowed="posts are rows (.jsonl, .csv, .parquet), a folder of pictures with their texts, or a data set",
                todo="give one post with --text and --image, or many with such a file or folder",
            )
        if self._whole():
            posts = read(self.path, self.split, self.images)
            records = (row_from_example(post, self.folder) for post in posts)
            return admit_rows(enumerate(records, 1), self.path, self.folder)
        if self.split is not None or self.images is not None:
            raise ConfigError(
                f"a split or a folder of pictures for {self.path}",
                allowed="data sets have splits and pictures apart; the rows of a file name their own pictures",
                todo="leave --split and --images out",
            )
        return iterate_given(self.path)

    def count(self) -> int | None:
        """How many rows there are; None for a pipe, which can be read only once."""
        if not (self.path.is_file() or self.path.is_dir()):
            return None
        if self.path.is_file() and self.path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            try:
                return int(pyarrow.parquet.read_metadata(self.path).num_rows)
            except (OSError, pyarrow.ArrowException):
                return None  # reading says why
        if self.path.is_file() and self.path.suffix.lower() not in FOREIGN:
            return count_records(self.path)
        return sum(1 for _ in self.rows())

    def with_picture(self, post: Example) -> Example:
        """The post with the bytes of its picture, where only a URL leads to them; other posts as they are.

        Such URLs are followed to the place that the source itself lies in (the same bucket or host) and nowhere else.

        Raises:
            ImageError: the picture can not be read.
        """
        image = post.image
        if not (elsewhere(self.path) and isinstance(image, str)):
            return post
        if urlsplit(image)[:2] != urlsplit(str(self.path))[:2]:
            return post
        try:
            with location(image).open("rb") as file:
                return replace(post, image=file.read(MAX_BYTES + 1))  # one more than allowed: opening it refuses that
        except OSError as error:
            raise ImageError(
                f"picture {image} can not be read ({error.strerror or type(error).__name__})",
                allowed="image paths are relative to the file of posts",
                todo="mend the path or its permissions",
            ) from None

    def kept(self, row: GivenRow, folder: Path) -> Record | None:
        """What was given, with its image path seen from `folder`; None where JSON can not hold it."""
        record = row.given
        if record is None:
            return None
        image = record.get("image")
        if isinstance(image, str) and image and "://" not in image:
            record = record | {"image": relative_image(str(self.folder / image), folder)}
        try:
            json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):  # bytes or NaN from Parquet
            return None
        return record

    def _whole(self) -> bool:
        if elsewhere(self.path):
            return False
        return (self.path.is_dir() or self.path.suffix.lower() in (".txt", ".json")) and recognise(self.path) in _WHOLE

    def _known(self) -> bool:
        """Whether the folder is of a format by itself."""
        if elsewhere(self.path):
            return False
        try:
            recognise(self.path)
        except DataError:
            return False
        return True


def said(row: GivenRow) -> bytes:
    """What stands in a row, good or bad, as bytes: equal rows, and in practice no others, give equal ones."""
    words = row.given if row.given is not None or not isinstance(row.row, DataError) else row.row.given
    return json.dumps([row.number, words], default=str).encode()
