"""The splits of a data set and the files that hold them."""

from pathlib import Path
from typing import Final

from gmner.errors import DataError, UnknownNameError

SPLITS: Final = ("train", "dev", "test")
"""How splits are called here; Twitter-2015 and Twitter-2017 say valid for dev."""

SPLIT_KEY: Final = "split"
"""The key of a row (of `Example.extra`) that names the post's split."""

_NAMES: Final = {"train": ("train",), "dev": ("dev", "valid"), "test": ("test",)}


def split_name(name: str) -> str:
    """The split that `name` means: train, dev (or valid), test.

    Raises:
        UnknownNameError: it is none of them.
    """
    name = "dev" if name == "valid" else name
    if name not in SPLITS:
        raise UnknownNameError("split", name, (*SPLITS, "valid"))
    return name


def split_files(folder: Path, *endings: str) -> dict[str, Path]:
    """The file of each split that `folder` has, in the order train, dev, test; with one of the `endings`, or `.txt`.

    Raises:
        DataError: the folder has two files for one split, such as a dev.txt and a valid.txt.
    """
    files: dict[str, Path] = {}
    for split, names in _NAMES.items():
        paths = [folder / f"{name}{ending}" for name in names for ending in endings or (".txt",)]
        present = [path for path in paths if path.is_file()]
        if len(present) > 1:
            raise DataError(
                str(folder),
                f"both {' and '.join(path.name for path in present)}",
                allowed="a data set has one file for each split",
                todo="take one of them away",
            )
        if present:
            files[split] = present[0]
    return files
