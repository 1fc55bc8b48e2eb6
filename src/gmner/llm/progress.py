"""How far a run of questions has come, and what is left of it in time and money."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Counts of one run. `known` questions had an answer before; `to_ask` are the others.

    `requests` counts all attempts. Prices are in USD per million tokens, times in seconds.
    """

    known: int
    to_ask: int
    answered: int = 0
    failed: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    prompt_price: float = 0.0
    answer_price: float = 0.0

    @property
    def finished(self) -> int:
        return self.answered + self.failed

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.answer_tokens

    @property
    def cost(self) -> float:
        """USD spent so far."""
        return (self.prompt_tokens * self.prompt_price + self.answer_tokens * self.answer_price) / 1e6

    @property
    def expected_cost(self) -> float | None:
        """USD of the whole run if it goes on as so far; None before the first question is finished."""
        return self.cost / self.finished * self.to_ask if self.finished else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to go if it goes on as so far; None before the first question is finished."""
        return self.seconds / self.finished * (self.to_ask - self.finished) if self.finished else None

    def __str__(self) -> str:
        parts = [f"{self.answered} of {self.to_ask} answered"]
        parts += [f"{self.known} known before"] * bool(self.known) + [f"{self.failed} failed"] * bool(self.failed)
        parts += [f"{self.requests} requests", f"{self.tokens} tokens"]
        if self.expected_cost and self.seconds_left is not None:
            parts += [f"{self.cost:.2f} of about {self.expected_cost:.2f} USD"]
        if self.seconds_left:
            minutes, seconds = divmod(round(self.seconds_left), 60)
            parts += [f"about {minutes}:{seconds:02d} left"]
        return ", ".join(parts)


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on the terminal for the `progress` of `ask`: `with progress_bar() as show: llm.ask(requests, show)`."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("asking", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, total=progress.to_ask, completed=progress.finished, description=str(progress))

        yield show
