"""`gmner verify`: a model of ours against what the published one computed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table


def verify(
    model: Annotated[str, typer.Argument(help="The model to check, such as crf.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="A fixture: a published model's tensors.", show_default=False)],
) -> None:
    """Compare every output of a model with a fixture. Exit code 1 if one is past the fixture's tolerance.

    Example: gmner verify crf crf_cases.safetensors
    """
    from gmner.verify import verify as compare_all  # loads torch

    result = compare_all(model, file)
    table = Table(Column("output", overflow="fold"), "largest difference", "tolerance", "")
    for comparison in result.comparisons:
        verdict = "[green]within[/]" if comparison.within else "[bold red]past[/]"
        table.add_row(escape(comparison.output), f"{comparison.difference:.1e}", str(comparison.tolerance), verdict)
    for output in result.unchecked:
        table.add_row(escape(output), "", "", "[yellow]not checked[/]")
    within = sum(comparison.within for comparison in result.comparisons)
    console = Console()
    console.print(table)
    console.print(f"{within} of {len(result.comparisons)} outputs are within the tolerance.", highlight=False)
    if result.unchecked:
        console.print(f"{len(result.unchecked)} outputs of the file are not checked.", highlight=False)
    if not result.passed:
        raise typer.Exit(1)
