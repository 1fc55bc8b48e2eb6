"""What a report says, section by section: words, tables and plots from the analyses of one or several systems."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gmner.metrics import TASKS
from gmner.metrics.regions import PRECISIONS, THRESHOLDS
from gmner.report import plots
from gmner.report.analysis import Analysis
from gmner.report.oracle import MENDS
from gmner.report.published import PublishedTable
from gmner.report.scores import Pairwise
from gmner.report.table import Table, percent
from gmner.report.taxonomy import KINDS, Kind
from gmner.types import ENTITY_TYPES

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

KIND_WORDS: Final[dict[Kind, str]] = {
    "right": "nothing is wrong",
    "span": "the spans overlap, but are not equal",
    "type": "another type",
    "called visible": "not in the picture, but a region was given",
    "called absent": "in the picture, but no region was given",
    "box": "the box overlaps no gold box enough",
    "mask": "the mask overlaps no gold mask enough",
    "spurious": "predicted, and no gold entity overlaps it",
    "missed": "gold, and no predicted entity overlaps it",
}


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, tables and HTML that only the page has (plots and pictures)."""

    name: str
    paragraphs: Sequence[str]
    tables: Sequence[Table] = ()
    figures: Sequence[str] = ()


def facts(systems: Sequence[Analysis], source: str) -> list[str]:
    """What was scored, what was left out and why, in sentences; `source` says what the gold posts are."""
    posts = systems[0].posts
    entities = [entity for post in posts for entity in post.gold]
    visible = sum(entity.visible for entity in entities)
    told = [
        f"Gold: {source}: {len(posts):,} posts, {len(entities):,} entities, {visible:,} of them in the picture.",
        *(f"{system.name}: {_amount(system)}" for system in systems),
    ]
    refused: dict[str, list[str]] = {}
    notes: list[str] = []
    for system in systems:
        for protocol, reason in system.scores.refused.items():
            refused.setdefault(f"not scored under protocol {protocol}: {reason}", []).append(system.name)
        for protocol, report in system.scores.reports.items():
            notes += [f"{system.name}, protocol {protocol}: {note}." for note in report.notes]
    notes += [f"{', '.join(names)}: {reason}" for reason, names in refused.items()]
    return told + notes


def _amount(system: Analysis) -> str:
    predicted = [entity for post in system.posts for entity in post.predicted]
    gaps = system.scores.reports["span"].unpredicted
    missing = f", {gaps:,} posts without a prediction counted as empty" if gaps else ""
    return f"{len(predicted):,} entities predicted, {sum(e.visible for e in predicted):,} in the picture{missing}."


def sections(
    systems: Sequence[Analysis], compared: Sequence[Pairwise], papers: Sequence[PublishedTable]
) -> Iterator[Section]:
    """All sections that the systems give cause for: `compared` in pairs, `papers` beside them."""
    yield _scores(systems)
    if compared:
        yield _differences(systems, compared)
    yield _types(systems)
    yield _thresholds(systems)
    yield _regions(systems)
    yield _errors(systems)
    yield _gains(systems)
    yield _reliability(systems)
    if papers:
        yield _papers(systems, papers)


def _scores(systems: Sequence[Analysis]) -> Section:
    protocols = list(dict.fromkeys(protocol for system in systems for protocol in system.scores.reports))
    spans = {
        system.name: {task: interval for (name, task), interval in system.scores.intervals.items() if name == "span"}
        for system in systems
    }
    return Section(
        "Scores",
        ["Percent. The intervals hold 95 % of the F1 of resampled posts; docs/protocols.md tells the protocols apart."],
        [_score_table(systems, protocol) for protocol in protocols],
        [plots.scores_plot(spans)],
    )


def _score_table(systems: Sequence[Analysis], protocol: str) -> Table:
    scored = [(system, report) for system in systems if (report := system.scores.reports.get(protocol)) is not None]
    rows = []
    for task in TASKS:
        for system, report in scored:
            if task in report.scores:
                row, interval = report[task].row(), system.scores.intervals[protocol, task]
                bounds = f"{percent(interval.low)} to {percent(interval.high)}"
                counts = (f"{row.right:,}", f"{row.predicted:,}", f"{row.gold:,}")
                rates = (percent(row.precision), percent(row.recall), percent(row.f1))
                rows.append((task.upper(), system.name, *rates, bounds, *counts))
    _, report = scored[0]
    average = next(iter(report.scores.values())).average
    return Table(
        f"Protocol {protocol}: {report.threshold}, {average} average",
        ("task", "system", "P", "R", "F1", "95 % interval", "right", "predicted", "gold"),
        rows,
        words=2,
    )


