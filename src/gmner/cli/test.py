"""`gmner test`: a model that was trained before, on the test split of any data set."""

from pathlib import Path
from typing import Annotated

import typer

from gmner.cli.tested import Images, Knowledge, Threads, leave_card, read_split, refuse_knowledge, score_test


def test(
    recipe: Annotated[Path, typer.Argument(help="The TOML file that the model was trained by.")],
    model: Annotated[Path, typer.Option(help="The folder that the training, or `gmner weights`, has written.")],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    output: Annotated[Path, typer.Option(help="The folder for predictions and card; new or empty.")],
    images: Images = None,
    knowledge: Knowledge = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="As the model was trained: form=plain.")] = None,
    threads: Threads = 1,
) -> None:
    """Score a trained model on the test split, as `gmner train` does at its end; nothing is trained.

    Example: gmner test recipes/seqtr-drawn.toml --model runs/seqtr --data drawn-11 --output runs/seqtr-on-11

    Here the stages are scored that predict nothing alone, such as visual entailment; whole systems have
    `gmner predict` and `gmner evaluate` as well. What the model's own card says of its training stands in the new one.
    """
    import time
    from dataclasses import replace

    import torch

    from gmner.errors import DataError
    from gmner.report.card import Card, read_card
    from gmner.report.provenance import commit
    from gmner.training.recipes import read_recipe

    revision = commit()  # before the scoring: files may change while it runs
    torch.set_num_threads(threads)
    plan = read_recipe(recipe, changes or ())
    refuse_knowledge(plan, knowledge)
    if output.exists() and any(output.iterdir()):
        raise DataError(str(output), "the folder is not empty", allowed="nothing is overwritten", todo="choose another")
    posts = read_split(data, "test", images, knowledge)
    begun = time.perf_counter()
    scored = score_test(plan, model, posts, data.name, output)
    taken = time.perf_counter() - begun
    settings = [f"--set {change}" for change in changes or ()]
    scored |= {
        "inputs": f"knowledge {knowledge.name}" if knowledge else "",
        "command": " ".join(["gmner test", recipe.name, f"--model {model.name} --data {data.name}", *settings]),
        "commit": revision,
        "seconds": taken,
        "epochs": (),
    }
    own = model / "card.json"
    if own.exists():
        card = replace(read_card(own), **scored)
    else:  # published weights, which this project has not trained
        card = Card(recipe.stem, about=plan.about, recipe=recipe.name, changes=tuple(changes or ()), **scored)
    leave_card(card, output)
    typer.echo(card.markdown())
