"""Work that the processes of a training divide."""

import subprocess
import sys
from pathlib import Path

import pytest

from gmner.training.processes import divided

SQUARES = """
import os
from accelerate import PartialState
from gmner.training.processes import divided

seen = []
found = divided(range(7), lambda some: seen.extend(some) or [number**2 for number in some])
open(os.environ["RANK"] + ".txt", "w").write(f"{seen} {found}")
PartialState().destroy_process_group()
"""


def test_one_process_does_all_of_it() -> None:
    assert divided("abc", str.upper) == ["A", "B", "C"]


@pytest.mark.slow
def test_two_processes_do_half_of_it_each_and_have_the_whole(tmp_path: Path) -> None:
    (tmp_path / "squares.py").write_text(SQUARES, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "squares.py"]
    finished = subprocess.run(launch, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "0.txt").read_text() == "[0, 2, 4, 6] [0, 1, 4, 9, 16, 25, 36]"
    assert (tmp_path / "1.txt").read_text() == "[1, 3, 5] [0, 1, 4, 9, 16, 25, 36]"
