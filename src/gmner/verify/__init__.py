"""Our models against what the published ones computed: `gmner verify <model> <file>`.

Each model has a module here with one function `checks(fixture)`, which computes every output that the file holds and
compares it; `CHECKS` is the one list of them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gmner.errors import CheckpointError, UnknownNameError
from gmner.verify import albef, crf, h_index, mqspn, ofa, seqtr, umt
from gmner.verify.fixture import Comparison, Fixture, read_fixture

CHECKS: Final[Mapping[str, Callable[[Fixture], list[Comparison]]]] = {
    "albef": albef.checks,
    "crf": crf.checks,
    "h_index": h_index.checks,
    "mqspn": mqspn.checks,
    "ofa": ofa.checks,
    "seqtr": seqtr.checks,
    "umt": umt.checks,
}


FORMS: Final = (".safetensors", ".json")
"""How the names of fixtures end."""


class Verification(NamedTuple):
    """What was compared, and the outputs of the file that the model has no check for."""

    comparisons: tuple[Comparison, ...]
    unchecked: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all that was compared came within the tolerance."""
        return self.within == len(self.comparisons)

    @property
    def within(self) -> int:
        """How many came within."""
        return sum(comparison.within for comparison in self.comparisons)


def fixtures(path: Path) -> list[Path]:
    """The fixtures of a folder in the order of their names; a file is itself.

    Raises:
        CheckpointError: the folder has none.
    """
    found = sorted(file for file in path.iterdir() if file.suffix in FORMS) if path.is_dir() else [path]
    if not found:
        raise CheckpointError(
            f"{path} holds no fixture",
            allowed=f"fixtures are files that end in {' or '.join(FORMS)}",
            todo="name the folder of one model's fixtures, or one of them",
        )
    return found


def verify(model: str, path: Path) -> Verification:
    """Compute what a fixture holds with our `model`, in float32 on the CPU, and compare every named output.

    Raises:
        UnknownNameError: there are no checks for a model of that name.
        CheckpointError: the file is missing, damaged, of another model, or holds no output that the model checks.
    """
    if model not in CHECKS:
        raise UnknownNameError("model to verify", model, CHECKS)
    fixture = read_fixture(path)
    try:
        comparisons = CHECKS[model](fixture)
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise _misfit(path, model, f"its tensors can not be computed with ({reason})") from error
    if not comparisons:
        raise _misfit(path, model, "it holds no output that is known")
    known = {comparison.output for comparison in comparisons}
    return Verification(tuple(comparisons), tuple(sorted(fixture.under("output/").keys() - known)))


def _misfit(path: Path, model: str, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} does not fit the model {model!r}: {reason}",
        allowed="a fixture holds weights, inputs and outputs of the model that it is checked with",
        todo="name the model that the file was made with, or copy the file again",
    )
