"""Scores as values: counts of every post, and precision, recall and F1 from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from gmner.errors import UnknownNameError
from gmner.metrics.overlap import Threshold
from gmner.types import ENTITY_TYPES, EntityType

Average = Literal["micro", "macro"]


def rates(counts: Int64[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 3"]:
    """Precision, recall and F1 of counts (right, predicted, gold); 0 where a denominator is 0."""
    right, predicted, gold = np.moveaxis(counts, -1, 0)
    return np.stack(
        [right / np.maximum(predicted, 1), right / np.maximum(gold, 1), 2 * right / np.maximum(predicted + gold, 1)],
        axis=-1,
    )


def averaged(counts: Int64[np.ndarray, "*shape types 3"], average: Average) -> Float[np.ndarray, "*shape 3"]:
    """Precision, recall and F1 over types: of the summed counts (micro), or the means of the types' own (macro).

    A type that occurs neither in gold nor in predictions has no part in the macro average.
    """
    if average == "micro":
        return rates(counts.sum(axis=-2))
    occurs = counts[..., 1:].sum(axis=-1, keepdims=True) > 0
    return np.asarray((rates(counts) * occurs).sum(axis=-2) / np.maximum(occurs.sum(axis=-2), 1))


class Row(NamedTuple):
    """One line of a score table; rates are in [0, 1]. `what` is `micro`, `macro` or a type."""

    task: str
    what: str
    precision: float
    recall: float
    f1: float
    right: int
    predicted: int
    gold: int


@dataclass(frozen=True, eq=False)
class Score:
    """One task's score. `precision`, `recall` and `f1` are averaged over types as `average` says.

    `counts` holds (right, predicted, gold) of every post, in the order of the report's `ids`, so that resampling
    needs no new matching. The type axis follows `types`; a task that drops the type has one column and no `types`.
    """

    task: str
    average: Average
    types: tuple[EntityType, ...]
    counts: Int64[np.ndarray, "posts types 3"]

    @property
    def precision(self) -> float:
        return self.row().precision

    @property
    def recall(self) -> float:
        return self.row().recall

    @property
    def f1(self) -> float:
        return self.row().f1

    @property
    def right(self) -> int:
        return self.row().right

    @property
    def predicted(self) -> int:
        return self.row().predicted

    @property
    def gold(self) -> int:
        return self.row().gold

    def row(self, average: Average | None = None) -> Row:
        """The whole score, averaged as the protocol does unless `average` says otherwise."""
        average = average or self.average
        total = self.counts.sum(axis=0)
        return Row(self.task, average, *averaged(total, average).tolist(), *total.sum(axis=0).tolist())

    def of_type(self, entity_type: EntityType) -> Row:
        """The score of one type.

        Raises:
            UnknownNameError: the task drops the type, or there is no such type.
        """
        if entity_type not in self.types:
            raise UnknownNameError(f"type row of task {self.task}", entity_type, self.types or ["micro"])
        counts = self.counts[:, self.types.index(entity_type)].sum(axis=0)
        return Row(self.task, entity_type, *rates(counts).tolist(), *counts.tolist())

    def table(self) -> list[Row]:
        """The whole score, under a macro protocol beside it the micro average, and the types that occur."""
        whole = [self.row()] if self.average == "micro" else [self.row(), self.row("micro")]
        typed = [self.of_type(entity_type) for entity_type in self.types]
        return whole + [row for row in typed if row.predicted or row.gold]


@dataclass(frozen=True, eq=False)
class Report:
    """The scores of one set of predictions under one protocol.

    `ids` are the scored posts, sorted; `unpredicted` counts those that had no prediction and were counted as
    predicting nothing; `groundable` counts the gold entities that are in the picture. `notes` are sentences that a
    reader of the numbers must know.
    """

    protocol: str
    threshold: Threshold
    scores: Mapping[str, Score]
    ids: tuple[str, ...]
    groundable: int
    unpredicted: int = 0
    notes: tuple[str, ...] = ()

    def __getitem__(self, task: str) -> Score:
        """The score of a task by name.

        Raises:
            UnknownNameError: the report does not hold this task.
        """
        if task.lower() not in self.scores:
            raise UnknownNameError("task in this report", task, self.scores)
        return self.scores[task.lower()]

    @property
    def heading(self) -> str:
        """What was scored and how, in one line."""
        return f"protocol {self.protocol}, {self.threshold}, {len(self.ids)} post{'' if len(self.ids) == 1 else 's'}"

    def table(self) -> list[Row]:
        """All rows of all tasks."""
        return [row for score in self.scores.values() for row in score.table()]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, without the counts of single posts."""
        return {
            "protocol": self.protocol,
            "iou": self.threshold.iou,
            "comparison": ">=" if self.threshold.inclusive else ">",
            "posts": len(self.ids),
            "unpredicted": self.unpredicted,
            "groundable": self.groundable,
            "notes": list(self.notes),
            "scores": {name: [_plain(row) for row in score.table()] for name, score in self.scores.items()},
        }


def _plain(row: Row) -> dict[str, str | float | int]:
    return {key: value for key, value in row._asdict().items() if key != "task"}


def collect(task: str, average: Average, typed: bool, counts: Int64[np.ndarray, "posts types 3"]) -> Score:
    """A score of counts by type, which a task that drops the type sums away."""
    types = ENTITY_TYPES if typed else ()
    return Score(task, average, types, counts if typed else counts.sum(axis=1, keepdims=True))
