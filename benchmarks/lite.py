"""What each stage of `lite` takes, on the demo's posts: one thread, one post after another.

    python benchmarks/lite.py [POSTS.jsonl]

Prints loading time, CPU milliseconds a post for every stage (mean and the slowest post) and the peak memory.
"""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import resource
import sys
import time
from pathlib import Path

import cv2
import torch

import gmner
from gmner.image import open_image
from gmner.types import Prediction

ROUNDS = 3


def main(source: Path) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    started = time.perf_counter()
    lite = gmner.load("lite")
    print(f"loading: {time.perf_counter() - started:.1f} s, {time.process_time():.1f} CPU s with all imports")
    posts = gmner.read(source)
    taken: dict[str, list[float]] = {"open": []}
    for number, post in enumerate(posts * (ROUNDS + 1)):
        counted = number >= len(posts)  # the first round warms up
        begun = time.process_time()
        picture = open_image(post.image)
        draft = Prediction(example=post, image_size=(picture.shape[1], picture.shape[0]))
        times = {"open": time.process_time() - begun}
        for stage in lite.stages:
            begun = time.process_time()
            [draft] = stage([draft], [picture])
            times[stage.name] = time.process_time() - begun
        times["whole post"] = sum(times.values())
        for name, seconds in times.items() if counted else ():
            taken.setdefault(name, []).append(seconds)
    print(f"{len(posts)} posts, {ROUNDS} rounds, CPU ms a post:")
    for name, seconds in taken.items():
        print(f"  {name:<12} mean {1000 * sum(seconds) / len(seconds):6.1f}   slowest {1000 * max(seconds):6.1f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "examples" / "posts.jsonl"))
