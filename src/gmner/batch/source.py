"""Where the posts of a run come from: any file or folder that holds posts, as numbered rows."""

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gmner.data.files import unreadable
from gmner.data.formats import read, recognise
from gmner.data.jsonl import Record, count_records
from gmner.data.pictures import ENDINGS
from gmner.data.rows import GivenRow, admit_rows, iterate_given, relative_image, row_from_example
from gmner.errors import ConfigError, DataError

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
        if self.path.is_file() and self.path.suffix == ".parquet":
            import pyarrow.parquet

            try:
                return int(pyarrow.parquet.read_metadata(self.path).num_rows)
            except (OSError, pyarrow.ArrowException):
                return None  # reading says why
        if self.path.is_file() and self.path.suffix not in (".csv", ".txt", ".json"):
            return count_records(self.path)
        return sum(1 for _ in self.rows())

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
        except (TypeError, ValueError):  # a date, bytes or NaN from Parquet
            return None
        return record

    def _whole(self) -> bool:
        return (self.path.is_dir() or self.path.suffix in (".txt", ".json")) and recognise(self.path) in _WHOLE