def _differences(systems: Sequence[Analysis], compared: Sequence[Pairwise]) -> Section:
    rows = [
        (
            f"{systems[pair.left].name} less {systems[pair.right].name}",
            pair.protocol,
            pair.task.upper(),
            f"{100 * pair.comparison.difference:+.2f}",
            f"{100 * pair.comparison.low:+.2f} to {100 * pair.comparison.high:+.2f}",
            f"{pair.comparison.p_bootstrap:.3f}",
            f"{pair.comparison.p_randomisation:.3f}",
        )
        for pair in compared
    ]
    return Section(
        "Differences between systems",
        [
            "F1 points. Both p-values are two-sided and of paired tests on the same posts: the paired bootstrap, and "
            "approximate randomisation. They are not corrected for the number of comparisons."
        ],
        [
            Table(
                "",
                ("systems", "protocol", "task", "difference", "95 % interval", "p, bootstrap", "p, randomisation"),
                rows,
                words=3,
            )
        ],
    )


def _types(systems: Sequence[Analysis]) -> Section:
    tasks = [name for name, task in TASKS.items() if task.typed]
    rows = []
    for task in tasks:
        for system in systems:
            score = system.scores.reports["span"].scores.get(task)
            if score is not None:
                cells = [percent(score.of_type(kind).f1) for kind in ENTITY_TYPES]
                rows.append((task.upper(), system.name, *cells))
    gold = systems[0].scores.reports["span"]["mner"]
    heads = [f"{kind} ({gold.of_type(kind).gold:,})" for kind in ENTITY_TYPES]
    words = "F1 in percent under protocol span; in brackets the number of gold entities."
    return Section("By type", [words], [Table("", ("task", "system", *heads), rows, words=2)])


def _thresholds(systems: Sequence[Analysis]) -> Section:
    shown = [THRESHOLDS.index(threshold) for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)]
    tasks = list(dict.fromkeys(task for system in systems for task in _curves(system)))
    rows = [
        (task.upper(), system.name, *(percent(_curves(system)[task][place]) for place in shown))
        for task in tasks
        for system in systems
        if task in _curves(system)
    ]
    return Section(
        "F1 against the IoU threshold",
        ["Protocol span in percent: a region is right if its IoU with a gold region exceeds the threshold."],
        [Table("", ("task", "system", *(f"{THRESHOLDS[place]:g}" for place in shown)), rows, words=2)],
        [plots.threshold_plot({system.name: _curves(system) for system in systems})],
    )


def _curves(system: Analysis) -> "dict[str, Float[np.ndarray, ' thresholds']]":
    """The curves of the tasks that are judged."""
    return {task: curve for task, curve in system.regions.curves.items() if system.masks or task != "smner"}


def _regions(systems: Sequence[Analysis]) -> Section:
    rows = []
    for kind in ("box", "mask"):
        for system in systems:
            found = system.regions.boxes if kind == "box" else system.regions.masks if system.masks else None
            if found is not None:
                rates = [percent(found.mean_iou), *(percent(found.precision(iou)) for iou in PRECISIONS)]
                rows.append((kind, system.name, *rates, f"{len(found.ious):,}"))
    judged = [
        (system.name, percent(found.accuracy), f"{found.judged:,}")
        for system in systems
        for found in [system.regions.entailment]
    ]
    tables = [
        Table(
            "Overlap", ("region", "system", "mIoU", *(f"Prec@{iou}" for iou in PRECISIONS), "entities"), rows, words=2
        ),
        Table("Visual entailment", ("system", "accuracy", "entities"), judged),
    ]
    if coverage := systems[0].regions.coverage:
        heads = [f"Top{top}-Prec@0.5" for top in coverage]
        tables.append(Table("Candidates of the gold posts", ("", *heads), [("", *map(percent, coverage.values()))]))
    return Section(
        "Regions",
        [
            "In percent. Overlap is that of gold entities in the picture with what was predicted for the same span, 0 "
            "for nothing, types aside; Prec@t is the share that reaches an IoU of t. Visual entailment asks of gold "
            "entities whose span was predicted whether they are rightly said to be in the picture or not."
        ],
        tables,
    )


