"""Dynamic batching: posts of many requests wait in one bounded queue and go to the system together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gmner.batch.share import attempt_isolated
from gmner.errors import GmnerError
from gmner.types import Example, Prediction

Result = Prediction | GmnerError


class QueueFullError(Exception):
    """More posts would wait than the queue holds; the client may come back later."""


@dataclass(eq=False)
class _Job:
    """The posts of one request, and where their results are waited for."""

    examples: Sequence[Example]
    results: "asyncio.Future[list[Result]]"


@dataclass
class Batcher:
    """Collects posts and runs a system's `attempt` on them in one worker thread, a batch after another.

    Where it fails on a batch it is asked post by post, so that no request suffers for another's post; the posts on
    which it fails alone have a FailureError. A request's posts stay together, so that a batch has `batch_size` posts
    or, where one request has more, those of this request. A request that nobody waits for any more is dropped.
    `capacity` is how many posts may wait. `seen` is told the size of every batch.
    """

    attempt: Callable[[Sequence[Example]], list[Result]]
    batch_size: int = 8
    capacity: int = 64
    seen: Callable[[int], None] = lambda size: None
    _jobs: deque[_Job] = field(default_factory=deque, init=False)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def waiting(self) -> int:
        """Posts that wait for their turn."""
        return sum(len(job.examples) for job in self._jobs if not job.results.done())

    async def submit(self, examples: Sequence[Example]) -> list[Result]:
        """A result for every post, in order, when their turn has come.

        Raises:
            QueueFullError: they do not fit into the queue.
        """
        if self.waiting + len(examples) > self.capacity:
            raise QueueFullError
        job = _Job(examples, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._arrived.set()
        try:
            return await job.results
        finally:
            if job in self._jobs:  # given up before its turn
                self._jobs.remove(job)

    async def run(self) -> None:
        """Serve the queue until cancelled; a batch under way is finished first."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "gmner") as worker:
            while True:
                await self._arrived.wait()
                jobs = self._next()
                if not jobs:
                    self._arrived.clear()
                    continue
                examples = [example for job in jobs for example in job.examples]
                self.seen(len(examples))
                results = await loop.run_in_executor(worker, attempt_isolated, self.attempt, examples)
                self._hand_out(jobs, results)

    def _next(self) -> list[_Job]:
        """The requests of the next batch, those that nobody waits for left out."""
        jobs: list[_Job] = []
        size = 0
        while self._jobs and (not jobs or size + len(self._jobs[0].examples) <= self.batch_size):
            job = self._jobs.popleft()
            if not job.results.done():
                jobs.append(job)
                size += len(job.examples)
        return jobs

    def _hand_out(self, jobs: Sequence[_Job], results: Sequence[Result]) -> None:
        first = 0
        for job in jobs:
            own = list(results[first : first + len(job.examples)])
            first += len(job.examples)
            if not job.results.done():
                job.results.set_result(own)
