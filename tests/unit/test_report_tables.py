"""Tables as Markdown and HTML, and plots as SVG: whole, and never made of what a name says."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from gmner.errors import MissingPackageError
from gmner.metrics import Interval
from gmner.metrics.regions import THRESHOLDS
from gmner.report import plots
from gmner.report.calibration import Calibration
from gmner.report.table import Table
from gmner.report.taxonomy import Count

NASTY = "<b>a|b</b> & `c` *d* _e_ \\ [f](g)\nh \"i\" 'j'"


def test_a_table_as_markdown():
    table = Table("Scores", ("task", "system", "F1"), [("MNER", "a", "80.00"), ("MNER", "b", "7.50")], words=2)
    assert table.markdown() == (
        "Scores\n\n| task | system | F1 |\n| --- | --- | ---: |\n| MNER | a | 80.00 |\n| MNER | b | 7.50 |"
    )


def test_a_table_as_html():
    table = Table("Scores", ("task", "system", "F1"), [("MNER", "a", "80.00"), ("MNER", "b", "7.50")], words=2)
    root = ElementTree.fromstring(table.html())
    rows = root.findall(".//tbody/tr")
    assert [row.get("class") for row in rows] == [None, "again"]
    assert [[cell.text for cell in row] for row in rows] == [["MNER", "a", "80.00"], ["MNER", "b", "7.50"]]
    assert [cell.get("class") for cell in rows[0]] == [None, None, "number"]
    assert root.findtext(".//caption") == "Scores"


def test_what_a_name_says_is_not_markup():
    table = Table(NASTY, (NASTY, "n"), [(NASTY, "1")])
    root = ElementTree.fromstring(table.html())
    assert [root.findtext(path) for path in (".//caption", ".//th", ".//td")] == [NASTY] * 3
    caption, _, *lines = table.markdown().split("\n")
    assert len(lines) == 3 and all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines)
    assert not re.search(r"(?<!\\)[<`*_\[]", caption.replace("\\\\", ""))


SYSTEMS = ("first", NASTY.replace("\n", " "))


def drawings() -> dict[str, str]:
    """Every plot, for two systems."""
    counts = [Count("box", 3, 2, {}), Count("missed", 1, 1, {}), Count("right", 9, 9, {})]
    told = Calibration(np.array([0.1, 0.6, 0.7]), np.array([False, True, False]), 0)
    curve = {"gmner": np.linspace(0.9, 0.1, len(THRESHOLDS))}
    return {
        "scores": plots.scores_plot({name: {"mner": Interval(0.5, 0.4, 0.6)} for name in SYSTEMS}),
        "threshold": plots.threshold_plot(dict.fromkeys(SYSTEMS, curve)),
        "faults": plots.fault_plot(dict.fromkeys(SYSTEMS, counts)),
        "gains": plots.gain_plot({name: {"box": 2.5} for name in SYSTEMS}, "gmner"),
        "reliability": plots.reliability_plot(dict.fromkeys(SYSTEMS, told)),
    }


def test_plots_are_whole_and_stand_alone():
    ids: list[str] = []
    for name, source in drawings().items():
        root = ElementTree.fromstring(source)
        assert root.get("role") == "img" and root.get("aria-label"), name
        words = "".join(root.itertext())
        assert "first" in words and "<b>a|b</b>" in words, name
        assert "://" not in source and "<script" not in source and "<b>" not in source
        assert "#000000" not in source and "currentColor" in source
        here = re.findall(r' id="([^"]+)"', source)
        assert {*re.findall(r'(?:href="|url\()#([^")]+)', source)} == {*here}
        ids += here
    assert len(ids) == len(set(ids))


def test_plots_are_the_same_each_time():
    assert drawings() == drawings()


def test_systems_differ_without_colour():
    looks = [(style.line, style.marker, style.hatch) for style in plots.STYLES]
    assert all(len(set(column)) == len(plots.STYLES) for column in zip(*looks, strict=True))


def test_bars_show_their_numbers():
    words = drawings()["faults"]
    assert ">3</text>" in words.replace("\n", "") and "right" not in words
    assert ">2.50</text>" in drawings()["gains"].replace("\n", "")


def test_empty_systems_can_be_drawn():
    none = {"a": [Count("box", 0, 0, {})]}
    ElementTree.fromstring(plots.fault_plot(none))
    ElementTree.fromstring(plots.scores_plot({"a": {"mner": Interval(0.0, 0.0, 0.0)}}))


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"gmner\[report\]"):
        plots.require_matplotlib()
