"""A process that works for this one, at the other end of a pipe."""

import multiprocessing
import signal
from collections.abc import Callable
from typing import Any

from gmner.memory import keep_freed_memory


class Child:
    """A fresh process that runs `serve(*arguments, its end of the pipe)`, and this end of the pipe.

    The end of either process is the end of the pipe to the other. What it is given is pickled.
    """

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        # Fresh: a copy of a process that has threads may hang.
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_begin, args=(serve, *arguments, other), daemon=True)
        self._process.start()
        other.close()  # so that the end of the process is the end of the pipe

    def stop(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        self._process.terminate()
        self._process.join()

    def ending(self) -> str:
        """What a process that has ended died of, waited for."""
        self._process.join()
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _begin(serve: Callable[..., None], *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that started it is interrupted, and ends it
    keep_freed_memory()
    serve(*arguments)
