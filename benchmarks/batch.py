"""Posts a second of `lite`: a plain loop over batches in one process, the batch engine with 1, 2 ... processes, Ray.

    python benchmarks/batch.py [POSTS] [PROCESSES ...]

The posts are drawn. The loop has all cores for its own threads. Each engine runs twice, over one batch and over all
posts; the difference leaves out starting and loading. CPU seconds a post say what the machine's other work hides: run
this on a quiet machine all the same. Ray runs with two actors if it is installed; the processes that it starts are not
this one's children, so their CPU seconds are not known (`benchmarks/engines.py` counts those of the engine itself).
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import gmner
from gmner.batch.files import BATCH_SIZE, predict_file
from gmner.batch.on_ray import Actors, predict_shards
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


def engine(folder: Path, posts: int, run: Callable[[Callable[[], System], Source], object]) -> Taken:
    """One run of an engine over so many posts, started and loaded anew."""
    source = folder / f"{posts}.jsonl"
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(lines[:posts]), encoding="utf-8")
    begun = now()
    run(partial(load_part, "lite", {}, None, None), Source(source))
    return since(begun)


def difference(folder: Path, posts: int, run: Callable[[Callable[[], System], Source], object]) -> Taken:
    """What `posts` posts take beyond a first batch."""
    first, whole = (engine(folder, size, run) for size in (BATCH_SIZE, BATCH_SIZE + posts))
    return Taken(whole.wall - first.wall, whole.cpu - first.cpu)


def local(target: Path, processes: int, make: Callable[[], System], source: Source) -> None:
    predict_file(make, source, target, processes=processes, progress=False)


def ray(target: Path, make: Callable[[], System], source: Source) -> None:
    size = BATCH_SIZE // 2  # as many posts in flight
    predict_shards(make, source, target / source.path.stem, actors=Actors(2, 2), shard_size=size, progress=False)


def show(name: str, posts: int, taken: Taken, loop: Taken, *, cpu: bool = True) -> None:
    print(
        f"{name:<22} {posts / taken.wall:6.2f} posts/s   {loop.wall / taken.wall:5.2f} x the loop"
        + (f"   {1000 * taken.cpu / posts:6.1f} CPU ms a post" if cpu else ""),
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
            taken = difference(folder, posts, partial(local, folder / f"by-{number}.jsonl", number))
            show(f"engine, {number} process{'es' * (number > 1)}", posts, taken, loop)
        if find_spec("ray") is not None:
            show("Ray, 2 actors", posts, difference(folder, posts, partial(ray, folder / "by-ray")), loop, cpu=False)
        outputs = {(folder / f"by-{number}.jsonl").read_bytes() for number in processes}
        print("outputs equal" if len(outputs) == 1 else "OUTPUTS DIFFER")
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300, [int(word) for word in sys.argv[2:]] or [1, 2])
