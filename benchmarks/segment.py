"""SAM from boxes: a picture with 1, 3 and 10 boxes, encoded once and decoded in one call, against a call a box.

The weights are random and of ViT-B's shape: nothing is downloaded, and time does not depend on what weights say.

    python benchmarks/segment.py [--device cuda] [--repetitions 3]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import SamConfig, SamModel, SamProcessor
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from gmner.stages.segment_by_sam import Sam
from gmner.types import Box

WIDTH, HEIGHT = 1200, 800
BOXES = (1, 3, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = SamModel(SamConfig()).eval().to(arguments.device)  # the default configuration is ViT-B's
    sam = Sam(model, SamProcessor(SamImageProcessorPil()), "random ViT-B")
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    sam.masks(picture, [Box(0, 0, 9, 9)])  # the first call warms up
    print(f"SAM ViT-B, random weights, {WIDTH} x {HEIGHT}, {arguments.device}, median of {arguments.repetitions}")
    for number in BOXES:
        boxes = [Box(40 * place, 20 * place, 40 * place + 300, 20 * place + 400) for place in range(number)]
        together = seconds(lambda: sam.masks(picture, boxes), arguments.repetitions)  # noqa: B023
        print(f"{number:>3} boxes: {together:.2f} s", end="", flush=True)
        if number > 1:
            apart = seconds(lambda: [sam.masks(picture, [box]) for box in boxes], 1)  # noqa: B023
            print(f", one call a box {apart:.2f} s: {apart / together:.1f} times as long", end="")
        print(flush=True)


def seconds(run: Callable[[], object], repetitions: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
