"""The HTTP application: routes, limits, errors. `cli/serve.py` runs it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from gmner import __version__
from gmner.errors import FailureError, GmnerError, ImageError, TextError
from gmner.image import check_image
from gmner.serve import schema
from gmner.serve.batcher import Batcher, QueueFullError, Result
from gmner.serve.fetch import fetch
from gmner.serve.guard import KINDS, LEFT, Drain, Guard
from gmner.serve.metrics import ServiceMetrics
from gmner.serve.posts import Incoming, read_posts
from gmner.serve.settings import DEFAULTS, TEXT_CHARACTERS, ServiceSettings
from gmner.systems import SYSTEMS
from gmner.systems.system import System
from gmner.types import Example

T = TypeVar("T")

logger = logging.getLogger("gmner.serve")

PAGE: Final = Path(str(resources.files("gmner.serve") / "page"))


def create_app(system: System, settings: ServiceSettings = DEFAULTS, drain: Drain | None = None) -> FastAPI:
    """The service of one system, ready for an ASGI server; `drain` is by whom that server ends it."""
    drain = drain or Drain()
    batcher = Batcher(_telling(system), settings.batch_size, settings.queue)
    metrics = ServiceMetrics(lambda: batcher.waiting)
    batcher.seen = metrics.batches.observe
    workers: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers.append(asyncio.create_task(batcher.run()))
        yield
        worker = workers.pop()
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    app = FastAPI(
        title="gmner",
        version=__version__,
        summary="A post (text and picture) in, its named entities out, with boxes and masks.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guard, settings=settings, metrics=metrics, drain=drain)
    _add_errors(app)

    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": schema.Problem, "description": words}
        for status, words in {
            400: "The body can not be read.",
            401: "The key is missing or wrong.",
            408: "The body did not come in time.",
            413: "The body is too long.",
            415: "The body is neither JSON nor a form.",
            422: "The only post of the request, or the request itself, is not what it must be.",
            429: "Too many posts are waiting, or too many bytes are under way; come back later.",
            500: "A fault of the service.",
            503: "It took too long, or the service is stopping.",
        }.items()
    }

    async def results(incoming: Sequence[Incoming]) -> list[Result]:
        admitted = await asyncio.gather(*(_admit(post, settings) for post in incoming))
        good = [post for post in admitted if isinstance(post, Example)]
        found = iter(await batcher.submit(good) if good else ())
        return [next(found) if isinstance(post, Example) else post for post in admitted]

    async def answer(request: Request, incoming: Sequence[Incoming]) -> JSONResponse:
        if len(incoming) > settings.queue:
            message = f"{len(incoming)} posts in one request; this service takes at most {settings.queue}; send fewer"
            raise HTTPException(422, message)
        try:
            finished = await _while_wanted(request, results(incoming))
        except QueueFullError:
            message = "too many posts are waiting; come back later, or send fewer at once"
            raise HTTPException(429, message, headers={"Retry-After": "1"}) from None
        for result in finished:
            metrics.posts.labels("error" if isinstance(result, GmnerError) else "ok").inc()
        if len(finished) == 1 and isinstance(finished[0], GmnerError):
            return JSONResponse(schema.refusal(finished[0]), 500 if isinstance(finished[0], FailureError) else 422)
        rows = [schema.result_row(post.fields.id, result) for post, result in zip(incoming, finished, strict=True)]
        return JSONResponse({"posts": rows})

    @app.post(
        "/v1/predict",
        response_model=schema.Response,
        responses=problems,
        tags=["posts"],
        openapi_extra={"requestBody": {"required": True, "content": schema.BODIES}},
    )
    async def predict(request: Request) -> JSONResponse:
        """Find the entities of one or more posts, which come as JSON or as a form (multipart/form-data).

        In a form, each `text` begins a post; `image` (a file) and `id` beside it are of the same post.

        Of several posts, one that can not be read has an `error` in the place of `entities`; of one, it is a 422.
        """
        return await answer(request, await read_posts(request))

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
        ready = not drain.begun and any(not worker.done() for worker in workers)
        return JSONResponse({"status": "ready" if ready else "stopping"}, 200 if ready else 503)

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def scrape() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse((PAGE / "docs.html").read_text(encoding="utf-8"))

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse((PAGE / "index.html").read_text(encoding="utf-8"))

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def _telling(system: System) -> Callable[[Sequence[Example]], list[Result]]:
    """The system's `attempt`, whose failures are told to the log."""

    def attempt(examples: Sequence[Example]) -> list[Result]:
        try:
            return system.attempt(examples)
        except Exception as error:
            logger.error("the system failed", exc_info=error, extra={"facts": {"posts": len(examples)}})
            raise

    return attempt


async def _admit(post: Incoming, settings: ServiceSettings) -> Example | GmnerError:
    """The post as an Example, or what is wrong with it, as far as can be said without decoding its picture."""
    given = post.fields
    try:
        texts = (given.text, given.caption, given.description, given.knowledge, given.id)
        longest = max(len(text or "") for text in texts)
        if longest > TEXT_CHARACTERS:
            raise TextError(
                f"a text of {longest:,} characters",
                allowed=f"the service reads at most {TEXT_CHARACTERS:,}",
                todo="split it into several posts",
            )
        picture = post.picture()
        if picture is None and given.image_url is not None:
            if not settings.urls:
                raise ImageError(
                    "a picture by URL",
                    allowed="this service fetches no pictures",
                    todo="send the picture itself in `image`",
                )
            picture = await asyncio.to_thread(fetch, given.image_url)
        if picture is not None:
            check_image(picture)
        return post.example(picture)
    except GmnerError as error:
        return error


async def _while_wanted(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is given up when the client leaves."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.5)
            if not task.done() and await request.is_disconnected():
                raise HTTPException(LEFT, "the client has left")
        return task.result()
    finally:
        task.cancel()


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
        return JSONResponse(schema.FAULT, 500)
