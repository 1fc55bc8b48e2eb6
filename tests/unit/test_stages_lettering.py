"""Lettering: drawn words are read where they stand, offline, and no more of them than the budget allows."""

import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.unit.sight import blank, photo

from gmner.geometry import box_iou
from gmner.image import Picture
from gmner.stages import lettering
from gmner.stages.lettering import Lettering, LetteringSettings
from gmner.types import Box


def sign(*words: tuple[str, int, int, int], size: tuple[int, int] = (800, 400)) -> tuple[Picture, list[Box]]:
    """A white sign with black words as (word, x, y, height), and their boxes."""
    image = Image.new("RGB", size, "white")
    pen, boxes = ImageDraw.Draw(image), []
    for word, x, y, height in words:
        font = ImageFont.load_default(height)
        pen.text((x, y), word, "black", font)
        boxes.append(Box(*pen.textbbox((x, y), word, font)))
    return np.asarray(image), boxes


def texts(found: Iterable[object]) -> list[str]:
    return [candidate.text for candidate in found]  # type: ignore[attr-defined]


def test_words_are_read_where_they_stand() -> None:
    picture, boxes = sign(("GOLDEN", 60, 40, 90), ("Warriors", 300, 230, 70))
    found = Lettering()(picture)
    assert texts(found) == ["GOLDEN", "Warriors"]
    assert all(candidate.kind == "lettering" and candidate.score >= 0.8 for candidate in found)
    assert np.diag(box_iou(boxes, [candidate.box for candidate in found])).min() > 0.6


def test_boxes_are_in_the_frame_of_the_picture() -> None:
    picture, boxes = sign(("TOWER", 900, 1400, 300), size=(3000, 2000))
    [found] = Lettering()(picture)
    assert box_iou(boxes, [found.box])[0, 0] > 0.6


def test_upright_lines_are_turned() -> None:
    picture, _ = sign(("LIBRARY", 60, 100, 120))
    [found] = Lettering()(np.rot90(picture, -1))
    assert found.text == "LIBRARY"
    assert found.box.height > found.box.width


def test_the_tallest_lines_are_read_first_as_far_as_the_budget_goes() -> None:
    picture, _ = sign(("small print", 60, 40, 30), ("HEADLINE", 60, 120, 90), ("middle", 60, 280, 60))
    assert texts(Lettering(LetteringSettings(budget=7))(picture)) == ["HEADLINE"]
    assert texts(Lettering(LetteringSettings(budget=14))(picture)) == ["HEADLINE", "middle"]
    assert len(Lettering()(picture)) == 3


def test_nothing_is_written() -> None:
    assert Lettering()(blank()) == []
    assert Lettering()(photo("filippo-giunchedi")) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    assert Lettering()(blank(*size)) == []


def test_colours_are_not_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Reader:
        def __call__(self, picture: Picture, **_: object) -> object:
            seen.append(picture)
            return type("Found", (), {"boxes": None})()

    monkeypatch.setattr(lettering, "_reader", Reader)
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    assert Lettering()(red) == []
    assert (seen[0][..., 2] == 255).all()


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    lettering._reader.cache_clear()
    picture, _ = sign(("OFFLINE", 60, 100, 100))
    assert texts(Lettering()(picture)) == ["OFFLINE"]


def test_one_picture_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = threading.Semaphore(1)

    class Reader:
        def __call__(self, picture: Picture, **_: object) -> object:
            assert inside.acquire(blocking=False), "two threads read at once"
            time.sleep(0.01)
            inside.release()
            return type("Found", (), {"boxes": None})()

    monkeypatch.setattr(lettering, "_reader", Reader)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(Lettering(), [blank()] * 8)) == [[]] * 8


def test_threads_find_what_one_finds() -> None:
    pictures = [sign((word, 60, 100, 100))[0] for word in ("ALPHA", "BETA", "GAMMA", "DELTA")]
    with ThreadPoolExecutor(4) as pool:
        assert [texts(found) for found in pool.map(Lettering(), pictures)] == [
            ["ALPHA"],
            ["BETA"],
            ["GAMMA"],
            ["DELTA"],
        ]
