"""Our CRF beside pytorch-crf on the same tensors: loss (forward and backward) and Viterbi, as ratios of medians.

pytorch-crf is no dependency of ours: `pip install pytorch-crf`, then `python benchmarks/crf.py`.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gmner.nn.crf import CRF

BATCH, TOKENS, REPETITIONS, WARM_UP = 32, 64, 50, 5


def ratio(theirs: Callable[[], object], ours: Callable[[], object]) -> float:
    """Their median time over ours; the two take turns, so that a busy machine slows both."""
    seconds: dict[Callable[[], object], list[float]] = {theirs: [], ours: []}
    for repetition in range(WARM_UP + REPETITIONS):
        for run, times in seconds.items():
            start = time.perf_counter()
            run()
            if repetition >= WARM_UP:
                times.append(time.perf_counter() - start)
    return statistics.median(seconds[theirs]) / statistics.median(seconds[ours])


def compare(tags: int, lengths: Tensor) -> tuple[float, float]:
    """The ratios for loss and for Viterbi, after a check that both give the same loss, gradients and paths."""
    import torchcrf

    theirs, ours = torchcrf.CRF(tags, batch_first=True), CRF(tags)
    ours.load_state_dict(theirs.state_dict())
    emissions = torch.randn(BATCH, TOKENS, tags, requires_grad=True)
    gold = torch.randint(tags, (BATCH, TOKENS))
    mask = torch.arange(TOKENS) < lengths.unsqueeze(1)

    def their_step() -> Tensor:
        emissions.grad = None
        theirs.zero_grad()
        loss: Tensor = -theirs(emissions, gold, mask, reduction="mean")
        loss.backward()
        return loss

    def our_step() -> Tensor:
        emissions.grad = None
        ours.zero_grad()
        loss = -ours.log_likelihood(emissions, gold, mask).mean()
        loss.backward()
        return loss

    expected = [their_step(), *gradients(emissions, theirs)]
    torch.testing.assert_close([our_step(), *gradients(emissions, ours)], expected, rtol=1e-4, atol=1e-5)
    if ours.decode(emissions, mask) != theirs.decode(emissions, mask):
        sys.exit("the best paths differ")
    return ratio(their_step, our_step), ratio(
        lambda: theirs.decode(emissions, mask), lambda: ours.decode(emissions, mask)
    )


def gradients(emissions: Tensor, crf: nn.Module) -> list[Tensor | None]:
    return [emissions.grad, *(parameter.grad for _, parameter in sorted(crf.named_parameters()))]


def main() -> None:
    try:
        import torchcrf  # noqa: F401
    except ImportError:
        sys.exit("pytorch-crf is not installed: pip install pytorch-crf")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"times faster than pytorch-crf: {BATCH} sequences, {TOKENS} tokens, one thread, {REPETITIONS} repetitions")
    for tags in (9, 21):
        for name, shortest in (("equal", TOKENS), ("ragged", TOKENS // 4)):
            loss, viterbi = compare(tags, torch.randint(shortest, TOKENS + 1, (BATCH,)))
            print(f"{tags:2} tags, {name:6} lengths: loss and gradients {loss:.1f}, Viterbi {viterbi:.1f}")


if __name__ == "__main__":
    main()
