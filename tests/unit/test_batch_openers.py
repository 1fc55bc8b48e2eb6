"""Pictures that other processes open ahead change nothing but who opens them, and do not pile up."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from gmner.batch import openers
from gmner.batch.files import predict_file
from gmner.batch.openers import AHEAD, opened_ahead
from gmner.batch.share import Share
from gmner.batch.source import Source
from gmner.data.rows import GivenRow
from gmner.errors import ConfigError, FailureError, GmnerError
from gmner.image import Picture, open_image
from gmner.systems.cascade import Cascade
from gmner.types import Example, Prediction


class Looks(Cascade):
    """A cascade without stages that notes the kind of each picture that it is given."""

    def __init__(self) -> None:
        super().__init__("looks", ())
        object.__setattr__(self, "given", [])

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        self.given.extend(type(example.image) for example in examples)  # type: ignore[attr-defined]
        return super().attempt(examples)


def write_posts(folder: Path) -> Source:
    """Posts with good pictures, one of them of two posts; with bad ones of three kinds; with none; and bad rows."""
    (folder / "pictures").mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (40 + number, 60, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"pictures/{number}.jpg")
    whole = (folder / "pictures/0.jpg").read_bytes()
    (folder / "pictures/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "pictures/text.png").write_text("no picture")
    names = ["0.jpg", "1.jpg", "cut.jpg", "1.jpg", "absent.jpg", "2.jpg", "text.png", "3.jpg", "4.jpg", "5.jpg"]
    rows: list[object] = [{"text": f"Post {n}", "image": f"pictures/{name}"} for n, name in enumerate(names)]
    rows += [{"text": "no picture"}, {"text": " ", "image": "pictures/cut.jpg"}, {"text": "odd", "image": 7}]
    (folder / "posts.jsonl").write_text("{no row\n" + "\n".join(map(json.dumps, rows)), encoding="utf-8")
    return Source(folder / "posts.jsonl")


def shares_of(*paths: Path) -> list[Share]:
    """A share for each picture."""
    rows = [{"id": f"{number}", "text": "Ada", "image": str(path)} for number, path in enumerate(paths)]
    return [Share(Source(Path("p.jsonl")), Path(), [GivenRow(n, row, row)]) for n, row in enumerate(rows, 1)]


def picture(folder: Path, name: str = "a.png") -> Path:
    Image.new("RGB", (30, 20), "red").save(folder / name)
    return folder / name


@pytest.mark.parametrize("batch_size", [1, 4])
def test_outputs_are_those_of_a_run_without_openers(tmp_path: Path, batch_size: int) -> None:
    source, (alone, helped) = write_posts(tmp_path), (Looks(), Looks())
    predict_file(lambda: alone, source, tmp_path / "alone.jsonl", batch_size=batch_size)
    summary = predict_file(lambda: helped, source, tmp_path / "helped.jsonl", batch_size=batch_size, openers=2)
    assert summary.posts == 8 and summary.errors == 6
    for ending in ("jsonl", "errors.jsonl"):
        assert (tmp_path / f"helped.{ending}").read_bytes() == (tmp_path / f"alone.{ending}").read_bytes()
    assert json.loads((tmp_path / "helped.jsonl").read_text().splitlines()[0])["image"] == "pictures/0.jpg"
    assert alone.given.count(str) == 10 and np.ndarray not in alone.given  # type: ignore[attr-defined]
    assert helped.given.count(np.ndarray) == 7 and helped.given.count(str) == 3  # type: ignore[attr-defined]


class Interrupted(Looks):
    """Is interrupted at the tenth row."""

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        if any(example.id == "row-10" for example in examples):
            raise KeyboardInterrupt
        return super().attempt(examples)


@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 2), (2, 1)])
def test_an_interrupted_run_goes_on_with_another_number_of_openers(tmp_path: Path, before: int, after: int) -> None:
    source, interrupted, later = write_posts(tmp_path), Interrupted(), Looks()
    predict_file(Looks, source, tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        predict_file(lambda: interrupted, source, tmp_path / "out.jsonl", batch_size=4, openers=before)
    predict_file(lambda: later, source, tmp_path / "out.jsonl", batch_size=4, openers=after)
    for ending in ("jsonl", "errors.jsonl"):
        assert (tmp_path / f"out.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
    given = interrupted.given + later.given  # type: ignore[attr-defined]
    assert 0 < len(later.given) < len(given)  # type: ignore[attr-defined]
    assert given.count(str) + given.count(np.ndarray) == 10  # each picture's post once


def test_a_picture_is_opened_in_another_process_once_a_share_and_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path)
    rows = [share.rows[0] for share in shares_of(path, path)]
    expected = open_image(path)
    monkeypatch.setattr(openers, "open_image", None)  # this process could not
    whole = shares_of(path)[0]._replace(rows=rows)
    [share] = opened_ahead([whole], 1)
    assert share.pictures == {}  # let go
    for share in opened_ahead([whole], 1):
        assert list(share.pictures) == [str(path)]
        assert np.array_equal(share.pictures[str(path)], expected) and share.pictures[str(path)].flags.writeable


def test_few_shares_are_taken_ahead(tmp_path: Path) -> None:
    path, taken = picture(tmp_path), 0

    def endless() -> Iterator[Share]:
        nonlocal taken
        for share in shares_of(*[path] * 12):
            taken += 1
            yield share

    for number, share in enumerate(opened_ahead(endless(), 2), 1):
        assert len(share.pictures) == 1
        assert taken == min(number + AHEAD, 12)


def test_what_there_is_no_room_for_is_left_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [picture(tmp_path, f"{number}.png") for number in range(9)]
    monkeypatch.setattr(openers, "ROOM", 2 * 30 * 20 * 3)
    [first, *_] = shares_of(*paths)
    rows = [share.rows[0] for share in shares_of(*paths)]
    opened = [len(share.pictures) for share in opened_ahead([first._replace(rows=rows)] * 6, 1)]
    assert opened[0] == 2  # what is let go makes room for later shares
    assert all(number <= 2 for number in opened) and sum(opened[1:]) > 0


def test_an_opener_that_is_killed_is_replaced(tmp_path: Path) -> None:
    paths = [picture(tmp_path, f"{number}.png") for number in range(8)]
    shares, killed = opened_ahead(shares_of(*paths), 1), False
    opened = []
    for share in shares:
        opened.append(len(share.pictures))
        if not killed:
            [opener] = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
            opener.kill()
            opener.wait()
            killed = True
    assert len(opened) == 8 and opened[0] == opened[-1] == 1 and sum(opened) >= 7


def _dies(pipe: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_opener_that_can_not_start_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openers, "_serve", _dies)
    source = write_posts(tmp_path)
    with pytest.raises(FailureError, match=r"ended while it started \(SIGKILL\).*--openers"):
        predict_file(Looks, source, tmp_path / "out.jsonl", openers=2)
    assert not (tmp_path / "out.jsonl").exists()


def test_nothing_is_left_running(tmp_path: Path) -> None:
    before = set(psutil.Process().children()), threading.active_count()
    shares = opened_ahead(shares_of(*[picture(tmp_path)] * 9), 2)
    next(shares)
    shares.close()
    left = [child for child in psutil.Process().children() if child not in before[0]]
    assert not [child for child in left if "spawn_main" in " ".join(child.cmdline())]
    assert threading.active_count() == before[1]


def test_pictures_are_opened_while_the_system_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening: list[Future[Picture | None]] = []
    submit = openers._Pool.open
    monkeypatch.setattr(openers._Pool, "open", lambda pool, path: opening.append(submit(pool, path)) or opening[-1])
    shares = opened_ahead(shares_of(picture(tmp_path, "0.png"), late := picture(tmp_path, "1.png")), 1)
    next(shares)
    assert opening[1].result(timeout=60) is not None
    late.unlink()
    assert list(next(shares).pictures) == [str(late)]
    shares.close()


@pytest.mark.parametrize(("choices", "told"), [({"processes": 2, "openers": 1}, "openers"), ({"openers": -1}, "0 or")])
def test_openers_that_can_not_be(tmp_path: Path, choices: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        predict_file(Looks, Source(tmp_path / "posts.jsonl"), tmp_path / "out.jsonl", **choices)  # type: ignore[arg-type]
