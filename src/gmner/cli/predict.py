"""`gmner predict`: one post from the command line, or a file of posts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gmner.config import read_values
from gmner.errors import ConfigError

if TYPE_CHECKING:
    from gmner.systems.system import System


def predict(
    text: Annotated[str | None, typer.Option(help="The text of one post.")] = None,
    image: Annotated[Path | None, typer.Option(help="Its picture: JPEG, PNG, WebP, GIF or BMP.")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="A file of posts, one JSON row a line.")] = None,
    target: Annotated[Path | None, typer.Option("--output", help="Where the rows with entities go.")] = None,
    system: Annotated[str, typer.Option(help="Which system; `gmner systems` lists them.")] = "lite",
    config: Annotated[Path | None, typer.Option(help="A TOML file with the system's settings.")] = None,
    first: Annotated[
        str | None, typer.Option("--from-stage", help="Go on from the rows of a run that stopped before this stage.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to-stage", help="Stop after this stage.")] = None,
    people: Annotated[bool, typer.Option("--people/--no-people", help="Ground names of people or not.")] = True,
    windows: Annotated[bool, typer.Option("--windows", help="Read too long texts in stretches.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the post as one JSON row.")] = False,
    picture: Annotated[Path | None, typer.Option("--show", help="Draw boxes and masks into this PNG or JPEG.")] = None,
) -> None:
    """Find the named entities of a post, or of a file of posts, and where they are in the picture.

    Example: gmner predict --text "Grace Hopper of the US Navy" --image hopper.jpg --show out.png

    Example: gmner predict --input posts.jsonl --output entities.jsonl

    In a file, a row that can not be read goes to OUTPUT's .errors.jsonl with its reason, and the run goes on. The exit
    code is 0 if any row could be read, 1 if none could, and 2 if what was asked for can not be done at all.
    """
    if (text is None) == (source is None):
        raise ConfigError(
            "both a text and a file of posts" if text is not None else "neither a text nor a file of posts",
            allowed="one post (--text, with --image if it has a picture) or a file (--input and --output)",
            todo="give one of them",
        )
    idle = {"--output": target} if source is None else {"--image": image, "--json": as_json, "--show": picture}
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
    if picture is not None:
        from gmner.show import check_target

        check_target(picture)
    from gmner.systems import load

    ready = _part(load(system, **settings), first, last)
    if source is not None and target is not None:
        _file(source, target, ready)
        return
    _post(text or "", image, ready, as_json, picture)


def _part(system: "System", first: str | None, last: str | None) -> "System":
    """The system, or the part of its stages that was asked for."""
    from gmner.systems.cascade import Cascade

    if first is None and last is None:
        return system
    if not isinstance(system, Cascade):
        raise ConfigError(
            f"--from-stage or --to-stage for the system {system.name!r}",
            allowed="only a cascade has stages",
            todo="drop them, or choose another system",
        )
    return system.between(first, last)


def _post(text: str, image: Path | None, system: "System", as_json: bool, picture: Path | None) -> None:
    from gmner.data.rows import row_from_prediction
    from gmner.show import WIDE, save_overlay, text_table
    from gmner.types import Example

    example = Example(text=text, image=image)
    [prediction] = system.predict([example])
    if as_json:
        typer.echo(json.dumps(row_from_prediction(prediction), ensure_ascii=False))
    else:
        console = Console()
        console.print(text_table([prediction], why=console.width >= WIDE))
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        save_overlay(picture, prediction)


def _file(source: Path, target: Path, system: "System") -> None:
    from gmner.batch.files import predict_file

    summary = predict_file(system, source, target)
    typer.echo(f"{summary}", err=True)
    if summary.errors and not summary.posts:
        raise typer.Exit(1)
