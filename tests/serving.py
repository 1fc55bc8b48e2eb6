"""A service to test with: a system that answers at once, and `python -m tests.serving SECONDS [FILE]` that serves it.

SECONDS is how long it takes for a batch; it takes none before FILE is there.
"""

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from PIL import Image

from gmner.errors import GmnerError, TextError
from gmner.systems.cascade import Cascade
from gmner.systems.system import System
from gmner.types import Entity, Example, Prediction


@dataclass(frozen=True)
class Appearance:
    """A gate between processes: it opens when a file appears."""

    path: Path

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.path.exists() and time.monotonic() < until:
            time.sleep(0.02)


@dataclass
class Echo(System):
    """Finds the first word of a text; refuses "bad", fails on "crash"; waits for `gate` if it is given."""

    name: str = "echo"
    gate: "threading.Event | Appearance | None" = None
    pause: float = 0.0
    sizes: list[int] = field(default_factory=list)
    """How many posts it found something in, batch by batch."""

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        if self.gate is not None:
            self.gate.wait(30)
        time.sleep(self.pause)
        if crashing := [example.text for example in examples if "crash" in example.text]:
            raise ZeroDivisionError(f"a fault: {crashing}")
        self.sizes.append(len(examples))
        cascade = Cascade("echo", ())  # it opens the pictures
        return [self._find(result) for result in cascade.attempt(examples)]

    def _find(self, result: Prediction | GmnerError) -> Prediction | GmnerError:
        if isinstance(result, GmnerError):
            return result
        if "bad" in result.text:
            return TextError("bad", allowed="good", todo="mend it")
        word = result.text.split()[0]
        return Prediction(
            example=result.example, entities=(Entity(word, "PER", 0, len(word)),), image_size=result.image_size
        )


def png(width: int = 30, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass(frozen=True)
class Serving:
    """A process that serves, and where."""

    url: str
    process: "subprocess.Popen[str]"
    log: list[str]
    """What it has written so far, but for the line with its address."""

    def end(self, seconds: float = 60.0) -> int:
        """Ask it to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(*command: str, environment: dict[str, str] | None = None) -> Iterator[Serving]:
    """A process of this Python that runs `command` and says on stderr at what address it serves."""
    process = subprocess.Popen(
        [sys.executable, *command], stderr=subprocess.PIPE, text=True, env=environment, encoding="utf-8"
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.match(r"http://\S+(?=/ )", line):
                break
        else:
            raise RuntimeError(f"no service: {command} ended with {process.wait()}")
        log: list[str] = []
        reader = threading.Thread(target=_read, args=(process.stderr, log), daemon=True)
        reader.start()
        yield Serving(found[0], process, log)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _read(stream: IO[str], lines: list[str]) -> None:
    try:
        lines.extend(iter(stream.readline, ""))
    except ValueError:  # closed meanwhile
        return


def main(seconds: float, gate: Path | None = None) -> None:
    from gmner.serve.server import run
    from gmner.serve.settings import ServiceSettings

    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/ serves", file=sys.stderr, flush=True)
        system = Echo(gate=None if gate is None else Appearance(gate), pause=seconds)
        timeout, key = 5 if gate is None else 60, os.environ.get("GMNER_API_KEY")
        run(system, ServiceSettings(batch_size=4, queue=8, timeout=timeout, api_key=key), listener)


if __name__ == "__main__":
    main(float(sys.argv[1]), *map(Path, sys.argv[2:]))
