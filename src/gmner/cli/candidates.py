"""`gmner data candidates`: what a detector sees in the pictures of a data set, as files that models read."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gmner.data.candidates import Regions
    from gmner.types import Example

TOPS = (5, 10, 15, 20)
"""The N of TopN-Prec@0.5 (RiVEG, Table II has 10, 15 and 20)."""


def candidates(
    source: Annotated[Path, typer.Argument(help="A data set's folder, or a file of posts.")],
    target: Annotated[Path, typer.Argument(help="The folder that a .safetensors file for each split is written to.")],
    detector: Annotated[str, typer.Option(help="A detector of transformers: a folder, or a hub name in the cache.")],
    open_: Annotated[bool, typer.Option("--open", help="It is told what to find, as Grounding DINO is.")] = False,
    features: Annotated[str | None, typer.Option(help="A CLIP, whose vector of each region is kept too.")] = None,
    most: Annotated[int, typer.Option(help="Most regions of a picture.", min=1)] = 20,
    images: Annotated[Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg.")] = None,
    threads: Annotated[int, typer.Option(help="Processor threads to use.", min=1)] = 1,
) -> None:
    """Write the candidate regions of every picture, whatever the detector takes them for, the surest first.

    Where the posts have gold boxes, it is printed how many of them are found (TopN-Prec@0.5). Exit code 3 if a picture
    can not be read: its post has no candidates then.

    Example: gmner data candidates twitter_gmner_v2 candidates --detector PekingU/rtdetr_r50vd --images images
    """
    import torch

    from gmner.data import read
    from gmner.data.candidates import write_candidates
    from gmner.data.splits import SPLIT_KEY, SPLITS
    from gmner.errors import DataError, ImageError
    from gmner.progress import progress_bar
    from gmner.stages.detect import CLIPFeatures, TransformersDetector, detect_all

    torch.set_num_threads(threads)
    posts = read(source, images=images)
    seen = [post for post in posts if post.image is not None]
    if not seen:
        raise DataError(
            str(source),
            "no post with a picture",
            allowed="candidates are regions of pictures",
            todo="name the folder of the pictures: --images",
        )
    finder = TransformersDetector.load(detector, "open" if open_ else "closed", most)
    looker = None if features is None else CLIPFeatures.load(features)
    failed = 0
    for split in dict.fromkeys((*SPLITS, None)):
        chosen = [post for post in seen if post.extra.get(SPLIT_KEY) == split]
        if not chosen:
            continue
        found: dict[str, Regions] = {}
        with progress_bar("pictures") as bar:
            for post, regions in bar.track(
                detect_all(chosen, finder, looker), total=len(chosen), description=split or "posts"
            ):
                if isinstance(regions, ImageError):
                    failed += 1
                    typer.echo(f"post {post.id!r}: {regions}", err=True)
                else:
                    found[post.id] = regions
        path = target / f"{split or 'posts'}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_candidates(path, found)
        count = sum(len(regions.boxes) for regions in found.values())
        typer.echo(f"{count} candidates of {len(found)} pictures written to {path}", err=True)
        _tell_coverage(split or "posts", chosen, found, most)
    if failed:
        raise typer.Exit(3)


def _tell_coverage(name: str, posts: "Sequence[Example]", found: "Mapping[str, Regions]", most: int) -> None:
    """TopN-Prec@0.5, if any entity has a gold box."""
    from gmner.data.candidates import with_candidates
    from gmner.metrics.regions import candidate_coverage

    known = [replace(post, candidates=()) for post in posts if post.entities is not None]
    gold, _ = with_candidates(known, found)
    count = sum(entity.visible for post in gold for entity in post.entities or ())
    if count:
        tops = [top for top in TOPS if top < most] + [most]
        shares = zip(tops, candidate_coverage(gold, tops).tolist(), strict=True)
        told = ", ".join(f"top {top} {100 * share:.2f}" for top, share in shares)
        typer.echo(f"{name}: TopN-Prec@0.5 of {count} groundable entities: {told}")
