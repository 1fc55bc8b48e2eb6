"""`gmner verify`: what passes, what fails, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

from gmner.cli.verify import verify as command
from gmner.errors import CheckpointError, UnknownNameError
from gmner.verify import verify
from gmner.verify.fixture import EXACT, Fixture, Tolerance, compare

app = typer.Typer()
app.command()(command)

FACTS = {"tolerance": {"abs": 1e-4, "rel": 0.0}}


def tensors(prefix: str = "case0.") -> dict[str, Tensor]:
    """A case that can be checked by hand: two tags, no weights, so that every tag has probability one half."""
    half = torch.full((1, 3, 2), 0.5)
    likelihood = 3 * torch.log(torch.tensor([0.5]))
    gold = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    return {
        f"weight/{prefix}start_transitions": torch.zeros(2),
        f"weight/{prefix}end_transitions": torch.zeros(2),
        f"weight/{prefix}transitions": torch.zeros(2, 2),
        f"input/{prefix}emissions": torch.zeros(1, 3, 2),
        f"input/{prefix}tags": torch.tensor([[0, 1, 0]]),
        f"input/{prefix}mask": torch.ones(1, 3, dtype=torch.uint8),
        f"output/{prefix}llh": likelihood,
        f"output/{prefix}llh_token_mean": likelihood[0] / 3,
        f"output/{prefix}path_score": torch.zeros(1),
        f"output/{prefix}viterbi": torch.tensor([[0, 0, 0]]),
        f"output/{prefix}grad_emissions_of_mean_nll": half - gold,
    }


def write(folder: Path, content: dict[str, Tensor], facts: Any = FACTS) -> Path:
    path = folder / "fixture.safetensors"
    text = facts if isinstance(facts, str) else json.dumps(facts)
    save_file(content, path, None if facts is None else {"fixture": text})
    return path


@pytest.mark.parametrize("prefix", ["case0.", ""])
def test_a_fixture_within_the_tolerance_passes(tmp_path: Path, prefix: str) -> None:
    path = write(tmp_path, tensors(prefix))
    result = verify("crf", path)
    assert result.passed
    assert {comparison.output for comparison in result.comparisons} == {
        name.removeprefix("output/") for name in tensors(prefix) if name.startswith("output/")
    }
    ran = CliRunner().invoke(app, ["crf", str(path)])
    assert ran.exit_code == 0
    assert "5 of 5 outputs are within the tolerance" in ran.output


@pytest.mark.parametrize(
    ("output", "change"),
    [("llh", 2e-4), ("llh", float("nan")), ("viterbi", 1), ("grad_emissions_of_mean_nll", -2e-4)],
)
def test_an_output_past_the_tolerance_fails_with_exit_code_1(tmp_path: Path, output: str, change: float) -> None:
    content = tensors()
    content[f"output/case0.{output}"][..., -1] += change
    result = verify("crf", write(tmp_path, content))
    assert [comparison.output for comparison in result.comparisons if not comparison.within] == [f"case0.{output}"]
    ran = CliRunner().invoke(app, ["crf", str(tmp_path / "fixture.safetensors")])
    assert ran.exit_code == 1
    assert "4 of 5 outputs" in ran.output


def test_an_output_without_a_check_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, tensors() | {"output/case0.perplexity": torch.ones(1)})
    assert verify("crf", path).unchecked == ("case0.perplexity",)
    assert "case0.perplexity" in CliRunner().invoke(app, ["crf", str(path)]).output


def test_an_unknown_model_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'crt'.*did you mean 'crf'"):
        verify("crt", write(tmp_path, tensors()))


def without(name: str) -> dict[str, Tensor]:
    content = tensors()
    del content[name]
    return content


@pytest.mark.parametrize(
    ("content", "facts", "match"),
    [
        (tensors(), None, "does not say what it checks"),
        (tensors(), "{", "does not say what it checks"),
        (tensors(), "[]", "does not say what it checks"),
        (tensors(), {}, "states the tolerance None"),
        (tensors(), {"tolerance": {"abs": "small"}}, "states the tolerance"),
        (without("input/case0.mask"), FACTS, "no tensor 'input/case0.mask'"),
        (without("weight/case0.transitions"), FACTS, "no tensor 'weight/case0.transitions'"),
        (tensors() | {"input/case0.tags": torch.zeros(1, 2, dtype=torch.long)}, FACTS, "does not fit.*tags of shape"),
        (tensors() | {"input/case0.tags": torch.full((1, 3), 7)}, FACTS, "does not fit"),
        (tensors() | {"weight/case0.transitions": torch.zeros(3, 3)}, FACTS, "does not fit"),
        ({"weight/linear": torch.zeros(3)}, FACTS, "holds no output that is known"),
    ],
)
def test_a_file_that_can_not_be_checked_is_refused(
    tmp_path: Path, content: dict[str, Tensor], facts: Any, match: str
) -> None:
    with pytest.raises(CheckpointError, match=match):
        verify("crf", write(tmp_path, content, facts))


def test_a_missing_truncated_or_alien_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, tensors())
    cut, text, other = tmp_path / "cut.safetensors", tmp_path / "text.safetensors", tmp_path / "other.pt"
    cut.write_bytes(path.read_bytes()[:-40])
    text.write_text("<html>404</html>")
    torch.save(tensors(), other)
    for bad in (cut, text, other, tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(CheckpointError):
            verify("crf", bad)


@pytest.mark.parametrize(
    ("stated", "tolerance"),
    [
        (1e-4, Tolerance(1e-4)),
        ({"abs": 1e-4, "rel": 1e-3}, Tolerance(1e-4, 1e-3)),
        ({"atol": 1e-4, "rtol": 1e-5, "grad_norm": "in words"}, Tolerance(1e-4, 1e-5)),
        ({"float_abs": 1e-4, "tokens": "exact"}, Tolerance(1e-4)),
    ],
)
def test_the_ways_to_state_a_tolerance(stated: Any, tolerance: Tolerance) -> None:
    assert Fixture(Path("f"), {}, {"tolerance": stated}).tolerance == tolerance


def test_compare() -> None:
    expected = torch.tensor([1.0, 100.0, torch.inf])
    ours = torch.tensor([1.0, 100.05, torch.inf])
    assert not compare("x", ours, expected, Tolerance(1e-2)).within
    assert compare("x", ours, expected, Tolerance(1e-2)).difference == pytest.approx(0.05, rel=1e-3)
    assert compare("x", ours, expected, Tolerance(0.0, 1e-3)).within
    assert not compare("x", -ours, expected, Tolerance(1e9, 1e9)).within
    assert compare("x", torch.arange(3), torch.arange(3), EXACT).within
    assert not compare("x", torch.arange(3), torch.arange(4), EXACT).within
    assert not compare("x", torch.full((1,), torch.nan), torch.full((1,), torch.nan), Tolerance(1.0)).within
    assert compare("x", torch.zeros(0), torch.zeros(0), EXACT) == ("x", 0.0, EXACT, True)
    assert str(EXACT) == "exact"
