"""The commands `predict`, `show` and `doctor` apart from what systems find."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmner.cli import doctor
from gmner.cli.main import app
from gmner.errors import ConfigError


def test_a_users_mistake_is_one_line_and_exit_code_2() -> None:
    command = [sys.executable, "-m", "gmner", "predict", "--text", ""]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert re.fullmatch(r"gmner: the text is empty; .*; .*\.\n", finished.stderr)


@pytest.mark.parametrize(
    ("arguments", "idle"),
    [
        (["--text", "Ada", "--output", "out.jsonl"], "--output with --text"),
        (["--input", "a.jsonl", "--output", "out.jsonl", "--image", "a.jpg"], "--image with --input"),
        (
            ["--input", "a.jsonl", "--output", "out.jsonl", "--json", "--show", "a.png"],
            "--json and --show with --input",
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(arguments: list[str], idle: str) -> None:
    result = CliRunner().invoke(app, ["predict", *arguments])
    assert isinstance(result.exception, ConfigError)
    assert idle in str(result.exception)


def test_show_goes_on_past_a_picture_that_is_gone(tmp_path: Path) -> None:
    rows = [{"id": "gone", "text": "Ada", "image": "gone.jpg", "entities": []}, {"id": "plain", "text": "Bob"}]
    file = tmp_path / "posts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = CliRunner().invoke(app, ["show", str(file), "--output", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "post 'gone': picture" in result.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "does not exist" in page
    assert "plain" in page


def test_doctor_looks_at_every_package_that_is_needed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}

    assert set(doctor.REQUIRED) == names(project["dependencies"])
    assert names(extras["llm"] + extras["report"] + extras["train"]) <= set(doctor.OPTIONAL)


def test_doctor_tells_what_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = CliRunner().invoke(app, ["doctor", "--quick"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "unknown without torch" in " ".join(result.stdout.split())


def test_what_doctor_found_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_lite", lambda: doctor.Finding("lite", False, "[/x] and [red]"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "[/x] and [red]" in result.stdout


def test_a_split_that_looks_like_markup_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "posts[red].jsonl"
    file.write_text('{"text": "Ada", "entities": [], "split": "[/x]"}\n', encoding="utf-8")
    result = CliRunner().invoke(app, ["data", "stats", str(file)], env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.exception
    assert "[/x]" in result.stdout
    assert "posts[red].jsonl" in result.stdout
