"""The tables of docs/floor.md: constant boxes, gold names, recognised names, what each part would reach alone.

`python benchmarks/floor.py words.jsonl --run runs/plim-minilm-42/test.jsonl runs/blind-42 --run ...` takes posts of all
splits with captions and descriptions (`gmner data convert`), and pairs of recognised test posts and blind readers.
Without `--run` it prints the constant boxes only. What is chosen is chosen on the training split.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from gmner.data import read, read_predictions
from gmner.metrics import Report, compare, evaluate
from gmner.models.blind import weights
from gmner.models.blind.boxes import grid, overlapping, relative_boxes
from gmner.models.blind.codec import Judgement, answered, places
from gmner.types import ENTITY_TYPES, Box, Entity, Example, Prediction

Judged = list[list[Judgement]]
GRID = grid()


class Constant(NamedTuple):
    """A box, and the share of visible training entities of its kind that it overlaps."""

    box: Box
    share: float


class Mention(NamedTuple):
    """An entity, its post, and which of how many names of its type it is."""

    post: Example
    entity: Entity
    place: int


def mentions(posts: Sequence[Example]) -> list[Mention]:
    return [
        Mention(post, entity, place)
        for post in posts
        for entity, place in zip(post.entities or (), places(post.entities or ()), strict=True)
    ]


def by_type(mention: Mention) -> Hashable:
    return mention.entity.type


def by_place(mention: Mention) -> Hashable:
    return mention.entity.type, mention.place


def constants(
    train: Sequence[Example], kind: Callable[[Mention], Hashable], fewest: int = 15
) -> dict[Hashable, Constant]:
    """The best box of each kind that has at least `fewest` visible entities."""
    groups: dict[Hashable, list[list[Box]]] = defaultdict(list)
    for mention in mentions(train):
        if mention.entity.visible:
            groups[kind(mention)].append(relative_boxes(mention.post, mention.entity))
    found = {}
    for name, regions in groups.items():
        if len(regions) >= fewest:
            shares = overlapping(regions, GRID).mean(0)
            found[name] = Constant(GRID[int(shares.argmax())], float(shares.max()))
    return found


def constant_of(mention: Mention, typed: dict[Hashable, Constant], placed: dict[Hashable, Constant]) -> Constant:
    return placed.get(by_place(mention), typed[by_type(mention)])


def right(mention: Mention, box: Box) -> bool:
    return bool(overlapping([relative_boxes(mention.post, mention.entity)], [box])[0, 0])


def percent(values: Sequence[float] | Sequence[bool]) -> float:
    return 100 * float(np.mean(values)) if len(values) else float("nan")


def spread(values: Sequence[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


def with_constants(posts: Sequence[Example], judged: Judged, typed: dict[Hashable, Constant]) -> Judged:
    """The same, with the constant box of each type in the place of the reader's."""
    return [
        [Judgement(one.visible, *typed[entity.type]) for entity, one in zip(post.entities or (), found, strict=True)]
        for post, found in zip(posts, judged, strict=True)
    ]


def odds_from(posts: Sequence[Example], judged: Judged) -> float:
    """The odds of a right box against a right absence from which giving the box is best on gold names; 1 in theory."""
    flat = list(zip(mentions(posts), [one for found in judged for one in found], strict=True))
    odds = np.array([one.visible * one.hit / max(1 - one.visible, 1e-9) for _, one in flat])
    gain = np.array([float(right(m, one.box)) - float(not m.entity.visible) for m, one in flat])
    order = np.argsort(-odds)
    return float(odds[order][np.cumsum(gain[order]).argmax()])


def answers(posts: Sequence[Example], judged: Judged) -> list[Prediction]:
    return [
        Prediction(
            example=post,
            entities=tuple(
                answered(entity, one, post.image_size) for entity, one in zip(post.entities or (), found, strict=True)
            ),
            image_size=post.image_size,
        )
        for post, found in zip(posts, judged, strict=True)
    ]


def print_constants(splits: dict[str, list[Example]]) -> dict[Hashable, Constant]:
    """The table of constant boxes; those of each type are returned."""
    typed, placed = constants(splits["train"], by_type), constants(splits["train"], by_place)
    print(
        "\n| type | constant box, in shares of the picture | train | dev | test |\n| --- | --- | ---: | ---: | ---: |"
    )
    seen = {name: [m for m in mentions(posts) if m.entity.visible] for name, posts in splits.items()}
    for kind in ENTITY_TYPES:
        hits = [percent([right(m, typed[kind].box) for m in some if m.entity.type == kind]) for some in seen.values()]
        box = ", ".join(f"{side:.2f}" for side in typed[kind].box)
        print(f"| {kind} | {box} | {' | '.join(f'{hit:.2f}' for hit in hits)} |")
    for title, chosen in (("all, by type", {}), ("all, by type, count and order", placed)):
        hits = [percent([right(m, constant_of(m, typed, chosen).box) for m in some]) for some in seen.values()]
        print(f"| {title} | | {' | '.join(f'{hit:.2f}' for hit in hits)} |")
    hits = [percent([bool(overlapping([relative_boxes(*m[:2])], GRID).any()) for m in some]) for some in seen.values()]
    print(f"| best of {len(GRID):,} boxes, told afterwards | | {' | '.join(f'{hit:.2f}' for hit in hits)} |")
    return typed


