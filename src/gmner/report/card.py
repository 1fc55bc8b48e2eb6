"""A result card: one run of one system on one data set, with all that is needed to believe the numbers, as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gmner.config import from_dict, to_dict
from gmner.data.files import located, read_text, replacing
from gmner.errors import DataError, GmnerError
from gmner.metrics.posts import Missing
from gmner.report.scores import score_all
from gmner.report.table import Table, markdown_escape
from gmner.types import Example, Prediction

SCHEMA: Final = 1
"""The version of the form of cards that is written and read."""


@dataclass(frozen=True)
class CardScore:
    """A task's score under a protocol, in percent; `low` and `high` are the 95 % bootstrap interval of F1."""

    protocol: str
    threshold: str
    task: str
    precision: float
    recall: float
    f1: float
    low: float
    high: float


@dataclass(frozen=True)
class CardEpoch:
    """What one epoch of training gave."""

    number: int
    loss: float
    seconds: float
    dev: dict[str, float]


@dataclass(frozen=True)
class Card:
    """One run of one system.

    Args:
        system: its name; runs that differ in nothing but the seed share it.
        data: the data set.
        version: its version, or the fingerprint of the posts.
        split: which part of it was scored.
        posts: how many posts that are.
        commit: of the code that ran.
        about: one sentence for the reader.
        recipe: the recipe's file name; empty where nothing was trained.
        changes: settings that differ from the recipe, as `key=value`.
        inputs: what was read beside the data set, such as recorded knowledge.
        command: what was typed.
        seed: of the training; None where nothing is drawn.
        machine: in general words.
        seconds: of wall time that the training took (or the prediction, where nothing was trained).
        scores: under every protocol that the data allow.
        measures: further numbers in percent that no task has, such as `groundable_accuracy`.
        epochs: of the training.
        schema: the version of this form.
    """

    system: str
    data: str
    version: str
    split: str
    posts: int
    commit: str
    about: str = ""
    recipe: str = ""
    changes: tuple[str, ...] = ()
    inputs: str = ""
    command: str = ""
    seed: int | None = None
    machine: str = ""
    seconds: float | None = None
    scores: tuple[CardScore, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    epochs: tuple[CardEpoch, ...] = ()
    schema: int = SCHEMA

    def markdown(self) -> str:
        """The card as the page that stands beside a model's weights."""
        facts = {
            "made by": f"`{self.command}`" if self.command else "",
            "commit": markdown_escape(self.commit),
            "data": markdown_escape(f"{self.data} {self.version}, {self.split}: {self.posts:,} posts"),
            "beside it": markdown_escape(self.inputs),
            "seed": "" if self.seed is None else f"{self.seed}",
            "machine": markdown_escape(self.machine),
            "seconds": "" if self.seconds is None else f"{self.seconds:,.0f}",
            **{name.replace("_", " "): f"{value:.2f}" for name, value in self.measures.items()},
        }
        epochs = Table(
            "Training; dev chose the epoch.",
            ("epoch", "loss", "seconds", *next((list(epoch.dev) for epoch in self.epochs), [])),
            [
                (f"{e.number}", f"{e.loss:.4f}", f"{e.seconds:.0f}", *(f"{value:.2f}" for value in e.dev.values()))
                for e in self.epochs
            ],
            words=0,
        )
        scores = Table(
            f"Scores on {self.split} in percent.",
            ("task", "protocol", "region", "P", "R", "F1", "95 % interval"),
            [
                (
                    *(score.task.upper(), score.protocol, score.threshold),
                    *(f"{value:.2f}" for value in (score.precision, score.recall, score.f1)),
                    f"{score.low:.2f} to {score.high:.2f}",
                )
                for score in self.scores
            ],
            words=3,
        )
        parts = [
            f"# {markdown_escape(self.system)}",
            markdown_escape(self.about),
            "\n".join(f"- {name}: {value}" for name, value in facts.items() if value),
            *(table.markdown() for table in (epochs, scores) if table.rows),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def card_scores(
    gold: Sequence[Example],
    predicted: Sequence[Prediction],
    tasks: Sequence[str] | None = None,
    *,
    missing: Missing = "error",
) -> tuple[CardScore, ...]:
    """Scores for a card: all tasks, or those that are named, under every protocol that the posts allow.

    Raises:
        MismatchError, UnknownNameError, ConfigError: as `metrics.evaluate` under protocol `span`.
    """
    scores = score_all(gold, predicted, tasks=tasks, missing=missing)
    return tuple(
        CardScore(
            protocol,
            str(report.threshold),
            task,
            *(
                round(100 * rate, 4)
                for rate in (
                    *(score.precision, score.recall, score.f1),
                    *(scores.intervals[protocol, task].low, scores.intervals[protocol, task].high),
                )
            ),
        )
        for protocol, report in scores.reports.items()
        for task, score in report.scores.items()
    )


def write_card(path: Path, card: Card) -> None:
    """Write a card as JSON; the file appears whole or not at all.

    Raises:
        DataError: the file can not be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(to_dict(card), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def read_card(path: Path) -> Card:
    """Read a card that `write_card` wrote.

    Raises:
        DataError: there is no such file, or it is no card of this version.
    """
    try:
        values = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}", error.msg, allowed="cards are JSON", todo="mend the file") from None
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise DataError(
            str(path),
            "no result card that this version reads",
            allowed=f'cards are JSON objects with "schema": {SCHEMA}',
            todo="give files that gmner train or gmner card wrote",
        )
    try:
        return from_dict(Card, values)
    except GmnerError as error:
        raise located(error, str(path)) from None
