"""`gmner data draw`: a data set of drawn posts with exact gold, from a seed."""

import os
from pathlib import Path
from typing import Annotated

import typer


def draw(
    output: Annotated[Path, typer.Argument(help="The folder that the data set is written to; new or empty.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another data set.")] = 0,
    train: Annotated[int | None, typer.Option(min=0, help="Posts to train on; 2000, with --like all.")] = None,
    dev: Annotated[int | None, typer.Option(min=0, help="Posts to develop on; 400, with --like all.")] = None,
    test: Annotated[int | None, typer.Option(min=0, help="Posts to test on; 400, with --like all.")] = None,
    like: Annotated[
        Path | None, typer.Option(help="A Twitter-GMNER folder: draw under its sentences, into its boxes.")
    ] = None,
    more_names: Annotated[
        int, typer.Option(min=0, help="Further names in each post to train on: more to learn from a picture.")
    ] = 0,
    processes: Annotated[int, typer.Option(min=1, help="Processes to draw with.")] = os.cpu_count() or 1,
) -> None:
    """Draw posts: sentences, pictures, boxes, masks, captions, expansions and candidate regions.

    Example: gmner data draw drawn --seed 0
    """
    from gmner.data.drawn import draw_folder, orders, orders_like
    from gmner.progress import progress_bar

    asked = {"train": train, "dev": dev, "test": test}
    if like is None:
        work = orders(
            {split: _SIZES[split] if size is None else size for split, size in asked.items()}, seed, more_names
        )
    else:
        work = orders_like(like, asked, seed)
    with progress_bar("posts") as bar:
        task = bar.add_task("drawing", total=len(work))
        drawn = draw_folder(output, work, processes, lambda: bar.advance(task))
    counts = ", ".join(f"{len(posts)} {split}" for split, posts in drawn.items()) or "no"
    typer.echo(f"{counts} posts drawn to {output}", err=True)


_SIZES = {"train": 2000, "dev": 400, "test": 400}