def gold_row(posts: Sequence[Example], judged: Judged) -> list[float]:
    """VE accuracy, right boxes of visible names, and right answers, of gold names, in percent."""
    flat = [(m, one) for m, one in zip(mentions(posts), [one for found in judged for one in found], strict=True)]
    hits = [right(m, one.box) for m, one in flat]
    return [
        percent([(one.visible > 0.5) == m.entity.visible for m, one in flat]),
        percent([hit for (m, _), hit in zip(flat, hits, strict=True) if m.entity.visible]),
        percent([hit if one.boxed else not m.entity.visible for (m, one), hit in zip(flat, hits, strict=True)]),
    ]


def variants(
    gold: Sequence[Example], named: Sequence[Example], judged: Judged, typed: dict[Hashable, Constant], odds: float
) -> dict[str, list[Prediction]]:
    """What each decision about the recognised names of `named` would give."""
    truth = [{(e.start, e.end, e.type): e for e in post.entities or ()} for post in gold]
    looked = [
        [known.get((e.start, e.end, e.type)) for e in post.entities or ()]
        for known, post in zip(truth, named, strict=True)
    ]

    def told(
        visible: Callable[[Judgement, Entity | None], float], hit: Callable[[Judgement], float]
    ) -> list[Prediction]:
        return answers(
            named,
            [
                [Judgement(visible(one, entity), one.box, hit(one)) for one, entity in zip(found, own, strict=True)]
                for found, own in zip(judged, looked, strict=True)
            ],
        )

    def seen(one: Judgement, entity: Entity | None) -> float:
        return one.visible if entity is None else float(entity.visible)

    blind = answers(named, judged)
    at_half = told(lambda one, _: one.visible, lambda _: 1.0)
    gold_boxes = [
        replace(
            prediction,
            entities=tuple(
                replace(e, boxes=entity.boxes if e.boxes and entity is not None and entity.boxes else e.boxes)
                for e, entity in zip(prediction.entities, own, strict=True)
            ),
        )
        for prediction, own in zip(at_half, looked, strict=True)
    ]
    return {
        "every entity called ungroundable": told(lambda *_: 0.0, lambda _: 0.0),
        "the floor": blind,
        "with the constant box of each type": answers(named, with_constants(named, judged, typed)),
        "a box from the odds that are best on dev": told(lambda one, _: one.visible, lambda one: one.hit / odds),
        "a box wherever P(visible) > 0.5": at_half,
        "the leak: no box where no size is known": [
            prediction
            if prediction.image_size
            else replace(prediction, entities=tuple(replace(e, boxes=()) for e in prediction.entities))
            for prediction in blind
        ],
        "all-knowing groundability, blind boxes": told(seen, lambda _: 1.0),
        "blind groundability (0.5), gold boxes": gold_boxes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("posts", type=Path)
    parser.add_argument("--run", nargs=2, type=Path, action="append", default=[], metavar=("RECOGNISED", "READER"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    splits = {name: read(chosen.posts, name) for name in ("train", "dev", "test")}
    typed = print_constants(splits)
    gold_rows: dict[str, list[list[float]]] = defaultdict(list)
    reports: dict[str, list[dict[str, Report]]] = defaultdict(list)
    for recognised, folder in chosen.run:
        model, codec = weights.load(folder)
        odds = 1.0
        for split in ("dev", "test"):
            posts = splits[split]
            judged = codec.predict(model, codec.encode(posts, [post.entities or () for post in posts]))
            odds = odds_from(posts, judged) if split == "dev" else odds
            gold_rows[f"{split}, the reader's boxes"].append(gold_row(posts, judged))
            gold_rows[f"{split}, constant box of the type"].append(
                gold_row(posts, with_constants(posts, judged, typed))
            )
        gold = splits["test"]
        found = {prediction.id: prediction.entities for prediction in read_predictions(recognised)}
        named = [replace(post, entities=found[post.id]) for post in gold]
        judged = codec.predict(model, codec.encode(named, [post.entities or () for post in named]))
        for name, predictions in variants(gold, named, judged, typed, odds).items():
            reports[name].append(
                {protocol: evaluate(gold, predictions, protocol=protocol) for protocol in ("span", "riveg")}
            )
    print("\n| gold names | groundable accuracy | grounding precision | answered right |\n| --- | ---: | ---: | ---: |")
    for name, rows in gold_rows.items():
        print(f"| {name} | {' | '.join(spread(column) for column in zip(*rows, strict=True))} |")
    print("\n| recognised names, test | MNER | EEG | GMNER | GMNER, riveg | GMNER less the floor's (95 %), p |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, runs in reports.items():
        scores = [spread([100 * run["span"][task].f1 for run in runs]) for task in ("mner", "eeg", "gmner")]
        scores.append(spread([100 * run["riveg"]["gmner"].f1 for run in runs]))
        pairs = [
            compare(run["span"], floor["span"], "gmner") for run, floor in zip(runs, reports["the floor"], strict=True)
        ]
        differences = "; ".join(
            f"{100 * d:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}), {p:.3f}" for d, low, high, p, _ in pairs
        )
        print(f"| {name} | {' | '.join(scores)} | {'' if name == 'the floor' else differences} |")


if __name__ == "__main__":
    main()
