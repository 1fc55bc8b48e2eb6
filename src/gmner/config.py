"""Settings as frozen dataclasses: from TOML, to TOML, changed by `key=value` flags. Nothing unknown passes."""

import dataclasses
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gmner.errors import ConfigError, UnknownNameError, reason

C = TypeVar("C")


def from_dict(kind: type[C], values: Mapping[str, Any], where: str = "") -> C:
    """The dataclass `kind` with `values`, nested tables becoming nested dataclasses; defaults fill what is absent.

    Raises:
        UnknownNameError: a key does not exist.
        ConfigError: a value is of the wrong kind, or a setting without default is missing.
    """
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UnknownNameError("setting", _path(where, key), (_path(where, name) for name in fields))
    chosen = {key: _convert(hints[key], value, _path(where, key)) for key, value in values.items()}
    for name, field in fields.items():
        absent = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if absent and name not in chosen:
            raise ConfigError(
                f"setting {_path(where, name)!r} is missing",
                allowed=f"it has no default ({_describe(hints[name])})",
                todo="add it to the TOML file (that of --config, or the recipe), or give it as an argument",
            )
    return kind(**chosen)


def to_dict(config: Any) -> dict[str, Any]:
    """The settings of a dataclass as TOML can hold them: nested tables, lists; settings that are None are left out."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if getattr(config, field.name) is not None
    }


def read_toml(kind: type[C], path: Path, overrides: Sequence[str] = ()) -> C:
    """The dataclass `kind` from a TOML file, changed by overrides such as `training.epochs=3`.

    Raises:
        ConfigError: the file is missing or not TOML, or a setting is wrong (see `from_dict`).
    """
    values = read_values(path, overrides)
    with settings_of(str(path)):
        return from_dict(kind, values)


@contextmanager
def settings_of(where: str) -> Iterator[None]:
    """What is wrong with settings inside is said of `where`: their file, or the system that they are for."""
    try:
        yield
    except (ConfigError, UnknownNameError) as error:
        raise error.within(where) from None


def read_values(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The settings of a TOML file as they stand there, changed by overrides such as `training.epochs=3`.

    Raises:
        ConfigError: the file is missing or not TOML, or an override is not `key=value`.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: {reason(error)}", allowed="settings come from a readable TOML file", todo="check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", allowed="settings are TOML in UTF-8", todo="mend the file") from None
    for override in overrides:
        _override(values, override)
    return values


def write_toml(config: Any, path: Path) -> None:
    """Write a dataclass as TOML; `read_toml` gives an equal one back."""
    import tomli_w

    path.write_text(tomli_w.dumps(to_dict(config)), encoding="utf-8")


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"override {override!r}", allowed="overrides are key=value, such as training.epochs=3", todo="add the ="
        )
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"override {override!r}", allowed=f"{parent!r} holds no further settings", todo="drop it")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return None if value is None else _convert(inner[0], value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(arguments) == len(value):
            return tuple(_convert(argument, item, where) for argument, item in zip(arguments, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ConfigError(
        f"setting {where!r} is {value!r}", allowed=f"it takes {_describe(hint)}", todo="change the file or the flag"
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(argument) for argument in get_args(hint))
    if dataclasses.is_dataclass(hint):
        return "a table"
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    return names.get(hint, str(hint))


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
