"""The command `gmner`: one sub-command a task. What a user can get wrong ends in one sentence and exit code 2."""

import os
import sys
from typing import Annotated

import typer

from gmner import __version__
from gmner.cli import (
    card,
    data,
    doctor,
    evaluate,
    predict,
    report,
    results,
    segment,
    serve,
    show,
    test,
    train,
    verify,
    weights,
)
from gmner.errors import GmnerError, reason

app = typer.Typer(
    help="Grounded and segmented multimodal named entity recognition: a post in, its named entities out.\n\n"
    'Example: gmner predict --text "Grace Hopper of the US Navy" --image hopper.jpg --show out.png',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("predict")(predict.predict)
app.command("segment")(segment.segment)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("show")(show.show)
app.command("serve")(serve.serve)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("test")(test.test)
app.command("weights")(weights.weights)
app.command("card")(card.card)
app.command("results")(results.results)
app.command("verify")(verify.verify)
app.command("systems")(doctor.systems)
app.command("doctor")(doctor.doctor)


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"gmner {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    # Fast tokenizers must not spawn threads, and nothing may be fetched that the user did not ask for.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        app()
    except GmnerError as error:
        typer.echo(f"gmner: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has gone, as `gmner ... | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a file that can not be written, a full disk
        name = error.filename or "a file"
        typer.echo(f"gmner: {name}: {reason(error)}; check the path, its rights and the space left.", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
