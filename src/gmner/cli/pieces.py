"""`gmner data pieces`: a vocabulary of sub-words for networks from random weights, learned from a data set."""

from pathlib import Path
from typing import Annotated

import typer


def pieces(
    source: Annotated[Path, typer.Argument(help="A data set's folder or file; its training posts are read.")],
    output: Annotated[Path, typer.Argument(help="The folder that the tokenizer is written to; new or empty.")],
    size: Annotated[int, typer.Option(min=100, help="Most sub-words, special ones included.")] = 2000,
) -> None:
    """Learn sub-words from the texts of the training posts; the folder stands wherever a tokenizer is named.

    Example: gmner data pieces drawn pieces --size 2000
    """
    from gmner.data import read
    from gmner.errors import DataError
    from gmner.nn.pieces import learn_pieces, texts_of

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DataError(
            str(output), "it is there already", allowed="nothing is overwritten", todo="choose a new or empty folder"
        )
    texts = texts_of(read(source, "train"))
    if not texts:
        raise DataError(
            str(source),
            "no training posts",
            allowed="sub-words are learned from texts",
            todo="give posts that have them",
        )
    tokenizer = learn_pieces(texts, size)
    tokenizer.save_pretrained(str(output))
    typer.echo(f"{len(tokenizer)} sub-words of {len(texts)} texts written to {output}", err=True)
