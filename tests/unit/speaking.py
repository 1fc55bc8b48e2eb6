"""A language model that answers as it is told, for tests of what is asked and of what becomes of the answers."""

from collections.abc import Callable, Sequence

from gmner.errors import GmnerError, LLMError
from gmner.llm import Answer, Progress, Request

SILENT = LLMError("nobody is there", allowed="a model answers", todo="start it")


class Speaker:
    """Answers each request with what `say` makes of it; an error where that is None."""

    def __init__(self, say: Callable[[Request], str | None], *, complete: bool = True) -> None:
        self.say, self.complete = say, complete
        self.calls: list[list[Request]] = []

    @property
    def requests(self) -> list[Request]:
        return [request for call in self.calls for request in call]

    def ask(
        self, requests: Sequence[Request], progress: Callable[[Progress], None] | None = None
    ) -> list[Answer | GmnerError]:
        self.calls.append(list(requests))
        if progress is not None:
            progress(Progress(known=0, to_ask=len(requests)))
        said = [self.say(request) for request in requests]
        return [SILENT if text is None else Answer(text, "speaker", self.complete) for text in said]

    def unanswered(self, requests: Sequence[Request]) -> list[Request]:
        return list(requests)
