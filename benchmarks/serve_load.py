"""The service with `lite` under more load than it can do, and under everything that clients do wrong.

    python -m benchmarks.serve_load [SECONDS] [STUB]

Three parts, on loopback, each of SECONDS (60) at most:

- how long a refusal takes when nothing else is asked;
- twice what it can do: what it can do is measured first, with 8 clients that each have one post under way; then posts
  arrive at twice that rate, whether the earlier ones are answered or not;
- a mix: posts at half of what it can do, and beside them every kind of bad input in turn (`tests/traffic.py`).

With STUB, a system that opens pictures and sleeps STUB seconds for a batch of four stands in for `lite`, so that a busy
machine hardly matters (`tests/serving.py`). The memory is that of the service's process, sampled five times a second.

It ends with status 1 if anything but 200, 429 and 503 came back under load, the p99 of accepted requests was past the
time-out (by the service's log; as clients see it only where the machine let them send in time), a bad request had
another status than is right for it, or the service answers differently at the end than at the beginning.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from tests.serving import Serving, encoded, serving
from tests.traffic import Kind, bad

EXAMPLES = Path(__file__).parents[1] / "examples"
BUSY = (429, 503)
LITE_TIMEOUT, STUB_TIMEOUT = 20.0, 5.0
LITE = ("-m", "gmner.cli.main", "serve", "--port", "0", "--timeout", f"{LITE_TIMEOUT}")


@dataclass
class Seen:
    """What came back: statuses, and the seconds of what was answered with 200; `late` is the most seconds that a post
    was sent after its time, because the machine had no time for the sender."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    late: float = 0.0

    async def note(self, answer: Awaitable[httpx.Response]) -> None:
        begun = time.perf_counter()
        status = (await answer).status_code
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(time.perf_counter() - begun)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        if not self.seconds:
            return counts or "nothing"
        times = f"median {part(self.seconds, 0.5):.2f} s, p99 {part(self.seconds, 0.99):.2f} s"
        return f"{counts}; accepted, as clients see it: {times} (sent up to {self.late:.1f} s late)"


def part(values: list[float], share: float) -> float:
    """The value that `share` of the values are not above."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def bodies() -> list[bytes]:
    """Requests of one post each: the demo's, with their photographs."""
    rows = map(json.loads, (EXAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines())
    posts = ({"text": row["text"], "image": encoded((EXAMPLES / row["image"]).read_bytes())} for row in rows)
    return [json.dumps({"posts": [post]}).encode() for post in posts]


async def ask(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})


@asynccontextmanager
async def memory(service: Serving) -> AsyncIterator[list[float]]:
    """Resident megabytes of the service, sampled while the block runs."""
    process, sampled = psutil.Process(service.process.pid), list[float]()

    async def sample() -> None:
        while True:
            sampled.append(process.memory_info().rss / 1e6)
            await asyncio.sleep(0.2)

    sampler = asyncio.create_task(sample())
    yield sampled
    sampler.cancel()


