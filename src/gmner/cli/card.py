"""`gmner card`: the result card of a run from its predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gmner.errors import ConfigError

if TYPE_CHECKING:
    from gmner.metrics.posts import Missing


def card(
    gold: Annotated[Path, typer.Option(help="Gold: a file of posts, or a data set's folder.")],
    predictions: Annotated[Path, typer.Option("--pred", help="The predictions of the run.")],
    system: Annotated[str, typer.Option(help="The system's name; runs that differ in the seed only share it.")],
    output: Annotated[Path, typer.Option(help="The card, such as results/blind-42.json.")],
    data: Annotated[str, typer.Option(help="The data set's name, if it is not one of the Twitter sets.")] = "",
    split: Annotated[str, typer.Option(help="The split that was predicted: train, dev or test.")] = "test",
    task: Annotated[list[str] | None, typer.Option(help="Score these tasks only; may be repeated.")] = None,
    about: Annotated[str, typer.Option(help="One sentence for the reader.")] = "",
    recipe: Annotated[str, typer.Option(help="The recipe's file name.")] = "",
    changes: Annotated[list[str] | None, typer.Option("--set", help="What was changed in it; may be repeated.")] = None,
    inputs: Annotated[str, typer.Option(help="What was read beside the data set.")] = "",
    command: Annotated[str, typer.Option(help="What was typed.")] = "",
    seed: Annotated[int | None, typer.Option(help="The training's seed.")] = None,
    revision: Annotated[str, typer.Option("--commit", help="The code's commit; the present one if left out.")] = "",
    machine: Annotated[str, typer.Option(help='In general words, such as "2 cores, no GPU".')] = "",
    seconds: Annotated[float | None, typer.Option(help="Wall time of the training, or of the prediction.")] = None,
    measures: Annotated[
        list[str] | None, typer.Option("--measure", help="A further number in percent: name=value; may be repeated.")
    ] = None,
    missing: Annotated[str, typer.Option(help="Posts without prediction: error, or empty (nothing found).")] = "error",
) -> None:
    """Score a run under every protocol and write its result card. `gmner train` writes its own.

    Example: gmner card --gold twitter_gmner_v2 --pred lite.jsonl --system lite --output results/lite.json
    """
    from gmner.data import read
    from gmner.data.rows import read_predictions
    from gmner.report.card import Card, card_scores, write_card
    from gmner.report.provenance import commit, data_version

    examples = read(gold, split)
    version = data_version(examples, data or gold.stem)
    found = Card(
        system=system,
        about=about,
        recipe=recipe,
        changes=tuple(changes or ()),
        inputs=inputs,
        command=command,
        commit=revision or commit(),
        seed=seed,
        data=version.name,
        version=version.version,
        split=split,
        posts=len(examples),
        machine=machine,
        seconds=seconds,
        scores=card_scores(examples, read_predictions(predictions), task, missing=cast("Missing", missing)),
        measures=dict(map(_measure, measures or ())),
    )
    write_card(output, found)
    typer.echo(found.markdown())


def _measure(words: str) -> tuple[str, float]:
    name, equals, value = words.partition("=")
    try:
        if not name or not equals:
            raise ValueError
        return name, float(value)
    except ValueError:
        raise ConfigError(
            f"--measure {words!r}", allowed="measures are name=value, such as groundable_accuracy=83.1", todo="mend it"
        ) from None
