"""Candidate files: VinVL's and ours, what is damaged, and candidates put into posts."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gmner.data.candidates import UNSCORED, Regions, read_candidates, read_vinvl, with_candidates, write_candidates
from gmner.errors import DataError
from gmner.metrics.regions import candidate_coverage
from gmner.training.regions import with_regions
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
        ({"scores": [1, np.nan]}, "no number"),
        ({"features": [[1.0, np.inf], [0, 0]]}, "no number"),
        ({"counts": 2}, "'counts' of 0 dimensions"),
        ({"counts": ["2"]}, "'counts' of 1 dimensions and type <U1"),
        ({"counts": [2.0]}, "not whole numbers"),
        ({"counts": [3, -1], "ids": np.frombuffer(b'["a", "b"]', np.uint8)}, "not whole numbers"),
        ({"ids": np.frombuffer(b'{"a": 2}', np.uint8)}, "do not fit"),
        ({"ids": np.array(["a"])}, "'ids' of 1 dimensions and type <U1"),
        ({"boxes": np.array([["a"] * 4] * 2)}, "'boxes' of 2 dimensions and type <U1"),
        ({"boxes": BOXES[0]}, "'boxes' of 1 dimensions"),
        ({"boxes": BOXES[:, :3]}, r"shape \(2, 3\)"),
        ({"features": np.ones(2)}, "'features' of 1 dimensions"),
        ({"ids": np.frombuffer(b'["a", "a"]', np.uint8), "counts": [1, 1]}, "an id twice"),
    ):
        np.savez(path, **(good | changes))
        with pytest.raises(DataError, match=reason):
            read_candidates(path)
    for changes, reason in (
        ({"box_features": np.ones((1, 4))}, "rows"),
        ({"num_boxes": []}, r"num_boxes that says \[\]"),
        ({"num_boxes": -1}, "num_boxes"),
        ({"num_boxes": "2"}, "'num_boxes' of 0 dimensions"),
        ({"bounding_boxes": np.ones(4)}, "'bounding_boxes' of 1 dimensions"),
    ):
        vinvl(tmp_path, "1", **changes)
        with pytest.raises(DataError, match=reason):
            read_vinvl(tmp_path, ["1"])


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder without candidates.*gmner data candidates"):
        read_candidates(tmp_path)
    write_candidates(tmp_path / "train.safetensors", {"a": regions()})
    write_candidates(tmp_path / "dev.npz", {"b": regions(1)})
    assert {name: len(found.boxes) for name, found in read_candidates(tmp_path).items()} == {"a": 2, "b": 1}
    write_candidates(tmp_path / "train2.safetensors", {"a": regions()})
    with pytest.raises(DataError, match=r"train2\.safetensors: the post 'a', which another file of the folder has too"):
        read_candidates(tmp_path)


def test_training_posts_that_a_detector_has_not_seen_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    posts = [Example(id=name, text="Rome", image="x.jpg") for name in "abc"]
    posts.append(Example(id="d", text="Rome"))
    vinvl(tmp_path, "a")
    with caplog.at_level(logging.WARNING):
        found = with_regions(posts, tmp_path, features=True)
    assert "2 of 4 posts have a picture and are not in" in caplog.text
    assert "the first is b:" in caplog.text
    assert [regional.features is None for regional in found] == [False, True, True, True]
    assert [regional.example.candidates is None for regional in found] == [False, True, True, True]
    caplog.clear()
    write_candidates(tmp_path / "ours.npz", {name: regions() for name in "abc"})
    assert len(with_regions(posts, tmp_path / "ours.npz", features=False)) == 4
    with_regions(posts, None, features=False)
    assert not caplog.records


def test_posts_get_candidates_and_their_coverage_can_be_told() -> None:
    seen = Entity("Rome", "LOC", 0, 4, boxes=(Box(5, 5, 30, 20),))
    posts = [Example(id=name, text="Rome", image="x.jpg", entities=(seen,)) for name in "ab"]
    posts.append(replace(posts[0], id="c", candidates=(Candidate(Box(5, 5, 30, 20), "object", 0.5),)))
    filled, missing = with_candidates(posts, {"a": regions()})
    assert missing == ["b"]
    assert filled[2] == posts[2]
    assert candidate_coverage([filled[0]], [1, 2]).tolist() == [0.0, 1.0]
