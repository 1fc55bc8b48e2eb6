"""One decision of ALBEF at its published size: time, floating-point operations, and the processor's own rate beside.

    python benchmarks/albef.py [ROUNDS]

Random weights, one thread, pictures of 384 x 384 pixels, expressions of a dozen sub-words. One entity on a picture, and
three, which share the vision transformer's work; fp32, and bf16 with weights converted. Operations are counted by
torch (a multiplication and an addition are two), and the rate of a plain matrix product is measured in the same run.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gmner.models.albef.codec import ALBEFCodec
from gmner.models.albef.config import ALBEFConfig
from gmner.models.albef.model import ALBEF
from gmner.models.albef.predictor import ALBEFEntailer
from gmner.nn.encoders import load_tokenizer

EXPRESSIONS = [
    "Ada Lovelace (PER) - a woman in a green striped sweater",
    "New York (LOC) - a large city with tall buildings by the water",
    "Acme (ORG) - a company with a round red logo on the left",
]


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Processor seconds of `work`, the median after one round of warming up."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def matmul_rate(dtype: torch.dtype, rounds: int) -> float:
    """Floating-point operations a second of a matrix product of the size that the vision transformer has most of."""
    rows, weight = torch.randn(577, 768, dtype=dtype), torch.randn(768, 3072, dtype=dtype)
    return 20 * 2 * 577 * 768 * 3072 / seconds(lambda: [rows @ weight for _ in range(20)], rounds)


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ALBEF(ALBEFConfig()).eval()
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, median of {rounds} rounds")
    predictor = ALBEFEntailer(model, ALBEFCodec(model.config, load_tokenizer(model.config.tokenizer)))
    picture = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    for dtype in (torch.float32, torch.bfloat16):
        model.to(dtype)
        rate = matmul_rate(dtype, rounds)
        print(f"{dtype}: a matrix product does {rate / 1e9:.0f} GFLOP/s")
        for count in (1, 3):
            asked = [picture], [EXPRESSIONS[:count]], [None]
            # The fused attention is not counted on the CPU: for counting it is computed in its parts.
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                predictor.entail(*asked)
            work, took = counter.get_total_flops(), seconds(lambda asked=asked: predictor.entail(*asked), rounds)
            print(f"  {count} entities on a picture: {took:.2f} s for {work / 1e9:.0f} GFLOP, "
                  f"{100 * work / took / rate:.0f} % of that rate")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
