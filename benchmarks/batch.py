"""Posts a second of `lite`: a plain loop over batches in one process, and the batch engine with 1, 2 ... processes.

    python benchmarks/batch.py [POSTS] [PROCESSES ...]

The posts are drawn. The loop has all cores for its own threads. Each engine runs twice, over one batch and over all
posts; the difference leaves out starting and loading. CPU seconds a post say what the machine's other work hides: run
this on a quiet machine all the same.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gmner
from gmner.batch.files import BATCH_SIZE, predict_file
from gmner.batch.source import Source
from gmner.data.drawn import draw_folder, orders
from gmner.errors import GmnerError
from gmner.image import open_image
from gmner.systems import load_part
from gmner.systems.system import System
from gmner.types import Example, Prediction


class Taken(NamedTuple):
    """Seconds by the clock, and of all processors."""

    wall: float
    cpu: float


def now() -> Taken:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Taken(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


def since(begun: Taken) -> Taken:
    ended = now()
    return Taken(ended.wall - begun.wall, ended.cpu - begun.cpu)


def plain_loop(system: System, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
    """What everything else is measured by: one batch after another."""
    batches = (examples[start : start + BATCH_SIZE] for start in range(0, len(examples), BATCH_SIZE))
    return [result for batch in batches for result in system.attempt(batch)]


def engine(folder: Path, posts: int, processes: int) -> Taken:
    """One run of the engine over so many posts, started and loaded anew."""
    source = folder / f"{posts}.jsonl"
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(lines[:posts]), encoding="utf-8")
    begun = now()
    predict_file(partial(load_part, "lite", {}, None, None), Source(source), folder / f"by-{processes}.jsonl",
                 processes=processes, progress=False)  # fmt: skip
    return since(begun)


def show(name: str, posts: int, taken: Taken, loop: Taken) -> None:
    print(
        f"{name:<22} {posts / taken.wall:6.2f} posts/s   {loop.wall / taken.wall:5.2f} x the loop   "
        f"{1000 * taken.cpu / posts:6.1f} CPU ms a post",
        flush=True,
    )


def main(posts: int, processes: list[int]) -> None:
    print(f"{posts} drawn posts after a batch of {BATCH_SIZE}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_folder(folder, orders({"test": posts + BATCH_SIZE}, 0), os.cpu_count() or 1)
        examples = gmner.read(folder / "test.jsonl")
        begun = now()
        for example in examples[BATCH_SIZE:]:
            open_image(example.image)
        print(f"opening the pictures: {1000 * since(begun).cpu / posts:.1f} CPU ms a post")
        lite = gmner.load("lite")
        lite.attempt(examples[:BATCH_SIZE])
        begun = now()
        plain_loop(lite, examples[BATCH_SIZE:])
        loop = since(begun)
        show("loop", posts, loop, loop)
        for number in processes:
            first, whole = (engine(folder, size, number) for size in (BATCH_SIZE, BATCH_SIZE + posts))
            taken = Taken(whole.wall - first.wall, whole.cpu - first.cpu)
            show(f"engine, {number} process{'es' * (number > 1)}", posts, taken, loop)
        outputs = {(folder / f"by-{number}.jsonl").read_bytes() for number in processes}
        print("outputs equal" if len(outputs) == 1 else "OUTPUTS DIFFER")
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300, [int(word) for word in sys.argv[2:]] or [1, 2])
