"""OFA-large: a decision of entailment at 480 pixels, a box at 512 with a beam of 5, beside what the arithmetic costs.

Weights are random; the time does not depend on them. `python benchmarks/ofa.py` prints, for fp32 and bf16, the CPU
seconds of one thread for one and for three expressions of a picture, the floating-point operations that they take, the
rate at which the same processor multiplies large matrices just before, the ratio of the time to that floor, and two
peaks of the resident set: while a saved folder is loaded, and while three expressions are predicted for the first time.
The folder takes 1.9 GB of disk; the peaks are Linux's.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula, sdpa_flop_count

from gmner.models.ofa import weights
from gmner.models.ofa.codec import questions
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


def predictor(task: str, folder: Path, bf16: bool) -> Callable[[int], object]:
    """What predicts so many expressions of the picture."""
    if task == "entail":
        entailer = OFAEntailer.load(folder, bf16=bf16)
        entailer.model.requires_grad_(False)  # the counter of operations stumbles over what could have a gradient
        return lambda count: entailer.entail([PICTURE], [EXPRESSIONS[:count]], [CAPTION])
    grounder = OFAGrounder.load(folder, bf16=bf16)
    grounder.model.requires_grad_(False)
    return lambda count: grounder.ground([PICTURE], [EXPRESSIONS[:count]])


def peak() -> int:
    """The most bytes of the process that were resident since the last call."""
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(most[1]) * 1024 if most else 0


def cpu_seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Floating-point operations a second in the product of two large matrices."""
    left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    left @ right
    return 2 * side**3 / statistics.median(cpu_seconds(lambda: left @ right) for _ in range(5))


@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)  # type: ignore[misc]
def attention_operations(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    """The counter knows the kernels of GPUs only."""
    return sdpa_flop_count(query, key, value)


def measure(task: str, folder: Path, dtype: torch.dtype) -> None:
    """One line of numbers, as JSON."""
    predict = predictor(task, folder, dtype == torch.bfloat16)
    found: dict[str, float] = {"loading": peak()}
    predict(3)
    found["predicting"] = peak()
    rates = [rate(dtype)]
    for count in (1, 3):
        with FlopCounterMode(display=False) as counter:
            times = [cpu_seconds(partial(predict, count)) for _ in range(REPETITIONS)]
        found[f"seconds{count}"] = statistics.median(times)
        found[f"operations{count}"] = counter.get_total_flops() / REPETITIONS
        rates.append(rate(dtype))
    found["rate"] = statistics.median(rates)
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--process", nargs=3, metavar=("TASK", "FOLDER", "DTYPE"), help=argparse.SUPPRESS)
    process = parser.parse_args().process
    torch.set_num_threads(1)
    if process:
        measure(process[0], Path(process[1]), getattr(torch, process[2]))
        return
    print(
        "task    precision  CPU s (1)  CPU s (3)  3 / 1  GFLOP (1)  GFLOP (3)  3 / 1  GFLOP/s  s / floor  "
        "GB loading  GB predicting"
    )
    for task, side in SIDES.items():
        with TemporaryDirectory() as folder:
            torch.manual_seed(0)
            weights.save(Path(folder), OFA(SIZES["large"].at(side)), vocabulary())
            for dtype in ("float32", "bfloat16"):
                command = [sys.executable, __file__, "--process", task, folder, dtype]
                f = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                floor = f["operations1"] / f["rate"]
                print(
                    f"{task:7} {dtype:9} {f['seconds1']:10.2f} {f['seconds3']:10.2f} "
                    f"{f['seconds3'] / f['seconds1']:6.2f} "
                    f"{f['operations1'] / 1e9:10.0f} {f['operations3'] / 1e9:10.0f} "
                    f"{f['operations3'] / f['operations1']:6.2f} {f['rate'] / 1e9:8.0f} "
                    f"{f['seconds1'] / floor:10.2f} {f['loading'] / 1e9:11.2f} {f['predicting'] / 1e9:14.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
