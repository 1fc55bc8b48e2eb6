"""`gmner predict`: one post from the command line, or a file of posts."""

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from gmner.config import read_values
from gmner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gmner.systems.system import System

_PROCESSES: Final = min(os.cpu_count() or 1, 8)
"""The default: each takes the memory of a system."""


def predict(
    text: Annotated[str | None, typer.Option(help="The text of one post.")] = None,
    image: Annotated[Path | None, typer.Option(help="Its picture: JPEG, PNG, WebP, GIF or BMP.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", help="Posts: .jsonl, .csv, .parquet, a folder of pictures with texts, a data set."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--output", help="Where the rows with entities go: .jsonl or .parquet.")
    ] = None,
    system: Annotated[str, typer.Option(help="Which system; `gmner systems` lists them.")] = "lite",
    config: Annotated[Path | None, typer.Option(help="A TOML file with the system's settings.")] = None,
    first: Annotated[
        str | None, typer.Option("--from-stage", help="Go on from the rows of a run that stopped before this stage.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to-stage", help="Stop after this stage.")] = None,
    people: Annotated[bool, typer.Option("--people/--no-people", help="Ground names of people or not.")] = True,
    windows: Annotated[bool, typer.Option("--windows", help="Read too long texts in stretches.")] = False,
    split: Annotated[str | None, typer.Option(help="Which split of a data set: train, dev or test.")] = None,
    images: Annotated[Path | None, typer.Option(help="The folder of a data set's pictures, <image id>.jpg.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that hold the system each, for a file of posts.")
    ] = _PROCESSES,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts in flight, and so computed again after a kill.")] = 32,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an unfinished run has done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the post as one JSON row.")] = False,
    picture: Annotated[Path | None, typer.Option("--show", help="Draw boxes and masks into this PNG or JPEG.")] = None,
) -> None:
    """Find the named entities of a post, or of a file of posts, and where they are in the picture.

    Example: gmner predict --text "Grace Hopper of the US Navy" --image hopper.jpg --show out.png

    Example: gmner predict --input posts.jsonl --output entities.jsonl

    In a file, a row that can not be read goes to OUTPUT's .errors.jsonl with its reason, and the run goes on. A run
    that was killed goes on where it was when it is started again. The exit code is 0 if every row has a prediction, 3
    if some have errors, 1 if all have, and 2 if what was asked for can not be done at all.
    """
    if (text is None) == (source is None):
        raise ConfigError(
            "both a text and a file of posts" if text is not None else "neither a text nor a file of posts",
            allowed="one post (--text, with --image if it has a picture) or a file (--input and --output)",
            todo="give one of them",
        )
    if source is None:
        idle = {"--output": target, "--split": split, "--images": images, "--restart": restart}
    else:
        idle = {"--image": image, "--json": as_json, "--show": picture}
    if given := [name for name, value in idle.items() if value]:
        raise ConfigError(
            f"{' and '.join(given)} with {'--text' if source is None else '--input'}",
            allowed="one post takes --text, --image, --json and --show, a file of posts --input and --output",
            todo=f"drop {' and '.join(given)}",
        )
    if source is not None and target is None:
        raise ConfigError("--input without --output", allowed="a file of posts gives a file", todo="add --output FILE")
    # Only what was asked for is passed on: not every system has these settings.
    settings: dict[str, Any] = {**({} if people else {"people": False}), **({"windows": True} if windows else {})}
    if config is not None:
        settings = {**read_values(config), **settings}
    from gmner.systems import load_part

    make = partial(load_part, system, settings, first, last, config)
    if source is None or target is None:
        _post(text or "", image, make, as_json, picture)
        return
    from gmner.batch.files import predict_file
    from gmner.batch.source import Source

    told = {"system": system, **settings, "from_stage": first, "to_stage": last}
    summary = predict_file(
        make,
        Source(source, split, images),
        target,
        settings=told,
        processes=processes,
        batch_size=batch_size,
        restart=restart,
        say=partial(typer.echo, err=True),
    )
    typer.echo(f"{summary}", err=True)
    if not summary.posts and not summary.errors:
        typer.echo(no_posts(source), err=True)
    if summary.errors:
        raise typer.Exit(3 if summary.posts else 1)


def no_posts(source: Path) -> str:
    """What is said of a run over nothing: no error, as one part of a corpus may be empty, but never silence."""
    return f"gmner: no posts were read from {source}; check that it is the file (and the split) that you mean."


def _post(text: str, image: Path | None, make: "Callable[[], System]", as_json: bool, picture: Path | None) -> None:
    from gmner.data.rows import row_from_prediction
    from gmner.show import WIDE, check_target, save_overlay, text_table
    from gmner.types import Example

    if picture is not None:
        check_target(picture)
    example = Example(text=text, image=image)  # a bad post is told before the system is loaded
    [prediction] = make().predict([example])
    if as_json:
        typer.echo(json.dumps(row_from_prediction(prediction), ensure_ascii=False))
    else:
        console = Console()
        console.print(text_table([prediction], why=console.width >= WIDE))
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        save_overlay(picture, prediction)
