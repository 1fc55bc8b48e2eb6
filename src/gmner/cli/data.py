"""`gmner data`: count, check, compare, convert and draw data sets."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmner.cli.agreement import agreement
from gmner.cli.candidates import candidates
from gmner.cli.draw import draw
from gmner.cli.pairs import answers, ve, vg
from gmner.cli.pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gmner.data.difference import Difference, Mention
    from gmner.data.sidecars import SidecarReport
    from gmner.types import Box

app = typer.Typer(help="Count, check, compare, convert and draw data sets.", no_args_is_help=True)
app.command("draw")(draw)
app.command("candidates")(candidates)
app.command("agreement")(agreement)
app.command("ve")(ve)
app.command("vg")(vg)
app.command("answers")(answers)
app.command("pieces")(pieces)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command()
def stats(
    path: Annotated[Path, typer.Argument(help="A data set's folder, or a .txt, .jsonl or .parquet file.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="Another data set to count shared pictures with; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every count of a data set: tweets, tokens, entities, boxes, pictures, oddities.

    Example: gmner data stats twitter_gmner_v2 --against twitter2015 --against twitter2017
    """
    from gmner.data.corpus import read_corpus
    from gmner.data.leakage import agreement, overlap
    from gmner.data.statistics import count

    corpus = read_corpus(path)
    counts = count(corpus)
    others = {str(other): read_corpus(other) for other in against or ()}
    shared = {name: overlap(corpus, other) for name, other in others.items()}
    agreed = agreement(corpus, others.values()) if others else None
    if as_json:
        found = {"format": corpus.format, **counts, "overlap": shared, "agreement": agreed}
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for section, columns in counts.items():
        _print_table(f"{path}: {section}", columns)
    for name, numbers in shared.items():
        _print_table(f"pictures shared with {name}", numbers)
    if agreed is not None:
        _print_table("shared tweets", {"all": agreed})


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A data set's folder, or a .txt, .jsonl or .parquet file.")],
    images: Annotated[Path | None, typer.Option(help="The folder of the pictures, whose sizes drawings state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every oddity of a data set with file and line; exit with 2 if something can not be read.

    Example: gmner data check twitter_gmner_v1
    """
    from gmner.data.check import check as find

    findings = find(path, images)
    kinds: dict[str, dict[str, int]] = {}
    for finding in findings:
        number = kinds.setdefault(f"{finding.level}s", {})
        number[finding.kind] = number.get(finding.kind, 0) + 1
    if as_json:
        found = {"counts": kinds, "findings": [finding._asdict() for finding in findings]}
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.where}: {finding.level}: {finding.kind}: {finding.detail}")
        for level, numbers in kinds.items():
            _print_table(f"{path}: {level}", {"found": numbers})
        if not findings:
            typer.echo(f"{path}: nothing odd")
    if "errors" in kinds:
        raise typer.Exit(2)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The older version.")],
    new: Annotated[Path, typer.Argument(help="The newer version.")],
    as_json: AsJson = False,
) -> None:
    """Compare two versions of a data set: changed tags, changed and removed annotation files.

    Example: gmner data diff twitter_gmner_v1 twitter_gmner_v2
    """
    from gmner.data.corpus import read_corpus
    from gmner.data.difference import difference

    changes = difference(read_corpus(old), read_corpus(new))
    if as_json:
        found = {"counts": changes.counts(), **dataclasses.asdict(changes)}
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for line in _lines(changes):
            typer.echo(line)
        _print_table(f"{old} -> {new}", {"found": changes.counts()})


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A data set's folder, or a .txt, .jsonl or .parquet file.")],
    target: Annotated[Path, typer.Argument(help="A .jsonl or .parquet file, or a Twitter-GMNER folder (no ending).")],
    form: Annotated[
        str | None,
        typer.Option(
            "--to", help="twitter-smner, coco, label-studio ...: the format, where the ending leaves it open."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, dev (or valid) or test; all splits if left out.")] = None,
    images: Annotated[Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg.")] = None,
    captions: Annotated[list[Path] | None, typer.Option(help="A BLIP-2 caption file; may be repeated.")] = None,
    descriptions: Annotated[
        list[Path] | None, typer.Option(help="An mPLUG-Owl description file; may be repeated.")
    ] = None,
    knowledge: Annotated[list[Path] | None, typer.Option(help="A PLIM knowledge file; may be repeated.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Twitter-2015/2017: only B- tags open an entity (default: I- too).")
    ] = False,
    unseen_by: Annotated[
        list[Path] | None,
        typer.Option(help="Drop posts whose picture is in the dev or test split of this data set; may be repeated."),
    ] = None,
) -> None:
    """Convert a data set to another format, with captions and knowledge if they are given.

    A file of predictions is converted like one of gold posts: its entities are taken as the posts'. To correct them
    in Label Studio, convert them --to label-studio-predictions, and convert the exported tasks back.

    Example: gmner data convert twitter_gmner_v2 test.jsonl --split test --images images --captions BLIP2_15.txt
    """
    from gmner.data import drop_leaked, read, with_captions, with_descriptions, with_knowledge, write
    from gmner.data.files import refuse_source
    from gmner.data.losses import left_out
    from gmner.data.splits import SPLIT_KEY

    refuse_source(target, source)
    examples = read(source, split, images, strict=strict)
    for attach, paths in ((with_captions, captions), (with_descriptions, descriptions), (with_knowledge, knowledge)):
        if paths:
            examples, report = attach(examples, *paths)
            tell(report)
    for other in unseen_by or ():
        held_out = [example for example in read(other) if example.extra.get(SPLIT_KEY) != "train"]
        examples, dropped = drop_leaked(examples, held_out)
        typer.echo(f"{len(dropped)} posts dropped whose picture is in dev or test of {other}", err=True)
    written = write(target, examples, form)
    for name, number in left_out(written, examples).items():
        typer.echo(f"not written, as {written} has no place for it: {name} ({number} posts)", err=True)
    typer.echo(f"{len(examples)} posts written to {target}", err=True)


@app.command()
def pool(
    source: Annotated[Path, typer.Argument(help="A folder of PLIM's annotations, such as plim_annotations/2015.")],
    target: Annotated[Path, typer.Argument(help="The .jsonl file that the pool is written to.")],
    posts: Annotated[Path, typer.Option(help="The data set that the annotated posts are from.")],
    captions: Annotated[list[Path] | None, typer.Option(help="A BLIP-2 caption file; may be repeated.")] = None,
    images: Annotated[Path | None, typer.Option(help="The folder of the pictures, <image id>.jpg.")] = None,
) -> None:
    """Convert a published pool of annotated posts to JSONL: text, caption, entities and the written answer of each.

    Example: gmner data pool plim_annotations/2015 pool.jsonl --posts twitter2015 --captions BLIP2_15.txt
    """
    from gmner.data import read, with_captions
    from gmner.data.files import refuse_source
    from gmner.data.pools import read_plim_pool, write_pool

    refuse_source(target, posts)
    annotated, report = read_plim_pool(source, read(posts, images=images))
    if captions:
        examples, captioned = with_captions([item.example for item in annotated], *captions)
        typer.echo(f"{captioned.filled} posts have got a caption", err=True)
        _tell_ids("caption", "missing", captioned.missing)
        annotated = [item._replace(example=example) for item, example in zip(annotated, examples, strict=True)]
    write_pool(target, annotated)
    for name in ("alien", "unanswered", "unlabelled", "duplicate"):
        _tell_ids("annotation", name, getattr(report, name))
    typer.echo(f"{report.annotated} annotated posts written to {target}", err=True)


@app.command()
def augment(
    versions: Annotated[
        list[Path], typer.Argument(help="Data sets of the same posts, each with one model's answers; gold first.")
    ],
    target: Annotated[Path | None, typer.Option("--output", help="Where the mix goes: .jsonl or .parquet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Mix versions of a data set: each training post once for every model that answered, dev and test as they are.

    Example: gmner data augment chatgpt.jsonl vicuna-7b.jsonl llama-2-7b.jsonl --output mixed.jsonl

    Prints how many posts (MNER), mentions (VE) and mentions that can be seen (VG) there are before and after.
    """
    from gmner.data import read, write
    from gmner.data.augment import mix, sizes
    from gmner.data.files import refuse_source

    if target is not None:
        for path in versions:
            refuse_source(target, path)
    read_versions = [(path.stem, read(path)) for path in versions]
    mixed, reports = mix(read_versions)
    for report in reports:
        typer.echo(f"{report.name}: {report.added} training posts", err=True)
        for name in ("missing", "alien", "other_text", "without_knowledge", "without_expression"):
            _tell_ids(report.name, name.replace("_", " "), getattr(report, name))
    before, after = sizes(read_versions[0][1]), sizes(mixed)
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}, indent=2))
    else:
        columns: dict[str, dict[str, int]] = {}
        for module in before:
            columns |= {module: before[module], f"{module} mixed": after[module]}
        _print_table(f"{len(versions)} versions", columns)
    if target is not None:
        write(target, mixed)
        typer.echo(f"{len(mixed)} posts written to {target}", err=True)


