"""Pictures opened by other processes, ahead of the system that looks at them.

This is for a system that leaves the processors idle, as one on a GPU does. A picture that can not be opened, or for
which there is no room, is left to the system as the path that it was: the system opens it as it would have without
openers, and says what is wrong with it. So nothing but time depends on what is opened where.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock
from typing import Any, Final

import numpy as np

from gmner.batch.child import Child
from gmner.batch.share import Share
from gmner.errors import FailureError
from gmner.image import Picture, open_image

AHEAD: Final = 2
"""Shares whose pictures are opened while the system works on the one before them."""

ROOM: Final = 400_000_000
"""Bytes of opened pictures from which on no further one is opened ahead until some are let go."""


def opened_ahead(shares: Iterable[Share], openers: int) -> Generator[Share]:
    """The shares in order, each with those of its pictures that so many processes have opened.

    A picture that several posts of a share have is opened once. The pictures of a share are let go, and its
    `pictures` emptied, when the next one is asked for.

    Raises:
        FailureError: a process ends before it has begun to open pictures. (One that ends later is replaced.)
    """
    rest = iter(shares)
    ahead: deque[tuple[Share, dict[str, Future[Picture | None]]]] = deque()
    pool = _Pool(openers)
    try:
        while True:
            for share in islice(rest, 1 + AHEAD - len(ahead)):
                ahead.append((share, {path: pool.open(path) for path in dict.fromkeys(_paths(share))}))
            if not ahead:
                return
            share, opening = ahead.popleft()
            opened = {path: picture.result() for path, picture in opening.items()}
            opening.clear()
            pictures = {path: picture for path, picture in opened.items() if picture is not None}
            opened.clear()
            yield share._replace(pictures=pictures)
            pool.let_go(pictures.values())
            pictures.clear()
    finally:
        pool.stop()


def _paths(share: Share) -> Iterator[str]:
    for row in share.rows:
        if isinstance(row.row, dict) and isinstance(path := row.row.get("image"), str):
            yield path


class _Pool:
    """Processes that open pictures, and a thread for each that takes them in while the system works."""

    def __init__(self, openers: int) -> None:
        self._openers = [_Opener() for _ in range(openers)]
        self._idle: SimpleQueue[_Opener] = SimpleQueue()
        for opener in self._openers:
            self._idle.put(opener)
        self._threads = ThreadPoolExecutor(openers)
        self._lock = Lock()
        self._bytes = 0

    def open(self, path: str) -> "Future[Picture | None]":
        """The picture to come, or None if it is left to the system."""
        return self._threads.submit(self._open, path)

    def let_go(self, pictures: Iterable[Picture]) -> None:
        """Make room: the pictures are no longer needed."""
        self._count(-sum(picture.nbytes for picture in pictures))

    def stop(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for opener in self._openers:
            opener.stop()

    def _open(self, path: str) -> Picture | None:
        if self._bytes >= ROOM:
            return None
        opener = self._idle.get()
        try:
            picture = opener.open(path)
        finally:
            self._idle.put(opener)
        if picture is not None:
            self._count(picture.nbytes)
        return picture

    def _count(self, size: int) -> None:
        with self._lock:
            self._bytes += size


class _Opener:
    """One process that opens pictures. A process that dies is replaced."""

    def __init__(self) -> None:
        self._child = Child(_serve)
        self._ready = self._dead = False

    def open(self, path: str) -> Picture | None:
        """The picture; None if it can not be opened, or its process died of it.

        Raises:
            FailureError: the process has not even begun.
        """
        if self._dead:
            self._child.stop()
            self._child = Child(_serve)
            self._ready = self._dead = False
        pipe = self._child.pipe
        try:
            if not self._ready:
                self._ready = pipe.recv()
            pipe.send(path)
            shape = pipe.recv()
            if shape is None:
                return None
            picture = np.empty(shape, np.uint8)
            pipe.recv_bytes_into(picture.reshape(-1))
        except (EOFError, OSError):
            self._dead = True
            if self._ready:
                return None
            raise FailureError(
                f"a process that was to open pictures ended while it started ({self._child.ending()})",
                allowed="every opener is a process that imports gmner",
                todo="run fewer (--openers), or none",
            ) from None
        return picture

    def stop(self) -> None:
        self._child.stop()


def _serve(pipe: "Connection[Any, Any]") -> None:
    """What a process does: say that it has begun, then open pictures until the other end of the pipe is gone."""
    with suppress(EOFError, ConnectionError):
        pipe.send(True)
        while True:
            picture = _opened(pipe.recv())
            if picture is None:
                pipe.send(None)
            else:
                pipe.send(picture.shape)
                pipe.send_bytes(picture.reshape(-1).data)  # pickling would copy it three times


def _opened(path: str) -> Picture | None:
    try:
        return open_image(path)
    except Exception:  # the system meets the same, and says so
        return None
