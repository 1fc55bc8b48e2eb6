"""The report's plots as SVG elements to stand in a page: told apart by marker, line and hatching, not by colour alone.

Black is written as `currentColor`, so that a plot follows the page's colours.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Final, NamedTuple

from gmner.errors import MissingPackageError
from gmner.metrics import Interval
from gmner.metrics.regions import THRESHOLDS
from gmner.report.calibration import Calibration
from gmner.report.oracle import MENDS
from gmner.report.taxonomy import Count, Kind

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Style(NamedTuple):
    """How one system looks."""

    colour: str
    line: str | tuple[float, tuple[float, ...]]
    marker: str
    hatch: str


STYLES: Final = (
    Style("#000000", "-", "o", ""),
    Style("#0072B2", "--", "s", "////"),
    Style("#D55E00", "-.", "^", "...."),
    Style("#009E73", ":", "D", "\\\\\\\\"),
    Style("#CC79A7", (0, (6, 1, 1, 1, 1, 1)), "v", "xxxx"),
    Style("#E69F00", (0, (1, 3)), "P", "++++"),
)
"""One look a system, in order; past the last they begin again. Colours are Okabe's and Ito's."""

_INCHES: Final = 7.2  # the width of every plot: the text in them then has the size of the page's
_ROW: Final = 0.3  # the height of a bar or of an interval


def require_matplotlib() -> None:
    """Raise a MissingPackageError if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingPackageError(
            "matplotlib is not installed", allowed="a report draws plots", todo='pip install "gmner[report]"'
        )


def scores_plot(systems: Mapping[str, Mapping[str, Interval]]) -> str:
    """F1 of every system and task with its interval."""
    tasks = list(dict.fromkeys(task for intervals in systems.values() for task in intervals))
    figure, (axes,) = _figure(height=0.9 + _ROW * len(tasks) * (len(systems) + 0.6))
    for index, (name, intervals) in enumerate(systems.items()):
        style = _style(index)
        places = [_place(tasks.index(task), index, len(systems)) for task in intervals]
        f1 = [100 * interval.f1 for interval in intervals.values()]
        below = [max(100 * (interval.f1 - interval.low), 0.0) for interval in intervals.values()]
        above = [max(100 * (interval.high - interval.f1), 0.0) for interval in intervals.values()]
        look = {"color": style.colour, "marker": style.marker, "capsize": 3, "markersize": 5}
        axes.errorbar(f1, places, xerr=[below, above], linestyle="none", label=name, **look)  # type: ignore[arg-type]
    _rows(axes, [task.upper() for task in tasks], len(systems))
    axes.set_xlabel("F1 with its 95 % interval")
    return _svg(figure, "scores", "F1 of every system and task with its interval")


def threshold_plot(systems: Mapping[str, "Mapping[str, Float[np.ndarray, ' thresholds']]"]) -> str:
    """F1 against the IoU threshold, one panel a task."""
    tasks = list(dict.fromkeys(task for curves in systems.values() for task in curves))
    figure, panels = _figure(len(tasks), height=3.2)
    for axes, task in zip(panels, tasks, strict=True):
        for index, (name, curves) in enumerate(systems.items()):
            if task in curves:
                style = _style(index)
                look = {"color": style.colour, "linestyle": style.line, "marker": style.marker, "markersize": 4}
                axes.plot(THRESHOLDS, 100 * curves[task], label=name, **look)  # type: ignore[arg-type]
        axes.axvline(0.5, color="#888888", linewidth=0.8)
        axes.set_title(task.upper())
        axes.set_xlabel("IoU that must be exceeded")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.grid(color="#888888", alpha=0.3, linewidth=0.6)
    panels[0].set_ylabel("F1")
    return _svg(figure, "threshold", "F1 against the IoU threshold")


def fault_plot(systems: Mapping[str, Sequence[Count]]) -> str:
    """How many entities each kind of error takes: the whole bar, and in it those with no other fault."""
    kinds = [count.kind for count in next(iter(systems.values())) if count.kind != "right"]
    return _bars(
        systems={name: [count.total for count in counts if count.kind != "right"] for name, counts in systems.items()},
        rows=kinds,
        axis="entities",
        form="{:,.0f}",
        name="faults",
        words="Entities of every kind of error",
    )


