"""Words, BIO tags and spans, and the way between token offsets (benchmarks) and character offsets (users)."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import regex

from gmner.errors import DataError, EntityError, TextError
from gmner.types import ENTITY_TYPES, Entity, EntityType, Example, entity_type

OUTSIDE: Final = "O"
TAGS: Final[tuple[str, ...]] = (OUTSIDE, *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
"""The tags of a BIO tagger in the order of its output columns."""

_WORD: Final = regex.compile(
    r"https?://[^\s\x1c-\x1f]+"  # a link is one word
    r"|[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:-[\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*"  # letters and digits, joined by hyphens
    r"|(?![\s\x1c-\x1f])\X"  # anything else stands alone: @ # _ ' and an emoji with all that belongs to it
)


class TokenSpan(NamedTuple):
    """Tokens `start` to `end` (half-open) of one type."""

    start: int
    end: int
    type: EntityType


def read_bio(tags: Sequence[str], *, strict: bool = False) -> list[TokenSpan]:
    """Spans of a BIO tag sequence, in order.

    Lenient (default): an I- that follows O, another type or nothing opens a new entity, as IOB2 normalisation and
    seqeval read it; Twitter-2015 test has 5,207 entities so. Strict: only B- opens, a stray I- is nobody's; 5,072.

    Raises:
        EntityError: a tag names a type that does not exist.
        DataError: a tag is neither O nor B- nor I-.
    """
    spans: list[TokenSpan] = []
    start, kind = 0, None
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, name = split_tag(tag)
        if prefix == "I" and name == kind:
            continue
        if kind is not None:
            spans.append(TokenSpan(start, position, kind))
        opens = prefix == "B" or (prefix == "I" and not strict)
        start, kind = position, name if opens else None
    return spans


def write_bio(spans: Iterable[TokenSpan], length: int) -> list[str]:
    """BIO tags of `length` tokens; the inverse of `read_bio`.

    Tags can not say that spans overlap: a span that a later one overlaps is left out as a whole.

    Raises:
        EntityError: a span is empty or does not lie within `length` tokens.
    """
    tags = [OUTSIDE] * length
    for start, end, kind in reversed(list(spans)):
        if not 0 <= start < end <= length:
            raise EntityError(
                f"token span {start} to {end} in {length} tokens",
                allowed="a span is 0 <= start < end <= number of tokens",
                todo="mend the offsets",
            )
        if all(tag == OUTSIDE for tag in tags[start:end]):
            tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def illegal_steps(tags: Sequence[str]) -> list[int]:
    """Positions of I- tags that continue nothing: after O, after another type, or at the start."""
    previous = [OUTSIDE, *tags]
    return [
        position
        for position, tag in enumerate(tags)
        if split_tag(tag)[0] == "I" and split_tag(previous[position])[1] != split_tag(tag)[1]
    ]


def split_tag(tag: str) -> tuple[str, EntityType | None]:
    """`B-PER` as ("B", "PER"), `O` as ("O", None)."""
    if tag == OUTSIDE:
        return OUTSIDE, None
    prefix, dash, name = tag.partition("-")
    if prefix not in ("B", "I") or not dash:
        raise DataError("tag", repr(tag), allowed="tags are O, B-TYPE and I-TYPE", todo="convert the tags to BIO")
    return prefix, entity_type(name)


def split_words(text: str) -> list[tuple[int, int]]:
    """Character offsets of the words of a raw text, split as the tweets of the benchmarks are.

    Signs stand alone (`@`, `#`, `_`, an apostrophe, each emoji); links and hyphenated words stay whole.

    >>> [text[s:e] for text in ["It's @Bob_B!"] for s, e in split_words(text)]
    ['It', "'", 's', '@', 'Bob', '_', 'B', '!']
    """
    return [match.span() for match in _WORD.finditer(text)]


def locate_tokens(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Character offsets of `tokens` in `text`, which holds them one after another and nothing but blanks between.

    Raises:
        TextError: something else than the next token, or blanks before it, stands in the text.
    """
    offsets: list[tuple[int, int]] = []
    reached = 0
    for token in (*tokens, ""):  # after the last token only blanks are left
        start = reached
        while not (token and text.startswith(token, start)) and start < len(text) and text[start].isspace():
            start += 1
        if not text.startswith(token, start) or (not token and start < len(text)):
            raise TextError(
                f"the text goes on with {text[start : start + 20]!r} at character {start}, "
                + (f"not with the token {token!r}" if token else "after the last token"),
                allowed="where both are given, the text is the tokens in their order with blanks between",
                todo="leave one of `text` and `tokens` out",
            )
        reached = start + len(token)
        offsets.append((start, reached))
    return offsets[:-1]


def word_offsets(example: Example) -> list[tuple[int, int]]:
    """Character offsets of an example's words: its tokens if it has them, else its text split into words."""
    if example.tokens is not None:
        return locate_tokens(example.text, example.tokens)
    return split_words(example.text)


def to_entity(span: TokenSpan, text: str, offsets: Sequence[tuple[int, int]]) -> Entity:
    """The entity that a token span is in `text`, whose words lie at `offsets`."""
    start, end = offsets[span.start][0], offsets[span.end - 1][1]
    return Entity(text=text[start:end], type=span.type, start=start, end=end)


def to_token_span(entity: Entity, offsets: Sequence[tuple[int, int]]) -> TokenSpan | None:
    """The token span that an entity covers exactly; None if it has no offsets or cuts through a word."""
    starts = {start: index for index, (start, _) in enumerate(offsets)}
    ends = {end: index + 1 for index, (_, end) in enumerate(offsets)}
    if entity.start is None or entity.end is None or entity.start not in starts or entity.end not in ends:
        return None
    return TokenSpan(starts[entity.start], ends[entity.end], entity.type)


SHAPES: Final = 10
"""Number of word shapes, see `word_shape`; 0 is no word."""


def word_shape(word: str) -> int:
    """1 lower, 2 Capitalised, 3 UPPER, 4 one capital, 5 miXed, 6 digits, 7 digits and letters, 8 sign, 9 other letters.

    What an uncased encoder does not see of a word; 0 is kept for what is no word of the sentence.
    """
    if word.isdigit():
        return 6
    if not any(character.isalpha() for character in word):
        return 8
    if any(character.isdigit() for character in word):
        return 7
    if word.islower():
        return 1
    if word.isupper():
        return 4 if len(word) == 1 else 3
    if word[0].isupper() and word[1:].islower():
        return 2
    return 5 if word.lower() != word else 9
