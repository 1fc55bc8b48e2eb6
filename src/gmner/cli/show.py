"""`gmner show`: predictions as pictures and a page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def show(
    predictions: Annotated[Path, typer.Argument(help="A file that `gmner predict` wrote.")],
    output: Annotated[Path, typer.Option(help="The folder for one PNG a post and the page index.html.")],
    displacy: Annotated[bool, typer.Option("--displacy", help="Write spaCy's page displacy.html as well.")] = False,
) -> None:
    """Print the entities as a table, draw each over its picture, and write one HTML page of all posts.

    A post whose picture can not be drawn is told, has its error on the page, and makes the exit code 2.

    Example: gmner show entities.jsonl --output out/
    """
    from gmner.data.rows import read_predictions
    from gmner.errors import GmnerError
    from gmner.exports import displacy_page
    from gmner.report.html import write_page
    from gmner.show import WIDE, save_overlay, text_table

    posts = read_predictions(predictions)
    marked = displacy_page(posts) if displacy else None
    output.mkdir(parents=True, exist_ok=True)
    if marked is not None:
        (output / "displacy.html").write_text(marked, encoding="utf-8")
    console = Console()
    console.print(text_table(posts, why=console.width >= WIDE))
    failed = 0
    for number, post in enumerate(posts, start=1):
        if post.example.image is None:
            continue
        try:
            save_overlay(output / f"{number:03d}.png", post)
        except GmnerError as error:
            failed += 1
            typer.echo(f"gmner: post {post.id!r}: {error}", err=True)
    write_page(output / "index.html", posts, title=f"Entities of {len(posts)} posts")
    typer.echo(f"{len(posts)} posts: pictures and index.html are in {output}")
    if failed:
        raise typer.Exit(2)
