"""What is asked of a language model, what it answers, and by whose rules."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gmner.errors import ConfigError, TextError


@dataclass(frozen=True, slots=True)
class Request:
    """A question: `prompt` under a `system` line, about `images` (whole PNG, JPEG, GIF or WebP files), if any.

    `id` says which sample it is about. It is not part of the question: equal questions get one answer.

    Raises:
        TextError: the text is not Unicode.
    """

    prompt: str
    system: str = ""
    images: tuple[bytes, ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        try:
            (self.system + self.prompt).encode()
        except UnicodeEncodeError as error:
            raise TextError(
                f"the prompt of sample {self.id!r} holds half a character (a lone surrogate) at offset {error.start}",
                allowed="text is whole Unicode characters",
                todo="decode the source with its right encoding",
            ) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What `model` answered, never blank. `complete` is False where it was stopped at the largest length.

    The numbers of tokens are the server's, None where it states none.
    """

    text: str
    model: str
    complete: bool = True
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True)
class LLMSettings:
    """Which model to ask, and how. Only `model`, `temperature`, `max_tokens` and `seed` shape an answer.

    Any OpenAI-compatible endpoint will do: OpenAI, vLLM, Ollama, llama.cpp, LM Studio. The key is read from the
    environment variable `api_key_variable`; servers without keys need none. `replay` is a JSONL file of answers to
    take instead of asking. Times are in seconds: `connect_timeout` for the connection, `timeout` for an attempt from
    beginning to end, `backoff` before the second attempt, doubled before each further one; a server that says
    `Retry-After` is obeyed, up to `longest_wait`. The budget counts attempts and tokens of a run, from the moment
    the system is loaded; when it is spent nothing more is sent, and what is under way is finished. Prices are in USD
    per million tokens.

    Raises:
        ConfigError: a number is out of its range, or the address is none.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key_variable: str = "OPENAI_API_KEY"
    temperature: float = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    cache: Path = Path("runs/answers.sqlite")
    replay: Path | None = None
    concurrency: int = 8
    attempts: int = 6
    connect_timeout: float = 5.0
    timeout: float = 60.0
    backoff: float = 1.0
    longest_wait: float = 120.0
    budget_requests: int | None = None
    budget_tokens: int | None = None
    prompt_price: float = 0.0
    answer_price: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("attempts", 1), ("max_tokens", 1), ("backoff", 0.0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}", allowed=f"it is at least {least}", todo="raise it")
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"base_url is {self.base_url!r}",
                allowed="it is an address such as http://localhost:11434/v1",
                todo="add the scheme",
            )
        for name in ("connect_timeout", "timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}", allowed="it is a number of seconds above 0", todo="raise it"
                )


def asked(request: Request, settings: LLMSettings) -> dict[str, Any]:
    """All that an answer depends on, as JSON can hold it; images by their SHA-256. What is not set is left out."""
    parts = {
        "model": settings.model,
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
        "system": request.system or None,
        "prompt": request.prompt,
        "images": [hashlib.sha256(image).hexdigest() for image in request.images] or None,
    }
    return {name: value for name, value in parts.items() if value is not None}


def fingerprint(question: Mapping[str, Any]) -> str:
    """The key of what `asked` gives: SHA-256 over its canonical JSON."""
    text = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def messages(request: Request) -> list[dict[str, Any]]:
    """The request as the messages of a chat completion."""
    content: str | list[dict[str, Any]] = request.prompt
    if request.images:
        urls = (f"data:{_media_type(image)};base64,{base64.b64encode(image).decode()}" for image in request.images)
        content = [{"type": "text", "text": request.prompt}]
        content += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": content}]


_SIGNATURES: Final = ((b"\x89PNG", "image/png"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))


def _media_type(image: bytes) -> str:
    return next((name for signature, name in _SIGNATURES if image.startswith(signature)), "image/jpeg")
