"""A small client of the service; it needs nothing but the package's own dependencies."""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from gmner.data.rows import prediction_from_row, row_from_example
from gmner.errors import GmnerError, ImageError
from gmner.types import Example, Prediction


class ServiceError(GmnerError):
    """A service that can not be reached, or that refused a request as a whole; `status` is HTTP's, 0 without one."""

    def __init__(self, status: int, given: str) -> None:
        super().__init__(given, allowed="a service answers posts as gmner serve does", todo="see what it says")
        self.status = status


class PostError(GmnerError):
    """What the service found wrong with one post."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.given, self.allowed, self.todo = message, "", ""


@dataclass(frozen=True)
class Client:
    """`Client("http://127.0.0.1:8000").attempt(examples)`: as a system of one's own.

    Pictures are sent as the bytes of their files, so that they must be paths, bytes or absent; beside them id, text,
    tokens, caption, description, knowledge and candidates.
    """

    url: str
    api_key: str | None = None
    timeout: float = 120.0

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        """One prediction, or what the service found wrong, for every post, in order; at most 32 posts.

        Raises:
            ServiceError: the service can not be reached or refused the request.
            ImageError: a picture can not be read or is only in memory.
        """
        body = {"posts": [_post(example) for example in examples]}
        rows = self._send("/v1/predict", body)
        return [
            PostError(row["error"]["message"])
            if "error" in row
            else prediction_from_row(row, f"{self.url}: post {number}")
            for number, row in enumerate(rows, 1)
        ]

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """One prediction for every post.

        Raises:
            GmnerError: as `attempt`, or what was wrong with the first bad post.
        """
        results = self.attempt(examples)
        for result in results:
            if isinstance(result, GmnerError):
                raise result
        return [result for result in results if isinstance(result, Prediction)]

    def _send(self, route: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        request = urllib.request.Request(
            self.url.rstrip("/") + route,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"} | ({"X-API-Key": self.api_key} if self.api_key else {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            told = _told(error.read())
            if error.code in (422, 500) and len(body["posts"]) == 1:  # as it stands in the row of one among several
                return [{"error": {"message": told}}]
            raise ServiceError(error.code, f"{self.url} refused with status {error.code} ({told})") from None
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceError(0, f"{self.url} can not be reached ({error})") from None
        try:
            rows: list[dict[str, Any]] = answer["posts"]
        except (LookupError, TypeError):
            raise ServiceError(200, f"{self.url} answers, but not as this service does") from None
        return rows


_TOLD: Final = ("id", "text", "tokens", "caption", "description", "knowledge", "candidates")
"""What the service takes of a row, its picture aside."""


def _post(example: Example) -> dict[str, Any]:
    row = row_from_example(replace(example, image=None))
    fields: dict[str, Any] = {name: row[name] for name in _TOLD if name in row}
    image = example.image
    if image is None:
        return fields
    if isinstance(image, str | PathLike):
        try:
            image = Path(image).read_bytes()
        except OSError as error:
            raise ImageError(
                f"picture {os.fspath(image)!r} can not be read ({error.strerror})",
                allowed="a picture is a file",
                todo="check it",
            ) from None
    if not isinstance(image, bytes):
        raise ImageError(
            f"a picture of type {'array' if isinstance(image, np.ndarray) else type(image).__name__}",
            allowed="the client sends files: paths or bytes",
            todo="write it to a file first",
        )
    return {**fields, "image": base64.b64encode(image).decode()}


def _told(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
