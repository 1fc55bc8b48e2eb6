"""Unit tests load, predict, evaluate and train whatever there is, and none opens an internet socket while it does.

So every system and every recipe that has a test is known to work offline. Tests that are about sockets are marked.
"""

import socket
from collections.abc import Iterator

import pytest

INTERNET = (-1, socket.AF_INET, socket.AF_INET6)
"""Families; -1 is what Python takes for the first. Processes of one machine may talk by others."""


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("sockets"):
        yield
        return
    opened: list[object] = []
    make = socket.socket.__init__

    def refuse(self: socket.socket, family: int = -1, *arguments: object, **settings: object) -> None:
        if family in INTERNET:
            opened.append(family)
            raise OSError("a socket was opened")
        make(self, family, *arguments, **settings)  # type: ignore[arg-type]

    def unknown(*arguments: object, **settings: object) -> None:
        opened.append(arguments)
        raise OSError("a host was looked up")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "__init__", refuse)
        patch.setattr(socket, "getaddrinfo", unknown)
        yield
    assert not opened  # also where somebody caught the error
