"""`gmner train`: a recipe and a data set in; a model folder with its card and its test predictions out."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gmner.types import Example


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file, such as those in recipes/.")],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    output: Annotated[Path, typer.Option(help="The folder that the model is written to.")],
    images: Annotated[
        Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg, if posts don't name their own.")
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="A folder of knowledge files, for recipes whose model reads knowledge.")
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: training.seed=1.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads to use.", min=1)] = 1,
) -> None:
    """Train a model: the train split teaches, dev chooses the epoch, test is predicted and scored once at the end.

    Example: gmner train recipes/lite-tagger.toml --data twitter_gmner_v2 --output runs/lite-tagger

    Killed and started again, with the same recipe and data, it goes on after the last whole epoch. Several GPUs, or
    processor cores: the same command as `torchrun --nproc-per-node 2 -m gmner.cli.main train ...`.
    """
    import torch

    from gmner.config import to_dict
    from gmner.data import write_rows
    from gmner.errors import ConfigError
    from gmner.memory import keep_freed_memory
    from gmner.report.card import Card, CardEpoch, card_scores, write_card
    from gmner.report.provenance import commit, data_version, fingerprint, machine
    from gmner.training.loop import finish
    from gmner.training.loop import train as run
    from gmner.training.recipes import read_recipe

    revision = commit()  # before the training: files may change while it runs
    torch.set_num_threads(threads)
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    plan = read_recipe(recipe, changes or ())
    if knowledge is not None and not plan.reads_knowledge:
        raise ConfigError(
            f"--knowledge {knowledge} for a recipe that reads none",
            allowed="only a model that reads knowledge is trained with it",
            todo="drop --knowledge, or choose another recipe",
        )
    train_split, dev, test = (_read(data, split, images, knowledge) for split in ("train", "dev", "test"))
    task = plan.prepare(train_split, dev)
    about = {
        "recipe": to_dict(plan),
        "posts": [fingerprint(posts) for posts in (train_split, dev)],
        "knowledge": knowledge and str(knowledge.resolve()),
    }
    history = run(task, plan.training, output, about)
    from accelerate import PartialState  # whose absence `run` has told by now

    if not PartialState().is_main_process:
        return  # of several processes all hold the same weights, and one writes them
    task.save(output)
    tested = plan.test(output, test)  # what is scored is what was written
    write_rows(output / "test.jsonl", tested.predictions)
    found = data_version(test, data.name)
    card = Card(
        system=recipe.stem,
        about=plan.about,
        recipe=recipe.name,
        changes=tuple(changes or ()),
        inputs=f"knowledge {knowledge.name}" if knowledge else "",
        command=" ".join(["gmner train", recipe.name, *(f"--set {change}" for change in changes or ())]),
        commit=revision,
        seed=plan.training.seed,
        data=found.name,
        version=found.version,
        split="test",
        posts=len(test),
        machine=machine(),
        seconds=sum(epoch.seconds for epoch in history),
        scores=card_scores(test, tested.predictions, tested.tasks) if tested.tasks else (),
        measures={name: round(value, 4) for name, value in tested.measures.items()},
        epochs=tuple(CardEpoch(epoch.number, epoch.loss, epoch.seconds, epoch.scores) for epoch in history),
    )
    write_card(output / "card.json", card)
    (output / "README.md").write_text(card.markdown(), encoding="utf-8")
    finish(output)
    typer.echo(card.markdown())


def _read(data: Path, split: str, images: Path | None, knowledge: Path | None) -> "list[Example]":
    from gmner.cli.data import tell
    from gmner.data import read, with_knowledge
    from gmner.data.splits import split_files
    from gmner.errors import DataError

    examples = read(data, split, images)
    if not examples:
        raise DataError(
            str(data),
            f"no posts in the split {split!r}",
            allowed="a data set to train on has train, dev and test posts",
            todo="give a folder or file that has all three",
        )
    if knowledge is not None:
        files = split_files(knowledge)
        if split not in files:
            raise DataError(
                str(knowledge),
                f"no file for the split {split!r}",
                allowed="knowledge is a folder with train.txt, dev.txt (or valid.txt) and test.txt",
                todo="give such a folder",
            )
        examples, report = with_knowledge(examples, files[split])
        tell(report)
    return examples
