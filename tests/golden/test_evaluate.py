"""The whole output of `gmner evaluate` on three posts, whose `span` scores are checked by hand below."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmner.cli.main import app

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def printed() -> object:
    files = ["--gold", str(HERE / "gold.jsonl"), "--pred", str(HERE / "predictions.jsonl")]
    result = CliRunner().invoke(app, ["evaluate", *files, "--protocol", "all", "--json"])
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def test_it_is_what_it_was(printed: object) -> None:
    assert strip(printed) == strip(json.loads((HERE / "evaluate.json").read_text(encoding="utf-8")))


def test_span_counts_are_those_of_the_posts(printed: object) -> None:
    """Right by span and type: Ada Lovelace, Rome, Bob. By span and region: Ada Lovelace, Rome, Acme. By all: two."""
    text = json.dumps(printed)
    [span] = [report for report in found(printed) if report["protocol"] == "span"]
    counts = {name: (rows[0]["right"], rows[0]["predicted"], rows[0]["gold"]) for name, rows in span["scores"].items()}
    assert counts == {"mner": (3, 5, 5), "eeg": (3, 5, 5), "gmner": (2, 5, 5)}
    assert all(name in text for name in ("riveg", "h-index", "mqspn"))


def found(value: object) -> list[dict[str, dict[str, list[dict[str, int]]]]]:
    """Every report in the output."""
    if isinstance(value, list):
        return [report for item in value for report in found(item)]
    if isinstance(value, dict):
        return [value] if "protocol" in value else [report for item in value.values() for report in found(item)]
    return []


def strip(value: object) -> object:
    """The output without the paths of files, which differ from place to place."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if not isinstance(item, str) or "/" not in item}
    return [strip(item) for item in value] if isinstance(value, list) else value
