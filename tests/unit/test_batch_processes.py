"""Several processes give what one does, and one that dies costs one post."""

import json
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.killing import Capitals, run_and_kill, run_once, start, write_posts

from gmner.batch.files import predict_file
from gmner.batch.source import Source
from gmner.batch.summary import Summary
from gmner.errors import FailureError, UnknownNameError
from gmner.systems import load_part


def write(folder: Path, *texts: str) -> Source:
    rows = (json.dumps({"id": f"{number}", "text": text}) for number, text in enumerate(texts))
    (folder / "posts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return Source(folder / "posts.jsonl")


@pytest.mark.parametrize(("processes", "kills", "seed"), [(1, 5, 3), (2, 3, 9)])
def test_a_run_that_is_killed_again_and_again(tmp_path: Path, processes: int, kills: int, seed: int) -> None:
    write_posts(tmp_path / "posts.jsonl", 200)
    run_once(tmp_path, "whole.jsonl", 1)
    result = run_and_kill(tmp_path, 200, kills, processes, seed=seed, pause=0.001)
    assert result.output == (tmp_path / "whole.jsonl").read_bytes()
    assert result.errors == (tmp_path / "whole.errors.jsonl").read_bytes()
    assert result.again_at_most <= 32
    assert result.kills == kills
    assert not list(tmp_path.glob("*.unfinished")) + list(tmp_path.glob(".*"))


def test_a_post_that_kills_its_process_is_an_error(tmp_path: Path) -> None:
    source = write(tmp_path, *["Ada"] * 9, "now die", *["Bob"] * 9)
    summary = predict_file(Capitals, source, tmp_path / "out.jsonl", processes=2)
    assert summary == Summary(18, 18, 1, tmp_path / "out.errors.jsonl")
    [error] = map(json.loads, (tmp_path / "out.errors.jsonl").read_text(encoding="utf-8").splitlines())
    assert error["line"] == 10 and "SIGKILL" in error["error"] and error["row"]["text"] == "now die"


def dies() -> Capitals:
    raise SystemExit(3)


def test_a_system_that_can_not_be_made_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    source = write(tmp_path, "Ada")
    with pytest.raises(FailureError, match="exit code 3"):
        predict_file(dies, source, tmp_path / "out.jsonl", processes=2)
    with pytest.raises(UnknownNameError, match="did you mean 'lite'"):
        predict_file(partial(load_part, "light", {}, None, None), source, tmp_path / "out.jsonl", processes=2)
    assert [path.name for path in tmp_path.iterdir()] == ["posts.jsonl"]


def test_a_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    write_posts(tmp_path / "posts.jsonl", 500)
    run = start(tmp_path, processes=2, pause=0.02)
    while run.poll() is None and not (tmp_path / "out.jsonl.log").exists():
        time.sleep(0.01)
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
