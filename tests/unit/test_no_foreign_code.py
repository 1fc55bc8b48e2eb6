"""Nothing that is read can bring code along: no pickle, no code from a hub, no shell, anywhere in the package."""

import ast
from pathlib import Path
from typing import Final

import pytest

import gmner

SOURCE: Final = Path(gmner.__file__).parent
MODULES: Final = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})
CALLS: Final = frozenset({"eval", "exec", "compile", "__import__", "read_pickle", "to_pickle", "system", "popen"})


def offences(source: str) -> list[str]:
    """What of a module's source can run foreign code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {name.name}" for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [f"from {node.module}"] if (node.module or "").split(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            found += _call(node)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            found += [name] if name == "trust_remote_code" else []
    return found


def _call(node: ast.Call) -> list[str]:
    called = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    found = [f"{name}={given[name]}" for name in ("trust_remote_code", "allow_pickle", "shell", "weights_only")
             if given.get(name, _SAFE[name]) != _SAFE[name]]  # fmt: skip
    if called in ("torch.load", "torch.hub.load", "torch.jit.load") and "weights_only" not in given:
        found.append(called)
    owner, _, last = called.rpartition(".")
    if last in CALLS and owner in ("", "os", "pd", "pandas", "builtins"):
        found.append(called)
    return found


_SAFE: Final = {"trust_remote_code": "False", "allow_pickle": "False", "shell": "False", "weights_only": "True"}


BETWEEN_OUR_PROCESSES: Final = {"batch/on_ray.py": ["import pickle"]}
"""What one process of a run hands to another through Ray, which pickles everything itself; nothing of it is a file."""


def test_no_module_can_run_foreign_code() -> None:
    modules = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    assert len(modules) > 100
    assert {name: found for name, source in modules.items() if (found := offences(source))} == BETWEEN_OUR_PROCESSES


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.jit.load(path)",
        "torch.hub.load(name)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=trust)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "pd.read_pickle(path)",
    ],
)
def test_what_could_is_found(source: str) -> None:
    assert offences(source)


def test_what_could_not_is_let_be() -> None:
    fine = "torch.load(p, weights_only=True); np.load(p, allow_pickle=False); re.compile(p); model.eval(); np.load(p)"
    assert offences(fine) == []
