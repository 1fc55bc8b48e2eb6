"""Mix: several language models' answers on one training post make several training posts (specs/riveg.md, section 1).

A version is a data set whose posts carry the answers of one model: `knowledge`, and `expression` of their entities.
Taggers train on the posts, visual entailment on their entities, visual grounding on those of them that can be seen, so
that mixing posts mixes all three (papers/riveg.txt, Table IV). Dev and test are never mixed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gmner.data.image_ids import SAMPLE_KEY
from gmner.data.splits import SPLIT_KEY, SPLITS, split_name
from gmner.errors import DataError
from gmner.types import Entity, Example

VERSION_KEY: Final = "version"
"""The key of a row (of `Example.extra`) that names the version that its answers are from."""

SEPARATOR: Final = "~"
"""Between the id of a post and the number of a version, in the id of a copy."""


@dataclass(frozen=True)
class VersionReport:
    """What a version gave to the mix. All but `name` and `added` are ids.

    `added` training posts are new in the mix. `missing` are training posts that the version does not have, `alien`
    its training posts that the first version does not have, and `other_text` those whose text differs there. Posts
    `without_knowledge` and `without_expression` (for one of their entities) were added all the same; they are listed
    where other posts of the version have such answers.
    """

    name: str
    added: int
    missing: tuple[str, ...] = ()
    alien: tuple[str, ...] = ()
    other_text: tuple[str, ...] = ()
    without_knowledge: tuple[str, ...] = ()
    without_expression: tuple[str, ...] = ()


def mix(versions: Sequence[tuple[str, Sequence[Example]]]) -> tuple[list[Example], list[VersionReport]]:
    """One data set of all versions, each given with its name, and what each of them gave.

    The first version gives gold, dev, test, and its training posts as they are. Of the others each training post is
    added as a copy of the first's: with its gold, the other's answers, and an id of its own.

    Raises:
        DataError: a post names no split.
    """
    [(name, first), *others] = versions
    for example in first:
        _split(example)
    training = [example for example in first if _split(example) == "train"]
    copies: dict[str, list[Example]] = {example.id: [] for example in training}
    reports = [_report(name, training)]
    for number, (name, posts) in enumerate(others, start=2):
        theirs = {post.id: post for post in posts if _split(post) == "train"}
        shared = [(post, theirs[post.id]) for post in training if post.id in theirs]
        added = [_copy(post, other, name, number) for post, other in shared if post.text == other.text]
        for copy in added:
            copies[copy.extra[SAMPLE_KEY]].append(copy)
        reports.append(
            replace(
                _report(name, added),
                missing=tuple(post.id for post in training if post.id not in theirs),
                alien=tuple(post for post in theirs if post not in copies),
                other_text=tuple(post.id for post, other in shared if post.text != other.text),
            )
        )
    mixed = [post for example in first for post in (example, *copies.get(example.id, ()))]
    return mixed, reports


def sizes(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    """How many rows the data sets of the three modules have in each split, and in total: the counts of Table IV.

    MNER: posts; VE: mentions; VG: mentions that can be seen.
    """
    counts: dict[str, Counter[str]] = {split: Counter() for split in (*SPLITS, "total")}
    for example in examples:
        gold = example.entities or ()
        found = {"MNER": 1, "VE": len(gold), "VG": sum(entity.visible for entity in gold)}
        for column in (_split(example), "total"):
            counts[column].update(found)
    return {module: {split: counts[split][module] for split in counts} for module in ("MNER", "VE", "VG")}


def _copy(post: Example, other: Example, version: str, number: int) -> Example:
    """The post with the other's answers."""
    expressions = {_identity(entity): entity.expression for entity in other.entities or ()}
    entities = post.entities and tuple(
        replace(entity, expression=expressions.get(_identity(entity))) for entity in post.entities
    )
    return replace(
        post,
        id=f"{post.id}{SEPARATOR}{number}",
        knowledge=other.knowledge,
        entities=entities,
        extra={**post.extra, VERSION_KEY: version, SAMPLE_KEY: post.id},
    )


def _identity(entity: Entity) -> tuple[object, ...]:
    return (entity.start, entity.end, entity.text, entity.type)


def _report(name: str, posts: Sequence[Example]) -> VersionReport:
    """What is told of a version's own posts; ids are those before copying."""
    ids = [post.extra.get(SAMPLE_KEY, post.id) for post in posts]
    knowing = [post.knowledge is not None for post in posts]
    expressed = [all(entity.expression is not None for entity in post.entities or ()) for post in posts]
    any_expression = any(entity.expression is not None for post in posts for entity in post.entities or ())
    return VersionReport(
        name=name,
        added=len(posts),
        without_knowledge=_unless(knowing, ids) if any(knowing) else (),
        without_expression=_unless(expressed, ids) if any_expression else (),
    )


def _unless(fine: Sequence[bool], ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, well in zip(ids, fine, strict=True) if not well)


def _split(example: Example) -> str:
    split = example.extra.get(SPLIT_KEY)
    if not isinstance(split, str):
        raise DataError(
            f"post {example.id!r}",
            f"the split {split!r}",
            allowed=f"only training posts are mixed, so each post names its split ({', '.join(SPLITS)})",
            todo=f"give the row `{SPLIT_KEY}`",
        )
    return split_name(split)