def tell(report: "SidecarReport") -> None:
    """Say on stderr how well a sidecar file fitted, with the ids."""
    typer.echo(f"{report.filled} posts have got a {report.field}", err=True)
    for name in ("missing", "empty", "duplicate", "alien"):
        _tell_ids(report.field, name, getattr(report, name))


def _tell_ids(what: str, name: str, ids: "Sequence[str]") -> None:
    """Say on stderr which ids are so, if any."""
    if ids:
        some = ", ".join(ids[:_IDS_TOLD]) + (f" and {len(ids) - _IDS_TOLD} more" if len(ids) > _IDS_TOLD else "")
        typer.echo(f"{what}: {len(ids)} {name}: {some}", err=True)


_IDS_TOLD = 20


def _lines(changes: "Difference") -> list[str]:
    """A difference in words, one line a change."""

    def mentions(some: "Sequence[Mention]") -> str:
        return ", ".join(f"{mention.text!r} {mention.type} at {mention.position}" for mention in some) or "nothing"

    def boxes(some: "Sequence[tuple[str, Box]]") -> str:
        return ", ".join(f"{name!r} {[*map(round, box)]}" for name, box in some) or "nothing"

    lists = {
        "tweet removed": changes.tweets_removed,
        "tweet added": changes.tweets_added,
        "tweet moved to another split": changes.tweets_moved,
        "annotation removed": changes.annotations_removed,
        "annotation added": changes.annotations_added,
    }
    return [
        *(
            f"tweet {tweet.id} ({tweet.split}): {tweet.kind}: {mentions(tweet.lost)} -> {mentions(tweet.gained)}"
            for tweet in changes.tweets
        ),
        *(f"annotation {file.id}: {boxes(file.lost)} -> {boxes(file.gained)}" for file in changes.annotations),
        *(f"{what}: {name}" for what, names in lists.items() for name in names),
    ]


def _print_table(title: str, columns: "Mapping[str, Mapping[str, object]]") -> None:
    """Print counts as a table: one column for each key of `columns`, one row for each name in them."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    table.add_column(overflow="fold")
    for column in columns:
        table.add_column(escape(column), justify="right")
    for name in next(iter(columns.values()), {}):
        table.add_row(name, *(str(counts[name]) for counts in columns.values()))
    Console().print(table)
