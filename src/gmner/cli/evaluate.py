"""`gmner evaluate`: predictions against gold, under a named protocol."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer
from rich.console import Console
from rich.table import Table

from gmner.errors import ConfigError, DataError, GmnerError

if TYPE_CHECKING:
    from gmner.metrics import Comparison, Interval, Report
    from gmner.metrics.posts import Missing
    from gmner.metrics.regions import RegionMeasures
    from gmner.types import Prediction

EVERY = "all"


class Scored(NamedTuple):
    """A report, and by task its bootstrap intervals and its comparison with another system."""

    report: "Report"
    intervals: "dict[str, Interval]"
    comparisons: "dict[str, Comparison]"


def evaluate(
    gold: Annotated[Path, typer.Option(help="Gold: a file of posts, or a data set's folder.")],
    predictions: Annotated[Path, typer.Option("--pred", help="Predictions: a file that `gmner predict` wrote.")],
    task: Annotated[list[str] | None, typer.Option(help="mner, eeg, gmner, ees or smner; may be repeated.")] = None,
    protocol: Annotated[str, typer.Option(help="span, riveg, h-index, mqspn, or all of them.")] = "span",
    iou: Annotated[float, typer.Option(help="IoU that a region must exceed (span only).")] = 0.5,
    inclusive: Annotated[bool, typer.Option("--inclusive", help="Reaching --iou is enough (span only).")] = False,
    top: Annotated[int, typer.Option(help="Candidates that a post keeps (h-index only).")] = 18,
    split: Annotated[str | None, typer.Option(help="Which split of a data set's folder: train, dev or test.")] = None,
    samples: Annotated[int, typer.Option("--bootstrap", help="Samples for an interval around F1; 0 for none.")] = 0,
    against: Annotated[Path | None, typer.Option(help="Another system's predictions, for paired tests.")] = None,
    missing: Annotated[str, typer.Option(help="Posts without prediction: error, or empty (nothing found).")] = "error",
    regions: Annotated[
        bool, typer.Option("--regions", help="Add mIoU, Prec@t, entailment accuracy, and F1 against the IoU.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Score predictions against gold. docs/protocols.md says what each protocol counts as right.

    Example: gmner evaluate --gold posts.jsonl --pred entities.jsonl

    Example: gmner evaluate --gold twitter_gmner_v2 --split test --pred a.jsonl --against b.jsonl --bootstrap 1000
    """
    from gmner.data import read
    from gmner.data.rows import read_predictions
    from gmner.metrics import PROTOCOLS, bootstrap, compare, measure_regions
    from gmner.metrics import evaluate as score

    if samples < 0:
        raise ConfigError(f"--bootstrap {samples}", allowed="a number of samples, or 0", todo="give one like 1000")
    examples = read(gold, split=split)
    if not examples:
        raise DataError(
            f"{gold}, split {split}" if split else f"{gold}",
            "no posts",
            allowed="predictions are scored against one gold post or more",
            todo="check that it is the file (and the split) that you mean",
        )
    ours = read_predictions(predictions)
    theirs = None if against is None else read_predictions(against)

    def report_of(side: "Sequence[Prediction]", name: str) -> "Report":
        gaps = cast("Missing", missing)  # a wrong value is refused where posts are joined
        return score(examples, side, tasks=task, protocol=name, iou=iou, inclusive=inclusive, top=top, missing=gaps)

    results: list[Scored] = []
    refused: dict[str, GmnerError] = {}
    for name in PROTOCOLS if protocol == EVERY else (protocol,):
        try:
            report = report_of(ours, name)
            rival = None if theirs is None else report_of(theirs, name)
            intervals = {key: bootstrap(report, key, samples=samples) for key in report.scores if samples}
            comparisons = {key: compare(report, rival, key, samples=samples or 1000) for key in report.scores if rival}
            results.append(Scored(report, intervals, comparisons))
        except GmnerError as error:
            refused[name] = error
    if not results:
        raise next(iter(refused.values()))

    measured = measure_regions(examples, ours, missing=cast("Missing", missing)) if regions else None
    source = f"{gold}, split {split}" if split else f"{gold}"
    if as_json:
        rows = {
            "gold": source,
            "predictions": f"{predictions}",
            "against": None if against is None else f"{against}",
            "reports": [_plain(result) for result in results],
            "not_scored": {name: f"{reason}" for name, reason in refused.items()},
        } | ({} if measured is None else {"regions": measured.to_dict()})
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    console = Console()
    typer.echo(f"{predictions} against {source}")
    for result in results:
        typer.echo(f"\n{_heading(result.report)}")
        console.print(_table(result))
        if result.comparisons:
            typer.echo(f"\n{predictions} less {against}, {result.report.heading}")
            console.print(_comparison_table(result))
    if measured is not None:
        typer.echo("\nregions, types aside")
        for table in _region_tables(measured):
            console.print(table)
    for name, reason in refused.items():
        typer.echo(f"\nnot scored under {name}: {reason}")


