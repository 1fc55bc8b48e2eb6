"""`gmner data agreement`: how far two annotators agree."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gmner.metrics.tasks import RegionKind


def agreement(
    first: Annotated[Path, typer.Argument(help="One annotator's data set.")],
    second: Annotated[Path, typer.Argument(help="The other's, of the same posts.")],
    split: Annotated[str | None, typer.Option(help="train, dev (or valid) or test; all splits if left out.")] = None,
    iou: Annotated[float, typer.Option(help="IoU above which two regions are the same.", min=0, max=1)] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """How far two annotators agree on the regions of the same entities: Fleiss' kappa and Dice.

    Example: gmner data agreement annotator-1 annotator-2 --split test

    Masks are compared where there are any, else boxes. What only one of them has is told and left aside.
    """
    from rich.console import Console
    from rich.table import Table

    from gmner.data import read
    from gmner.metrics.agreement import agreement as agree
    from gmner.metrics.agreement import pair_annotations
    from gmner.types import ENTITY_TYPES

    found = pair_annotations(read(first, split), read(second, split))
    for path, alone, apart in zip((first, second), found.alone, found.apart, strict=True):
        if alone:
            typer.echo(f"{path}: {len(alone)} posts that the other has not, such as {alone[0]}", err=True)
        if apart:
            typer.echo(f"{path}: {apart} entities that the other has not", err=True)
    kind: RegionKind = "mask" if any(entity.masks for pair in found.pairs for entity in pair) else "box"
    groups = {"all": found.pairs} | {
        name: [pair for pair in found.pairs if pair[0].type == name] for name in ENTITY_TYPES
    }
    scores = {name: agree(pairs, kind, iou=iou) for name, pairs in groups.items()}
    if as_json:
        plain = {name: {key: _plain(value) for key, value in score._asdict().items()} for name, score in scores.items()}
        typer.echo(json.dumps({"regions": kind, "iou": iou, **plain}, indent=2))
        return
    what = {"mask": "masks", "box": "boxes"}[kind]
    words = {
        "entities": "entities",
        "both": "drawn by both",
        "one": "drawn by one",
        "neither": "drawn by neither",
        "first": f"{what} of the first",
        "second": f"{what} of the second",
        "consistent": f"the same (IoU > {iou:g})",
        "observed": "observed agreement",
        "kappa": "Fleiss' kappa",
        "dice": "Dice of pairs",
        "dice_all": "Dice, 0 without partner",
    }
    table = Table(title=f"{what} of {first} and {second}", title_justify="left")
    table.add_column()
    for name in scores:
        table.add_column(name, justify="right")
    for key, label in words.items():
        values = [getattr(score, key) for score in scores.values()]
        table.add_row(label, *(f"{value:.3f}" if isinstance(value, float) else f"{value:,}" for value in values))
    Console().print(table)


def _plain(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return None if value != value else value
