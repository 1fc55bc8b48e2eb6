"""`gmner results`: the page of results from result cards."""

from pathlib import Path
from typing import Annotated

import typer


def results(
    cards: Annotated[list[Path], typer.Argument(help="Result cards, such as results/*.json.", show_default=False)],
    output: Annotated[Path, typer.Option(help="The page.")] = Path("docs/results.md"),
) -> None:
    """Write the page of results: every score with its protocol, data version, recipe, commit and seeds.

    Example: gmner results results/*.json --output docs/results.md
    """
    from gmner.data.files import replacing
    from gmner.report.card import read_card
    from gmner.report.results import results_page

    page = results_page({path: read_card(path) for path in cards})
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    typer.echo(f"{len(cards)} cards: {output}")
