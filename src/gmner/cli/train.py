"""`gmner train`: a recipe and a data set in; a model folder with its card and its test predictions out."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gmner.cli.tested import Images, Knowledge, Threads, leave_card, read_split, refuse_knowledge, score_test


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file, such as those in recipes/.")],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    output: Annotated[Path, typer.Option(help="The folder that the model is written to.")],
    images: Images = None,
    knowledge: Knowledge = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: training.seed=1.")] = None,
    threads: Threads = 1,
) -> None:
    """Train a model: the train split teaches, dev chooses the epoch, test is predicted and scored once at the end.

    Example: gmner train recipes/lite-tagger.toml --data twitter_gmner_v2 --output runs/lite-tagger

    Killed and started again, with the same recipe and data, it goes on after the last whole epoch. Several GPUs, or
    processor cores: the same command as `torchrun --nproc-per-node 2 -m gmner.cli.main train ...`.
    """
    import torch

    from gmner.config import to_dict
    from gmner.memory import keep_freed_memory
    from gmner.report.card import Card, CardEpoch
    from gmner.report.provenance import commit, fingerprint
    from gmner.training.loop import finish
    from gmner.training.loop import train as run
    from gmner.training.recipes import read_recipe

    revision = commit()  # before the training: files may change while it runs
    torch.set_num_threads(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    plan = read_recipe(recipe, changes or ())
    refuse_knowledge(plan, knowledge)
    train_split, dev, test = (read_split(data, split, images, knowledge) for split in ("train", "dev", "test"))
    task = plan.prepare(train_split, dev)
    about = {
        "recipe": to_dict(plan),
        "posts": [fingerprint(posts) for posts in (train_split, dev)],
        "knowledge": knowledge and str(knowledge.resolve()),
    }
    history = run(task, plan.training, output, about)
    from accelerate import PartialState  # whose absence `run` has told by now

    processes = PartialState()
    main = processes.is_main_process
    processes.destroy_process_group()  # one that ends while they are still joined may be aborted
    if not main:
        return  # of several processes all hold the same weights, and one writes them
    task.save(output)
    card = Card(
        system=recipe.stem,
        about=plan.about,
        recipe=recipe.name,
        changes=tuple(changes or ()),
        inputs=f"knowledge {knowledge.name}" if knowledge else "",
        command=" ".join(["gmner train", recipe.name, *(f"--set {change}" for change in changes or ())]),
        commit=revision,
        seed=plan.training.seed,
        seconds=sum(epoch.seconds for epoch in history),
        epochs=tuple(CardEpoch(epoch.number, epoch.loss, epoch.seconds, epoch.scores) for epoch in history),
        **score_test(plan, output, test, data.name, output),  # what is scored is what was written
    )
    leave_card(card, output)
    finish(output)
    typer.echo(card.markdown())
