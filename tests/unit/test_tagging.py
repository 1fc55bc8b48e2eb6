"""BIO tags, words and offsets."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gmner.errors import DataError, EntityError, TextError
from gmner.tagging import (
    TAGS,
    TokenSpan,
    illegal_steps,
    locate_tokens,
    read_bio,
    split_tag,
    split_words,
    to_entity,
    to_token_span,
    word_offsets,
    write_bio,
)
from gmner.types import ENTITY_TYPES, Entity, Example

types = st.sampled_from(ENTITY_TYPES)
tag_lists = st.lists(st.sampled_from(TAGS), max_size=12)
words = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r"), min_size=1, max_size=6)


@st.composite
def apart(draw):
    """Spans that do not overlap, in order, and a number of tokens that holds them."""
    spans, end = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start = end + draw(st.integers(0, 3))
        end = start + draw(st.integers(1, 3))
        spans.append(TokenSpan(start, end, draw(types)))
    return spans, end + draw(st.integers(0, 2))


@pytest.mark.parametrize(
    ("tags", "lenient", "strict"),
    [
        ("", [], []),
        ("O O", [], []),
        ("B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")], [(0, 2, "PER"), (3, 4, "LOC")]),
        ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")], [(0, 1, "PER"), (1, 2, "PER")]),
        ("I-PER I-PER", [(0, 2, "PER")], []),  # a stray I- at the start
        ("O I-ORG O", [(1, 2, "ORG")], []),  # and after O
        ("B-PER I-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC")], [(0, 1, "PER")]),  # and after another type
        ("B-PER I-LOC I-PER", [(0, 1, "PER"), (1, 2, "LOC"), (2, 3, "PER")], [(0, 1, "PER")]),
        ("B-MISC I-OTHER", [(0, 2, "OTHER")], [(0, 2, "OTHER")]),
    ],
)
def test_read_bio(tags, lenient, strict):
    assert read_bio(tags.split()) == lenient
    assert read_bio(tags.split(), strict=True) == strict


@pytest.mark.parametrize("tag", ["", "X-PER", "PER", "BPER", "b-PER"])
def test_tags_that_are_not_bio_are_refused(tag):
    with pytest.raises(DataError, match="B-TYPE"):
        read_bio([tag])


@pytest.mark.parametrize("tag", ["B-", "B-DATE", "I-_PER"])
def test_types_that_do_not_exist_are_refused(tag):
    with pytest.raises(EntityError, match="allowed are PER, LOC, ORG, OTHER"):
        read_bio([tag])


def test_tag_order_is_that_of_the_output_columns():
    assert TAGS == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-OTHER", "I-OTHER")
    assert [split_tag(tag) for tag in TAGS[:3]] == [("O", None), ("B", "PER"), ("I", "PER")]


def test_illegal_steps():
    assert illegal_steps(["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-ORG", "I-ORG"]) == [0, 3, 5]


@given(apart())
def test_tags_and_back(case):
    spans, length = case
    tags = write_bio(spans, length)
    assert len(tags) == length
    assert illegal_steps(tags) == []
    assert read_bio(tags) == read_bio(tags, strict=True) == spans


@given(tag_lists)
def test_rewriting_tags_mends_them_and_keeps_the_spans(tags):
    mended = write_bio(read_bio(tags), len(tags))
    assert illegal_steps(mended) == []
    assert read_bio(mended) == read_bio(tags)
    if not illegal_steps(tags):
        assert mended == tags


@given(st.lists(st.builds(lambda s, n, t: TokenSpan(s, s + n, t), st.integers(0, 6), st.integers(1, 4), types)))
def test_of_overlapping_spans_the_later_stays_whole(spans):
    kept = read_bio(write_bio(spans, 10))
    assert set(kept) <= set(spans)
    assert all(left.end <= right.start for left, right in pairwise(kept))
    if spans:
        assert spans[-1] in kept


@pytest.mark.parametrize("span", [(2, 2), (3, 2), (-1, 1), (3, 6)])
def test_spans_outside_the_tokens_are_refused(span):
    with pytest.raises(EntityError, match="in 5 tokens"):
        write_bio([TokenSpan(*span, "PER")], 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n", []),
        ("Grace Hopper", ["Grace", "Hopper"]),
        ("Reeves-urrection, now", ["Reeves-urrection", ",", "now"]),
        ("a--b -c", ["a", "-", "-", "b", "-", "c"]),
        ("It's @Bob_B!", ["It", "'", "s", "@", "Bob", "_", "B", "!"]),
        ("#NYC: https://t.co/a_b?c=1#d end", ["#", "NYC", ":", "https://t.co/a_b?c=1#d", "end"]),
        ("1,000 3.5", ["1", ",", "000", "3", ".", "5"]),
        ("Beyoncé 東京 Москва", ["Beyoncé", "東京", "Москва"]),
        ("hi😀😀there", ["hi", "😀", "😀", "there"]),
    ],
)
def test_split_words(text, expected):
    assert [text[start:end] for start, end in split_words(text)] == expected


@given(st.text(max_size=60))
def test_words_cover_all_but_white_space_in_order(text):
    spans = split_words(text)
    assert all(0 <= s < e <= len(text) for s, e in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    covered = {position for s, e in spans for position in range(s, e)}
    assert {position for position, sign in enumerate(text) if not sign.isspace()} == covered


@given(st.lists(words, min_size=1, max_size=8))
def test_tokens_are_found_where_they_were_put(tokens):
    text = " ".join(tokens)
    offsets = locate_tokens(text, tokens)
    assert [text[start:end] for start, end in offsets] == tokens
    assert [start for start, _ in offsets] == [sum(map(len, tokens[:i])) + i for i in range(len(tokens))]


def test_tokens_that_are_not_in_the_text_are_refused():
    assert locate_tokens("a  b\tc", ["a", "b", "c"]) == [(0, 1), (3, 4), (5, 6)]
    assert locate_tokens(" a b \n", ["a", "b"]) == [(1, 2), (3, 4)]
    assert locate_tokens("\xa0 x", ["\xa0", "x"]) == [(0, 1), (2, 3)]
    with pytest.raises(TextError, match="goes on with '' at character 3, not with the token 'a'"):
        locate_tokens("a b", ["a", "b", "a"])
    with pytest.raises(TextError, match="goes on with 'Paris is in Texas' at character 0, not with the token 'is'"):
        locate_tokens("Paris is in Texas", ["is", "Texas"])
    with pytest.raises(TextError, match="goes on with 'in Texas' at character 9, after the last token"):
        locate_tokens("Paris is in Texas", ["Paris", "is"])


def test_word_offsets_takes_tokens_before_words():
    assert word_offsets(Example(text="it's")) == [(0, 2), (2, 3), (3, 4)]
    assert word_offsets(Example(text="it's", tokens=("it's",))) == [(0, 4)]
    assert word_offsets(Example(tokens=("it's", "me"))) == [(0, 4), (5, 7)]


@given(st.lists(words, min_size=1, max_size=8), st.data())
def test_token_spans_and_entities(tokens, data):
    assume(any(token.strip() for token in tokens))
    example = Example(tokens=tuple(tokens))
    offsets = word_offsets(example)
    start = data.draw(st.integers(0, len(tokens) - 1))
    span = TokenSpan(start, data.draw(st.integers(start + 1, len(tokens))), data.draw(types))
    entity = to_entity(span, example.text, offsets)
    assert entity.text == " ".join(tokens[span.start : span.end])
    assert to_token_span(entity, offsets) == span


def test_an_entity_that_cuts_a_word_has_no_token_span():
    offsets = split_words("New York")
    assert to_token_span(Entity("New", "LOC", 0, 3), offsets) == (0, 1, "LOC")
    assert to_token_span(Entity("New Yo", "LOC", 0, 6), offsets) is None
    assert to_token_span(Entity("ew York", "LOC", 1, 8), offsets) is None
    assert to_token_span(Entity("New", "LOC"), offsets) is None
