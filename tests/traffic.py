"""What clients send to a service, good and bad: each kind with the statuses that are right for it."""

import asyncio
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx
from tests.serving import encoded, png

from gmner.serve.settings import BODY_BYTES

Send = Callable[[httpx.AsyncClient], Awaitable[int]]

NO_ANSWER: Final = 0
"""The status that a client gets that does not wait for it."""


class Kind(NamedTuple):
    """One way to send; `right` are the statuses that it may get when there is room for it."""

    send: Send
    right: tuple[int, ...]


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of so many pixels in some hundred bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def post(text: str, picture: bytes | None = None) -> Send:
    """One post as JSON."""
    fields = {"text": text} if picture is None else {"text": text, "image": encoded(picture)}

    async def send(client: httpx.AsyncClient) -> int:
        return (await client.post("/v1/predict", json={"posts": [fields]})).status_code

    return send


def form(text: str, picture: bytes) -> Send:
    """One post as a form."""

    async def send(client: httpx.AsyncClient) -> int:
        files = {"image": ("a.png", picture)}
        return (await client.post("/v1/predict", data={"text": text}, files=files)).status_code

    return send


def body(content: bytes, route: str = "/v1/predict", kind: str = "application/json") -> Send:
    """A body that is no request."""

    async def send(client: httpx.AsyncClient) -> int:
        return (await client.post(route, content=content, headers={"content-type": kind})).status_code

    return send


def leaving(sent: float) -> Send:
    """A client that closes the connection after so much of its body."""

    async def send(client: httpx.AsyncClient) -> int:
        content = json.dumps({"posts": [{"text": "Ada", "image": encoded(png())}]}).encode()
        _, writer = await _begin(client, len(content))
        writer.write(content[: int(sent * len(content))])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        return NO_ANSWER

    return send


async def dripping(client: httpx.AsyncClient) -> int:
    """A client whose body comes byte by byte and never ends, until it is answered."""
    reader, writer = await _begin(client, 1_000_000)
    answer = asyncio.ensure_future(reader.readline())
    try:
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait({answer}, timeout=0.1)
        return int(answer.result().split()[1])
    finally:
        writer.close()


async def stating_too_much(client: httpx.AsyncClient) -> int:
    """A client that says that its body is too long, and waits for what is said to that."""
    reader, writer = await _begin(client, BODY_BYTES + 1)
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def no_http(client: httpx.AsyncClient) -> int:
    """A client that speaks something else."""
    url = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def _begin(client: httpx.AsyncClient, length: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = urlsplit(str(client.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: {url.hostname}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {length}\r\n\r\n".encode())
    return reader, writer


def bad() -> dict[str, Kind]:
    """Everything that clients do wrong, by name."""
    whole = png(300, 200)
    return {
        "truncated picture": Kind(post("Ada", whole[: len(whole) // 2]), (422,)),
        "bomb": Kind(post("Ada", bomb()), (422,)),
        "bomb in a form": Kind(form("Ada", bomb()), (422,)),
        "text in place of a picture": Kind(post("Ada", b"no picture at all"), (422,)),
        "SVG": Kind(form("Ada", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), (422,)),
        "no base64": Kind(body(b'{"posts": [{"text": "Ada", "image": "%%%"}]}'), (422,)),
        "empty text": Kind(post(" "), (422,)),
        "text of a megabyte": Kind(post("Ada " * 250_000), (422,)),
        "broken JSON": Kind(body(b'{"posts": [{"text": "Ada"'), (422,)),
        "deep JSON": Kind(body(b"[" * 100_000), (400, 422)),
        "lone surrogate": Kind(body(b'{"posts": [{"text": "\\ud800"}]}'), (422,)),
        "bytes": Kind(body(bytes(range(256)) * 40), (400, 422)),
        "broken form": Kind(body(b"--y\r\nrubbish", "/v1/predict", "multipart/form-data; boundary=x"), (400, 422)),
        "too many posts": Kind(body(json.dumps({"posts": [{"text": "Ada"}] * 33}).encode()), (422,)),
        "no such route": Kind(body(b"{}", "/v1/../../etc/passwd"), (404, 405)),
        "leaves before the answer": Kind(leaving(1.0), (NO_ANSWER,)),
        "leaves in its body": Kind(leaving(0.5), (NO_ANSWER,)),
        "dripping body": Kind(dripping, (408,)),
        "no HTTP": Kind(no_http, (400,)),
        "too long, as it says": Kind(stating_too_much, (413,)),
        "too long": Kind(body(b" " * (BODY_BYTES + 1)), (413,)),
    }