def _errors(systems: Sequence[Analysis]) -> Section:
    rows = [
        (
            count.kind,
            system.name,
            f"{count.total:,}",
            f"{count.alone:,}",
            *(f"{count.by_type[kind]:,}" for kind in ENTITY_TYPES),
        )
        for place, kind in enumerate(KINDS)
        if any(system.counts[place].total for system in systems)
        for system in systems
        for count in [system.counts[place]]
    ]
    return Section(
        "What goes wrong",
        [
            "Gold and predicted entities are paired one-to-one within a post where their spans overlap. A pair counts "
            "once, under the first of its faults in this order; “only fault” counts those that mending this one would "
            "make right. Types are those of gold, and of the predictions for what is spurious. "
            + _judged(systems)
            + " docs/report.md has the exact rules."
        ],
        [
            Table("", ("kind", "system", "entities", "only fault", *ENTITY_TYPES), rows, words=2),
            Table("", ("kind", "what it means"), list(KIND_WORDS.items()), words=2),
        ],
        [plots.fault_plot({system.name: system.counts for system in systems})],
    )


def _judged(systems: Sequence[Analysis]) -> str:
    judged = [system.name for system in systems if system.masks]
    return f"Masks are judged for {', '.join(judged)}." if judged else "Masks are not judged: a side has none."


def _gains(systems: Sequence[Analysis]) -> Section:
    before = {
        system.name: {task: score.f1 for task, score in system.scores.reports["span"].scores.items()}
        for system in systems
    }
    tasks = list(dict.fromkeys(task for system in systems for swap in system.swaps for task in swap.alone))
    tables = [
        Table(
            caption,
            ("mended", "system", *(task.upper() for task in tasks)),
            [
                *(("nothing", system.name, *_rates(before[system.name], tasks)) for system in systems),
                *(
                    (kind, system.name, *_rates(swap.so_far if so_far else swap.alone, tasks))
                    for kind in MENDS
                    for system in systems
                    for swap in system.swaps
                    if swap.kind == kind
                ),
            ],
            words=2,
        )
        for caption, so_far in (("Mended alone", False), ("Mended together with all above", True))
    ]
    gains: dict[str, dict[Kind, float]] = {
        system.name: {swap.kind: 100 * (swap.alone["gmner"] - before[system.name]["gmner"]) for swap in system.swaps}
        for system in systems
    }
    return Section(
        "Where F1 is lost",
        [
            "F1 in percent under protocol span if one kind of error never happened: it alone, and together with those "
            "above it. What was called absent gets gold's region, which is the best case."
        ],
        tables,
        [plots.gain_plot(gains, "gmner")] if any(map(any, map(dict.values, gains.values()))) else [],
    )


def _rates(f1: Mapping[str, float], tasks: Sequence[str]) -> list[str]:
    return [percent(f1[task]) if task in f1 else "" for task in tasks]


def _reliability(systems: Sequence[Analysis]) -> Section:
    told = [system for system in systems if len(system.calibration.probability)]
    rows = [
        (
            system.name,
            f"{len(system.calibration.probability):,}",
            f"{system.calibration.silent:,}",
            percent(system.calibration.accuracy),
            f"{system.calibration.ece:.3f}",
            f"{system.calibration.brier:.3f}",
        )
        for system in told
    ]
    silent = [system.name for system in systems if system not in told]
    paragraphs = [
        "The probability that an entity can be seen against what gold says, over predicted entities whose span is "
        "right. In the plot a point is a tenth of the scale, the grey bars show how many entities are in it, and the "
        "line is where a calibrated system lies. Accuracy is that of calling visible what has 0.5 or more; ECE is the "
        "mean gap between probability and share, Brier the mean squared difference: of both, less is better."
    ]
    paragraphs += [f"{name} gives no probabilities." for name in silent]
    heads = ("system", "entities", "without probability", "accuracy, %", "ECE", "Brier")
    return Section(
        "Calibration of groundability",
        paragraphs,
        [Table("", heads, rows)] if rows else [],
        [plots.reliability_plot({system.name: system.calibration for system in told})] if told else [],
    )


def _papers(systems: Sequence[Analysis], papers: Sequence[PublishedTable]) -> Section:
    scored = [
        (system.name, protocol, report) for system in systems for protocol, report in system.scores.reports.items()
    ]
    tables = []
    for paper in papers:
        tasks = [task for task in TASKS if any(task in scores for scores in paper.rows.values())]
        rows = [
            (method, "paper", *(_number(scores[task][2]) if task in scores else "" for task in tasks))
            for method, scores in paper.rows.items()
        ]
        rows += [
            (name, protocol, *(percent(report[task].f1) if task in report.scores else "" for task in tasks))
            for name, protocol, report in scored
        ]
        if tasks:
            caption = f"{paper.source}{f': {paper.note}' if paper.note else ''}"
            tables.append(Table(caption, ("system", "scored by", *(task.upper() for task in tasks)), rows, words=2))
    words = "F1 in percent as the papers print it, and below the systems of this report under each protocol."
    return Section("Beside the papers", [words], tables)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
