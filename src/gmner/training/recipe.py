"""What a recipe is: one TOML file that says what is trained, from what, and how."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from gmner.training.loop import Task, TrainingConfig
from gmner.types import Example, Prediction


class Tested(NamedTuple):
    """What a trained model does on the test split.

    `tasks` are those of `metrics.evaluate` that the predictions are scored under, `measures` further numbers in
    percent that no task has, such as the accuracy of visual entailment.
    """

    predictions: list[Prediction]
    tasks: tuple[str, ...]
    measures: dict[str, float]


class Recipe(Protocol):
    """What `gmner train` reads: a frozen dataclass for each kind of model; `training.recipes` lists them.

    `about` is one sentence for the reader and `task` what is trained. A recipe that `reads_knowledge` needs posts with
    the answers of a language model.
    """

    @property
    def about(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def training(self) -> TrainingConfig: ...
    @property
    def reads_knowledge(self) -> bool: ...

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> Task:
        """A new model, with what it is trained on and scored by."""

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """What the model that a task saved into `folder` does on the test split."""
