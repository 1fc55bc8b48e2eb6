"""`gmner verify`: a model of ours against what the published one computed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from gmner.verify import Verification


def verify(
    model: Annotated[str, typer.Argument(help="The model to check, such as crf.", show_default=False)],
    path: Annotated[
        Path, typer.Argument(help="A fixture (a published model's tensors), or a folder of them.", show_default=False)
    ],
) -> None:
    """Compare every output of a model with its fixtures. Exit code 1 if one is past its fixture's tolerance.

    Example: gmner verify crf crf_cases.safetensors
    """
    from gmner.verify import fixtures
    from gmner.verify import verify as compare_all  # loads torch

    console = Console()
    results = []
    for file in fixtures(path):
        result = compare_all(model, file)
        results.append(result)
        console.print(_table(file, result))
        console.print(
            f"{result.within} of {len(result.comparisons)} outputs are within the tolerance.", highlight=False
        )
        if result.unchecked:
            console.print(f"{len(result.unchecked)} outputs of the file are not checked.", highlight=False)
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _table(file: Path, result: "Verification") -> Table:
    table = Table(Column("output", overflow="fold"), "largest difference", "tolerance", "", title=escape(file.name))
    for comparison in result.comparisons:
        verdict = "[green]within[/]" if comparison.within else "[bold red]past[/]"
        table.add_row(escape(comparison.output), f"{comparison.difference:.1e}", str(comparison.tolerance), verdict)
    for output in result.unchecked:
        table.add_row(escape(output), "", "", "[yellow]not checked[/]")
    return table
