"""What a model in training finds, and how good that is."""

from collections.abc import Sequence
from typing import Any, Protocol

from gmner.metrics import evaluate
from gmner.types import Entity, Example, Prediction


class Encoded(Protocol):
    """A post as a model's numbers."""

    @property
    def example(self) -> Example:
        """The post."""


class Codec(Protocol):
    """Between posts and the tensors of a model."""

    def predict(self, model: Any, encoded: Sequence[Any]) -> list[tuple[Entity, ...]]:
        """What the model finds in every post."""


def predict(model: Any, codec: Codec, posts: Sequence[Encoded]) -> list[Prediction]:
    """What a model finds in every post."""
    found = codec.predict(model, posts)
    return [Prediction(example=post.example, entities=entities) for post, entities in zip(posts, found, strict=True)]


def f1_scores(predictions: Sequence[Prediction], tasks: Sequence[str]) -> dict[str, float]:
    """F1 of each task in percent, against the entities of the predictions' own examples."""
    report = evaluate([prediction.example for prediction in predictions], predictions, tasks=tasks)
    return {f"{task}_f1": 100 * report[task].f1 for task in tasks}
