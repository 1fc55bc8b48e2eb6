"""Candidate regions with features: the files of VinVL, and one file of ours for a split. Nothing in them is ever run.

A file of ours is `.safetensors` or `.npz` and holds `ids` (JSON in UTF-8 bytes, a list of post ids), `counts` (regions
of each post), and for all regions one after another `boxes` (xyxy pixels), `scores`, and perhaps `features`. A folder
holds one of them for each split.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from gmner.data.files import replacing, unreadable
from gmner.errors import DataError
from gmner.types import Box, Candidate, Example

UNSCORED: Final = 1.0
"""The score of candidates whose file states none; their order says which the detector was surest of."""

ENDINGS: Final = (".safetensors", ".npz")
"""How the names of our files end."""

_TODO: Final = "make the file again, or take it from its source again"


@dataclass(frozen=True, eq=False)
class Regions:
    """A detector's regions of one picture, the surest first.

    Raises:
        ValueError: the arrays are not of one length.
    """

    boxes: Float[np.ndarray, "regions 4"]
    scores: Float[np.ndarray, " regions"]
    features: Float[np.ndarray, "regions width"] | None = None

    def __post_init__(self) -> None:
        lengths = {len(array) for array in (self.boxes, self.scores, self.features) if array is not None}
        if len(lengths) > 1 or self.boxes.shape[1:] != (4,):
            raise ValueError(f"regions of {sorted(lengths)} rows, boxes of shape {self.boxes.shape}")

    def candidates(self, kind: str = "object") -> tuple[Candidate, ...]:
        """The regions as a post has them."""
        pairs = zip(self.boxes.tolist(), self.scores.tolist(), strict=True)
        return tuple(Candidate(Box(*box), kind, score) for box, score in pairs)


def read_vinvl(folder: Path, ids: Iterable[str]) -> tuple[dict[str, Regions], list[str]]:
    """The regions of the posts `ids` from the released VinVL files, and the ids that have no file.

    A file is `<id>.jpg.npz` with `num_boxes`, `bounding_boxes` (xyxy pixels) and `box_features`; the first `num_boxes`
    rows count (specs/mqspn.md, section 1.3; specs/hindex.md, section 2).

    Raises:
        DataError: there is no such folder, or a file is damaged or of another form.
    """
    if not folder.is_dir():
        raise unreadable(folder, FileNotFoundError(2, "no such folder"))
    found, missing = {}, []
    for name in ids:
        path = folder / f"{name}.jpg.npz"
        if not path.exists():
            missing.append(name)
            continue
        arrays = _arrays(path)
        count = _need(arrays, "num_boxes", path).reshape(-1)
        if count.size != 1 or not count[0] >= 0:
            raise _damaged(path, f"num_boxes that says {count.tolist()}")
        boxes, features = (_need(arrays, key, path, 2)[: int(count[0])] for key in ("bounding_boxes", "box_features"))
        found[name] = _checked(boxes, np.full(len(boxes), UNSCORED), features, path)
    return found, missing


def read_candidates(path: Path) -> dict[str, Regions]:
    """The regions of a file of ours, or of all such files of a folder, by post id.

    Raises:
        DataError: a file is missing, damaged or of another form, or two files of a folder have the same post.
    """
    if not path.is_dir():
        return _read_file(path)
    regions: dict[str, Regions] = {}
    for file in sorted(file for file in path.iterdir() if file.suffix in ENDINGS):
        found = _read_file(file)
        if twice := sorted(found.keys() & regions.keys()):
            raise _damaged(file, f"the post {twice[0]!r}, which another file of the folder has too")
        regions |= found
    if not regions:
        raise DataError(
            str(path),
            "a folder without candidates",
            allowed=f"a folder of candidates has files that end in {' or '.join(ENDINGS)}",
            todo="write them: gmner data candidates",
        )
    return regions


def _read_file(path: Path) -> dict[str, Regions]:
    arrays = _arrays(path)
    text, counts, boxes, scores = (
        _need(arrays, name, path, dimensions)
        for name, dimensions in (("ids", 1), ("counts", 1), ("boxes", 2), ("scores", 1))
    )
    features = _need(arrays, "features", path, 2) if "features" in arrays else None
    try:
        ids = json.loads(text.astype(np.uint8).tobytes())
    except ValueError:
        ids = None
    if not isinstance(ids, list) or len(ids) != len(counts):
        raise _damaged(path, "ids and counts that do not fit each other")
    if counts.dtype.kind == "f" or (counts < 0).any():
        raise _damaged(path, "counts that are not whole numbers")
    if counts.sum() != len(boxes) or len(ids) != len(set(map(str, ids))):
        raise _damaged(path, f"{len(boxes)} boxes where {counts.sum()} are counted, or an id twice")
    ends = np.cumsum(counts)
    return {
        str(name): _checked(
            boxes[end - count : end],
            scores[end - count : end],
            None if features is None else features[end - count : end],
            path,
        )
        for name, count, end in zip(ids, counts.tolist(), ends.tolist(), strict=True)
    }


def write_candidates(path: Path, regions: Mapping[str, Regions]) -> None:
    """Write regions by post id, as `.npz` or as `.safetensors` (any other name); the file appears whole or not at all.

    Raises:
        DataError: the folder does not exist or can not be written to, or features are there for some posts only.
    """
    features = [found.features for found in regions.values() if found.features is not None]
    if features and len(features) != len(regions):
        raise DataError(
            str(path),
            f"features for {len(features)} of {len(regions)} posts",
            allowed="all posts have features or none",
            todo="compute the others, or leave features out",
        )
    arrays: dict[str, Any] = {
        "ids": np.frombuffer(json.dumps(list(regions)).encode(), dtype=np.uint8),
        "counts": np.array([len(found.boxes) for found in regions.values()], dtype=np.int64),
        "boxes": _joined([found.boxes for found in regions.values()], (0, 4)),
        "scores": _joined([found.scores for found in regions.values()], (0,)),
    }
    if features:
        arrays["features"] = _joined(features, (0, 0))
    with replacing(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)
        else:
            from safetensors.numpy import save_file

            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(temporary))


def with_candidates(examples: Sequence[Example], regions: Mapping[str, Regions]) -> tuple[list[Example], list[str]]:
    """The posts with the candidates of their ids, and the ids of posts with a picture that have none.

    Such a post keeps the candidates that it has, if any.
    """
    filled = [
        replace(example, candidates=regions[example.id].candidates()) if example.id in regions else example
        for example in examples
    ]
    missing = [e.id for e in examples if e.id not in regions and e.image is not None and e.candidates is None]
    return filled, missing


def _joined(arrays: Sequence[np.ndarray], empty: tuple[int, ...]) -> Float[np.ndarray, "regions ..."]:
    """All rows one after another; without any, an array of shape `empty`."""
    return np.concatenate(arrays).astype(np.float32) if arrays else np.zeros(empty, np.float32)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of a file, read without running anything in it."""
    if not path.is_file():
        raise unreadable(path, FileNotFoundError(2, os.strerror(2)))
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        from safetensors.numpy import load_file

        return dict(load_file(str(path)))
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path, str(error).splitlines()[0][:150] if str(error) else type(error).__name__) from None
    except Exception as error:  # safetensors has an error type of its own
        raise _damaged(path, type(error).__name__) from None


