"""Posts a second of `lite`: a plain loop in one process, and the service with 1, 8 and 32 clients, in one run.

    python -m benchmarks.serve [POSTS] [ROUNDS]

The posts are drawn. Each round measures everything once, one after the other; ratios are to the loop of the same round.
The clients are threads of this process, each with one post under way. Loop and service have all cores for their own
threads, unless OMP_NUM_THREADS says otherwise. CPU milliseconds a post (of the service's process, or of the loop) say
what the machine's other work hides: run this on a quiet machine all the same.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from benchmarks.batch import BATCH_SIZE, Taken, now, plain_loop, show, since
from tests.serving import Serving, serving

import gmner
from gmner.data.drawn import draw_folder, orders
from gmner.errors import GmnerError
from gmner.serve.client import Client
from gmner.types import Example, Prediction

CLIENTS = (1, 8, 32)


def by_clients(
    service: Serving, examples: Sequence[Example], clients: int
) -> tuple[Taken, list[Prediction | GmnerError]]:
    """All posts through the service, `clients` at a time."""
    client, lock = Client(service.url), threading.Lock()
    results: list[Prediction | GmnerError | None] = [None] * len(examples)
    waiting: Iterator[tuple[int, Example]] = iter(enumerate(examples))

    def work() -> None:
        while True:
            with lock:
                place = next(waiting, None)
            if place is None:
                return
            [results[place[0]]] = client.attempt([place[1]])

    process = psutil.Process(service.process.pid)
    begun, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work) for _ in range(clients)]:
            done.result()
    taken = Taken(time.perf_counter() - begun, sum(process.cpu_times()[:2]) - cpu)
    return taken, [result for result in results if result is not None]


def found(results: Sequence[Prediction | GmnerError]) -> list[object]:
    """What was found, without the last digits, which depend on the number of threads."""
    return [
        str(result)
        if isinstance(result, GmnerError)
        else [(e.text, e.type, e.start, [tuple(map(round, box)) for box in e.boxes]) for e in result.entities]
        for result in results
    ]


def main(posts: int, rounds: int) -> None:
    print(f"{posts} drawn posts a round, {os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}")
    with tempfile.TemporaryDirectory() as name, serving("-m", "gmner.cli.main", "serve", "--port", "0") as service:
        draw_folder(Path(name), orders({"test": posts + BATCH_SIZE}, 0), os.cpu_count() or 1)
        examples = gmner.read(Path(name) / "test.jsonl")
        lite = gmner.load("lite")
        warm, examples = examples[:BATCH_SIZE], examples[BATCH_SIZE:]
        lite.attempt(warm)
        by_clients(service, warm, 8)
        for number in range(1, rounds + 1):
            print(f"round {number}, load {os.getloadavg()[0]:.1f}")
            begun = now()
            results = plain_loop(lite, examples)
            loop = since(begun)
            show("loop", posts, loop, loop)
            for clients in CLIENTS:
                taken, served = by_clients(service, examples, clients)
                show(f"service, {clients} client{'s' * (clients > 1)}", posts, taken, loop)
                if found(served) != found(results):
                    print("RESULTS DIFFER")
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 96, int(sys.argv[2]) if len(sys.argv) > 2 else 2)
