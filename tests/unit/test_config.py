from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from gmner.config import from_dict, read_toml, to_dict, write_toml
from gmner.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Outer:
    title: str
    size: int = 3
    kind: Literal["small", "large"] = "small"
    limit: int | None = None
    rates: dict[str, float] = field(default_factory=dict)
    folder: Path = Path()
    inner: Inner = field(default_factory=Inner)


def test_toml_round_trip(tmp_path: Path) -> None:
    config = Outer("t", 5, "large", 7, {"crf": 1.0}, Path("x/y"), Inner(0.5, ("b", "c")))
    write_toml(config, tmp_path / "c.toml")
    assert read_toml(Outer, tmp_path / "c.toml") == config


def test_defaults_and_none_are_left_out() -> None:
    assert from_dict(Outer, {"title": "t"}) == Outer("t")
    assert "limit" not in to_dict(Outer("t"))


def test_overrides_change_nested_settings(tmp_path: Path) -> None:
    write_toml(Outer("t"), tmp_path / "c.toml")
    changed = read_toml(Outer, tmp_path / "c.toml", ["inner.rate=3", "title=new name", "inner.names=['z']"])
    assert changed == Outer("new name", inner=Inner(3.0, ("z",)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "'title' is missing"),
        ({"title": 3}, "it takes a text"),
        ({"title": "t", "size": True}, "it takes a whole number"),
        ({"title": "t", "size": 1.5}, "it takes a whole number"),
        ({"title": "t", "kind": "huge"}, "one of 'small', 'large'"),
        ({"title": "t", "inner": 3}, "it takes a table"),
        ({"title": "t", "inner": {"rate": "fast"}}, "'inner.rate' is 'fast'"),
    ],
)
def test_wrong_values_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict(Outer, values)


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no setting 'inner.rte'.*did you mean 'inner.rate'\?"):
        from_dict(Outer, {"title": "t", "inner": {"rte": 1.0}})


@pytest.mark.parametrize("text", [b"title = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "c.toml").write_bytes(text)
    with pytest.raises(ConfigError, match="settings are TOML"):
        read_toml(Outer, tmp_path / "c.toml")


def test_a_missing_file_and_a_broken_override(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(Outer, tmp_path / "none.toml")
    write_toml(Outer("t"), tmp_path / "c.toml")
    with pytest.raises(ConfigError, match="key=value"):
        read_toml(Outer, tmp_path / "c.toml", ["size"])
