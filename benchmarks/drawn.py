"""What drawn posts hold, what gives a region away, what words alone say of groundability: the tables of docs/drawn.md.

`gmner data draw drawn`, then `python benchmarks/drawn.py drawn`. Regions and accuracies are those of the test split;
the classifier of words is trained on the training split.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from gmner.data import read_examples
from gmner.data.drawn.colours import alike
from gmner.data.drawn.kinds import KINDS, POOLS
from gmner.types import ENTITY_TYPES, Box, Entity, Example

Mention = tuple[Example, Entity]
NAME, EXPANSION, BOTH = "Name (TYPE)", "expansion", "Name (TYPE) - expansion"


def mentions(path: Path) -> list[Mention]:
    return [(post, entity) for post in read_examples(path) for entity in post.entities or ()]


def meant(post: Example, entity: Entity, text: str) -> list[int]:
    """The figures that may be meant, by someone who sees every attribute and reads every name."""
    figures = post.extra["figures"]
    typed = [n for n, figure in enumerate(figures) if KINDS[figure["kind"]].pool in POOLS[entity.type]]
    lettering = [figure["traits"].get("lettering", [""])[0] for figure in figures]
    if text == NAME:
        named = [n for n in typed if lettering[n] == entity.text]
        return named or [n for n in typed if not lettering[n]]
    decides = dict(entity.extra["decides"])
    if text == EXPANSION:  # "with its name on it", of a name that is not known
        named = bool(decides.pop("lettering", None))
        return [n for n, figure in enumerate(figures) if fits(figure, decides) and (not named or lettering[n])]
    return [n for n in typed if fits(figures[n], decides)]


def fits(figure: dict[str, dict[str, list[str]]], traits: dict[str, list[str]]) -> bool:
    seen = figure["traits"]
    return all(name not in seen or all(map(alike, seen[name], key)) for name, key in traits.items())


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return 100 * sum(found) / len(found)


def statistics(found: list[Mention]) -> None:
    seen = [entity for _, entity in found if entity.boxes]
    print("\n| type | mentions | groundable | median box, % of the picture |\n| --- | --- | --- | --- |")
    for kind in ENTITY_TYPES:
        areas = sorted(
            box.area / math.prod(post.image_size or (1, 1))
            for post, entity in found
            if entity.type == kind
            for box in entity.boxes
        )
        some = [entity for _, entity in found if entity.type == kind]
        shown = mean(bool(entity.boxes) for entity in some)
        print(f"| {kind} | {len(some)} | {shown:.1f} % | {100 * areas[len(areas) // 2]:.1f} |")
    print(f"| all | {len(found)} | {100 * len(seen) / len(found):.1f} % | |")
    print(f"\n{mean(len(entity.boxes) > 1 for entity in seen):.1f} % of the groundable mentions have several boxes")


def regions(found: list[Mention]) -> None:
    """The table of what decides, in the form of the paper's Table X."""
    seen = [(post, entity) for post, entity in found if entity.boxes]

    def largest(post: Example, entity: Entity) -> float:
        figures = post.extra["figures"]
        best = max(meant_by_type(post, entity), key=lambda n: Box(*figures[n]["box"]).area)
        return best in entity.extra["figures"]

    def meant_by_type(post: Example, entity: Entity) -> list[int]:
        figures = post.extra["figures"]
        return [n for n, figure in enumerate(figures) if KINDS[figure["kind"]].pool in POOLS[entity.type]]

    print("\n| who reads what | VE accuracy | VG accuracy |\n| --- | --- | --- |")
    print(f"| the largest figure that the type allows | | {mean(largest(*one) for one in seen):.1f} |")
    for text in (NAME, EXPANSION, BOTH):
        entailed = mean(bool(meant(*one, text)) == bool(one[1].boxes) for one in found)
        grounded = mean(share(meant(*one, text), one[1].extra["figures"]) for one in seen)
        print(f"| attribute oracle, {text} | {entailed:.1f} | {grounded:.1f} |")


def share(guesses: list[int], right: list[int]) -> float:
    """The chance that any of the guesses is right."""
    return sum(guess in right for guess in guesses) / max(1, len(guesses))


def words_alone(train: list[Mention], test: list[Mention]) -> None:
    """Groundability by a naive Bayes classifier that never sees the picture."""
    features: dict[str, Callable[[Mention], set[str]]] = {
        "nothing (always no)": lambda one: set(),
        "type": lambda one: {one[1].type},
        "name and type": lambda one: {one[1].type, *one[1].text.split()},
        "expansion and type": lambda one: {one[1].type, *one[1].extra["expansion"].split()},
        "expansion, type and sentence": lambda one: {
            one[1].type,
            *one[1].extra["expansion"].split(),
            *(f"s:{word}" for word in one[0].text.split()),
        },
        "caption": lambda one: {one[1].type, *(f"c:{word}" for word in (one[0].caption or "").split())},
    }
    print("\n| what is read | groundability accuracy |\n| --- | --- |")
    for name, extract in features.items():
        counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        totals: Counter[bool] = Counter()
        for one in train:
            label = bool(one[1].boxes)
            totals[label] += 1
            counts[label].update(extract(one))

        def score(one: Mention, label: bool, extract=extract, counts=counts, totals=totals) -> float:  # type: ignore[no-untyped-def]
            return math.log(totals[label]) + sum(
                math.log((counts[label][word] + 1) / (totals[label] + 2)) for word in extract(one)
            )

        print(f"| {name} | {mean((score(one, True) > score(one, False)) == bool(one[1].boxes) for one in test):.1f} |")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    training, testing = mentions(folder / "train.jsonl"), mentions(folder / "test.jsonl")
    statistics([*training, *testing])
    regions(testing)
    words_alone(training, testing)
