"""`gmner predict --engine`: which options go with which engine, and what is said where Ray can not run."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gmner.batch import on_ray
from gmner.batch.on_ray import Actors
from gmner.batch.source import Source
from gmner.batch.summary import Summary
from gmner.cli.main import app
from gmner.errors import ConfigError, DataError, MissingPackageError
from gmner.systems.system import System

FILES = ["predict", "--input", "posts.jsonl", "--output", "out"]


def no_system() -> System:
    raise AssertionError


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([*FILES, "--actors", "2"], "--actors without --engine ray"),
        ([*FILES, "--address", "auto", "--gpus", "1"], "--gpus and --address without --engine ray"),
        ([*FILES, "--engine", "ray", "--processes", "2"], "--processes with --engine ray"),
        ([*FILES, "--engine", "ray", "--openers", "2"], "--openers with --engine ray"),
        ([*FILES, "--processes", "2", "--openers", "2"], "openers for 2 processes"),
        (["predict", "--text", "Ada", "--openers", "1"], "--openers with --text"),
        (["predict", "--text", "Ada", "--processes", "2"], "--processes with --text"),
        ([*FILES, "--engine", "ray", "--actors", "many"], "--actors many; it is a number, or two with a colon"),
        ([*FILES, "--engine", "ray", "--actors", "3:2"], "3 to 2 actors"),
        ([*FILES, "--engine", "ray", "--actors", "0"], "0 to 0 actors"),
        ([*FILES, "--engine", "ray", "--cpus", "0"], "0 CPUs and 0 GPUs for an actor"),
        (["predict", "--text", "Ada", "--shard-size", "5"], "--shard-size with --text"),
        (["predict", "--input", "memory://posts.jsonl", "--output", "out"], "without Ray; the local engine"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], told: str) -> None:
    result = CliRunner().invoke(app, options)
    assert isinstance(result.exception, ConfigError) and told in str(result.exception)


def test_what_the_options_of_ray_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def predict_shards(make: object, source: Source, target: Path, **choices: Any) -> Summary:
        asked.update(choices, source=source, target=target)
        return Summary(3, 2, 1, Path("out.errors"))

    monkeypatch.setattr(on_ray, "predict_shards", predict_shards)
    pool = ["--actors", "2:16", "--cpus", "0.5", "--gpus", "0.25", "--address", "auto", "--shard-size", "7"]
    result = CliRunner().invoke(app, [*FILES, "--engine", "ray", "--no-people", *pool])
    assert result.exit_code == 3 and "3 posts with 2 entities, 1 error (kept in out.errors)" in result.stderr
    assert asked["actors"] == Actors(2, 16, 0.5, 0.25, "auto") and asked["shard_size"] == 7
    assert asked["source"] == Source(Path("posts.jsonl")) and asked["target"] == Path("out")
    assert asked["settings"] == {"system": "lite", "people": False, "from_stage": None, "to_stage": None}
    assert CliRunner().invoke(app, [*FILES, "--engine", "ray"]).exit_code == 3
    assert asked["actors"] == Actors()


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "posts.jsonl").write_text('{"text": "Ada"}\n', encoding="utf-8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'ray is not installed; .*; pip install "gmner\[ray\]"\.'):
        on_ray.predict_shards(no_system, Source(tmp_path / "posts.jsonl"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["posts.jsonl"]


def test_an_output_in_the_folder_of_posts_is_refused(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "out"):
        with pytest.raises(DataError, match="lie in, what is read"):
            on_ray.predict_shards(no_system, Source(tmp_path), target)


@pytest.mark.parametrize("choice", [{"shard_size": 0}, {"batch_size": 0}])
def test_numbers_that_can_not_be(tmp_path: Path, choice: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        on_ray.predict_shards(no_system, Source(tmp_path / "posts.jsonl"), tmp_path / "out", **choice)
