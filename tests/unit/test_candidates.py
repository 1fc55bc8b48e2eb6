"""Candidate files: VinVL's and ours, what is damaged, and candidates put into posts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gmner.data.candidates import UNSCORED, Regions, read_candidates, read_vinvl, with_candidates, write_candidates
from gmner.errors import DataError
from gmner.metrics.regions import candidate_coverage
from gmner.types import Box, Candidate, Entity, Example

BOXES = np.array([[0.0, 0, 10, 10], [5, 5, 30, 20]])


def regions(count: int = 2, width: int | None = 3) -> Regions:
    features = None if width is None else np.arange(count * width, dtype=np.float32).reshape(count, width)
    return Regions(BOXES[:count], np.linspace(0.9, 0.1, count), features)


def vinvl(folder: Path, name: str, **changes: object) -> None:
    arrays = {"num_boxes": 2, "bounding_boxes": np.vstack([BOXES, BOXES[:1]]), "box_features": np.ones((3, 4))}
    np.savez(folder / f"{name}.jpg.npz", **(arrays | changes))


def test_vinvl_files_are_read_to_their_count_and_missing_ones_named(tmp_path: Path) -> None:
    vinvl(tmp_path, "17_06_1")
    found, missing = read_vinvl(tmp_path, ["17_06_1", "2"])
    assert missing == ["2"]
    assert np.array_equal(found["17_06_1"].boxes, BOXES)
    assert found["17_06_1"].features.shape == (2, 4)
    assert found["17_06_1"].candidates()[1] == Candidate(Box(5, 5, 30, 20), "object", UNSCORED)
    with pytest.raises(DataError, match="no such folder"):
        read_vinvl(tmp_path / "absent", ["1"])


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("width", [3, None])
def test_our_file_gives_back_what_was_written(tmp_path: Path, suffix: str, width: int | None) -> None:
    path = tmp_path / f"dev.{suffix}"
    given = {"a": regions(2, width), "é": regions(0, width), "c": regions(1, width)}
    write_candidates(path, given)
    found = read_candidates(path)
    assert list(found) == list(given)
    for name, expected in given.items():
        assert np.allclose(found[name].boxes, expected.boxes)
        assert np.allclose(found[name].scores, expected.scores)
        assert (found[name].features is None) == (width is None)
        if width:
            assert np.array_equal(found[name].features, expected.features)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_file_of_no_posts(tmp_path: Path, suffix: str) -> None:
    write_candidates(tmp_path / f"x.{suffix}", {})
    assert read_candidates(tmp_path / f"x.{suffix}") == {}


def test_features_for_some_posts_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="features for 1 of 2 posts"):
        write_candidates(tmp_path / "x.npz", {"a": regions(), "b": regions(width=None)})
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match=r"x\.npz: No such file"):
        read_candidates(path)
    path.write_text("<html>", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.npz"):
        read_candidates(path)
    np.savez(path, ids=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="allow_pickle"):
        read_candidates(path)
    np.savez(path, boxes=BOXES)
    with pytest.raises(DataError, match="no array 'ids'"):
        read_candidates(path)
    good = {"ids": np.frombuffer(b'["a"]', np.uint8), "counts": [2], "boxes": BOXES, "scores": [1, 1]}
    for changes, reason in (
        ({"counts": [3]}, "2 boxes where 3 are counted"),
        ({"ids": np.frombuffer(b'["a", "b"]', np.uint8)}, "do not fit"),
        ({"scores": [1]}, "rows"),
        ({"boxes": BOXES[:, ::-1]}, "without an area"),
        ({"boxes": BOXES * np.nan}, "without an area"),
    ):
        np.savez(path, **(good | changes))
        with pytest.raises(DataError, match=reason):
            read_candidates(path)
    vinvl(tmp_path, "1", box_features=np.ones((1, 4)))
    with pytest.raises(DataError, match="rows"):
        read_vinvl(tmp_path, ["1"])


def test_posts_get_candidates_and_their_coverage_can_be_told() -> None:
    seen = Entity("Rome", "LOC", 0, 4, boxes=(Box(5, 5, 30, 20),))
    posts = [Example(id=name, text="Rome", image="x.jpg", entities=(seen,)) for name in "ab"]
    posts.append(replace(posts[0], id="c", candidates=(Candidate(Box(5, 5, 30, 20), "object", 0.5),)))
    filled, missing = with_candidates(posts, {"a": regions()})
    assert missing == ["b"]
    assert filled[2] == posts[2]
    assert candidate_coverage([filled[0]], [1, 2]).tolist() == [0.0, 1.0]
