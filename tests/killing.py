"""A batch run that is killed again and again, and what came of it: `python -m tests.killing POSTS KILLS PROCESSES`.

The system is a fake that logs every post that it computes, so that what is computed twice can be counted.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gmner.batch.files import predict_file
from gmner.batch.source import Source
from gmner.errors import GmnerError, TextError
from gmner.systems.system import System
from gmner.types import Entity, Example, Prediction

BATCH = 32
_BROKEN = 70


@dataclass
class Capitals(System):
    """Finds words with a capital, refuses posts that shout, and writes the id of each post to `log`, if that is given.

    It fails on a post that says "fail", and a post that says "die" kills its process.
    """

    log: Path | None = None
    pause: float = 0.0
    name: str = "capitals"

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        return [self._one(example) for example in examples]

    def _one(self, example: Example) -> Prediction | GmnerError:
        if self.log is not None:
            with self.log.open("ab", buffering=0) as file:
                file.write(f"{example.id}\n".encode())
            time.sleep(self.pause)
        if example.text.isupper():
            return TextError("a post that shouts", allowed="posts speak", todo="be calm")
        if "fail" in example.text:
            raise RuntimeError("no memory")
        if "die" in example.text:
            os.kill(os.getpid(), signal.SIGKILL)
        words = [word for word in example.text.split() if word[0].isupper()]
        places = [(example.text.index(word), word) for word in words]
        return Prediction(
            example=example, entities=tuple(Entity(word, "OTHER", at, at + len(word)) for at, word in places)
        )


@dataclass(frozen=True)
class Killed:
    """What came of a run: how often it was killed, how many posts a kill made it compute again at most, its files."""

    kills: int
    again: int
    again_at_most: int
    output: bytes
    errors: bytes


def write_posts(path: Path, posts: int) -> None:
    """So many rows, of which every 50th shouts and some are not JSON."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, posts + 1):
            text = f"Post {number} of Ada" if number % 50 else "SHOUT"
            file.write("{\n" if number % _BROKEN == 0 else json.dumps({"id": f"p{number}", "text": text}) + "\n")


def run_once(folder: Path, target: str, processes: int, pause: float = 0.0) -> None:
    """The run itself, in this process; what it computes goes to `<target>.log`."""
    make = partial(Capitals, folder / f"{target}.log", pause)
    predict_file(make, Source(folder / "posts.jsonl"), folder / target, processes=processes, batch_size=BATCH)


def start(folder: Path, processes: int, pause: float) -> "subprocess.Popen[bytes]":
    """The run of `posts.jsonl` to `out.jsonl` as a process of its own."""
    command = [sys.executable, "-m", "tests.killing", "--run", str(folder), str(processes), str(pause)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1])


def run_and_kill(folder: Path, posts: int, kills: int, processes: int, *, seed: int = 0, pause: float = 0.0) -> Killed:
    """Start the run until it ends well, and kill it `kills` times: when so many posts are computed, and a little later.

    The numbers of posts, and the milliseconds, are chosen at random.
    """
    chance = random.Random(seed)
    readable = posts - posts // _BROKEN
    moments = sorted(chance.randrange(readable) for _ in range(kills))
    log = folder / "out.jsonl.log"
    log.touch()
    killed, again = 0, [0]
    known: set[bytes] = set()
    while True:
        size = log.stat().st_size
        process = start(folder, processes, pause)
        if killed < kills:
            _wait(process, log, moments[killed])
            time.sleep(chance.random() * 0.03)
            process.kill()
        ended = process.wait()
        life = log.read_bytes()[size:].split()
        again.append(sum(name in known for name in life))
        known.update(life)
        if ended == 0:
            break
        if ended != -signal.SIGKILL:
            raise RuntimeError(f"the run ended with {ended}")
        killed += 1
    output, errors = (folder / f"out{end}.jsonl" for end in ("", ".errors"))
    return Killed(killed, sum(again), max(again), output.read_bytes(), errors.read_bytes())


def _wait(process: "subprocess.Popen[bytes]", log: Path, posts: int) -> None:
    """Until so many posts are computed, or the process ended."""
    while process.poll() is None and len(set(log.read_bytes().split())) < posts:
        time.sleep(0.005)


def main(posts: int, kills: int, processes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_posts(folder / "posts.jsonl", posts)
        begun = time.perf_counter()
        run_once(folder, "whole.jsonl", 1)
        whole = [(folder / f"whole{end}.jsonl").read_bytes() for end in ("", ".errors")]
        print(f"{posts} posts uninterrupted: {time.perf_counter() - begun:.1f} s")
        begun = time.perf_counter()
        result = run_and_kill(folder, posts, kills, processes, pause=0.001)
        ids = [json.loads(line)["id"] for line in result.output.splitlines()]
        wanted = [json.loads(line)["id"] for line in whole[0].splitlines()]
        print(
            f"{processes} processes, killed {result.kills} times, {time.perf_counter() - begun:.1f} s: "
            f"output {'equal' if result.output == whole[0] else 'DIFFERENT'}, "
            f"errors {'equal' if result.errors == whole[1] else 'DIFFERENT'}, "
            f"{len(set(wanted) - set(ids))} lost, {len(ids) - len(set(ids))} twice; computed again: "
            f"{result.again} posts in all, at most {result.again_at_most} after a kill (a batch is {BATCH})"
        )
        print("left behind:", sorted(path.name for path in folder.iterdir() if "unfinished" in path.name) or "nothing")


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        run_once(Path(sys.argv[2]), "out.jsonl", int(sys.argv[3]), float(sys.argv[4]))
    else:
        main(*map(int, sys.argv[1:4]))
