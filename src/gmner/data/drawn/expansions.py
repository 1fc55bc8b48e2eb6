"""Expansions: a figure in words that tell it apart from all others which the entity's type allows.

The same rule makes the expansion of an entity that is not in the picture: its figure is imagined, and told apart
from all that are there. So the words alone do not say whether there is something to find.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, shuffled
from gmner.data.drawn.colours import alike
from gmner.data.drawn.figure import Look, Trait, differ
from gmner.data.drawn.kinds import KINDS
from gmner.data.drawn.names import Category
from gmner.data.drawn.view import Sight
from gmner.types import Box


class Seen(NamedTuple):
    """A figure as it is seen: what can be made out of its traits, `kind` and `place` among them."""

    kind: str
    look: Look
    traits: Mapping[str, Trait]


class Expansion(NamedTuple):
    """The words, and the traits that decide."""

    words: str
    decides: Mapping[str, Trait]


def seen(kind: str, look: Look, sight: Sight, box: Box, size: tuple[int, int]) -> Seen:
    """What can be made out of a figure whose visible part fills `box` in a picture of `size`."""
    traits = {
        trait.name: trait
        for trait in KINDS[kind].traits(look)
        if sight.seen.get(trait.part, 0) >= max(trait.least, trait.enough * sight.whole.get(trait.part, 0))
    }
    traits["kind"] = Trait("kind", (kind,), None)
    if (side := _side((box.x1 + box.x2) / 2 / size[0])) is not None:
        traits["place"] = Trait("place", (side,), _SIDES[side])
    return Seen(kind, look, traits)


def tells_apart(name: str, one: Mapping[str, Trait], other: Mapping[str, Trait]) -> bool:
    """Whether a trait can be made out on both figures and differs beyond doubt."""
    return name in one and name in other and differ(one[name], other[name])


def expand(
    rng: Generator, own: Sequence[Seen], rivals: Sequence[Seen], category: Category, *, imagined: bool = False
) -> Expansion | None:
    """The expansion of an entity that its `own` figures show among its `rivals`; None where no words would do.

    Now and then it says "the one in red" and leaves it to the entity's type what that is. An `imagined` figure has to
    look different from its rivals: that it would stand elsewhere is said as often, but is not enough.
    """
    shared = _shared(own)
    team = len(own) > 1 and own[0].kind == "person" and category != "person"
    if "colour" in shared and happens(rng, 0.3) and not _left(["colour"], shared, rivals) and _alone(shared, rivals):
        return Expansion(_generic(shared, many=len(own) > 1), {"colour": shared["colour"]})
    # A lone person in red might be one of a team in red.
    decisive = [] if team else ["kind"]
    rest = _left(decisive, shared, rivals)
    sayable = [name for name in _ORDER if name in shared and shared[name].words]
    looks = shuffled(rng, [name for name in sayable if name != "place" and (not team or name == "colour")])
    if "lettering" in looks and happens(rng, 0.6):
        looks = ["lettering", *(name for name in looks if name != "lettering")]
    place = ["place"] if "place" in sayable and not team else []
    for name in looks if imagined else [*place, *looks] if happens(rng, 0.2) else [*looks, *place]:
        if any(tells_apart(name, shared, rival.traits) for rival in rest):
            decisive.append(name)
            rest = _left([name], shared, rest)
    if rest or (team and "colour" not in shared):
        return None
    if team:
        return Expansion(_team(rng, own[0], category), {"colour": shared["colour"]})
    said = {*decisive, *(name for name in looks if happens(rng, 0.85 if name == "colour" else 0.15)), *looks[:1]}
    if imagined and place and shared["place"].key != ("middle",) and happens(rng, _PLACED):
        said.add("place")
    words = describe(rng, own[0], said, lead=_lead(rng, own[0], category))
    if len(own) > 1:
        words += ", seen twice" if len(own) == 2 else ", seen again and again"
    return Expansion(words, {name: shared[name] for name in decisive})


def describe(rng: Generator, figure: Seen, names: Iterable[str], lead: str = "") -> str:
    """A noun phrase that says the traits called `names`: "a round blue badge with a white star on the left"."""
    said = [figure.traits[name] for name in _ORDER if name in names and name in figure.traits]
    before = [trait.words for trait in said if trait.before and trait.words]
    after = [trait.words for trait in said if not trait.before and trait.words]
    noun = _noun(rng, figure)
    joined = [words for words in after if not words.startswith("with ")]
    with_words = [words.removeprefix("with ") for words in after if words.startswith("with ")]
    if with_words:
        position = 1 if joined and joined[0].startswith("in a") else 0
        joined.insert(position, f"with {' and '.join(with_words)}")
    return f"{lead}{article(' '.join([*before, noun, *joined]))}"


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def clothes_of_many(look: Look) -> str:
    """The clothes that several people share: "in green striped sweaters"."""
    pattern = "" if look["pattern"] == "plain" else f"{look['pattern']} "
    return f"in {look['colour']} {pattern}{_PLURALS.get(look['garment'], look['garment'] + 's')}"


_ORDER: Final = (
    "shape",
    "colour",
    "roof",
    "top",
    "hair",
    "beard",
    "glasses",
    "hat",
    "sign",
    "lettering",
    "pose",
    "place",
)
_PLACED: Final = 0.17
"""How often an imagined figure's side is said if it is left or right, so that sides are said of it as often as of
figures that are there."""
_SIDES: Final = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_PLURALS: Final = {"dress": "dresses"}
_MANY: Final = {"striped": "stripes", "checked": "checks", "dotted": "dots"}
_ROLES: Final = ("singer", "player", "coach", "actor", "presenter", "politician", "writer", "star")
_LEADS: Final[dict[Category, tuple[str, ...]]] = {
    "club": ("a football club", "a sports club", "a team"),
    "band": ("a band", "a music group"),
    "firm": ("a company", "a brand"),
    "channel": ("a news channel", "a broadcaster"),
    "film": ("a film", "a movie"),
    "event": ("a competition", "an event"),
    "town": ("a town", "a city"),
}


def _side(x: float) -> str | None:
    """The third of the picture that a relative x is in, if that is beyond doubt."""
    return "left" if x < 0.36 else "right" if x > 0.64 else "middle" if 0.43 < x < 0.57 else None


def _shared(own: Sequence[Seen]) -> dict[str, Trait]:
    """The traits in which all of an entity's figures agree."""
    return {
        name: trait
        for name, trait in own[0].traits.items()
        if all(name in other.traits and other.traits[name].key == trait.key for other in own[1:])
    }


