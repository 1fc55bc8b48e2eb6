"""A picture in words: one line, as an image captioner says it, or several sentences, as a chatty model does.

Neither is complete: some figures and most of their traits go unsaid.
"""

from collections.abc import Sequence

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, shuffled
from gmner.data.drawn.expansions import Seen, clothes_of_many, describe

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MOODS = (
    "The overall mood of the picture is lively.",
    "It looks like a casual moment that someone wanted to share.",
    "The scene suggests that something is about to happen.",
    "The colours stand out and draw the eye.",
)


def one_line(rng: Generator, figures: Sequence[Seen], setting: str) -> str:
    """A caption of the largest figures, which come first in `figures`; `setting` says where it is."""
    if not figures:
        return f"a picture taken {setting}"
    groups = _teams(figures)
    phrases = []
    for group in groups[: pick(rng, (1, 2, 2, 3))]:
        if len(group) > 1:
            phrases.append(f"{_number(len(group))} people {clothes_of_many(group[0].look)}")
        else:
            phrases.append(describe(rng, group[0], ("colour",) if happens(rng, 0.6) else ()))
    joint = pick(rng, (" and ", " next to ", " with "))
    return f"{joint.join(phrases) if len(phrases) < 3 else ', '.join(phrases[:-1]) + ' and ' + phrases[-1]} {setting}"


def in_detail(rng: Generator, figures: Sequence[Seen], setting: str) -> str:
    """A description that names most of the figures with some of what can be seen of them."""
    people = sum(figure.kind == "person" for figure in figures)
    others = len(figures) - people
    found = [f"{_number(people)} {'person' if people == 1 else 'people'}"] if people else []
    found += (
        [f"{_number(others)} {'other ' if people else ''}thing{'' if others == 1 else 's'} to see"] if others else []
    )
    sentences = [f"The image shows a scene {setting}{' with ' + ' and '.join(found) if found else ''}."]
    for figure in figures[:5]:
        if happens(rng, 0.15):
            continue
        names = [
            name for name in figure.traits if name not in ("place", "kind", "lettering") and figure.traits[name].words
        ]
        said = {*shuffled(rng, names)[: pick(rng, (1, 1, 2, 3))], *(("place",) if happens(rng, 0.6) else ())}
        phrase = describe(rng, figure, said)
        sentences.append(
            pick(rng, ("There is {}.", "{} can be seen.", "We also see {}.", "One notices {}.")).format(phrase)
        )
        if "lettering" in figure.traits and figure.look["lettering"] and happens(rng, 0.6):
            sentences.append(f'It reads "{figure.look["lettering"]}".')
    if happens(rng, 0.5):
        sentences.append(pick(rng, _MOODS))
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else "many"


def _teams(figures: Sequence[Seen]) -> list[list[Seen]]:
    """The figures, those people together who wear the same."""
    groups: dict[object, list[Seen]] = {}
    for index, figure in enumerate(figures):
        key: object = index
        if figure.kind == "person" and "colour" in figure.traits:
            key = (figure.traits["colour"].key, figure.look["garment"])
        groups.setdefault(key, []).append(figure)
    return list(groups.values())
