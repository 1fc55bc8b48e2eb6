"""A fixture: tensors that a published model was given and gave, and how closely ours must come to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gmner.checkpoint import read_tensors
from gmner.errors import CheckpointError

_TODO: Final = "take a file of the form of fixtures/<model>/*.safetensors"


class Tolerance(NamedTuple):
    """Values agree if they differ by at most `abs + rel * |expected|`."""

    abs: float = 0.0
    rel: float = 0.0

    def __str__(self) -> str:
        if not self.abs and not self.rel:
            return "exact"
        return f"{self.abs:.0e}" + (f" + {self.rel:.0e}·|x|" if self.rel else "")


EXACT: Final = Tolerance()


class Comparison(NamedTuple):
    """One named output: the largest difference (infinite where shapes differ or a value is NaN), and the verdict."""

    output: str
    difference: float
    tolerance: Tolerance
    within: bool


def compare(output: str, ours: Tensor, expected: Tensor, tolerance: Tolerance) -> Comparison:
    """Our value of an output beside the expected one. Equal infinities agree."""
    if ours.shape != expected.shape:
        return Comparison(output, float("inf"), tolerance, within=False)
    ours, expected = ours.detach().double(), expected.double()
    differences = (ours - expected).abs().nan_to_num(nan=torch.inf).masked_fill(ours == expected, 0.0)
    limits = (tolerance.abs + tolerance.rel * expected.abs()).nan_to_num(nan=0.0, posinf=0.0)
    largest = float(differences.max()) if differences.numel() else 0.0
    return Comparison(output, largest, tolerance, within=bool((differences <= limits).all()))


def same(output: str, ours: object, expected: object) -> Comparison:
    """Texts, flags, whole numbers or lists of them, however nested: no difference, or an infinite one."""
    alike = ours == expected
    return Comparison(output, 0.0 if alike else float("inf"), EXACT, within=alike)


@dataclass(frozen=True)
class Fixture:
    """The tensors of a file by their full names (`weight/...`, `input/...`, `output/...`) and its JSON text.

    `fixture[name]` raises a CheckpointError for a tensor that the file lacks.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise CheckpointError(
                f"{self.path} has no tensor {name!r}", allowed=f"it has {len(self.tensors)} others", todo=_TODO
            )
        return self.tensors[name]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, by the rest of their names."""
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def count(self, name: str) -> int:
        """A whole number of the file's configuration; it raises as `number` does."""
        return int(self.number(name))

    def number(self, name: str) -> float:
        """A number of the file's configuration; a whole one is an int.

        Raises:
            CheckpointError: the configuration lacks it, or it is something else.
        """
        config = self.facts.get("config")
        value = config.get(name) if isinstance(config, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(
                f"{self.path} states {name} = {value!r}",
                allowed=f"the configuration of this model's fixtures has a number {name!r}",
                todo="check that the file is of this model, or mend its metadata",
            )
        return value

    @property
    def tolerance(self) -> Tolerance:
        """The file's tolerance: a number, or `abs` (`atol`, `float_abs`) and `rel` (`rtol`).

        Raises:
            CheckpointError: the file states none of these.
        """
        stated = self.facts.get("tolerance")
        stated = {"abs": stated} if isinstance(stated, int | float) else stated
        if isinstance(stated, dict):
            absolute = [stated[key] for key in ("abs", "atol", "float_abs") if key in stated]
            relative = [stated[key] for key in ("rel", "rtol") if key in stated]
            if absolute and all(isinstance(value, int | float) for value in absolute + relative):
                return Tolerance(float(absolute[0]), float(relative[0]) if relative else 0.0)
        raise CheckpointError(
            f"{self.path} states the tolerance {stated!r}",
            allowed="a tolerance is a number, or an object with `abs` and perhaps `rel`",
            todo="mend the metadata of the file",
        )


def read_fixture(path: Path) -> Fixture:
    """Read a fixture: tensors with a JSON object under `fixture` in their metadata, or a `.json` with cases alone.

    Raises:
        CheckpointError: the file is missing or damaged, or has no JSON object.
    """
    if path.suffix == ".json":
        return Fixture(path, {}, _read_json(path))
    tensors = read_tensors(path)
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["fixture"])
    except (SafetensorError, KeyError, ValueError):  # a PyTorch file has tensors, but no metadata
        facts = None
    if not isinstance(facts, dict):
        raise CheckpointError(
            f"{path} does not say what it checks",
            allowed="a fixture has a JSON object under `fixture` in its metadata",
            todo=_TODO,
        )
    return Fixture(path, tensors, facts)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} can not be read as JSON ({error})", allowed="a fixture of cases is a JSON object", todo=_TODO
        ) from None
    if not isinstance(facts, dict):
        raise CheckpointError(
            f"{path} holds a {type(facts).__name__}", allowed="a fixture of cases is a JSON object", todo=_TODO
        )
    return facts
