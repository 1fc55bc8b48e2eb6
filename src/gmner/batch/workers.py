"""Shares of rows through a system: in this process, or side by side in several that hold a system each.

Every process opens pictures and predicts on its own, so that one decodes while another computes. Nothing is shared:
a share of rows goes in through a pipe, an `Outcome` comes out.
"""

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from multiprocessing.connection import Connection, wait
from typing import Any, Final, cast

from gmner.batch.child import Child
from gmner.batch.share import ERROR, Outcome, Share, failure, predict_share
from gmner.errors import FailureError, GmnerError
from gmner.systems.system import System

_THREADS: Final = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")

_FAILURES: Final = 20
"""Posts in a row that make the system fail before it is taken to be the system's trouble, not theirs."""


def in_this_process(make: Callable[[], System], shares: Iterable[Share]) -> Generator[tuple[Share, Outcome]]:
    """Each share with its outcome, in order. The system is made for the first one."""
    system: System | None = None
    for share in shares:
        if system is None:
            system = make()
        yield share, predict_share(system, share)


def in_processes(
    make: Callable[[], System], shares: Iterable[Share], processes: int, ahead: int
) -> Generator[tuple[Share, Outcome]]:
    """Each share with its outcome, in order; at most `ahead` shares are taken and not yet given back.

    `make` travels to the processes (it is pickled). A process is started when there is a share for it. A share whose
    process dies is given to a new one row by row; a row that kills that one as well is an error.

    Raises:
        GmnerError: the system can not be made (a FailureError where its process dies of it).
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    rest = iter(shares)
    taken: deque[tuple[Share, Outcome | None]] = deque()
    given = 0  # shares that have left `taken`: what is at place i there has number given + i
    workers: list[Worker] = []
    try:
        while True:
            while taken and taken[0][1] is not None:
                done, outcome = taken.popleft()
                given += 1
                if outcome is not None:
                    yield done, outcome
            idle = [worker for worker in workers if worker.number is None]
            while len(taken) < ahead and (idle or len(workers) < processes):
                share = next(rest, None)
                if share is None:
                    break
                if not idle:
                    workers.append(Worker(make, threads))
                    idle.append(workers[-1])
                idle.pop().begin(given + len(taken), share)
                taken.append((share, None))
            busy = {worker.child.pipe: worker for worker in workers if worker.number is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                place = (worker.number or 0) - given
                taken[place] = (taken[place][0], worker.finish())
    finally:
        for worker in workers:
            worker.stop()


def while_it_works(outcomes: Iterator[tuple[Share, Outcome]]) -> Iterator[tuple[Share, Outcome]]:
    """The outcomes, as long as the system does not fail on post after post.

    Outcomes in which it has only failed are held back until it works again, so that they are computed again by the
    run that goes on if it never does.

    Raises:
        FailureError: it has failed on so many posts, and on no other in between.
    """
    held: list[tuple[Share, Outcome]] = []
    for share, outcome in outcomes:
        held.append((share, outcome))
        if outcome.predicted or not any(outcome.failed for _, outcome in held):
            yield from held
            held.clear()
        elif sum(outcome.failed for _, outcome in held) >= _FAILURES:
            last = json.loads(outcome.entries[-1])[ERROR]["error"]
            raise FailureError(
                f"the system fails on post after post, at last in row {share.rows[-1].number:,}: {last}",
                allowed="a run goes on past single posts only; what was done before is kept",
                todo="mend the system, and start the same command again",
            )
    yield from held


class Worker:
    """One process that holds a system. A process that dies is replaced."""

    def __init__(self, make: Callable[[], System], threads: int) -> None:
        self._arguments = make, threads
        self.number: int | None = None  # of the share that it works on
        self._start()

    def begin(self, number: int, share: Share) -> None:
        """Give it a share; it must have none."""
        self.number, self._share = number, share
        self._send(share)

    def finish(self) -> Outcome:
        """The outcome of the share that it was given, waited for.

        Raises:
            GmnerError: the system can not be made (a FailureError where its process dies of it).
        """
        outcome = self._receive()
        if outcome is None:
            outcome = self._one_by_one()
        self.number = None
        return outcome

    def stop(self) -> None:
        self.child.stop()

    def _start(self) -> None:
        self.child = Child(_serve, *self._arguments)
        self._ready, self._dead = False, False

    def _send(self, share: Share) -> None:
        if self._dead:
            self.stop()
            self._start()
        with contextlib.suppress(ConnectionError):  # it died; receiving says so
            self.child.pipe.send(share)

    def _receive(self) -> Outcome | None:
        """What it answers to what was sent; None if it died."""
        try:
            answer = self.child.pipe.recv()
            if answer is None:  # the system is loaded
                self._ready = True
                answer = self.child.pipe.recv()
        except (EOFError, OSError):  # of the pipe; in the middle of an answer it is a plain OSError
            self._dead = True
            if self._ready:
                return None
            raise FailureError(
                f"a process that was to hold the system ended while it loaded it ({self.child.ending()})",
                allowed="every process needs the memory of one system",
                todo="run fewer (--processes), or mend the system",
            ) from None
        if isinstance(answer, GmnerError):
            raise answer
        return cast("Outcome", answer)

    def _one_by_one(self) -> Outcome:
        """The share again, row by row, in a new process after each death."""
        outcomes = []
        for row in self._share.rows:
            single = self._share._replace(rows=[row])
            self._send(single)
            outcomes.append(self._receive() or failure(single, f"its process ended ({self.child.ending()})"))
        return Outcome(
            list(chain.from_iterable(outcome.entries for outcome in outcomes)),
            sum(outcome.predicted for outcome in outcomes),
            sum(outcome.failed for outcome in outcomes),
        )


def _serve(make: Callable[[], System], threads: int, pipe: "Connection[Any, Any]") -> None:
    """What a process does: make the system, then answer shares until the other end of the pipe is gone."""
    for variable in _THREADS:  # read by torch and OpenCV when they are loaded, which `make` does
        os.environ.setdefault(variable, str(threads))
    try:
        system = make()
    except GmnerError as error:
        pipe.send(error)
        return
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send(None)
        while True:
            pipe.send(predict_share(system, pipe.recv()))
