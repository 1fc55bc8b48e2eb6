"""Faces: found on the photographs of the examples, nowhere else, and in the frame of the picture."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from tests.unit.sight import blank, photo

from gmner.geometry import box_iou
from gmner.stages import faces
from gmner.stages.faces import Faces, FaceSettings
from gmner.types import Box, Candidate


@pytest.mark.parametrize(
    ("name", "middles"),
    [
        ("eileen-collins", [(0.44, 0.22)]),
        ("grace-hopper", [(0.51, 0.36)]),
        ("filippo-giunchedi", [(0.5, 0.34)]),
        ("two-people-sofa", [(0.4, 0.66), (0.8, 0.38)]),
        ("three-women-bar", [(0.36, 0.34), (0.6, 0.27), (0.84, 0.33)]),
        ("china-temple", []),
        ("falcon9-rocket", []),
        ("freedombox", []),
        ("raspberry-pi-3", []),
    ],
)
def test_photographs(name: str, middles: list[tuple[float, float]]) -> None:
    picture = photo(name)
    found = sorted(Faces()(picture), key=lambda face: face.box.x1)
    assert len(found) == len(middles)
    for face, (x, y) in zip(found, middles, strict=True):
        height, width = picture.shape[:2]
        assert face.kind == "face"
        assert 0.5 <= face.score < 1
        assert abs((face.box.x1 + face.box.x2) / 2 / width - x) < 0.05
        assert abs((face.box.y1 + face.box.y2) / 2 / height - y) < 0.08


def test_boxes_are_in_the_frame_of_the_picture() -> None:
    picture = photo("eileen-collins")
    large = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    [face], [same] = Faces()(picture), Faces()(large)
    assert box_iou([Box(*(value * 3 for value in face.box))], [same.box])[0, 0] > 0.7


def test_greyscale_faces_are_let_off_the_colour_of_skin() -> None:
    grey = np.repeat(cv2.cvtColor(photo("grace-hopper"), cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    blue = (grey * np.array([0.3, 0.5, 1.0])).astype(np.uint8)
    assert len(Faces()(grey)) == 1
    assert Faces()(blue) == []


def test_the_second_cascade_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Faces(FaceSettings(agreement=10_000))(photo("grace-hopper")) == []
    monkeypatch.setattr(faces, "_look_again", lambda *_: 0)
    assert Faces()(photo("grace-hopper")) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (19, 19)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    assert Faces()(blank(*size)) == []


def test_a_chin_is_no_second_face() -> None:
    head = Candidate(Box(100, 100, 200, 200), "face", 0.9)
    chin = Candidate(Box(120, 170, 180, 230), "face", 0.6)
    beside = Candidate(Box(220, 100, 320, 200), "face", 0.7)
    assert faces._apart([chin, beside, head]) == [head, beside]


def test_threads_do_not_disturb_each_other() -> None:
    pictures = [photo(name) for name in ("eileen-collins", "two-people-sofa", "grace-hopper", "china-temple")]
    alone = [Faces()(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(Faces(), pictures)) == alone
