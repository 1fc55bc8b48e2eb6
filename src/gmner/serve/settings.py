"""How the service behaves, and what it takes at most."""

from dataclasses import dataclass
from typing import Final

from gmner.image import MAX_BYTES

BODY_BYTES: Final = MAX_BYTES * 4 // 3 + (1 << 20)
"""The longest body: one picture of the largest size in base64, and a megabyte beside it."""

FORM_BYTES: Final = MAX_BYTES + (1 << 20)
"""The longest form: the same, where the picture comes as it is."""

HELD_BYTES: Final = 4 * BODY_BYTES
"""Bytes of the bodies of all requests that are under way; past it requests get 429. It bounds the memory."""

TEXT_CHARACTERS: Final = 20_000

CONNECTIONS: Final = 512
"""Open connections; requests on further ones get 503, so that no client can use up the process's files."""


@dataclass(frozen=True)
class ServiceSettings:
    """How the service behaves.

    Args:
        batch_size: posts that go to the system together.
        queue: posts that may wait; past it requests get 429.
        timeout: seconds that a request may take from its first line to its answer; then it gets 503, or 408 where its
            body has not come by then.
        api_key: what every request must carry, if set.
        urls: fetch pictures by URL.
    """

    batch_size: int = 8
    queue: int = 64
    timeout: float = 60.0
    api_key: str | None = None
    urls: bool = False


DEFAULTS: Final = ServiceSettings()
