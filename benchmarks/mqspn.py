"""One training step of the released MQSPN's network at its published size, one thread: forward, backward, optimiser.

`python benchmarks/mqspn.py` times ours as it is, and with keys and values of queries: the original computes them though
nobody sees them. The original's own step is not at hand: specs/mqspn.md, section 11, states its time.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from itertools import pairwise

import torch
from torch import nn

from gmner.models.mqspn.batch import PLACE, Posts
from gmner.models.mqspn.criterion import RELEASED_CRITERION, criterion, match
from gmner.models.mqspn.outputs import Gold
from gmner.models.mqspn.released import ReleasedConfig, ReleasedMQSPN, Sight
from gmner.training.uncorrected import UncorrectedAdamW

BATCH, PIECES, WORDS, ITEMS = 8, 48, 28, 45
PUBLISHED = 364_186_376
"""Parameters of the original."""


def batch(config: ReleasedConfig) -> tuple[Posts, Gold]:
    """Posts and gold of the published shapes; every word is one or two sub-words."""
    owners = torch.tensor([-1, *(min(piece // 2 + piece % 2, WORDS - 1) for piece in range(PIECES - 2)), -1])
    regions = torch.ones(BATCH, config.regions, dtype=torch.bool)
    posts = Posts(
        pieces=torch.randint(1, config.vocabulary, (BATCH, PIECES)),
        segments=torch.ones(BATCH, PIECES, dtype=torch.long),
        shapes=torch.zeros(BATCH, PIECES, dtype=torch.long),
        attention=torch.ones(BATCH, PIECES, dtype=torch.bool),
        word_of_piece=owners.expand(BATCH, -1),
        words=torch.ones(BATCH, WORDS, dtype=torch.bool),
        looks=torch.randn(BATCH, config.regions, 3, config.crop, config.crop),
        places=torch.zeros(BATCH, config.regions, PLACE),
        regions=regions,
    )
    start = torch.randint(WORDS - 3, (BATCH, ITEMS))
    right = nn.functional.one_hot(torch.randint(config.regions, (BATCH, ITEMS)), config.regions).bool()
    present = torch.ones(BATCH, ITEMS, dtype=torch.bool)
    return posts, Gold(torch.randint(1, 5, (BATCH, ITEMS)), start, start + 1, right, present)


def step(config: ReleasedConfig, repetitions: int) -> dict[str, float]:
    """The fastest seconds of each part of a step."""
    torch.manual_seed(0)
    model = ReleasedMQSPN(config).train()
    posts, gold = batch(config)
    optimiser = UncorrectedAdamW(model.parameters())
    best: dict[str, float] = {}
    for _ in range(repetitions + 1):
        times = [time.perf_counter()]
        layers = model(posts)
        times.append(time.perf_counter())
        match(layers, gold, RELEASED_CRITERION)
        times.append(time.perf_counter())
        loss = criterion(layers, gold, RELEASED_CRITERION)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        times.append(time.perf_counter())
        parts = [after - before for before, after in pairwise(times)]
        for name, seconds in zip(("forward", "matching", "losses", "backward", "optimiser"), parts, strict=True):
            best[name] = min(best.get(name, seconds), seconds)
    best["step"] = sum(best[name] for name in ("forward", "losses", "backward", "optimiser"))  # losses match once more
    best["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2)
    repetitions = parser.parse_args().repetitions
    torch.set_num_threads(1)
    ours = step(ReleasedConfig(), repetitions)
    # A sight that opens nothing of use: each query may see itself, so that keys of queries are computed.
    seen = step(
        ReleasedConfig(backbone_sight=Sight(False, False, True), decoder_sight=Sight(False, False, True)), repetitions
    )
    print(f"{'':12}{'ours':>10}{'with keys of queries':>24}")
    for name in ("forward", "matching", "losses", "backward", "optimiser", "step"):
        print(f"{name:12}{ours[name]:9.2f}s{seen[name]:23.2f}s")
    print(f"parameters {ours['parameters']:,.0f}, {PUBLISHED - ours['parameters']:,.0f} fewer than the original")


if __name__ == "__main__":
    main()