def _left(names: Iterable[str], shared: Mapping[str, Trait], rivals: Sequence[Seen]) -> list[Seen]:
    """The rivals that none of the traits tells apart."""
    names = tuple(names)
    return [rival for rival in rivals if not any(tells_apart(name, shared, rival.traits) for name in names)]


def _alone(shared: Mapping[str, Trait], rivals: Sequence[Seen]) -> bool:
    """Whether nothing else about a rival, such as its hat or roof, has the colour that is meant."""
    main = shared["colour"].key[0]
    return not any(alike(main, value) for rival in rivals for trait in rival.traits.values() for value in trait.key)


def _noun(rng: Generator, figure: Seen) -> str:
    if figure.kind == "person":
        return figure.look["sex"] if happens(rng, 0.65) else pick(rng, _ROLES)
    return pick(rng, KINDS[figure.kind].nouns)


def _generic(shared: Mapping[str, Trait], *, many: bool) -> str:
    colour, pattern = shared["colour"].key
    words = f"the one{'s' if many else ''} in {colour}"
    return words if pattern == "plain" else f"{words} {_MANY[pattern]}"


def _team(rng: Generator, member: Seen, category: Category) -> str:
    return f"{pick(rng, _LEADS[category])} {clothes_of_many(member.look)}"


def _lead(rng: Generator, figure: Seen, category: Category) -> str:
    if category not in _LEADS or happens(rng, 0.5):
        return ""
    link = "on" if figure.kind == "poster" else "named on" if figure.kind == "sign" else "with"
    return f"{pick(rng, _LEADS[category])} {link} "
