"""The one client for language models behind OpenAI-compatible endpoints: in bulk, patient, and never asking twice."""

import asyncio
import json
import math
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from gmner.errors import ConfigError, GmnerError, LLMError, MissingPackageError
from gmner.llm.cache import AnswerCache, Record
from gmner.llm.progress import Progress
from gmner.llm.request import Answer, LLMSettings, Request, asked, fingerprint, messages

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

_CHARACTERS_A_TOKEN: Final = 4
"""A rule of thumb for English, used where no server has counted."""

_LONGEST_BACKOFF: Final = 60.0
_RETRIED: Final = frozenset({408, 409, 425, 429})
"""Status codes below 500 that may pass."""

_HOPELESS: Final = {
    401: "check the key in ${key}",
    403: "check what the key in ${key} may do",
    404: "check the name of the model and the address {address}",
}
"""Status codes after which no other request can succeed, and what to do."""


class LLM:
    """A model that answers in bulk. Answers are kept in `settings.cache`, and only what is not there is asked.

    The budget of the settings is for all calls of `ask` together.

    Raises:
        ConfigError: a budget in one of several processes that share the work, none of which knows what others spend.
    """

    def __init__(self, settings: LLMSettings) -> None:
        limited = settings.budget_requests is not None or settings.budget_tokens is not None
        if limited and multiprocessing.parent_process() is not None:
            raise ConfigError(
                f"a budget for {settings.model} in one of several processes",
                allowed="a budget counts what one process asks",
                todo="use one process (--processes 1): many questions are under way at once all the same",
            )
        self.settings = settings
        self._spent = _Spent()

    def ask(
        self, requests: Sequence[Request], progress: Callable[[Progress], None] | None = None
    ) -> list[Answer | GmnerError]:
        """An answer to each request, or the error that it met, in order. Equal questions are asked once.

        Every answer is on disk before another request goes out in its place: a killed run loses at most what was
        under way. Blank, cut or unreadable responses count as failed attempts and are not kept. A refused key, an
        unknown model, a server that can not be reached and a spent budget stop the run: the rest is not asked, and
        its errors say why. `progress` is called at the beginning and after each question that is finished.

        Raises:
            DataError: the cache can not be used.
            MissingPackageError: something has to be asked and the package openai is not installed.
        """
        keys = [self._key(request) for request in requests]
        results: dict[str, Answer | LLMError] = {**self._known(keys)}
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in results}
        run = _Run(self.settings, self._spent, len(results), len(missing), progress)
        if missing:
            results |= _finish(run.ask_all(missing))
        return [results[key] for key in keys]

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        """The requests that the cache has no answer for; of equal questions the first."""
        keyed: dict[str, Request] = {}
        for request in requests:
            keyed.setdefault(self._key(request), request)
        known = self._known(list(keyed))
        return [request for key, request in keyed.items() if key not in known]

    def dry_run(self, requests: Sequence[Request]) -> str:
        """What `ask` would send, as text: each prompt, then the counts. Nothing is sent."""
        missing = self.unanswered(requests)
        lines: list[str] = []
        for number, request in enumerate(missing, start=1):
            lines.append(f"--- {number} of {len(missing)}" + f" ({request.id})" * bool(request.id))
            lines += [part for part in (request.system, request.prompt) if part]
            lines += [f"[{len(request.images)} images]"] * bool(request.images) + [""]
        tokens = sum(_about_tokens(request.system + request.prompt) for request in missing)
        cost = tokens * self.settings.prompt_price / 1e6
        lines.append(
            f"{len(requests)} requests to {self.settings.model}: {len(missing)} to ask, "
            f"about {tokens} tokens of prompts" + f", {cost:.2f} USD without the answers" * bool(cost)
        )
        return "\n".join(lines)

    def _key(self, request: Request) -> str:
        return fingerprint(asked(request, self.settings))

    def _known(self, keys: Sequence[str]) -> dict[str, Answer]:
        with AnswerCache(self.settings.cache) as cache:
            return cache.find(keys)


class _Failure(NamedTuple):
    """An attempt without an answer: why, how long the server asks to wait, and whether more attempts are worth it."""

    reason: str
    wait: float = 0.0
    final: bool = False
    unreachable: bool = False