def gain_plot(systems: Mapping[str, Mapping[Kind, float]], task: str) -> str:
    """F1 points (in percent) that a task gains when one kind of error is mended."""
    kinds = [kind for kind in MENDS if any(gains.get(kind) for gains in systems.values())]
    return _bars(
        systems={name: [gains.get(kind, 0.0) for kind in kinds] for name, gains in systems.items()},
        rows=kinds,
        axis=f"{task.upper()} F1 points gained",
        form="{:.2f}",
        name="gains",
        words=f"{task.upper()} F1 points gained by mending each kind of error alone",
    )


def reliability_plot(systems: Mapping[str, Calibration]) -> str:
    """Share of visible entities against the probability that was given, and how often it was given."""
    figure, panels = _figure(min(len(systems), 3), rows=-(-len(systems) // 3), height=3.1)
    for index, (name, calibration) in enumerate(systems.items()):
        axes, style = panels[index], _style(index)
        bins = [part for part in calibration.bins if part.entities]
        most = max((part.entities for part in bins), default=1)
        axes.bar(
            [(part.low + part.high) / 2 for part in bins],
            [0.3 * part.entities / most for part in bins],
            width=0.08,
            color="#888888",
            alpha=0.4,
        )
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8)
        look = {
            "color": style.colour,
            "linestyle": style.line,
            "marker": style.marker,
            "markersize": 5,
            "clip_on": False,
        }
        axes.plot([part.probability for part in bins], [part.visible for part in bins], **look)  # type: ignore[arg-type]
        axes.set_title(name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("probability given")
    for axes in panels[len(systems) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("share that is visible")
    return _svg(figure, "reliability", "Reliability of the probability of being visible", legend=False)


def _bars(
    systems: Mapping[str, Sequence[float]], rows: Sequence[str], axis: str, form: str, name: str, words: str
) -> str:
    """Horizontal bars, one group a row and one hatching a system, each with its number."""
    figure, (axes,) = _figure(height=0.9 + _ROW * len(rows) * (len(systems) + 0.6))
    for index, (system, values) in enumerate(systems.items()):
        style = _style(index)
        places = [_place(row, index, len(systems)) for row in range(len(rows))]
        bars = axes.barh(places, values, 0.8 / len(systems), label=system, facecolor="none", edgecolor=style.colour)
        for bar in bars:
            bar.set_hatch(style.hatch)
        axes.bar_label(bars, fmt=form, padding=3, fontsize=8)
    _rows(axes, rows, len(systems))
    axes.set_xlabel(axis)
    axes.set_xlim(0, 1.1 * max((value for values in systems.values() for value in values), default=0) or 1)
    return _svg(figure, name, words)


def _place(row: int, index: int, systems: int) -> float:
    """Where a system stands in the band, one high, around `row`."""
    return row + (index - (systems - 1) / 2) * 0.8 / systems


def _rows(axes: "Axes", names: Sequence[str], systems: int) -> None:
    """Name the bands from the top down, with thin lines between them."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for row in range(1, len(names)):
        axes.axhline(row - 0.5, color="#888888", alpha=0.4, linewidth=0.6)
    axes.grid(axis="x", color="#888888", alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def _style(index: int) -> Style:
    return STYLES[index % len(STYLES)]


def _figure(columns: int = 1, rows: int = 1, *, height: float) -> "tuple[Figure, list[Axes]]":
    """A figure of its own, without the state that pyplot keeps, and its panels row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _svg(figure: "Figure", name: str, words: str, *, legend: bool = True) -> str:
    """The figure as an SVG element that says in `words` what it shows; ids begin apart for every `name`."""
    from matplotlib import rc_context

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    labels = figure.axes[0].get_legend_handles_labels()
    if legend and len(labels[0]) > 1:
        figure.legend(*labels, loc="outside upper left", ncols=3, frameon=False)
    file = StringIO()
    # Letters stay letters: they can be searched and read aloud, and take little room.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "hatch.linewidth": 0.8}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    source = re.sub(r"<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)
    source = source[source.index("<svg") :]
    viewbox = re.search(r'viewBox="[^"]*"', source)
    body = source[source.index(">") + 1 :]
    kept = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in kept else "", body)
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    frame = viewbox[0] if viewbox else ""
    return f'<svg class="plot" {frame} role="img" aria-label="{escape(words)}">{body.strip()}'
