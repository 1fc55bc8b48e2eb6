"""One door for all formats: which one a path is in, reading it, writing it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

from gmner.data.coco import read_coco, write_coco
from gmner.data.label_studio import read_label_studio, write_label_studio, write_label_studio_predictions
from gmner.data.pictures import ENDINGS
from gmner.data.rows import read_examples, write_rows
from gmner.data.splits import SPLIT_KEY, split_files, split_name
from gmner.data.strict_json import read_json
from gmner.data.tweets import picture_folder
from gmner.data.twitter_gmner import BOXES, TEXT, read_twitter_gmner, write_twitter_gmner
from gmner.data.twitter_mner import read_twitter_mner
from gmner.data.twitter_smner import MASKS, read_twitter_smner, write_twitter_smner, write_twitter_smner_polygons
from gmner.errors import ConfigError, DataError, UnknownNameError
from gmner.types import Example

Format = Literal[
    "twitter-gmner", "twitter-smner", "twitter-mner", "rows", "pictures",
    "jsonl", "parquet", "csv", "coco", "label-studio",
]  # fmt: skip

ROWS: Final = (".jsonl", ".parquet")
FOREIGN: Final = (".txt", ".csv", ".json")
"""Endings of files that are read as something else than rows of ours."""

_SUFFIXES: Final[dict[str, Format]] = {
    ".txt": "twitter-mner",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
}


def recognise(path: str | Path) -> Format:
    """The format of a folder or file.

    A folder with `json` in it is Twitter-SMNER; else one with `txt` or `xml` is Twitter-GMNER; one with train.txt,
    valid.txt (or dev.txt) or test.txt is Twitter-2015 or -2017, as is a single .txt file; .jsonl, .parquet and
    .csv files are rows, and so is a folder with .jsonl or .parquet files for its splits, as drawn posts have them. Any
    other folder with a picture in it is one of pictures with their texts. A .json file is COCO instances if it has
    images and annotations, and Label Studio's if it is a list.

    Raises:
        DataError: there is no such path, or it is of none of these formats.
    """
    path = Path(path)
    if path.is_dir():
        form = _folder_format(path)
        if form is None:
            inner = sorted(child.name for child in path.iterdir() if child.is_dir() and _folder_format(child))
            raise DataError(
                str(path),
                "a folder of no known format",
                allowed="known are Twitter-GMNER (folders txt and xml), Twitter-SMNER (txt and json), "
                "Twitter-2015/2017 (train, valid, test .txt), rows (train, dev, test .jsonl or .parquet), and pictures "
                "with a .txt of the same name beside each",
                todo=f"choose among the data sets in it: {', '.join(inner)}" if inner else "check the path",
            )
        return form
    if path.suffix.lower() == ".json" and path.exists():
        return _json_format(path)
    if not path.exists() or path.suffix.lower() not in _SUFFIXES:
        raise DataError(
            str(path),
            "a file of no known format" if path.exists() else "no such file or folder",
            allowed="data are folders of the Twitter sets, and files .txt (tagged tweets), .jsonl, .parquet, .csv and "
            ".json",
            todo="check the path",
        )
    return _SUFFIXES[path.suffix.lower()]


def read(
    path: str | Path, split: str | None = None, images: str | Path | None = None, *, strict: bool = False
) -> list[Example]:
    """The posts of a data set or file, with their gold entities if it has any.

    `split` is train, dev (or valid) or test; without it all splits are read, one after another. Rows (and the posts of
    COCO and Label Studio) name their split in the key `split`; those that name none are taken to be of the split that
    is asked for.
    `images` is the folder of the pictures, `<id>.jpg`; rows that name their own keep it. `strict` opens entities of
    Twitter-2015 at B- tags only.

    Raises:
        DataError: the format is not recognised, or the first place where a file breaks it.
        UnknownNameError: there is no such split.
        ConfigError: `strict` for a format that is not Twitter-2015's.
    """
    form = recognise(path)
    if strict and form != "twitter-mner":
        raise ConfigError(
            f"strict reading of {form}",
            allowed="strict and lenient reading differ for the tags of Twitter-2015 and Twitter-2017 only",
            todo="leave `strict` out",
        )
    if form == "twitter-gmner":
        return read_twitter_gmner(path, split, images)
    if form == "twitter-smner":
        return read_twitter_smner(path, split, images)
    if form == "twitter-mner":
        return read_twitter_mner(path, split, images, strict=strict)
    if form == "rows":
        files = split_files(Path(path), *ROWS)
        chosen = files if split is None else {name: files[name] for name in files if name == split_name(split)}
        if not chosen:
            raise DataError(
                str(path), f"no file for the split {split}", allowed=f"it has {', '.join(files)}", todo="choose another"
            )
        return [example for name, file in chosen.items() for example in read(file, name, images)]
    examples = _READERS[form](Path(path))
    if (pictures := picture_folder(images)) is not None:
        examples = [
            replace(example, image=str(pictures / f"{example.id}.jpg")) if example.image is None else example
            for example in examples
        ]
    if split is None:
        return examples
    wanted = split_name(split)
    names = (None, wanted, "valid") if wanted == "dev" else (None, wanted)
    return [
        replace(example, extra={**example.extra, SPLIT_KEY: wanted})
        for example in examples
        if example.extra.get(SPLIT_KEY) in names
    ]


def write(path: str | Path, examples: Sequence[Example], form: str | None = None) -> str:
    """Write posts in a format, and say which one that was.

    `form` is one of `WRITERS`; left out, it is by the ending: .jsonl, .parquet, or none for a Twitter-GMNER folder.

    Raises:
        UnknownNameError: there is no such format, or none that is written.
        DataError: the ending is not the format's, the place can not be written to, or the format can not hold a post.
    """
    path = Path(path)
    ending = "" if path.is_dir() else path.suffix.lower()
    chosen = form or next((name for name in _BY_ENDING if WRITERS[name].ending == ending), None)
    if chosen is not None and chosen not in WRITERS:
        raise UnknownNameError("format to write", chosen, WRITERS)
    if chosen is None or WRITERS[chosen].ending != ending:
        known = ", ".join(f"{name} ({writer.ending or 'a folder'})" for name, writer in WRITERS.items())
        raise DataError(
            str(path),
            f"the ending {ending or 'of a folder'}" + (f" for {form}" if form else ""),
            allowed="posts are written to .jsonl and .parquet files and to Twitter-GMNER folders (no ending), and if "
            f"the format is said, as {known}",
            todo="choose another name, or say which format it is",
        )
    WRITERS[chosen].write(path, examples)
    return chosen


class Writer(NamedTuple):
    """How a format is written, and the ending of its files, empty for a folder."""

    ending: str
    write: Callable[[Path, Sequence[Example]], None]


WRITERS: Final = {
    "jsonl": Writer(".jsonl", write_rows),
    "parquet": Writer(".parquet", write_rows),
    "twitter-gmner": Writer("", write_twitter_gmner),
    "twitter-smner": Writer("", write_twitter_smner),
    "twitter-smner-polygons": Writer("", write_twitter_smner_polygons),
    "coco": Writer(".json", write_coco),
    "label-studio": Writer(".json", write_label_studio),
    "label-studio-predictions": Writer(".json", write_label_studio_predictions),
}
"""The formats that can be written."""

_BY_ENDING: Final = ("jsonl", "parquet", "twitter-gmner")
"""Formats that an ending says alone."""

_READERS: Final[dict[Format, Callable[[Path], list[Example]]]] = {
    "jsonl": read_examples,
    "parquet": read_examples,
    "csv": read_examples,
    "pictures": read_examples,
    "coco": read_coco,
    "label-studio": read_label_studio,
}


def _json_format(path: Path) -> Format:
    value = read_json(path)
    if isinstance(value, list):
        return "label-studio"
    if isinstance(value, dict) and {"images", "annotations"} <= value.keys():
        return "coco"
    raise DataError(
        str(path),
        "JSON of no known format",
        allowed="known are COCO instances (images and annotations) and Label Studio's tasks (a list)",
        todo="give a folder with txt and json for labelme's files, and .jsonl for rows",
    )


def _folder_format(folder: Path) -> Format | None:
    """The format of a folder, if it is one of a data set."""
    if (folder / MASKS).is_dir():
        return "twitter-smner"
    if any((folder / part).is_dir() for part in (TEXT, BOXES)):
        return "twitter-gmner"
    if split_files(folder, *ROWS):
        return "rows"
    if split_files(folder):
        return "twitter-mner"
    return "pictures" if any(path.suffix.lower() in ENDINGS for path in folder.iterdir()) else None
