"""Invented names of people, places, organisations and things; which of them a split may use.

A name belongs to one split or to all of them, by a checksum of its letters: most of what the test split names has
never been seen in training, and what has was seen with other regions.
"""

import zlib
from collections.abc import Callable
from typing import Final

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, weighted
from gmner.types import EntityType

Category = str
"""A kind of name, finer than a type: what a slot of a sentence asks for, and what may show it."""

TYPES: Final[dict[Category, EntityType]] = {
    "person": "PER",
    **dict.fromkeys(("town", "landmark"), "LOC"),
    **dict.fromkeys(("club", "band", "firm", "channel"), "ORG"),
    **dict.fromkeys(("film", "car", "event", "phone", "book", "guitar", "ball"), "OTHER"),
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST: Final = _words("""
    Mara Tobin Ilse Corin Vera Anselm Petra Jory Lena Caspar Nadia Emil Orla Bastian Freya Hugo Selma Ivo Thea
    Marlon Odette Rufus Greta Silas Juno Otis Alma Felix Noor Leif Dalia Amos Wren Kofi Yuna Rafe Zadie Bram
    Tilda Jonas Esme Arlo Minna Tariq Ottilie Soren Priya Dario Maeve Kenji Inka Lorne Saskia Abel Romy Idris
    Hanna Cato Linnea Ravi
""")
_LAST: Final = _words("""
    Ellin Orrey Tamsin Hollin Varrow Quill Ashdown Brandt Corvan Dunmore Ferrow Galt Harrow Ibbot Jessamy
    Kestrel Lorrimer Marsden Nettle Oakes Pellow Rooke Sorrel Thackery Umber Vance Wexley Yarrow Zeller Abara
    Bellweather Crane Dovet Eskil Fenn Garrick Hale Ingram Jarrold Kemble Lark Moss Nash Okoro Penrose Ravel
    Stroud Tindall Ushaw Voss Winslade Adair Bowen Castell Drury Emery Frost Grady Hawke Ilsley Joyce Kerr
    Langley Mistry Northam Osei Pryce Redfern
""")
_START: Final = _words("""
    Nor Ash El Tarn Bram Cold Dun East Fal Glen Har Kings Lang Mar Oak Pen Rad Sel Thorn Wal Wick Stone Whit Hex
    Lin Crom Bel Avon Sea Long
""")
_END: Final = _words("vale by ford ton wick mere stead holm bury combe haven field gate moor port ley")
_ADJECTIVE: Final = _words("""
    Silver Paper Midnight Hollow Golden Velvet Broken Electric Quiet Crimson Northern Lost Burning Glass Wild
    Second Distant Iron Painted Sudden Winter Hidden Little Last
""")
_NOUN: Final = _words("""
    Lantern Harbor Echo Sparrow River Comet Garden Anchor Mirror Arrow Tide Orchard Signal Circus Shadow Kite
    Meadow Engine Compass Falcon Letter Canyon Island Feather
""")

_SHARED: Final = 4
_OWNERS: Final = ("train", "train", "train", "dev", "test", "test")
"""Whose a name is by the remainder of its checksum: everybody's below `_SHARED`, then one split's."""


def make_name(rng: Generator, category: Category, split: str) -> str:
    """A name of the category that the split may use."""
    while True:
        name = _MAKERS[category](rng)
        if may_use(split, name):
            return name


def may_use(split: str, name: str) -> bool:
    """Whether a split may use a name."""
    remainder = zlib.crc32(name.lower().encode()) % (_SHARED + len(_OWNERS))
    return remainder < _SHARED or _OWNERS[remainder - _SHARED] == split


def landmark_kind(name: str) -> str | None:
    """The kind of place that a landmark's name says it is, if it does: Mount Orrey is a mountain."""
    return next((kind for word, kind in _LANDMARKS.items() if word in name.split()), None)


_LANDMARKS: Final = {
    "Mount": "mountain",
    "Bridge": "bridge",
    "Castle": "castle",
    "Lighthouse": "lighthouse",
    "Church": "church",
    "Tower": "tower",
    "Mill": "windmill",
    "Plaza": "skyscraper",
    "Cottage": "house",
}


def _common(rng: Generator, words: tuple[str, ...]) -> str:
    """One of the words, the first ones more often: some names are in everybody's mouth."""
    return words[min(int(rng.integers(len(words))), int(rng.integers(len(words))))]


def _person(rng: Generator) -> str:
    first, last = _common(rng, _FIRST), _common(rng, _LAST)
    form = weighted(rng, {"both": 11, "first": 4, "last": 2, "joined": 2, "title": 1})
    return {
        "both": f"{first} {last}",
        "first": first,
        "last": last,
        "joined": f"{first}{last}",
        "title": f"{pick(rng, ('DJ', 'MC', 'Lil', 'King', 'Lady'))} {first}",
    }[form]


def _town(rng: Generator) -> str:
    name = _common(rng, _START) + _common(rng, _END)
    form = weighted(rng, {"plain": 8, "Port": 1, "New": 1, "Bay": 1})
    return {"plain": name, "Bay": f"{name} Bay"}.get(form, f"{form} {name}")


def _landmark(rng: Generator) -> str:
    word = pick(rng, tuple(_LANDMARKS))
    name = _common(rng, _START) + _common(rng, _END) if happens(rng, 0.6) else _common(rng, _LAST)
    return f"{word} {name}" if word in ("Mount", "Castle") else f"{name} {word}"


def _club(rng: Generator) -> str:
    town = _common(rng, _START) + _common(rng, _END)
    return f"{town} {pick(rng, ('Rovers', 'United', 'City', 'FC', 'Wanderers', 'Hawks', 'Bears', 'Athletic'))}"


def _band(rng: Generator) -> str:
    adjective, noun = _common(rng, _ADJECTIVE), _common(rng, _NOUN)
    return pick(rng, (f"The {noun}s", f"{adjective} {noun}", f"The {adjective} {noun}s", f"{adjective}{noun}"))


def _firm(rng: Generator) -> str:
    last = _common(rng, _LAST)
    return pick(
        rng, (f"{last} Motors", f"{last} Foods", f"{last} & Sons", f"{last}tech", f"{last} Air", last, f"{last} Bank")
    )


def _channel(rng: Generator) -> str:
    letters = "".join(pick(rng, "BCDFKLMNRSTVW") for _ in range(3))
    return pick(rng, (f"{letters} News", f"{letters}TV", f"Radio {_common(rng, _START)}{_common(rng, _END)}", letters))


def _film(rng: Generator) -> str:
    adjective, noun = _common(rng, _ADJECTIVE), _common(rng, _NOUN)
    return pick(
        rng, (f"{adjective} {noun}", f"The {noun}", f"{noun} of {_common(rng, _LAST)}", f"{adjective} {noun}s 2")
    )


def _car(rng: Generator) -> str:
    last = _common(rng, _LAST)
    return f"{last} {pick(rng, ('GT', '500', 'X2', 'Turbo', 'S', 'Sport', 'E1'))}"


def _event(rng: Generator) -> str:
    stem = _common(rng, _START) + _common(rng, _END) if happens(rng, 0.5) else _common(rng, _NOUN)
    return f"{stem} {pick(rng, ('Cup', 'Awards', 'Open', 'Trophy', 'Shield', 'Prize'))}"


def _phone(rng: Generator) -> str:
    return f"{_common(rng, _NOUN)} {pick(rng, ('X2', 'Mini', '7', 'Phone', 'Pro', '5G'))}"


def _book(rng: Generator) -> str:
    return pick(rng, (f"The {_common(rng, _ADJECTIVE)} {_common(rng, _NOUN)}", f"Letters from {_common(rng, _LAST)}"))


def _guitar(rng: Generator) -> str:
    return f"{_common(rng, _LAST)} {pick(rng, ('Classic', 'Custom', 'Dove', 'Standard'))}"


def _ball(rng: Generator) -> str:
    return f"{_common(rng, _ADJECTIVE)} {pick(rng, ('Orbit', 'Strike', 'Bounce', 'Spin'))}"


_MAKERS: Final[dict[Category, Callable[[Generator], str]]] = {
    "person": _person,
    "town": _town,
    "landmark": _landmark,
    "club": _club,
    "band": _band,
    "firm": _firm,
    "channel": _channel,
    "film": _film,
    "car": _car,
    "event": _event,
    "phone": _phone,
    "book": _book,
    "guitar": _guitar,
    "ball": _ball,
}
