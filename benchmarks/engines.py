"""What the engines themselves cost a post: a plain loop, the batch engine, and Ray with two actors.

    python benchmarks/engines.py [POSTS] [SLEEPING]

First POSTS posts (default 10,000) through a system that does nothing: CPU milliseconds a post, of all processes. Each
way runs twice, over a tenth and over all; the difference leaves out what starting takes, which is told apart. Then
SLEEPING posts (default 200) that sleep as long as `lite` computes (134 ms in the mean, log-normal), against the sum of
their times: how well two workers are kept busy. Neither depends on what else the machine does, as posts a second do.
"""

import json
import math
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

import gmner
from gmner.batch.files import BATCH_SIZE, predict_file
from gmner.batch.on_ray import Actors, predict_shards
from gmner.batch.source import Source
from gmner.data.rows import write_rows
from gmner.errors import GmnerError
from gmner.systems.system import System
from gmner.types import Entity, Example, Prediction

MEAN, SPREAD = 0.134, 0.5


@dataclass
class Idle(System):
    """Calls the first word of every post a person, after as many seconds as the post says in `seconds`.

    `log` gets a line with the times at which a call began and ended.
    """

    log: Path | None = None
    name: str = "idle"

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        if self.log is not None:
            begun = time.time()
            time.sleep(sum(example.extra["seconds"] for example in examples))
            with self.log.open("ab", buffering=0) as file:
                file.write(f"{begun} {time.time()}\n".encode())
        return [Prediction(example=example, entities=(Entity("Ada", "PER", 0, 3),)) for example in examples]


class Family:
    """CPU seconds of this process and of all below it, those that have ended included (but for their last 0.1 s)."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._me = psutil.Process()
        threading.Thread(target=self._watch, daemon=True).start()

    def seconds(self) -> float:
        for process in (self._me, *self._me.children(recursive=True)):
            try:
                times = process.cpu_times()
                key = process.pid, process.create_time()
                self._seen[key] = max(self._seen.get(key, 0.0), times.user + times.system)
            except psutil.Error:
                continue
        return sum(self._seen.copy().values())

    def _watch(self) -> None:
        while True:
            self.seconds()
            time.sleep(0.1)


def loop(source: Path, target: Path) -> None:
    examples, system = gmner.read(source), Idle()
    predictions: list[Prediction] = []
    for start in range(0, len(examples), BATCH_SIZE):
        predictions += system.predict(examples[start : start + BATCH_SIZE])
    write_rows(target.with_suffix(".parquet"), predictions)


def local(processes: int, source: Path, target: Path, make: Callable[[], System] = Idle) -> None:
    predict_file(make, Source(source), target.with_suffix(".parquet"), processes=processes, progress=False)


def ray(actors: int, source: Path, target: Path, make: Callable[[], System] = Idle, shard_size: int = 250) -> None:
    pool = Actors(actors, actors)
    predict_shards(make, Source(source), target, actors=pool, shard_size=shard_size, progress=False)


def written(folder: Path, posts: int, seconds: Sequence[float] = ()) -> Path:
    path = folder / f"posts-{posts}.jsonl"
    rows = (
        {"id": str(n), "text": f"Ada is post {n}", **({"seconds": seconds[n]} if seconds else {})} for n in range(posts)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def own_work(folder: Path, posts: int, family: Family) -> None:
    few, many = (written(folder, number) for number in (posts // 10, posts))
    ways: dict[str, Callable[[Path, Path], None]] = {
        "loop": loop,
        "batch engine, 1 process": partial(local, 1),
        "batch engine, 2 processes": partial(local, 2),
        "Ray, 2 actors": partial(ray, 2),
    }
    print(f"{posts:,} posts through a system that does nothing")
    local(1, few, folder / "warm")  # what is imported once
    for name, way in ways.items():
        taken = []
        for source in (few, many):
            begun = family.seconds()
            way(source, folder / f"{name} {source.stem}")
            taken.append(family.seconds() - begun)
        each = (taken[1] - taken[0]) / (posts - posts // 10)
        start = taken[0] - each * (posts // 10)
        print(f"{name:<26} {1000 * each:6.2f} CPU ms a post, {max(start, 0):5.1f} CPU s to start and end", flush=True)


def kept_busy(folder: Path, posts: int) -> None:
    chance = random.Random(0)
    seconds = [chance.lognormvariate(math.log(MEAN) - SPREAD**2 / 2, SPREAD) for _ in range(posts)]
    source = written(folder, posts, seconds)
    print(f"{posts} posts that sleep {sum(seconds) / posts:.3f} s in the mean; the rate against one after another")
    for name, way in {
        "batch engine, 1 process": partial(local, 1),
        "batch engine, 2 processes": partial(local, 2),
        "Ray, 2 actors, shards of 8": partial(ray, 2, shard_size=8),
    }.items():
        log = folder / f"{name}.log"
        way(source, folder / f"{name} asleep", make=partial(Idle, log))
        times = [[float(word) for word in line.split()] for line in log.read_text(encoding="utf-8").splitlines()]
        taken = max(end for _, end in times) - min(begun for begun, _ in times)
        print(f"{name:<26} {sum(seconds) / taken:5.2f} x", flush=True)


def main(posts: int = 10_000, sleeping: int = 200) -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        own_work(Path(name), posts, Family())
        kept_busy(Path(name), sleeping)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    # By its own name, so that the processes that Ray starts find the system in a module that they can import.
    from engines import main as run

    run(*map(int, sys.argv[1:3]))
