"""What stands before every route: the key, the length of the body, the time, the end of the service, and the log."""

import asyncio
import base64
import hmac
import json
import logging
import time
import traceback
from dataclasses import dataclass
from typing import Any, Final

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gmner.serve import schema
from gmner.serve.metrics import ServiceMetrics
from gmner.serve.settings import BODY_BYTES, FORM_BYTES, HELD_BYTES, ServiceSettings

logger = logging.getLogger("gmner.serve")

LEFT: Final = 499
"""The status, as nginx has it, of a request whose client did not wait; only the log sees it."""

KINDS: Final = {400: "unreadable", 401: "key", 404: "route", 405: "method", 408: "time", 413: "length", 415: "format",
                422: "invalid", 429: "busy", LEFT: "left", 503: "time"}  # fmt: skip

_TO_THE_END: Final = ("/healthz", "/readyz", "/metrics")
"""Routes that are answered while the service ends."""

_LATE: Final = "it took too long; send fewer posts at once, or come back later"
_ASKS_FOR_KEY: Final = {"WWW-Authenticate": 'Basic realm="gmner", charset="UTF-8"'}


@dataclass
class Drain:
    """The end of the service: whether it has begun, and how many requests are under way."""

    begun: bool = False
    under_way: int = 0

    @property
    def over(self) -> bool:
        """Nothing more is taken, and everything is answered."""
        return self.begun and not self.under_way


class Guard:
    """Lets in what carries the key, is short enough and comes in time. It writes a line of the log for each request."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: ServiceMetrics, drain: Drain) -> None:
        self.app, self.settings, self.metrics, self.drain = app, settings, metrics, drain
        self.held = 0
        """Bytes of the bodies of all requests that are under way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = Headers(scope=scope)
        body = _Body(self, receive, _longest(headers))
        self.drain.under_way += 1
        try:
            refusal = self._refusal(scope["path"], headers)
            async with asyncio.timeout(self.settings.timeout) as clock:
                await (refusal or self.app)(scope, body.receive, noting)
        except TimeoutError:
            if status or not clock.expired():
                raise
            late = _refuse(503, _LATE) if body.whole else _refuse(408, "the body did not come in time")
            await late(scope, receive, noting)
        finally:
            self.drain.under_way -= 1
            self.held -= body.length
            self._note(scope, status or 500, time.monotonic() - begun)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        """The answer to a request that is not let in."""
        if self.settings.api_key is not None and not _carries(headers, self.settings.api_key):
            return _refuse(401, "the key is missing or wrong", _ASKS_FOR_KEY)
        if self.drain.begun and path not in _TO_THE_END:
            return _refuse(503, "the service is stopping; ask another one, or come back later", kind="stopping")
        longest = _longest(headers)
        if _length(headers) > longest:
            return _refuse(413, _too_long(longest))
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        facts = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds)}
        logger.info("request", extra={"facts": facts})


class _Body:
    """The body of a request as it comes: no longer than it may be, whatever was stated, and no more than there is
    room for."""

    def __init__(self, guard: Guard, receive: Receive, longest: int) -> None:
        self._guard, self._receive, self._longest = guard, receive, longest
        self.length, self.whole = 0, False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.whole:
            raise HTTPException(LEFT, "the client has left")
        size = len(message.get("body", b""))
        self.length += size
        self._guard.held += size
        self.whole = not message.get("more_body", False)
        if self.length > self._longest:
            raise HTTPException(413, _too_long(self._longest))
        if self._guard.held > HELD_BYTES:
            raise HTTPException(429, "too many bytes are under way; come back later", headers={"Retry-After": "1"})
        return message


def _carries(headers: Headers, key: str) -> bool:
    """Whether a request carries the key, as X-API-Key, as a bearer token, or as the password of Basic (browsers)."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    given = headers.get("x-api-key") or (value if scheme.lower() == "bearer" else "")
    if not given and scheme.lower() == "basic":
        try:
            given = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    return hmac.compare_digest(given.encode(), key.encode())


def _longest(headers: Headers) -> int:
    """How long a body of its kind may be."""
    return FORM_BYTES if headers.get("content-type", "").lower().startswith(schema.FORM) else BODY_BYTES


def _too_long(longest: int) -> str:
    return f"the body is longer than {longest:,} bytes; send fewer or smaller pictures at once"


def _length(headers: Headers) -> int:
    """The length of the body as the client states it."""
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isdecimal() else 0


def _refuse(
    status: int, message: str, headers: dict[str, str] | None = None, *, kind: str | None = None
) -> JSONResponse:
    return JSONResponse(schema.problem(kind or KINDS[status], message), status, headers=headers)


class JSONLines(logging.Formatter):
    """Log records as JSON, one a line: what happened and where, and never the content of a post.

    Of an exception its type and its place are told, not its words: they may quote what was given.
    """

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "event": record.getMessage().partition("\n")[0],  # asyncio quotes exceptions below
        }
        facts |= getattr(record, "facts", {})
        if record.exc_info and (error := record.exc_info[1]) is not None:
            facts["fault"] = type(error).__name__
            facts["at"] = [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(error.__traceback__)]
        return json.dumps(facts)
