"""OFA-large: a decision of entailment at 480 pixels, a box at 512 with a beam of 5, beside what the arithmetic costs.

Weights are random; the time does not depend on them. `python benchmarks/ofa.py` prints, for fp32 and bf16, the CPU
seconds of one thread for one and for three expressions of a picture, the floating-point operations that they take, the
rate at which the same processor multiplies large matrices just before, the ratio of the time to that floor, and the
peak of memory.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gmner.models.ofa.codec import OFACodec, questions
from gmner.models.ofa.config import SIZES
from gmner.models.ofa.model import OFA
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.models.ofa.vocabulary import DICTIONARY, Vocabulary, learn_vocabulary

PICTURE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
EXPRESSIONS = (
    "Kevin Durant(PER)-A professional basketball player who plays for the Golden State Warriors.",
    "Golden State Warriors(ORG)-A professional basketball team that is based in San Francisco.",
    "Oracle Arena(LOC)-An indoor arena in Oakland where the team played until two years ago.",
)
CAPTION = "a basketball player in a white jersey holding a ball in front of a crowd"
SIDES = {"entail": 480, "ground": 512}
REPETITIONS = 1


def vocabulary() -> Vocabulary:
    """A stand-in of the published size: about one token a word, as in the published one."""
    learned = learn_vocabulary(questions([*EXPRESSIONS, CAPTION] * 3), 2000)
    fillers = "x 0\n" * (SIZES["large"].bpe_symbols - learned.size)
    return replace(learned, files={**learned.files, DICTIONARY: learned.files[DICTIONARY] + fillers})


def predictor(task: str, dtype: torch.dtype) -> Callable[[int], object]:
    """What predicts so many expressions of the picture."""
    torch.manual_seed(0)
    config = SIZES["large"].at(SIDES[task])
    torch.set_default_dtype(dtype)
    model = OFA(config).eval().requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    model.encoder.trunk.fold()
    codec = OFACodec(config, vocabulary())
    if task == "entail":
        entailer = OFAEntailer(model, codec)
        return lambda count: entailer.entail([PICTURE], [EXPRESSIONS[:count]], [CAPTION])
    grounder = OFAGrounder(model, codec)
    return lambda count: grounder.ground([PICTURE], [EXPRESSIONS[:count]])


def cpu_seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Floating-point operations a second in the product of two large matrices."""
    left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    left @ right
    return 2 * side**3 / statistics.median(cpu_seconds(lambda: left @ right) for _ in range(5))


def measure(task: str, dtype: torch.dtype) -> None:
    """One line of numbers, as JSON."""
    predict = predictor(task, dtype)
    predict(1)
    found: dict[str, float] = {"rate": rate(dtype)}
    for count in (1, 3):
        found[f"seconds{count}"] = statistics.median(cpu_seconds(lambda: predict(count)) for _ in range(REPETITIONS))
    found["rate"] = (found["rate"] + rate(dtype)) / 2
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for count in (1, 3):  # last, for plain attention, whose products can be counted, takes more memory
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            predict(count)
        found[f"operations{count}"] = counter.get_total_flops()
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--process", nargs=2, metavar=("TASK", "DTYPE"), help=argparse.SUPPRESS)
    process = parser.parse_args().process
    torch.set_num_threads(1)
    if process:
        return measure(process[0], getattr(torch, process[1]))
    print("task    precision  CPU s (1)  CPU s (3)  3 / 1  GFLOP (1)  GFLOP (3)  3 / 1  GFLOP/s  s / floor  peak GB")
    for task in SIDES:
        for dtype in ("float32", "bfloat16"):
            command = [sys.executable, __file__, "--process", task, dtype]
            f = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            floor = f["operations1"] / f["rate"]
            print(
                f"{task:7} {dtype:9} {f['seconds1']:10.2f} {f['seconds3']:10.2f} {f['seconds3'] / f['seconds1']:6.2f} "
                f"{f['operations1'] / 1e9:10.0f} {f['operations3'] / 1e9:10.0f} "
                f"{f['operations3'] / f['operations1']:6.2f} {f['rate'] / 1e9:8.0f} "
                f"{f['seconds1'] / floor:10.2f} {f['memory'] / 1e9:8.2f}"
            )


if __name__ == "__main__":
    main()