def _plain(result: Scored) -> dict[str, Any]:
    return result.report.to_dict() | {
        "intervals": {task: interval._asdict() for task, interval in result.intervals.items()},
        "comparisons": {task: comparison._asdict() for task, comparison in result.comparisons.items()},
    }


def _heading(report: "Report") -> str:
    """How it was scored and of what, and what a reader must know, a line each."""
    gaps = f", {report.unpredicted} of them without prediction" if report.unpredicted else ""
    heading = f"{report.heading}{gaps}; {report.groundable} gold entities in the picture"
    return "\n".join([heading, *(f"note: {note}" for note in report.notes)])


def _table(result: Scored) -> Table:
    """The rows of a report, rates in percent."""
    report = result.report
    table = Table("task", "over")
    for column in ("P", "R", "F1", *(["95 % interval"] if result.intervals else []), "right", "predicted", "gold"):
        table.add_column(column, justify="right")
    for row in report.table():
        rates = [_percent(rate) for rate in (row.precision, row.recall, row.f1)]
        interval = result.intervals.get(row.task)
        whole = row.what == report[row.task].average
        bounds = [f"{_percent(interval.low)} to {_percent(interval.high)}" if whole else ""] if interval else []
        table.add_row(row.task, row.what, *rates, *bounds, *(f"{n}" for n in row[5:]))
    return table


def _comparison_table(result: Scored) -> Table:
    """The difference in F1 points of each task."""
    table = Table("task")
    for column in ("F1 difference", "95 % interval", "p (paired bootstrap)", "p (randomisation)"):
        table.add_column(column, justify="right")
    for task, found in result.comparisons.items():
        bounds = f"{100 * found.low:+.2f} to {100 * found.high:+.2f}"
        p_values = f"{found.p_bootstrap:.4f}", f"{found.p_randomisation:.4f}"
        table.add_row(task, f"{100 * found.difference:+.2f}", bounds, *p_values)
    return table


def _region_tables(measured: "RegionMeasures") -> list[Table]:
    """Overlap, entailment and candidates in one table, F1 against the IoU threshold in another; percent."""
    from gmner.metrics.regions import PRECISIONS, THRESHOLDS

    overlap = Table("measure")
    for column in ("boxes", "masks"):
        overlap.add_column(column, justify="right")
    kinds = [measured.boxes, measured.masks]
    overlap.add_row("mIoU", *(_percent(found.mean_iou) if found else "" for found in kinds))
    for iou in PRECISIONS:
        overlap.add_row(f"Prec@{iou}", *(_percent(found.precision(iou)) if found else "" for found in kinds))
    for top, share in measured.coverage.items():
        overlap.add_row(f"Top{top}-Prec@0.5 of gold's candidates", _percent(share))
    overlap.add_row("gold entities in the picture", *(f"{len(found.ious)}" if found else "" for found in kinds))
    overlap.add_row("visual entailment, accuracy", _percent(measured.entailment.accuracy))
    overlap.add_row("gold entities whose span was predicted", f"{measured.entailment.judged}")
    curves = Table("IoU >")
    for task in measured.curves:
        curves.add_column(f"{task} F1", justify="right")
    for place, threshold in enumerate(THRESHOLDS):
        curves.add_row(f"{threshold:g}", *(_percent(curve[place]) for curve in measured.curves.values()))
    return [overlap, curves]


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"