async def capacity(client: httpx.AsyncClient, seconds: float) -> float:
    """Posts a second with 8 clients that each have one post under way."""
    until, done, given = time.perf_counter() + seconds, 0, bodies()

    async def work(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            if (await ask(client, given[number % len(given)])).status_code == 200:
                done += 1
            number += 8

    begun = time.perf_counter()
    await asyncio.gather(*map(work, range(8)))
    if not done:
        raise SystemExit(f"no post was answered within {seconds:.0f} s: the machine is too busy to measure anything")
    return done / (time.perf_counter() - begun)


async def arrive(client: httpx.AsyncClient, rate: float, seconds: float) -> Seen:
    """Posts that arrive at a steady rate, whether the earlier ones are answered or not."""
    seen, given, begun = Seen(), bodies(), time.perf_counter()
    sent: list[asyncio.Task[None]] = []
    while (now := time.perf_counter() - begun) < seconds:
        seen.late = max(seen.late, now - len(sent) / rate)
        while len(sent) < now * rate:
            sent.append(asyncio.create_task(seen.note(ask(client, given[len(sent) % len(given)]))))
        await asyncio.sleep(0.01)
    await asyncio.gather(*sent)
    return seen


async def misbehave(client: httpx.AsyncClient, kinds: dict[str, Kind], seconds: float) -> dict[str, Counter[int]]:
    """Every kind of bad input in turn, ten times a second, for so long."""
    sent: list[tuple[str, asyncio.Task[int]]] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        name = list(kinds)[len(sent) % len(kinds)]
        sent.append((name, asyncio.create_task(kinds[name].send(client))))
        await asyncio.sleep(0.1)
    statuses: dict[str, Counter[int]] = {name: Counter() for name in kinds}
    for name, answer in sent:
        statuses[name][await answer] += 1
    return statuses


async def refusals(client: httpx.AsyncClient, kinds: dict[str, Kind]) -> dict[str, float]:
    """The slowest of five refusals of each kind that is answered, in milliseconds, the sending included."""
    slowest = {}
    for name, kind in kinds.items():
        if min(kind.right) < 400 or 408 in kind.right:
            continue
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            await kind.send(client)
            times.append(1000 * (time.perf_counter() - begun))
        slowest[name] = max(times)
    return slowest


def accepted(log: list[str]) -> list[float]:
    """Seconds of the predictions that were answered with 200, as the service has written them down."""
    lines = (json.loads(line) for line in log if '"/v1/predict"' in line)
    return [line["ms"] / 1000 for line in lines if line["status"] == 200]


async def measure(service: Serving, seconds: float, timeout: float) -> list[str]:
    """What was wrong."""
    wrong = []
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=service.url, timeout=None, limits=limits) as client:
        kinds, first = bad(), bodies()[0]
        before = (await ask(client, first)).json()
        can = await capacity(client, min(seconds, 20))
        print(
            f"it can do {can:.1f} posts a second; memory {await _settled(service):.0f} MB; load {_load()}", flush=True
        )

        slowest = await refusals(client, kinds)
        print("slowest of five refusals, ms: " + ", ".join(f"{name} {ms:.0f}" for name, ms in slowest.items()))

        earlier = len(service.log)
        async with memory(service) as sampled:
            seen = await arrive(client, 2 * can, seconds)
        own = accepted(service.log[earlier:])
        print(f"at {2 * can:.1f} posts a second for {seconds:.0f} s: {seen}")
        print(f"  accepted, by the service's log: median {part(own, 0.5):.2f} s, p99 {part(own, 0.99):.2f} s")
        print(f"  memory at most {max(sampled):.0f} MB, at the end {sampled[-1]:.0f} MB; load {_load()}", flush=True)
        if not seen.statuses.keys() <= {200, *BUSY}:
            wrong.append("under load")
        if max(part(own, 0.99), part(seen.seconds, 0.99) if seen.late < 1 else 0.0) > timeout:
            wrong.append("p99 past the time-out")

        async with memory(service) as sampled:
            good, statuses = await asyncio.gather(arrive(client, can / 2, seconds), misbehave(client, kinds, seconds))
        print(f"mixed for {seconds:.0f} s, good posts at {can / 2:.1f} a second: {good}")
        print(f"  memory at most {max(sampled):.0f} MB, at the end {sampled[-1]:.0f} MB; load {_load()}")
        for name, counted in statuses.items():
            print(f"  {name}: " + ", ".join(f"{count} x {status or 'left'}" for status, count in counted.items()))
            if not counted.keys() <= {*kinds[name].right, *BUSY}:
                wrong.append(name)
        if not good.statuses.keys() <= {200, *BUSY}:
            wrong.append("good posts in the mix")
        after = (await ask(client, first)).json()
        if after != before or (await client.get("/readyz")).status_code != 200:
            wrong.append("the answer at the end")
    return wrong


async def _settled(service: Serving) -> float:
    await asyncio.sleep(1)
    return psutil.Process(service.process.pid).memory_info().rss / 1e6


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main(seconds: float, stub: str | None) -> int:
    with serving(*(LITE if stub is None else ("-m", "tests.serving", stub))) as service:
        wrong = asyncio.run(measure(service, seconds, LITE_TIMEOUT if stub is None else STUB_TIMEOUT))
        faults = sum('"level": "ERROR"' in line for line in service.log)
        service.end()
    print(f"faults in the log: {faults}; wrong: {', '.join(wrong) or 'nothing'}")
    return 1 if wrong or faults else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, sys.argv[2] if len(sys.argv) > 2 else None))
