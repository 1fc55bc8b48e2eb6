"""`docs/results.md` from result cards: every number of the page stands in a card or in a paper."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gmner.errors import DataError
from gmner.metrics import PROTOCOLS, TASKS
from gmner.report.card import Card, CardScore
from gmner.report.published import all_tables
from gmner.report.table import Table, markdown_escape

_INTRODUCTION: Final = (
    "This page is written by `gmner results` from the cards in `results/`, one card a run; to change it, add a card. "
    "Numbers are percent. Of several seeds it gives the mean, and the standard deviation of F1 between them; of one "
    "seed the 95 % interval of F1 over resampled posts. [protocols.md](protocols.md) says what each protocol counts. "
    "Rows of protocol “paper” are printed in papers, not measured here: by which rule and on which version of the data "
    "papers say in part only, so compare with care."
)


class Group(NamedTuple):
    """What runs have in common that differ in the seed only."""

    data: str
    version: str
    split: str
    system: str
    recipe: str
    changes: tuple[str, ...]
    inputs: str


def results_page(cards: Mapping[Path, Card]) -> str:
    """The page, as Markdown.

    Raises:
        DataError: two cards are of the same run and seed.
    """
    groups = _group(cards)
    parts = ["# Results", _INTRODUCTION]
    for place in dict.fromkeys((group.data, group.version, group.split) for group in groups):
        here = {group: runs for group, runs in groups.items() if group[:3] == place}
        parts.append(f"## {markdown_escape('{} {}, {}'.format(*place))}")
        scored = {score.task for runs in here.values() for card in runs for score in card.scores}
        for task in TASKS:
            if task in scored:
                parts += [f"### {task.upper()}", _task_table(task, place[0], here).markdown()]
        if any(card.measures for runs in here.values() for card in runs):
            parts += ["### Other measures", _measure_table(place[0], here).markdown()]
    parts += ["## Cards", _run_table(cards).markdown()]
    return "\n\n".join(parts) + "\n"


def _group(cards: Mapping[Path, Card]) -> dict[Group, list[Card]]:
    """Cards by what they share, in the order of names; seeds rise."""
    groups: dict[Group, list[Card]] = {}
    first: dict[tuple[Group, int | None], Path] = {}
    for path, card in sorted(cards.items(), key=lambda item: (item[1].seed is not None, item[1].seed or 0)):
        changes = tuple(change for change in card.changes if change.partition("=")[0].strip() != "training.seed")
        group = Group(card.data, card.version, card.split, card.system, card.recipe, changes, card.inputs)
        if (group, card.seed) in first:
            raise DataError(
                str(path),
                f"the same run with the same seed as {first[group, card.seed]}",
                allowed="each run and seed has one card",
                todo="keep the card that counts",
            )
        first[group, card.seed] = path
        groups.setdefault(group, []).append(card)
    return dict(sorted(groups.items()))


def _task_table(task: str, data: str, groups: Mapping[Group, Sequence[Card]]) -> Table:
    """A task's rows under each protocol, the best first; then what papers report."""
    rows: list[tuple[float, tuple[str, ...]]] = []
    for protocol in PROTOCOLS:
        under = []
        for group, runs in groups.items():
            scores = [
                (card, score)
                for card in runs
                for score in card.scores
                if (score.protocol, score.task) == (protocol, task)
            ]
            if scores:
                under.append(_score_row(group, scores))
        rows += sorted(under, key=lambda row: -row[0])
    papers = [
        (scores[task][2], (method, table.source, "paper", *map(_number, scores[task]), "", "", ""))
        for table in all_tables()
        if table.data == data and table.main
        for method, scores in table.rows.items()
        if task in scores
    ]
    rows += sorted(papers, key=lambda row: -row[0])
    head = ("system", "recipe", "protocol", "P", "R", "F1", "spread or interval", "seeds", "commit")
    return Table("", head, [row for _, row in rows], words=3)


def _score_row(group: Group, scores: Sequence[tuple[Card, CardScore]]) -> tuple[float, tuple[str, ...]]:
    """The mean F1 and the row."""
    found = [score for _, score in scores]
    f1 = [score.f1 for score in found]
    spread = f"± {statistics.stdev(f1):.2f}" if len(f1) > 1 else f"{found[0].low:.2f} to {found[0].high:.2f}"
    means = [statistics.fmean(values) for values in zip(*((s.precision, s.recall, s.f1) for s in found), strict=True)]
    cards = [card for card, _ in scores]
    protocol = f"{found[0].protocol}, {found[0].threshold}" if TASKS[found[0].task].region else found[0].protocol
    cells = (group.system, _recipe(group), protocol, *map(_number, means), spread, *_sources(cards))
    return means[-1], cells


def _measure_table(data: str, groups: Mapping[Group, Sequence[Card]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(name for runs in groups.values() for card in runs for name in card.measures):
        told = name.replace("_", " ")
        ours = []
        for group, runs in groups.items():
            cards = [card for card in runs if name in card.measures]
            if cards:
                values = [card.measures[name] for card in cards]
                spread = f"± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
                mean = statistics.fmean(values)
                ours.append((mean, (told, group.system, _recipe(group), _number(mean), spread, *_sources(cards))))
        papers = [
            (values[name], (told, method, table.source, _number(values[name]), "", "", ""))
            for table in all_tables()
            if table.data == data and table.main
            for method, values in table.measures.items()
            if name in values
        ]
        rows += [row for side in (ours, papers) for _, row in sorted(side, key=lambda row: -row[0])]
    head = ("measure", "system", "recipe", "value", "spread", "seeds", "commit")
    return Table("", head, rows, words=3)


def _run_table(cards: Mapping[Path, Card]) -> Table:
    rows = [
        (
            path.name,
            card.command,
            f"{card.data} {card.version}, {card.split}",
            card.commit,
            "" if card.seed is None else f"{card.seed}",
            card.machine,
            "" if card.seconds is None else f"{card.seconds:,.0f}",
        )
        for path, card in sorted(cards.items(), key=lambda item: item[0].name)
    ]
    return Table("", ("card", "command", "data", "commit", "seed", "machine", "seconds"), rows, words=6)


def _recipe(group: Group) -> str:
    """The recipe with what was changed in it and read beside the data."""
    return ", ".join(filter(None, (group.recipe, *group.changes, group.inputs)))


def _sources(cards: Sequence[Card]) -> tuple[str, str]:
    """Seeds and commits."""
    seeds = ", ".join(f"{card.seed}" for card in cards if card.seed is not None)
    return seeds, ", ".join(dict.fromkeys(card.commit for card in cards))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
