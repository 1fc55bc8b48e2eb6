"""Recorded answers in the place of a model: a run can be repeated by someone who has none."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gmner.errors import GmnerError, LLMError
from gmner.llm.cache import read_answers
from gmner.llm.progress import Progress
from gmner.llm.request import Answer, LLMSettings, Request, asked, fingerprint


class Replay:
    """Answers from a JSONL file, to the questions that were asked of the same model with the same settings.

    Raises:
        DataError: the file is missing or damaged.
    """

    def __init__(self, settings: LLMSettings, path: Path) -> None:
        self.settings, self.path = settings, path
        self._answers: dict[str, Answer] = {}
        for question, answer in read_answers(path):
            self._answers.setdefault(fingerprint(question), answer)

    def ask(
        self, requests: Sequence[Request], progress: Callable[[Progress], None] | None = None
    ) -> list[Answer | GmnerError]:
        """The recorded answer to each request, or an LLMError that says which sample has none."""
        found = [self._answers.get(fingerprint(asked(request, self.settings))) for request in requests]
        if progress is not None:
            progress(Progress(known=len(requests) - found.count(None), to_ask=0))
        return [answer or self._absent(request) for request, answer in zip(requests, found, strict=True)]

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        """The requests that the file has no answer for."""
        answers = zip(requests, self.ask(requests), strict=True)
        return [request for request, answer in answers if isinstance(answer, GmnerError)]

    def _absent(self, request: Request) -> LLMError:
        return LLMError(
            f"{self.path} has no answer for sample {request.id!r}",
            allowed=f"it answers what {self.settings.model!r} was asked in the recorded run, word for word",
            todo="use that run's prompts and settings, or ask a model",
        )
