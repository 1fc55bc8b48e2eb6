"""`gmner data ve`, `vg` and `answers`: what the parts of RiVEG learn from and are told, taken from gold."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmner.errors import DataError
from gmner.expression import Form

if TYPE_CHECKING:
    from gmner.data.pairs import EntailmentPair, Reference
    from gmner.types import Example

Source = Annotated[Path, typer.Argument(help="A data set's folder or file.")]
Pairs = Annotated[Path, typer.Argument(help="The folder that a .jsonl file for each split is written to.")]
Expressions = Annotated[
    Form, typer.Option("--expression", help="How an expression is written, where its expansion is known.")
]
Images = Annotated[Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg.")]


def ve(source: Source, target: Pairs, form: Expressions = "paper", images: Images = None) -> None:
    """Write what visual entailment learns from: every gold mention as an expression, and whether it can be seen.

    Example: gmner data ve twitter_gmner_v2 pairs/ve --images images
    """
    from gmner.data.pairs import entailment_pairs

    _write_pairs(source, target, images, lambda posts: entailment_pairs(posts, form))


def vg(source: Source, target: Pairs, form: Expressions = "paper", images: Images = None) -> None:
    """Write what visual grounding learns from: every gold mention that can be seen, its boxes, the largest as label.

    Example: gmner data vg twitter_gmner_v2 pairs/vg --images images
    """
    from gmner.data.pairs import references

    _write_pairs(source, target, images, lambda posts: references(posts, form))


def _write_pairs(
    source: Path,
    target: Path,
    images: Path | None,
    choose: "Callable[[Sequence[Example]], Sequence[EntailmentPair | Reference]]",
) -> None:
    """Write the rows of every split into a file of its own, and count them."""
    from gmner.data import read
    from gmner.data.files import refuse_source
    from gmner.data.image_ids import image_id
    from gmner.data.pairs import write_pairs
    from gmner.data.splits import SPLIT_KEY, SPLITS

    refuse_source(target, source)
    posts = read(source, images=images)
    # A post whose picture is not at hand has one all the same: it goes by its name, beside the rows.
    posts = [
        post if post.image is not None else replace(post, image=str(target / f"{image_id(post)}.jpg")) for post in posts
    ]
    written = 0
    for split in dict.fromkeys((*SPLITS, None)):
        rows = choose([post for post in posts if post.extra.get(SPLIT_KEY) == split])
        if rows:
            path = target / f"{split or 'rows'}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_pairs(path, rows)
            typer.echo(f"{len(rows)} rows written to {path}", err=True)
            written += len(rows)
    if not written:
        raise DataError(
            str(source),
            f"nothing to write of {len(posts)} posts",
            allowed="rows are made of gold entities and their pictures",
            todo="give posts that have them",
        )


def answers(
    source: Annotated[Path, typer.Argument(help="A data set whose entities have expansions, such as drawn posts.")],
    target: Annotated[Path, typer.Argument(help="A .jsonl file.")],
    model: Annotated[str, typer.Option(help="The model that is said to have answered.")] = "gold",
) -> None:
    """Write the entities' expansions as recorded answers of a language model, for `replay` in its settings.

    Example: gmner data answers drawn answers.jsonl
    """
    from gmner.data import read
    from gmner.data.files import refuse_source
    from gmner.stages.answers import write_expansions

    refuse_source(target, source)
    written = write_expansions(target, read(source), model, where=str(source))
    typer.echo(f"{written} answers written to {target}", err=True)
