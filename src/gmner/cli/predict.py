"""`gmner predict`: one post from the command line, or a file of posts."""

import json
import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from gmner.config import read_values
from gmner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gmner.batch.on_ray import Actors
    from gmner.systems.system import System

_PROCESSES: Final = min(os.cpu_count() or 1, 8)
"""The default: each takes the memory of a system."""


class Engine(StrEnum):
    """What deals out the posts of a file."""

    LOCAL = "local"
    RAY = "ray"


def predict(
    text: Annotated[str | None, typer.Option(help="The text of one post.")] = None,
    image: Annotated[Path | None, typer.Option(help="Its picture: JPEG, PNG, WebP, GIF or BMP.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--input", help="Posts: .jsonl, .csv, .parquet, a folder of pictures with texts, a data set."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--output", help="Where the rows with entities go: .jsonl or .parquet; with Ray, a folder."),
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
        int | None,
        typer.Option(min=1, help=f"Processes that hold the system each, for a file of posts ({_PROCESSES})."),
    ] = None,
    openers: Annotated[
        int,
        typer.Option(min=0, help="Processes that open pictures ahead of one that predicts, for a system on a GPU."),
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts in flight, and so computed again after a kill.")] = 32,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an unfinished run has done.")] = False,
    engine: Annotated[Engine, typer.Option(help="Processes of this computer, or Ray's actors on many.")] = Engine.LOCAL,
    actors: Annotated[
        str | None, typer.Option(metavar="N | MIN:MAX", help="Ray: actors that hold the system each (all CPUs).")
    ] = None,
    cpus: Annotated[float | None, typer.Option(min=0, help="Ray: CPUs of an actor, or a part of one (1).")] = None,
    gpus: Annotated[float | None, typer.Option(min=0, help="Ray: GPUs of an actor, or a part of one (0).")] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Ray: rows of a shard, computed again if lost (1,000).")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray: the head node of a cluster (HOST:PORT, auto); else one is started here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the post as one JSON row.")] = False,
    picture: Annotated[Path | None, typer.Option("--show", help="Draw boxes and masks into this PNG or JPEG.")] = None,
) -> None:
    """Find the named entities of a post, or of a file of posts, and where they are in the picture.

    Example: gmner predict --text "Grace Hopper of the US Navy" --image hopper.jpg --show out.png

    Example: gmner predict --input posts.jsonl --output entities.jsonl

    Example: gmner predict --engine ray --actors 2:16 --input posts/ --output s3://bucket/entities

    In a file, a row that can not be read goes to OUTPUT's .errors.jsonl with its reason, and the run goes on. A run
    that was killed goes on where it was when it is started again. The exit code is 0 if every row has a prediction, 3
    if some have errors, 1 if all have, and 2 if what was asked for can not be done at all.

    With Ray (pip install "gmner[ray]"), INPUT may be a folder of .parquet files, OUTPUT becomes one, and both may be
    URLs that fsspec opens. Errors go to the folder OUTPUT.errors.
    """
    if (text is None) == (source is None):
        raise ConfigError(
            "both a text and a file of posts" if text is not None else "neither a text nor a file of posts",
            allowed="one post (--text, with --image if it has a picture) or a file (--input and --output)",
            todo="give one of them",
        )
    of_ray = {"--actors": actors, "--cpus": cpus, "--gpus": gpus, "--shard-size": shard_size, "--address": address}
    if source is None:
        idle = {
            "--output": target,
            "--split": split,
            "--images": images,
            "--restart": restart,
            "--processes": processes,
            "--openers": openers,
            **of_ray,
        }
        _refuse(idle, "with --text", "one post takes --image, --json and --show")
    else:
        idle = {"--image": image, "--json": as_json, "--show": picture}
        _refuse(idle, "with --input", "a file of posts takes --output and what says how it is read and run")
    if engine is Engine.RAY:
        _refuse({"--processes": processes}, "with --engine ray", "the number of Ray's actors is --actors")
        _refuse({"--openers": openers}, "with --engine ray", "Ray's actors open their pictures themselves")
    else:
        _refuse(of_ray, "without --engine ray", "processes of this computer are counted by --processes")
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
    from gmner.batch.source import Source
    from gmner.data.files import elsewhere, location

    posts, output = Source(location(source), split, images), location(target)
    choices: dict[str, Any] = {
        "settings": {"system": system, **settings, "from_stage": first, "to_stage": last},
        "batch_size": batch_size,
        "restart": restart,
        "say": partial(typer.echo, err=True),
    }
    if engine is Engine.RAY:
        from gmner.batch.on_ray import predict_shards

        if shard_size is not None:
            choices["shard_size"] = shard_size
        summary = predict_shards(make, posts, output, actors=_actors(actors, cpus, gpus, address), **choices)
    elif elsewhere(posts.path) or elsewhere(output):
        raise ConfigError(
            f"{posts.path} to {output} without Ray",
            allowed="the local engine reads and writes files of this computer",
            todo="add --engine ray, or name such files",
        )
    else:
        from gmner.batch.files import predict_file
        from gmner.memory import keep_freed_memory

        keep_freed_memory()
        processes = processes or (1 if openers else _PROCESSES)
        summary = predict_file(make, posts, output, processes=processes, openers=openers, **choices)
    typer.echo(f"{summary}", err=True)
    if not summary.posts and not summary.errors:
        typer.echo(no_posts(source), err=True)
    if summary.errors:
        raise typer.Exit(3 if summary.posts else 1)


def _refuse(idle: "Mapping[str, object]", place: str, allowed: str) -> None:
    """Raise a ConfigError that names the options of `idle` that were given, if any were."""
    if given := " and ".join(name for name, value in idle.items() if value):
        raise ConfigError(f"{given} {place}", allowed=allowed, todo=f"drop {given}")


def _actors(number: str | None, cpus: float | None, gpus: float | None, address: str | None) -> "Actors":
    """The pool that the options ask for; `number` is `4` or `1:8`."""
    from gmner.batch.on_ray import Actors

    try:
        least, most = (None, None) if number is None else (int(number.split(":")[0]), int(number.split(":", 1)[-1]))
    except ValueError:
        raise ConfigError(
            f"--actors {number}", allowed="it is a number, or two with a colon", todo="write 4, or 1:8"
        ) from None
    asked = {"least": least, "most": most, "cpus": cpus, "gpus": gpus, "address": address}
    return Actors(**{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]


def no_posts(source: Path | str) -> str:
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
