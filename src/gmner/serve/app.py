"""The HTTP application: routes, limits, errors. `cli/serve.py` runs it."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gmner import __version__
from gmner.errors import GmnerError, ImageError, TextError
from gmner.image import MAX_BYTES
from gmner.serve import schema
from gmner.serve.batcher import Batcher, QueueFullError
from gmner.serve.fetch import fetch
from gmner.serve.metrics import ServiceMetrics
from gmner.systems import SYSTEMS
from gmner.systems.system import System
from gmner.types import Example, Prediction

logger = logging.getLogger("gmner.serve")

PAGE: Final = Path(str(resources.files("gmner.serve") / "page"))
BODY_BYTES: Final = MAX_BYTES * 4 // 3 + (1 << 20)
"""The longest body: one picture of the largest size in base64, and a megabyte beside it."""

TEXT_CHARACTERS: Final = 20_000

TOO_LONG: Final = f"the body is longer than {BODY_BYTES:,} bytes; send fewer or smaller pictures at once"
LEFT: Final = 499
"""The status, as nginx has it, of a request whose client did not wait; only the log sees it."""

KINDS: Final = {400: "unreadable", 401: "key", 404: "route", 405: "method", 413: "length", 422: "invalid",
                429: "busy", LEFT: "left", 503: "time"}  # fmt: skip


@dataclass(frozen=True)
class ServiceSettings:
    """How the service behaves.

    Args:
        batch_size: posts that go to the system together.
        queue: posts that may wait; past it requests get 429.
        timeout: seconds that a request may take, waiting included; then it gets 503.
        api_key: what every request must carry (`Authorization: Bearer KEY`, or `X-API-Key`), if set.
        urls: fetch pictures by URL.
    """

    batch_size: int = 8
    queue: int = 64
    timeout: float = 60.0
    api_key: str | None = None
    urls: bool = False


def create_app(system: System, settings: ServiceSettings = ServiceSettings()) -> FastAPI:
    """The service of one system, ready for an ASGI server."""
    batcher = Batcher(system.attempt, settings.batch_size, settings.queue)
    metrics = ServiceMetrics(lambda: batcher.waiting)
    batcher.seen = metrics.batches.observe
    ready = {"yes": False}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(batcher.run())
        ready["yes"] = True
        yield
        ready["yes"] = False
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    app = FastAPI(
        title="gmner",
        version=__version__,
        summary="A post (text and picture) in, its named entities out, with boxes and masks.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    _add_errors(app)

    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": schema.Problem, "description": words}
        for status, words in {
            400: "The body can not be read.",
            401: "The key is missing or wrong.",
            413: "The body is too long.",
            422: "The only post of the request, or the request itself, is not what it must be.",
            429: "Too many posts are waiting; come back later.",
            503: "It took too long, or the service is stopping.",
        }.items()
    }

    async def answer(request: Request, incoming: Sequence[schema.Incoming]) -> JSONResponse:
        admitted = await asyncio.gather(*(_admit(post, settings) for post in incoming))
        good = [post for post in admitted if isinstance(post, Example)]
        found = iter(await _ask(request, batcher, good, settings.timeout) if good else ())
        results = [next(found) if isinstance(post, Example) else post for post in admitted]
        for result in results:
            metrics.posts.labels("error" if isinstance(result, GmnerError) else "ok").inc()
        if len(results) == 1 and isinstance(results[0], GmnerError):
            return JSONResponse(schema.refusal(results[0]), 422)
        rows = [schema.result_row(post.id, result) for post, result in zip(incoming, results, strict=True)]
        return JSONResponse({"posts": rows})

    @app.post("/v1/predict", response_model=schema.Response, responses=problems, tags=["posts"])
    async def predict(request: Request, body: schema.Request) -> JSONResponse:
        """Find the entities of one or more posts.

        Of several posts, one that can not be read has an `error` in the place of `entities`; of one, it is a 422.
        """
        return await answer(request, body.posts)

    @app.post(
        "/v1/predict/form",
        response_model=schema.Response,
        responses=problems,
        tags=["posts"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["text"],
                            "properties": {
                                "text": {"type": "string"},
                                "image": {"type": "string", "format": "binary"},
                                "id": {"type": "string"},
                            },
                        }
                    }
                },
            }
        },
    )
    async def predict_form(request: Request) -> JSONResponse:
        """Find the entities of one post that is sent as a form: `text`, and the file `image`."""
        return await answer(request, [await _read_form(request)])

    @app.get("/v1/systems", tags=["service"])
    async def systems() -> dict[str, Any]:
        """The systems that there are, and the one that answers here."""
        known = [{"name": name, "summary": entry.summary, "needs": entry.needs} for name, entry in SYSTEMS.items()]
        return {"serving": system.name, "systems": known}

    @app.get("/healthz", tags=["service"])
    async def healthz() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["service"], responses={503: {"description": "Not yet, or not any more."}})
    async def readyz() -> JSONResponse:
        """Whether it takes posts."""
        return JSONResponse({"status": "ready" if ready["yes"] else "stopping"}, 200 if ready["yes"] else 503)

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def scrape() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse((PAGE / "index.html").read_text(encoding="utf-8"))

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


async def _admit(post: schema.Incoming, settings: ServiceSettings) -> Example | GmnerError:
    """The post as an Example, or what is wrong with it."""
    try:
        if len(post.text) > TEXT_CHARACTERS:
            raise TextError(
                f"a text of {len(post.text):,} characters",
                allowed=f"the service reads at most {TEXT_CHARACTERS:,}",
                todo="split it into several posts",
            )
        picture = post.picture()
        if picture is None and post.image_url is not None:
            if not settings.urls:
                raise ImageError(
                    "a picture by URL",
                    allowed="this service fetches no pictures",
                    todo="send the picture itself in `image`",
                )
            picture = await asyncio.to_thread(fetch, post.image_url)
        return Example(id=post.id, text=post.text, image=picture, caption=post.caption, description=post.description)
    except GmnerError as error:
        return error


async def _ask(
    request: Request, batcher: Batcher, examples: list[Example], timeout: float
) -> list[Prediction | GmnerError]:
    """The results of the posts; given up when they take too long or the client has left."""
    asked = asyncio.ensure_future(batcher.submit(examples))
    deadline = time.monotonic() + timeout
    try:
        while not asked.done():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise HTTPException(503, "it took too long; send fewer posts at once, or come back later")
            await asyncio.wait({asked}, timeout=min(remaining, 0.5))
            if not asked.done() and await request.is_disconnected():
                raise HTTPException(LEFT, "the client has left")
        return asked.result()
    except QueueFullError:
        message = "too many posts are waiting; come back later, or send fewer at once"
        raise HTTPException(429, message, headers={"Retry-After": "1"}) from None
    finally:
        asked.cancel()


async def _read_form(request: Request) -> schema.Incoming:
    """The post of a form."""
    form = await request.form(max_files=1, max_fields=8)
    text, image, name = form.get("text"), form.get("image"), form.get("id", "")
    if not isinstance(text, str) or isinstance(image, str) or not isinstance(name, str):
        raise HTTPException(422, "a form has the fields `text`, and `image` (a file) and `id` if there are any")
    return schema.FormPost(text=text, id=name, file=None if image is None else await image.read())


def _add_errors(app: FastAPI) -> None:
    """Every refusal as the same JSON, without the content of the request."""

    @app.exception_handler(StarletteHTTPException)  # of which FastAPI's is one
    async def refused(request: Request, error: StarletteHTTPException) -> JSONResponse:
        body = schema.problem(KINDS.get(error.status_code, "error"), str(error.detail))
        return JSONResponse(body, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return JSONResponse(schema.problem("invalid", told), 422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        logger.error("a fault of the service", exc_info=error)
        return JSONResponse(schema.problem("fault", "a fault of the service; its log says more"), 500)


class Guard:
    """What stands before every route: the key, the length of the body, and a line of the log."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: ServiceMetrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.monotonic(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = Headers(scope=scope)
        try:
            if not self._admits(headers):
                await _refuse(401, "the key is missing or wrong")(scope, receive, noting)
            elif _length(headers) > BODY_BYTES:
                await _refuse(413, TOO_LONG)(scope, receive, noting)
            else:
                await self.app(scope, _counted(receive), noting)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.monotonic() - begun
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            facts = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds)}
            logger.info("request", extra={"facts": facts})

    def _admits(self, headers: Headers) -> bool:
        key = self.settings.api_key
        if key is None:
            return True
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), key.encode())


def _length(headers: Headers) -> int:
    """The length of the body as the client states it."""
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isdecimal() else 0


def _counted(receive: Receive) -> Receive:
    """`receive` that stops a body that is longer than it may be, whatever was stated."""
    length = 0

    async def counting() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > BODY_BYTES:
            raise HTTPException(413, TOO_LONG)
        return message

    return counting


def _refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse(schema.problem(KINDS[status], message), status)


class JSONLines(logging.Formatter):
    """Log records as JSON, one a line: what happened, and never the content of a post."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {"time": self.formatTime(record), "level": record.levelname, "event": record.getMessage()}
        facts |= getattr(record, "facts", {})
        if record.exc_info:
            facts["fault"] = self.formatException(record.exc_info)
        return json.dumps(facts)
