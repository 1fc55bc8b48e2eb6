"""`gmner train`: a recipe and a data set in, a model folder with its card out."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file, such as those in recipes/.")],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    output: Annotated[Path, typer.Option(help="The folder that the model is written to.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: training.seed=1.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads to use.")] = 1,
) -> None:
    """Train a model: the train split teaches, dev chooses the epoch, test is scored once at the end.

    Example: gmner train recipes/lite-tagger.toml --data twitter_gmner_v2 --output runs/lite-tagger
    """
    import torch

    from gmner.config import read_toml
    from gmner.data import read
    from gmner.models.tagger import weights
    from gmner.training.loop import train as run
    from gmner.training.recipe import Recipe, write_card
    from gmner.training.recognise import build, scores

    torch.set_num_threads(threads)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    plan = read_toml(Recipe, recipe, changes or ())
    train_split, dev, test = (read(data, split=split) for split in ("train", "dev", "test"))
    task = build(plan.model, train_split, dev, plan.frozen, plan.groundable_weight, plan.training.seed)
    history = run(task, plan.training, output)
    result = scores(task.model, task.codec, test)
    weights.save(output, task.model)
    command = f"gmner train {recipe.name} " + " ".join(f"--set {change}" for change in changes or ())
    write_card(output / "README.md", plan, command.strip(), data.name, history, result)
    typer.echo((output / "README.md").read_text(encoding="utf-8"))
