"""Does lettering carry a name? Tolerant of OCR errors, hashtags, lost blanks, case, plurals and names cut short."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gmner.geometry import hull
from gmner.types import Box, Candidate


@dataclass(frozen=True)
class Carried:
    """A name that was found in lettering: where, what was read there, and how fully (0 to 1, 1 letter by letter)."""

    box: Box
    read: str
    strength: float


def carried(name: str, lines: Sequence[Candidate]) -> Carried | None:
    """Where the lettering `lines` carry `name` most fully, the largest lettering first; None if they don't.

    A line carries a name whole, with or without its blanks (`#NBAFinals` on `NBA FINALS`); or lines that stand
    together carry words of it: its last word (`WARRIORS` for Golden State Warriors) or half of its letters. A word that
    many names share (`University`) carries nothing alone and counts half. One letter in five may be misread; words of
    up to five letters must stand there exactly, but for a plural's s, and names of up to three as they are written or
    in capitals.
    """
    found = [reading for line in lines for reading in [_whole(name, line)] if reading]
    found += _in_words(name, lines)
    return max(found, key=lambda reading: (round(reading.strength, 2), reading.box.area), default=None)


_GENERIC: Final = frozenset(
    re.findall(
        r"\w+",
        "american association bank bridge cafe center centre church city club college company conference county day "
        "east festival football game games high hotel house international king lake league live magazine museum music "
        "national news night north office park party press queen radio river saint school service show south sport "
        "sports stadium state states street team theatre time times today united university west with world year",
    )
)
"""Words that many names share: alone they carry none of them."""


class _Letter(NamedTuple):
    """A letter or digit without case and accent, and where it stands in the text that it is from."""

    sign: str
    place: int


def _letters(text: str) -> list[_Letter]:
    return [
        _Letter(sign, place)
        for place, character in enumerate(text)
        for sign in unicodedata.normalize("NFKD", character.casefold()).replace("0", "o")  # OCR's commonest mistake
        if sign.isalnum()
    ]


def _words(name: str) -> list[str]:
    """The words of a name; a name in one piece and camel case has them if they are three (`CoachBrianKelly`)."""
    words = re.findall(r"[^\W_]+", name)
    if len(words) == 1:
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+|[^\W\d_A-Za-z]+", words[0])
        return parts if len(parts) > 2 and "".join(parts) == words[0] else words
    return words


def _errors(length: int) -> int:
    """How many letters of a word of `length` letters may be misread, missing or too many."""
    return 0 if length < 6 else length // 5


def _whole(name: str, line: Candidate) -> Carried | None:
    """The name in one piece on a line; from eight letters on it may stand inside a longer word."""
    pattern = "".join(letter.sign for letter in _letters(name))
    return _find(pattern, name, line, alone=True, inside=len(pattern) >= 8)


def _find(pattern: str, name: str, line: Candidate, *, alone: bool, inside: bool = False) -> Carried | None:
    """The best place of `pattern` (the letters of `name`) on a line within the errors that its length allows."""
    if len(pattern) < 2:
        return None
    if len(pattern) <= 3:
        written = r"[\W_]*".join(sign for sign in name if sign.isalnum())
        forms = f"{written}|{written.upper()}" if alone else f"(?i:{written})"
        match = re.search(rf"(?<![^\W_])(?:{forms})(?![^\W_])", line.text)
        return Carried(_part(line, *match.span()), match[0], 1.0) if match else None
    letters = _letters(line.text)
    text = "".join(letter.sign for letter in letters)
    if inside:
        starts = ends = set(range(len(text) + 1))
    else:
        starts = {i for i in range(len(text)) if i == 0 or letters[i].place > letters[i - 1].place + 1}
        ends = {*(starts - {0}), len(text)}
    number = [f"{pattern}s", pattern.removesuffix("s")] if len(pattern) < 6 else []
    for form in (pattern, *number):
        if not _could_fit(form, text):
            continue
        errors, start, end = _fit(form, text, starts, ends)
        if errors <= _errors(len(form)):
            span = letters[start].place, letters[end - 1].place + 1
            return Carried(_part(line, *span), line.text[slice(*span)], 1 - errors / len(form))
    return None


def _could_fit(pattern: str, text: str) -> bool:
    """Whether one of so many pieces of the pattern stands in the text that misreadings can't spoil them all."""
    pieces = _errors(len(pattern)) + 1
    size = -(-len(pattern) // pieces)
    return any(pattern[i : i + size] in text for i in range(0, len(pattern), size))


def _fit(pattern: str, text: str, starts: set[int], ends: set[int]) -> tuple[int, int, int]:
    """The longest stretch of `text` nearest to `pattern` by edit distance, as (distance, start, end): Sellers (1980).

    A row of the table holds, for each end, the least distance of a beginning of the pattern and the start it has.
    """
    far = len(pattern) + len(text) + 1
    row = [(0 if i in starts else far, i) for i in range(len(text) + 1)]
    for sign in pattern:
        above, row = row, [(row[0][0] + 1, row[0][1])]
        for i, other in enumerate(text):
            (diagonal, start), (up, up_start), (left, left_start) = above[i], above[i + 1], row[i]
            row.append(min((diagonal + (sign != other), start), (up + 1, up_start), (left + 1, left_start)))
    best = ((distance, -end, start) for end, (distance, start) in enumerate(row) if end in ends or end == len(text))
    distance, end, start = min(best)
    return distance, start, -end


def _part(line: Candidate, start: int, end: int) -> Box:
    """The box of characters `start` to `end` of a lying line, by their share of its length."""
    box, length = line.box, len(line.text)
    if box.height > box.width or end - start > 0.8 * length:
        return box
    return Box(box.x1 + box.width * start / length, box.y1, box.x1 + box.width * end / length, box.y2)


def _in_words(name: str, lines: Sequence[Candidate]) -> list[Carried]:
    """The words of the name that are found around each line; none where no telling word is among them."""
    words = _words(name)
    patterns = ["".join(letter.sign for letter in _letters(word)) for word in words]
    if len(words) < 2:
        return []
    telling = [len(pattern) > 3 and pattern.isalpha() and pattern not in _GENERIC for pattern in patterns]
    weights = [len(pattern) * (1.0 if tells else 0.5) for pattern, tells in zip(patterns, telling, strict=True)]
    rows = [
        [_find(pattern, word, line, alone=False) for pattern, word in zip(patterns, words, strict=True)]
        for line in lines
    ]
    results: list[Carried] = []
    for line, own in zip(lines, rows, strict=True):
        near = [row for row, other in zip(rows, lines, strict=True) if _together(line.box, other.box)]
        # Each word once: on this line if it is there, else on the first line beside it that has it.
        chosen = [next(filter(None, column), None) for column in zip(own, *near, strict=True)]
        parts = [hit for hit in chosen if hit]
        if not any(hit and tells for hit, tells in zip(chosen, telling, strict=True)):
            continue
        strength = sum(hit.strength * weight for hit, weight in zip(chosen, weights, strict=True) if hit) / sum(weights)
        if strength >= 0.5 or (chosen[-1] and telling[-1]):
            results.append(Carried(hull([part.box for part in parts]), " ".join(part.read for part in parts), strength))
    return results


def _together(box: Box, other: Box) -> bool:
    """Whether two lines can be parts of one inscription: like in height, and no more than a line's height apart."""
    tall, low = max(box.height, other.height), min(box.height, other.height)
    across = max(box.x1, other.x1) - min(box.x2, other.x2)
    down = max(box.y1, other.y1) - min(box.y2, other.y2)
    return tall <= 2.5 * low and max(across, down) <= tall