def _need(arrays: Mapping[str, np.ndarray], name: str, path: Path, dimensions: int | None = None) -> np.ndarray:
    """An array of numbers of the file, of so many `dimensions`."""
    if name not in arrays:
        raise _damaged(path, f"no array {name!r} (it has {', '.join(sorted(arrays)) or 'none'})")
    array = arrays[name]
    if array.dtype.kind not in "iuf" or dimensions not in (None, array.ndim):
        raise _damaged(path, f"an array {name!r} of {array.ndim} dimensions and type {array.dtype}")
    return array


def _checked(boxes: Any, scores: Any, features: Any, path: Path) -> Regions:
    """Regions whose arrays fit each other and whose boxes can be."""
    try:
        regions = Regions(boxes.astype(np.float64), scores.astype(np.float64), features)
    except (ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from None
    corners = regions.boxes
    if len(corners) and not (np.isfinite(corners).all() and (corners[:, 2:] > corners[:, :2]).all()):
        raise _damaged(path, "a box without an area, or with a corner that is no number")
    if not all(np.isfinite(array).all() for array in (scores, features) if array is not None):
        raise _damaged(path, "a score or a feature that is no number")
    return regions


def _damaged(path: Path, given: str) -> DataError:
    return DataError(
        str(path), given, allowed="candidate files hold arrays of the form that data/candidates.py states", todo=_TODO
    )
