"""The Ray engine on a head and two workers: what the batch engine gives, whichever of them is killed meanwhile."""

import contextlib
import importlib.util
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.killing import Capitals, write_posts
from typer.testing import CliRunner

from gmner.batch.files import predict_file
from gmner.batch.on_ray import Actors, predict_shards
from gmner.batch.source import Source
from gmner.cli.main import app
from gmner.data.rows import iterate_given
from gmner.errors import DataError, FailureError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
POSTS, SHARD = 119, 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and two workers with one each, on 127.0.0.1."""
    with pytest.MonkeyPatch.context() as patch:
        # Before Ray is imported: no address but the loopback's, and nothing in the home folder.
        for name, value in {
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
        }.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        # A short name: sockets lie in there.
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            patch.setenv("RAY_TMPDIR", folder)
            (Path(folder) / "ray").mkdir()
            started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
            for _ in range(2):
                started.add_node(num_cpus=1)
            yield started
            started.shutdown()


def rows(*files: Path) -> list[dict[str, Any] | None]:
    return [row.given for file in sorted(files) for row in iterate_given(file)]


def errors(*files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(files) for line in file.read_text(encoding="utf-8").splitlines()]


def until(happened: Callable[[], bool]) -> None:
    """Wait for it, at most two minutes."""
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.1)
    raise TimeoutError


def addresses(process: psutil.Process) -> set[str]:
    """Where a process and those below it listen, and what they are connected to."""
    found = set()
    with contextlib.suppress(psutil.Error):  # they come and go
        for each in (process, *process.children(recursive=True)):
            for connection in each.net_connections(kind="inet"):
                found |= {address.ip for address in (connection.laddr, connection.raddr) if address}
    return found


def actors() -> list[psutil.Process]:
    """The actors that hold a system: they have a process below them."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "Predictor" in process.name() and process.children()]


def test_killed_actors_and_machines_lose_nothing_and_double_nothing(tmp_path: Path, cluster: Any) -> None:
    source, log = Source(tmp_path / "posts.jsonl"), tmp_path / "log"
    write_posts(source.path, POSTS)
    with source.path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "poison", "text": "die"}) + "\n")
    predict_file(Capitals, source, tmp_path / "whole.parquet", processes=2)
    log.touch()

    def computed() -> int:
        return len(set(log.read_bytes().split()))

    def kill() -> None:
        until(lambda: computed() > POSTS // 5)
        actors()[0].kill()
        until(lambda: computed() > POSTS // 2)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    pool = Actors(1, 2, address=cluster.address)
    run = partial(predict_shards, source=source, target=tmp_path / "out", actors=pool, shard_size=SHARD)
    summary = run(partial(Capitals, log, 0.03))
    killer.join()
    whole, parts = tmp_path / "whole.parquet", list((tmp_path / "out").glob("*.parquet"))
    assert rows(*parts) == rows(whole)
    kept = errors(*(tmp_path / "out.errors").iterdir())
    assert kept == errors(tmp_path / "whole.errors.jsonl") and "SIGKILL" in kept[-1]["error"]
    assert (summary.posts, summary.errors) == (len(rows(whole)), len(kept))
    names = log.read_bytes().split()
    assert len(names) - len(set(names)) <= 2 * 2 * SHARD + 2  # two losses, two shards each; the poison more than once

    # Started again on more posts, it computes those alone. They all make the system fail, which ends the run.
    with source.path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps({"id": f"new{number}", "text": "fail"}) + "\n" for number in range(SHARD)))
    with pytest.raises(FailureError, match=r"post after post, at last in row 140: .*no memory"):
        run(partial(Capitals, log))
    assert set(log.read_bytes().split()[len(names) :]) == {f"new{number}".encode() for number in range(SHARD)}
    with pytest.raises(DataError, match="begun with settings"):
        run(Capitals, settings={"system": "another"})


@pytest.mark.slow
def test_the_command_starts_a_cluster_that_stays_on_the_loopback_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text('{"id": "a", "text": "Ada Lovelace in London"}\n{broken\n', encoding="utf-8")
    home, temporary = tmp_path / "home", Path(tempfile.mkdtemp(prefix="ray-"))
    home.mkdir()
    choices = ["predict", "--input", "posts.jsonl", "--to-stage", "recognise"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-m", "gmner.cli.main", *choices, "--engine", "ray", "--output", "out", "--actors", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        seen: set[str] = set()
        while process.poll() is None:
            seen |= addresses(psutil.Process(process.pid))
            time.sleep(0.3)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 3, told
    assert "1 post with 2 entities, 1 error (kept in" in told and "Traceback" not in told
    assert seen and {ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback for address in seen} == {True}
    assert not list(home.iterdir())
    assert [path for path in temporary.iterdir() if not path.name.startswith("torchinductor_")] == []  # torch's own
    shutil.rmtree(temporary)
    assert CliRunner().invoke(app, [*choices[:2], str(tmp_path / "posts.jsonl"), *choices[3:], "--output",
                                    str(tmp_path / "out.parquet"), "--processes", "1"]).exit_code == 3  # fmt: skip
    [local], [ours] = rows(tmp_path / "out.parquet"), rows(tmp_path / "out" / "posts-000000.parquet")
    assert local == ours
