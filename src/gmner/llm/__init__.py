"""Language models: questions in bulk, answers that are kept on disk, and recorded answers where there is no model."""

from collections.abc import Callable, Sequence
from typing import Protocol

from gmner.errors import GmnerError
from gmner.llm.cache import export_answers, import_answers
from gmner.llm.client import LLM
from gmner.llm.progress import Progress, progress_bar
from gmner.llm.replay import Replay
from gmner.llm.request import Answer, LLMSettings, Request

__all__ = [
    "LLM",
    "Answer",
    "LLMSettings",
    "Progress",
    "Provider",
    "Replay",
    "Request",
    "export_answers",
    "import_answers",
    "progress_bar",
    "provider",
]


class Provider(Protocol):
    """Whatever answers requests: a model, or a file of what one answered before."""

    def ask(
        self, requests: Sequence[Request], progress: Callable[[Progress], None] | None = None
    ) -> list[Answer | GmnerError]:
        """An answer to each request, or the error that it met, in order."""
        ...

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        """The requests that have no answer yet."""
        ...


def provider(settings: LLMSettings) -> Provider:
    """The file of answers if the settings name one in `replay`, else the model.

    Raises:
        DataError: the file is missing or damaged.
    """
    return LLM(settings) if settings.replay is None else Replay(settings, settings.replay)
