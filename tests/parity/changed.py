"""Recorded tensors of which some are changed, and what is then past its tolerance."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gmner.verify import Verification
from gmner.verify.fixture import read_fixture


def changed(source: Path, target: Path, changes: Mapping[str, torch.Tensor | None]) -> Path:
    """The fixture of `source` with other tensors, and without those that are None, as the file `target`."""
    tensors = {**read_fixture(source).tensors, **changes}
    with safe_open(source, "pt") as file:
        save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, target, file.metadata())
    return target


def past(result: Verification) -> set[str]:
    """The outputs that are off by more than is allowed."""
    return {comparison.output for comparison in result.comparisons if not comparison.within}
