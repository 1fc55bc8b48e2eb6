"""Words a second of the tagger of `lite`: one and two threads, one sentence at a time and in batches, fp32 and bf16.

    python benchmarks/tagger.py [SENTENCES]

Sentences are made up, of 16 words as tweets have on average. The figures are ratios to one thread, batches of 32,
fp32; settings take turns so that a machine that slows down slows all of them.
"""

import statistics
import sys
import time

import torch

import gmner
from gmner.models.tagger import weights
from gmner.systems.lite import TAGGER

TWEET = """RT @ Ada Lovelace meets Grace Hopper and the Acme board in Rome : what a day for # computing !
New York Oslo says that Bob and his band will play at the Globe on Friday"""
WORDS = TWEET.split()
ROUNDS = 7


def main(sentences: int) -> None:
    model, codec = weights.load(TAGGER)
    posts = [
        gmner.Example(id=str(n), tokens=tuple(WORDS[(n * 7 + k * (1 + n % 3)) % len(WORDS)] for k in range(16)))
        for n in range(sentences)
    ]
    words = 16 * len(posts)
    settings = [(threads, size, bf16) for threads in (1, 2) for size in (1, 32) for bf16 in (False, True)]
    rates: dict[tuple[int, int, bool], list[float]] = {setting: [] for setting in settings}
    for round_ in range(ROUNDS + 1):
        for setting in settings:
            threads, size, bf16 = setting
            torch.set_num_threads(threads)
            begun = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                codec.predict(model, codec.encode(posts), size)
            if round_:  # the first round warms up
                rates[setting].append(words / (time.perf_counter() - begun))
    base = statistics.median(rates[1, 32, False])
    print(f"{len(posts)} sentences of 16 words, median of {ROUNDS} rounds; 1.00 = {base:,.0f} words/s here")
    for threads, size, bf16 in settings:
        rate = statistics.median(rates[threads, size, bf16])
        print(f"  {threads} thread(s), batch {size:>2}, {'bf16' if bf16 else 'fp32'}: {rate / base:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
