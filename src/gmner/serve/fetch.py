"""Pictures by URL, for services that switch this on: public https addresses only, dialled as they were checked."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from gmner.errors import ImageError
from gmner.image import MAX_BYTES

REDIRECTS: Final = 3
SECONDS: Final = 10.0
"""For a whole download, redirects included."""

_ALLOWED: Final = "pictures are fetched from public https addresses, at most 20 MiB in 10 seconds"
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out for the public; of the rest, `ipaddress` calls more global than is."""

Resolve = Callable[[str], list[str]]


def fetch(url: str, *, resolve: Resolve | None = None, context: ssl.SSLContext | None = None) -> bytes:
    """The bytes behind a URL.

    The name is resolved once; if any of its addresses is not public nothing is dialled, else the first address is,
    with the certificate checked for the name. Every redirect is checked in the same way. `resolve` and `context` are
    for tests and proxies.

    Raises:
        ImageError: the URL is refused, can not be reached, or gives too much, too slowly, or no picture.
    """
    deadline = time.monotonic() + SECONDS
    context = context or ssl.create_default_context()
    for _ in range(REDIRECTS + 1):
        parts = check_url(url)
        host = parts.hostname or ""
        [address, *_] = public_addresses(host, resolve or _resolve)
        status, location, body = _get(parts, address, context, deadline)
        if status in (301, 302, 303, 307, 308) and location:
            url = _follow(url, location)
            continue
        if status != 200:
            raise _refuse(f"the picture's address answered with status {status}")
        return body
    raise _refuse(f"more than {REDIRECTS} redirects")


def _follow(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise _refuse("a redirect to a URL that can not be read") from None


def check_url(url: str) -> SplitResult:
    """The parts of a URL that may be fetched, but for where its name leads.

    Raises:
        ImageError: it is not https, holds a user name or a port, or is no URL.
    """
    if not url.isascii() or any(character <= " " or character == "\\" for character in url):
        raise _refuse("a URL with blanks, control characters, backslashes or letters outside ASCII")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise _refuse("a URL that can not be read") from None
    if parts.scheme != "https":
        raise _refuse(f"a URL of scheme {parts.scheme[:20]!r}")
    if not host or "@" in parts.netloc:
        raise _refuse("a URL without a host, or with a user name")
    if port not in (None, 443):
        raise _refuse(f"a URL with port {port}")
    return parts


def public_addresses(host: str, resolve: Resolve) -> list[str]:
    """The addresses of a host, all of them public.

    Raises:
        ImageError: it has none, or one that is private, loopback, link-local, multicast, reserved or a gateway to such.
    """
    addresses = resolve(host)
    if not addresses:
        raise _refuse(f"the host {host[:80]!r} is not known")
    for address in addresses:
        if not _public(address):
            raise _refuse(f"the host {host[:80]!r} is not public")
    return addresses


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _public(str(inner))
        return address.is_global and address in _UNICAST
    return address.is_global and not address.is_multicast


def _resolve(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


class _Pinned(http.client.HTTPSConnection):
    """A connection to an address that was checked; the name serves for the certificate and the Host header only."""

    def __init__(self, host: str, address: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, 443, context=context, timeout=timeout)
        self._address, self._pinned_context = address, context
        self._wire: ssl.SSLSocket | None = None

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), self.timeout)
        self.sock = self._wire = self._pinned_context.wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        self._wire.do_handshake()

    def cut(self) -> None:
        """Let go whatever waits for the other side, from another thread."""
        if self._wire is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


def _get(parts: SplitResult, address: str, context: ssl.SSLContext, deadline: float) -> tuple[int, str | None, bytes]:
    """Status, redirect and body of one request."""
    remaining = max(deadline - time.monotonic(), 0.001)
    connection = _Pinned(parts.hostname or "", address, context, remaining)
    # The socket's own timeout is for each piece, so that a host could answer byte by byte for as long as it likes.
    clock = threading.Timer(remaining, connection.cut)
    clock.daemon = True
    clock.start()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", path, headers={"User-Agent": "gmner", "Accept": "image/*"})
        response = connection.getresponse()
        body = bytearray()
        while len(body) <= MAX_BYTES and (piece := response.read1(1 << 16)):
            body += piece
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > MAX_BYTES:
            raise _refuse("a picture of more than 20 MiB")
        return response.status, response.getheader("Location"), bytes(body)
    except (OSError, http.client.HTTPException) as error:
        raise _refuse(f"the picture can not be fetched ({type(error).__name__})") from None
    finally:
        clock.cancel()
        connection.close()


def _refuse(given: str) -> ImageError:
    return ImageError(given, allowed=_ALLOWED, todo="send the picture itself")
