"""Text files in, files out: UTF-8 always, errors with file and line, results that appear whole or not at all."""

import codecs
import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from gmner.errors import DataError, GmnerError, MissingPackageError, reason


def location(place: str | os.PathLike[str]) -> Path:
    """A path on this computer, or of a URL (`s3://bucket/posts`) what stands for a path elsewhere.

    That is a `UPath` of universal-pathlib, which has the methods of a path that readers and writers use, reaches
    whatever fsspec does, and is no instance of `Path`.

    Raises:
        MissingPackageError: a URL, and the packages that open it are not installed.
        DataError: nothing is known to open such a URL.
    """
    if "://" not in str(place):
        return Path(place)
    try:
        from upath import UPath

        path = UPath(str(place))
        path.fs  # noqa: B018 - made when it is asked for
    except ImportError as error:
        raise MissingPackageError(
            f"{place} can not be opened ({error})",
            allowed="URLs are opened by universal-pathlib, fsspec and a package for their kind",
            todo='pip install "gmner[ray]" and, for example, s3fs for s3://',
        ) from None
    except ValueError as error:
        raise DataError(
            str(place), str(error), allowed="URLs are of a kind that fsspec knows", todo="check the URL"
        ) from None
    return Path(path.path) if path.protocol in ("", "file", "local") else cast("Path", path)


def elsewhere(path: Path) -> bool:
    """Whether it is a location that only a URL leads to."""
    return not isinstance(path, Path)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; a byte order mark at its start is dropped.

    Lines are for the caller to split at "\\n" and nowhere else: tweets hold characters at which `splitlines` breaks.

    Raises:
        DataError: there is no such file, or a line of it is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    return decode(raw, str(path))


def decode(raw: bytes, path: str, first_line: int = 1) -> str:
    """`raw`, of which the first line is `first_line` of the file, as text without a byte order mark at its start.

    Raises:
        DataError: it is not UTF-8; the error names the line.
    """
    try:
        return raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + error.object.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}:{line}",
            f"a byte that is not UTF-8 (0x{error.object[error.start]:02x})",
            allowed="data files are UTF-8",
            todo="convert the file, for example with iconv",
        ) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """The error of a file or folder that the system does not let us read or write."""
    return DataError(
        str(path),
        reason(error),
        allowed="data are files and folders on this computer that you may read and write",
        todo="make room there" if error.errno in _FULL else "check the path and the permissions",
    )


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def located(error: GmnerError, where: str) -> DataError:
    """`error` as the error of a place in a file; one that has a place keeps its own words."""
    if isinstance(error, DataError) and error.where == where:
        return error
    return DataError(where, error.given, allowed=error.allowed, todo=error.todo)


def refuse_folder(path: Path) -> None:
    """Raise DataError if there is a folder at `path`, which no file can take the place of, or if it can be no path."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        raise unreadable(path, error) from None


def refuse_source(target: Path, source: Path) -> None:
    """Raise DataError if `target` is `source` or lies in that folder: it would take the place of what is read, or be
    read as a part of it."""
    if f"{target.resolve()}/".startswith(f"{source.resolve()}/"):  # places elsewhere have no `is_relative_to`
        raise DataError(
            str(target),
            "the output would be, or lie in, what is read",
            allowed="what is written goes to files and folders apart from the source",
            todo="name another target",
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which takes the place of `path` when the block ends well.

    Raises:
        DataError: the folder does not exist or can not be written to, or a folder stands at `path`.
    """
    refuse_folder(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        (temporary.rename if elsewhere(path) else temporary.replace)(path)  # places elsewhere lack the latter
    except OSError as error:
        if error.filename not in (None, temporary, str(temporary)):
            raise  # the block stumbled over another file
        raise unreadable(path, error) from None
    finally:
        with contextlib.suppress(OSError):  # where nothing could be written nothing can be removed
            temporary.unlink()
