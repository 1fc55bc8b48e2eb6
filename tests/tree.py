"""The README's tree, made from the first sentence of every module: `python -m tests.tree` writes it."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
BESIDE = {
    "recipes": "what is trained, from what and how: one TOML file each",
    "examples": "the demo's posts and photographs, with their credits",
    "docs": "architecture, protocols, results, the log of what did not help, and a page for each part",
    "benchmarks": "speed, beside what it is compared with",
    "tests": "unit, parity (recorded tensors), golden (whole outputs), e2e (this page)",
}
_FENCE = re.compile(r"(## The tree\n)(?:```text\n.*?```\n)?", re.DOTALL)


def tree() -> str:
    """Every module of the package with its purpose, a folder's beside its name."""
    lines = ["src/gmner/"]
    root = REPOSITORY / "src" / "gmner"
    _add(root, lines, 1)
    lines += [f"{name}/".ljust(34) + purpose for name, purpose in BESIDE.items() if (REPOSITORY / name).is_dir()]
    return "\n".join(lines) + "\n"


def _add(folder: Path, lines: list[str], depth: int) -> None:
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    for path in entries:
        if path.suffix == ".py" and path.name != "__init__.py":
            lines.append(f"{'  ' * depth}{path.name}".ljust(34) + purpose(path))
        elif path.is_dir() and (path / "__init__.py").is_file():
            lines.append(f"{'  ' * depth}{path.name}/".ljust(34) + purpose(path / "__init__.py"))
            _add(path, lines, depth + 1)
    if folder.name == "gmner":
        lines.append("  weights/".ljust(34) + "the tagger that lite carries, with the card of how it was made")


def purpose(module: Path) -> str:
    """The first sentence of a module, without its full stop."""
    words = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return re.split(r"(?<=[a-z`)])(?<! al)\. ", " ".join(words.split()))[0].removesuffix(".")


def with_tree(readme: str) -> str:
    """The README with the tree as it is."""
    return _FENCE.sub(lambda found: f"{found.group(1)}```text\n{tree()}```\n", readme)


if __name__ == "__main__":
    page = REPOSITORY / "README.md"
    page.write_text(with_tree(page.read_text(encoding="utf-8")), encoding="utf-8")
