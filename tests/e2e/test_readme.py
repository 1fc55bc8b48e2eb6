"""The README is true: its commands and code run, its tree is the tree, and nothing that it needs opens a socket."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tree import with_tree

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
NO_SOCKETS = """
import socket

def forbid(*arguments, **settings):
    raise OSError("a socket was opened")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = forbid
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("gmner ")]


def demo_commands() -> list[str]:
    """What `make demo` runs once everything is installed."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    return [line.strip().removeprefix("$(BIN)/") for line in recipe.group(1).splitlines()]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a clone has beside the package, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "recipes"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "tests" / "golden", folder / "tests" / "golden")
    (folder / "sitecustomize.py").write_text(NO_SOCKETS, encoding="utf-8")
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # `python -P` would drop the current folder; PYTHONPATH brings the module that forbids sockets into every process.
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY / 'src'}",
        "COLUMNS": "160",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def gmner(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "gmner.cli.main", *shlex.split(command)[1:]], folder)


def test_sockets_are_forbidden_in_these_tests(workplace: Path) -> None:
    probe = "import socket; socket.create_connection(('127.0.0.1', 9))"
    assert "a socket was opened" in run([sys.executable, "-c", probe], workplace).stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs(command: str, workplace: Path) -> None:
    finished = gmner(command, workplace)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
def test_the_demo_finds_and_writes_what_it_promises(workplace: Path) -> None:
    printed = ""
    for command in demo_commands():
        finished = gmner(command, workplace)
        assert finished.returncode == 0, finished.stderr
        printed += finished.stdout
    out = workplace / "out" / "demo"
    posts = len((workplace / "examples" / "posts.jsonl").read_text(encoding="utf-8").splitlines())
    assert posts >= 6
    assert len((out / "entities.jsonl").read_text(encoding="utf-8").splitlines()) >= posts
    assert len(list(out.glob("*.png"))) == posts
    assert "Grace Hopper" in (out / "index.html").read_text(encoding="utf-8")
    assert "Grace Hopper" in printed


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_block_runs(code: str, workplace: Path) -> None:
    finished = run([sys.executable, "-c", code], workplace)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()


@pytest.mark.parametrize("row", blocks("json"))
def test_every_row_shown_has_the_form_that_is_read(row: str) -> None:
    import json

    from gmner.data.rows import example_from_row

    values = json.loads(row)
    values["entities"][0]["masks"] = []  # the README abbreviates the code
    assert example_from_row(values, "README").entities


def test_the_tree_is_the_tree() -> None:
    assert with_tree(README) == README, "run `python -m tests.tree`"


def test_importing_is_light() -> None:
    probe = "import sys, gmner; print('torch' in sys.modules, 'transformers' in sys.modules, 'cv2' in sys.modules)"
    assert run([sys.executable, "-c", probe], REPOSITORY).stdout.split() == ["False", "False", "False"]


@pytest.mark.slow
def test_the_code_of_add_a_model_runs(workplace: Path) -> None:
    page = (REPOSITORY / "docs" / "add-a-model.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    finished = run([sys.executable, "-c", code], workplace)
    assert finished.returncode == 0, finished.stderr
    assert "('Ada Lovelace', 1.0" in finished.stdout


@pytest.mark.slow
def test_the_code_of_the_exports_runs(workplace: Path) -> None:
    page = (REPOSITORY / "docs" / "exports.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    register = "import gmner.exports.component\n"  # as the entry point of an installed package does
    finished = run([sys.executable, "-c", register + code], workplace)
    assert finished.returncode == 0, finished.stderr
    assert "Grace Hopper PER" in finished.stdout
    assert "\nTrue\n" in finished.stdout
