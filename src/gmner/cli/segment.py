"""`gmner segment`: masks for the boxes of a file of predictions."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gmner.cli.predict import no_posts


def segment(
    source: Annotated[Path, typer.Argument(help="A file of predictions, or of gold posts with boxes.")],
    target: Annotated[Path, typer.Option("--output", "-o", help="Where the rows with masks go.")],
    sam: Annotated[
        str | None, typer.Option(help="A SAM: a folder, or a hub name in the local cache. GrabCut if left out.")
    ] = None,
    best_of_three: Annotated[
        bool, typer.Option("--best-of-three", help="Take SAM's best of three masks, not its single one.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an unfinished run has done.")] = False,
) -> None:
    """Cut out what stands in the boxes of predictions: any GMNER system becomes an SMNER system.

    Example: gmner segment entities.jsonl --sam facebook/sam-vit-huge --output masks.jsonl

    Masks that the file has already are replaced. A row whose picture can not be opened goes to OUTPUT's .errors.jsonl
    with its reason, and the run goes on. The exit codes are those of `gmner predict`.
    """
    from gmner.batch.files import predict_file
    from gmner.batch.source import Source
    from gmner.systems.segmented import add_masks, segmenter

    summary = predict_file(
        lambda: add_masks(segmenter(sam, best_of_three=best_of_three)),
        Source(source),
        target,
        settings={"system": "segment", "sam": sam, "best_of_three": best_of_three},
        restart=restart,
        say=partial(typer.echo, err=True),
    )
    typer.echo(f"{summary}", err=True)
    if not summary.posts and not summary.errors:
        typer.echo(no_posts(source), err=True)
    if summary.errors:
        raise typer.Exit(3 if summary.posts else 1)
