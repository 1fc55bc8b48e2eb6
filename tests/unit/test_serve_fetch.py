"""Pictures by URL: what is refused, however it is spelled, and that what was checked is what is dialled."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from gmner.errors import ImageError
from gmner.serve import fetch as module
from gmner.serve.fetch import check_url, fetch, public_addresses

pytestmark = pytest.mark.sockets

PUBLIC = "93.184.215.14"

REFUSED = [
    "http://example.org/a.png",
    "ftp://example.org/a.png",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "gopher://example.org/",
    "//example.org/a.png",
    "example.org/a.png",
    "https://",
    "https:///a.png",
    "https://user@example.org/a.png",
    "https://user:word@example.org/a.png",
    "https://example.org@127.0.0.1/a.png",
    "https://example.org:22/a.png",
    "https://example.org:99999/a.png",
    "https://exa mple.org/a.png",
    "https://example.org\\@127.0.0.1/a.png",
    "https://example.org/\r\nHost: inner",
    "https://ⓔxample.org/a.png",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1.",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://[fec0::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:10.0.0.1]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost/",
    "https://[v1.x]/",
]


def numeric(host: str) -> list[str]:
    """The system's resolver, for hosts that need no name server."""
    try:
        return [
            str(e[4][0]) for e in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        ]
    except OSError:
        return ["127.0.0.1"] if host.rstrip(".") == "localhost" else []


@pytest.mark.parametrize("url", REFUSED)
def test_nothing_but_public_https_is_dialled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def dialled(*args: Any, **options: Any) -> None:
        pytest.fail(f"{url} was dialled")

    monkeypatch.setattr(module, "_get", dialled)
    with pytest.raises(ImageError):
        fetch(url, resolve=numeric)


def test_one_private_address_among_public_ones_is_one_too_many() -> None:
    with pytest.raises(ImageError, match="not public"):
        public_addresses("rebound.example", lambda host: [PUBLIC, "10.0.0.1"])
    assert public_addresses("example.org", lambda host: [PUBLIC]) == [PUBLIC]


class Web:
    """Answers by path, and writes down which address was dialled for which host."""

    def __init__(self, answers: dict[str, tuple[int, str | None, bytes]]) -> None:
        self.answers, self.dialled = answers, list[tuple[str, str]]()

    def get(self, parts: Any, address: str, context: ssl.SSLContext, deadline: float) -> tuple[int, str | None, bytes]:
        self.dialled.append((parts.hostname, address))
        return self.answers[parts.path]


def test_redirects_are_followed_and_checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(
        {
            "/a": (302, "/b", b""),
            "/b": (301, "https://other.example/c", b""),
            "/c": (200, None, b"picture"),
            "/in": (302, "https://10.0.0.1/secret", b""),
            "/down": (302, "http://example.org/a", b""),
            "/round": (302, "/round", b""),
            "/none": (404, None, b""),
            "/torn": (302, "https://[::1", b""),
        }
    )
    monkeypatch.setattr(module, "_get", web.get)
    names = {"example.org": [PUBLIC], "other.example": ["8.8.8.8"]}

    def resolve(host: str) -> list[str]:
        return names.get(host) or numeric(host)

    assert fetch("https://example.org/a", resolve=resolve) == b"picture"
    assert web.dialled == [("example.org", PUBLIC), ("example.org", PUBLIC), ("other.example", "8.8.8.8")]
    for path, reason in (("in", "not public"), ("down", "scheme"), ("round", "3 redirects"), ("none", "status 404"),
                         ("torn", "can not be read")):  # fmt: skip
        with pytest.raises(ImageError, match=reason):
            fetch(f"https://example.org/{path}", resolve=resolve)
    assert len(web.dialled) == 3 + 1 + 1 + 4 + 1 + 1


def test_the_address_that_was_checked_is_dialled_and_the_name_is_what_the_certificate_is_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled: list[Any] = []

    class Context(ssl.SSLContext):
        def wrap_socket(self, sock: Any, *args: Any, server_hostname: Any = None, **options: Any) -> Any:
            dialled.append(server_hostname)
            raise ssl.SSLCertVerificationError("the certificate is of another name")

    def connect(address: Any, timeout: Any) -> None:
        dialled.append(address)

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ImageError, match="SSLCertVerificationError"):
        fetch("https://example.org/a", resolve=lambda host: [PUBLIC], context=Context(ssl.PROTOCOL_TLS_CLIENT))
    assert dialled == [(PUBLIC, 443), "example.org"]


@pytest.mark.parametrize(("size", "fine"), [(1000, True), (21 << 20, False)])
def test_a_picture_past_the_cap_is_not_read_on(size: int, fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Response:
        status, left = 200, size

        def read1(self, most: int) -> bytes:
            piece = min(most, self.left)
            self.left -= piece
            return bytes(piece)

        def getheader(self, name: str) -> None:
            return None

    response = Response()
    monkeypatch.setattr(http.client.HTTPSConnection, "request", lambda self, *args, **options: None)
    monkeypatch.setattr(http.client.HTTPSConnection, "getresponse", lambda self: response)
    if fine:
        assert len(fetch("https://example.org/a", resolve=lambda host: [PUBLIC])) == size
    else:
        with pytest.raises(ImageError, match="more than 20 MiB"):
            fetch("https://example.org/a", resolve=lambda host: [PUBLIC])
        assert response.left > 0


def test_an_answer_byte_by_byte_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(socket.socket):
        def do_handshake(self) -> None:
            pass

    class Context(ssl.SSLContext):
        def wrap_socket(self, sock: Any, *args: Any, **options: Any) -> Any:
            return Plain(fileno=sock.detach())

    near, far = socket.socketpair()
    over = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            far.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.02):
                far.sendall(b"a")

    slow = threading.Thread(target=drip)
    slow.start()
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: near)
    monkeypatch.setattr(module, "SECONDS", 0.3)
    begun = time.monotonic()
    try:
        with pytest.raises(ImageError, match="can not be fetched"):
            fetch("https://example.org/a", resolve=lambda host: [PUBLIC], context=Context(ssl.PROTOCOL_TLS_CLIENT))
        assert time.monotonic() - begun < 5
    finally:
        over.set()
        slow.join()
        far.close()


def test_the_parts_of_a_plain_url() -> None:
    assert check_url("https://example.org/a.png?size=2").path == "/a.png"
