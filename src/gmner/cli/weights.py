"""`gmner weights`: published weights as a folder that other commands read."""

from pathlib import Path
from typing import Annotated

import typer


def weights(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML file, such as those in recipes/: which model it is, and its settings.")
    ],
    files: Annotated[list[Path], typer.Argument(help="The published file, or files, or the folder of them.")],
    output: Annotated[Path, typer.Option(help="The folder that the model is written to; new or empty.")],
    data: Annotated[
        Path | None, typer.Option(help="For SeqTR: the data set that it was trained with, which has its words.")
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: model.image_size=512.")] = None,
) -> None:
    """Turn published weights into a folder that `gmner predict` and `gmner train` read; nothing is trained.

    Example: gmner weights recipes/ofa-entail.toml checkpoint_best.pt --output runs/ofa-large-ve

    Only the recipe's task and what it says of the model count, with OFA its vocabulary too. docs/papers.md has a
    command for each model.
    """
    from gmner.training.published import write_published  # loads torch
    from gmner.training.recipes import read_recipe

    plan = read_recipe(recipe, changes or ())
    loaded = write_published(plan, files, output, data)
    millions = sum(parameter.numel() for parameter in loaded.model.parameters()) / 1e6
    typer.echo(
        f"{plan.task}: {millions:.1f} million parameters in {output}; next, gmner predict --system {loaded.system} "
        f"--config FILE, where FILE says {loaded.setting.format(folder=output)}."
    )
