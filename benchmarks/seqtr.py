"""SeqTR of the published size, random weights: CPU seconds of a picture with one and with three expressions.

Beside them the operations that it takes and the rate of plain matrix products in the same run:
`python benchmarks/seqtr.py`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import Mode, SeqTRConfig
from gmner.models.seqtr.darknet import fold
from gmner.models.seqtr.model import SeqTR
from gmner.models.seqtr.predictor import SeqTRGrounder
from gmner.models.seqtr.text import Vocabulary

SIDE, REPETITIONS, PRODUCT = 640, 5, 1024
EXPRESSIONS = ("Ada Lovelace (PER) - a woman in a red dress", "Acme (ORG) - a round blue logo on the wall",
               "Rome (LOC) - the city behind the bridge")  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """The median CPU time, after one run to warm up."""
    times = []
    for _ in range(REPETITIONS + 1):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def operations(run: Callable[[], object]) -> float:
    """Floating-point operations of matrix products and convolutions, in thousand millions."""
    counter = FlopCounterMode(display=False)
    with counter:
        run()
    return counter.get_total_flops() / 1e9


def product_rate() -> float:
    """Thousand millions of operations a second in products of square matrices."""
    matrix = torch.rand(PRODUCT, PRODUCT)
    return 2 * PRODUCT**3 / seconds(lambda: matrix @ matrix) / 1e9


def grounder(config: SeqTRConfig, folded: bool) -> SeqTRGrounder:
    vocabulary = Vocabulary.build(EXPRESSIONS)
    model = SeqTR(config, len(vocabulary.words)).eval().requires_grad_(False)
    if folded:
        fold(model)
    return SeqTRGrounder(model, SeqTRCodec(config, vocabulary))


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    print(f"SeqTR, {SIDE} x {SIDE} pixels, one thread, CPU seconds, median of {REPETITIONS}")
    config = SeqTRConfig()
    settings: tuple[tuple[Mode, bool], ...] = (("boxes", False), ("boxes", True), ("masks", True))
    for mode, folded in settings:
        asked = grounder(replace(config, mode=mode), folded)
        ask = asked.ground if mode == "boxes" else asked.segment
        taken = [seconds(lambda: ask([picture], [EXPRESSIONS[:count]])) for count in (1, 3)]  # noqa: B023
        needed = [operations(lambda: ask([picture], [EXPRESSIONS[:count]])) for count in (1, 3)]  # noqa: B023
        rate = product_rate()
        print(
            f"{mode}, norms {'folded' if folded else 'apart'}: one {taken[0]:.2f} s, {needed[0]:.0f} G operations, "
            f"{needed[0] / taken[0]:.0f} G/s (products: {rate:.0f} G/s); "
            f"three {taken[1]:.2f} s = {taken[1] / taken[0]:.2f} of one"
        )


if __name__ == "__main__":
    main()
