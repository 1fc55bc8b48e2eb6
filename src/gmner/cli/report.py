"""`gmner report`: one page that says how good one or several systems are, and where they lose."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from gmner.metrics.posts import Missing


def report(
    gold: Annotated[Path, typer.Option(help="Gold: a file of posts, or a data set's folder.")],
    predictions: Annotated[
        list[Path], typer.Option("--pred", help="Predictions of one system; may be repeated to compare several.")
    ],
    output: Annotated[Path, typer.Option(help="The folder for report.html and report.md.")],
    split: Annotated[str | None, typer.Option(help="Which split of a data set's folder: train, dev or test.")] = None,
    images: Annotated[Path | None, typer.Option(help="The folder of a data set's pictures, <image id>.jpg.")] = None,
    papers: Annotated[
        str | None, typer.Option(help="Set published scores beside ours: twitter-gmner, twitter-2015, twitter-2017.")
    ] = None,
    samples: Annotated[int, typer.Option("--bootstrap", help="Samples of intervals and paired tests.")] = 1000,
    posts: Annotated[int, typer.Option(help="How many posts with errors are shown, the worst first.")] = 40,
    missing: Annotated[str, typer.Option(help="Posts without prediction: error, or empty (nothing found).")] = "error",
) -> None:
    """Write one HTML page and Markdown tables: scores, significance, errors, calibration, and posts with pictures.

    Example: gmner report --gold test.jsonl --pred lite.jsonl --pred blind.jsonl --output out/report

    Example: gmner report --gold twitter_gmner_v2 --split test --pred a.jsonl --papers twitter-gmner --output out
    """
    from gmner.data import read
    from gmner.data.rows import read_predictions
    from gmner.report.page import write_report
    from gmner.report.published import published

    write_report(
        output,
        read(gold, split, images),
        {name: read_predictions(path) for name, path in name_files(predictions).items()},
        source=f"{gold.name}, split {split}" if split else gold.name,
        papers=published(papers) if papers else (),
        samples=samples,
        most_posts=posts,
        missing=cast("Missing", missing),  # a wrong value is refused where posts are joined
    )
    typer.echo(f"report.html and report.md are in {output}")


def name_files(paths: Sequence[Path]) -> dict[str, Path]:
    """A short name for each file: its stem, with as many folders before it as tell it from all others."""
    paths = list(dict.fromkeys(path.absolute() for path in paths))
    endings = {path: ["/".join((*path.parts[n:-1], path.stem)) for n in range(1, len(path.parts))] for path in paths}
    taken = Counter(ending for of_path in endings.values() for ending in of_path)
    return {
        next((ending for ending in reversed(endings[path]) if taken[ending] == 1), str(path)): path for path in paths
    }