class _Completion(NamedTuple):
    """What a chat completion says; `text` may be blank."""

    text: str
    complete: bool
    prompt_tokens: int | None
    answer_tokens: int | None


@dataclass
class _Spent:
    """Attempts and tokens of all calls so far."""

    requests: int = 0
    tokens: int = 0


class _Run:
    """One call of `ask`: workers that share the questions, the budget, the server's pauses and the reason to stop."""

    def __init__(
        self,
        settings: LLMSettings,
        spent: _Spent,
        known: int,
        to_ask: int,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self._settings, self._so_far = settings, spent
        self._report = report or (lambda _: None)
        self._began = time.monotonic()
        self._paused_until = 0.0
        self._stop: LLMError | None = None
        self._progress = Progress(known, to_ask, prompt_price=settings.prompt_price, answer_price=settings.answer_price)
        self._report(self._progress)

    async def ask_all(self, missing: Mapping[str, Request]) -> dict[str, Answer | LLMError]:
        """Ask all, `concurrency` at a time. Keys of the result are those of `missing`."""
        results: dict[str, Answer | LLMError] = {}
        waiting = iter(missing.items())
        with AnswerCache(self._settings.cache) as cache:
            async with _connect(self._settings) as client:
                workers = min(self._settings.concurrency, len(missing))
                await asyncio.gather(*(self._work(client, cache, waiting, results) for _ in range(workers)))
        return results

    async def _work(
        self,
        client: "openai.AsyncOpenAI",
        cache: AnswerCache,
        waiting: Iterator[tuple[str, Request]],
        results: dict[str, Answer | LLMError],
    ) -> None:
        for key, request in waiting:
            answer = await self._answer(client, request)
            if isinstance(answer, Answer):
                cache.add([Record(asked(request, self._settings), answer)])
                answer = cache.find([key])[key]  # another process may have been first
                self._count(answered=1)
            else:
                self._count(failed=1)
            results[key] = answer
            self._report(self._progress)

    async def _answer(self, client: "openai.AsyncOpenAI", request: Request) -> Answer | LLMError:
        settings = self._settings
        failure = _Failure("")
        for attempt in range(settings.attempts):
            if attempt and not failure.wait:
                longest = min(settings.backoff * 2 ** (attempt - 1), _LONGEST_BACKOFF)
                await asyncio.sleep(longest * random.uniform(0.5, 1.0))
            while (pause := self._paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            if (stop := self._stop or self._spent()) is not None:
                return stop
            outcome = await self._attempt(client, request)
            if isinstance(outcome, Answer):
                return outcome
            failure = outcome
            if failure.final or self._stop is not None:
                break
        if self._stop is None and failure.unreachable:
            self._stop = LLMError(
                f"{settings.base_url} can not be reached ({failure.reason})",
                allowed=f"the server must take a connection within {settings.connect_timeout:g} s",
                todo="start it or mend base_url, and run again: answers so far are kept",
            )
        return self._stop or LLMError(
            f"{settings.model} gave no answer for sample {request.id!r} ({failure.reason})",
            allowed=f"a request has {settings.attempts} attempts of {settings.timeout:g} s, or 1 if it is refused",
            todo="run again: only what is missing is asked",
        )

    async def _attempt(self, client: "openai.AsyncOpenAI", request: Request) -> Answer | _Failure:
        import openai

        settings = self._settings
        optional = {"max_tokens": settings.max_tokens, "seed": settings.seed}
        self._count(requests=1)
        try:
            # The client's own limits are for each read: one byte a second would satisfy them for ever.
            async with asyncio.timeout(settings.timeout):
                response = await client.chat.completions.with_raw_response.create(
                    model=settings.model,
                    messages=messages(request),
                    temperature=settings.temperature,
                    **{name: value for name, value in optional.items() if value is not None},
                )
                completion = _read(response.http_response.text)
        except openai.APIStatusError as error:
            return self._refused(error)
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            unreachable = type(cause).__name__ in ("ConnectError", "ConnectTimeout")
            return _Failure(f"{type(cause).__name__}: {cause}".rstrip(": "), unreachable=unreachable)
        except TimeoutError:
            return _Failure(f"no whole answer within {settings.timeout:g} s")
        except (openai.OpenAIError, ValueError) as error:
            return _Failure(str(error))
        prompt_tokens, answer_tokens = completion.prompt_tokens, completion.answer_tokens
        self._count(
            prompt_tokens=_about_tokens(request.system + request.prompt) if prompt_tokens is None else prompt_tokens,
            answer_tokens=_about_tokens(completion.text) if answer_tokens is None else answer_tokens,
        )
        if not completion.text.strip():
            return _Failure("the answer is blank")
        return Answer(completion.text, settings.model, completion.complete, prompt_tokens, answer_tokens)

    def _refused(self, error: "openai.APIStatusError") -> _Failure:
        """What a status code means for this request and for the run."""
        settings, status = self._settings, error.status_code
        reason = f"{status}: {' '.join(error.message.split())[:200]}".replace(_api_key(settings), "***")
        if status in _HOPELESS or error.code == "insufficient_quota":
            self._stop = LLMError(
                f"{settings.base_url} refuses ({reason})",
                allowed="the endpoint must accept the key and know the model",
                todo=_HOPELESS.get(status, "check the account of the key in ${key}").format(
                    key=settings.api_key_variable, address=settings.base_url
                ),
            )
            return _Failure(reason, final=True)
        if status not in _RETRIED and status < 500:
            return _Failure(reason, final=True)
        wait = _retry_after(error.response.headers)
        if wait > settings.longest_wait:
            self._stop = LLMError(
                f"{settings.base_url} asks to wait {wait:.0f} s ({reason})",
                allowed=f"longest_wait is {settings.longest_wait:g} s",
                todo="run again later: only what is missing is asked",
            )
        elif wait:  # A limit on the rate is meant for all workers.
            self._paused_until = max(self._paused_until, time.monotonic() + wait)
        return _Failure(reason, wait)

    def _spent(self) -> LLMError | None:
        """The error of a request that the budget does not allow any more, if so."""
        for what, used, budget in (
            ("requests", self._so_far.requests, self._settings.budget_requests),
            ("tokens", self._so_far.tokens, self._settings.budget_tokens),
        ):
            if budget is not None and used >= budget:
                return LLMError(
                    f"the budget of {budget} {what} is spent",
                    allowed="nothing more is asked in this run",
                    todo=f"run again to go on, or raise budget_{what}",
                )
        return None

    def _count(self, **more: int) -> None:
        self._so_far.requests += more.get("requests", 0)
        self._so_far.tokens += more.get("prompt_tokens", 0) + more.get("answer_tokens", 0)
        counts = {name: getattr(self._progress, name) + number for name, number in more.items()}
        self._progress = replace(self._progress, seconds=time.monotonic() - self._began, **counts)


def _connect(settings: LLMSettings) -> "openai.AsyncOpenAI":
    try:
        import openai
    except ImportError:
        raise MissingPackageError(
            "the package openai is not installed",
            allowed="asking a language model needs it",
            todo="pip install 'gmner[llm]', or set `replay` to a file of recorded answers",
        ) from None
    return openai.AsyncOpenAI(
        base_url=settings.base_url,
        api_key=_api_key(settings),
        max_retries=0,  # attempts are counted here
        timeout=openai.Timeout(settings.timeout, connect=settings.connect_timeout),
    )


def _api_key(settings: LLMSettings) -> str:
    return os.environ.get(settings.api_key_variable) or "none"


def _read(body: str) -> _Completion:
    """The first choice of a chat completion. Raises a ValueError for anything else."""
    try:
        completion = json.loads(body)
        [choice, *_] = completion["choices"]
        text = choice["message"]["content"] or ""
        text.encode()
        usage = completion.get("usage") or {}
        tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError("the response is no chat completion") from None
    counts = [number if isinstance(number, int) else None for number in tokens]
    return _Completion(text, choice.get("finish_reason") != "length", *counts)


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a server asks to wait: a number or an HTTP date; 0 where it says nothing that can be read."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _about_tokens(text: str) -> int:
    return len(text) // _CHARACTERS_A_TOKEN


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where a loop is running already (a notebook, a server)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
