"""What a system is: Examples to Predictions, in bulk, each bad example its own error."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from gmner.errors import ConfigError, GmnerError
from gmner.types import Example, Prediction


class System(Protocol):
    """Anything that finds entities in posts: a cascade, a joint model, a multimodal LLM."""

    name: str

    @abstractmethod
    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        """One prediction, or the error that it met, for every example, in order."""

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """One prediction for every example, in order.

        Raises:
            GmnerError: the first example that can not be read (`attempt` gives the others' predictions all the same).
        """
        predictions: list[Prediction] = []
        for result in self.attempt(examples):
            if isinstance(result, GmnerError):
                raise result
            predictions.append(result)
        return predictions


def refuse_others(examples: Sequence[Example]) -> None:
    """Raise a ConfigError unless `examples` is a sequence of Examples."""
    alien = [examples] if not isinstance(examples, Sequence) else [e for e in examples if not isinstance(e, Example)]
    if alien:
        raise ConfigError(
            f"a system was given a {type(alien[0]).__name__}",
            allowed="it takes a list of gmner.Example",
            todo="wrap it: predict([gmner.Example(text=..., image=...)])",
        )
