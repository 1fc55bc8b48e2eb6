"""Which lettering carries which name: a table of cases from posts and photographs, and what holds of any name."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sight import line

from gmner.naming import _could_fit, _errors, _fit, carried
from gmner.types import Box, Candidate


def stacked(*texts: str) -> list[Candidate]:
    return [line(text, y=10 + 30 * place) for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("name", "lines", "read"),
    [
        # whole, with and without blanks, signs, case and accents
        ("Sanyo", ["SANYO"], "SANYO"),
        ("NBAFinals", ["NBA FINALS"], "NBA FINALS"),
        ("# NBAFinals", ["THE NBA FINALS 2016"], "NBA FINALS"),
        ("Washington Post", ["WASHINGTONPOST"], "WASHINGTONPOST"),
        ("Chicago Bulls", ["@chicagobulls"], "chicagobulls"),
        ("Nike", ["www.nike.com"], "nike"),
        ("Beyoncé", ["BEYONCE"], "BEYONCE"),
        ("Priory Galleries", ["pRÍORy galleríes at the shíp"], "pRÍORy galleríes"),
        ("AC / DC", ["AC/DC"], "AC/DC"),
        ("日本", ["日本"], "日本"),
        # plural and possessive
        ("Foster 's", ["FOSTER'S"], "FOSTER'S"),
        ("Foster", ["FOSTER'S"], "FOSTER"),
        ("Bulls", ["BULL"], "BULL"),
        ("Bull", ["BULLS"], "BULLS"),
        ("Yankees", ["YANKEE STADIUM"], "YANKEE"),
        # misread
        ("Yamaha", ["YAMAMA"], "YAMAMA"),
        ("Sanyo", ["SANY0"], "SANY0"),
        ("Wivenhoe Park", ["WivennoePark"], "WivennoePark"),
        ("Giuseppe Maria Pancrazi", ["D.GIUSEPPE MARIA PANCRAZJ"], "GIUSEPPE MARIA PANCRAZJ"),
        # in words
        ("Golden State Warriors", ["WARRIORS"], "WARRIORS"),
        ("Golden State Warriors", ["GOLDEN", "STATE", "WARRIORS"], "GOLDEN STATE WARRIORS"),
        ("Banana Pro", ["BANANA", "PRO"], "BANANA PRO"),
        ("University of Alabama", ["ALABAMA"], "ALABAMA"),
        ("LeBron James", ["JAMES"], "JAMES"),
        ("Grace Hopper", ["COMO HOPPER"], "HOPPER"),
        ("Super Bowl XLIX", ["SUPER BOWL"], "SUPER BOWL"),
        ("CoachBrianKelly", ["BRIAN KELLY"], "BRIAN KELLY"),
        ("@ CoachBrianKelly", ["Coach", "Brian Kelly"], "Coach Brian Kelly"),
        # short
        ("GM", ["GM 125"], "GM"),
        ("Bea", ["BEA MILLER"], "BEA"),
        ("T . I .", ["T.I."], "T.I"),
        # not there
        ("Rangers", ["STRANGERS"], None),
        ("Apple", ["PINEAPPLE"], None),
        ("Paris", ["Parts"], None),
        ("NBA", ["WNBA"], None),
        ("LA", ["la casa"], None),
        ("us", ["Us"], None),
        ("Bulls", ["@chicagobulls"], None),
        ("University of Alabama", ["University of Michigan"], None),
        ("Manchester United", ["UNITED"], None),
        ("New York Yankees", ["NEW YORK"], None),
        ("PlayStation", ["STATION"], None),
        ("Boston Marathon 2017", ["2017"], None),
        ("Epson", ["SANYO", "PROxtraX", "MULTIMEDIA PROJECTOR"], None),
        ("!!", ["!!"], None),
        ("😀", ["😀"], None),
        ("Sanyo", [], None),
    ],
)
def test_names(name: str, lines: list[str], read: str | None) -> None:
    found = carried(name, stacked(*lines))
    assert (found and found.read) == read


@pytest.mark.parametrize(
    ("name", "lines", "strength"),
    [
        ("Sanyo", ["SANYO"], 1),
        ("Yamaha", ["YAMAMA"], 5 / 6),
        ("LeBron James", ["JAMES"], 5 / 11),
        ("University of Alabama", ["ALABAMA"], 7 / 13),  # `University` and `of` count half
    ],
)
def test_strength_is_the_part_of_the_letters(name: str, lines: list[str], strength: float) -> None:
    found = carried(name, stacked(*lines))
    assert found
    assert found.strength == pytest.approx(strength)


def test_the_box_is_the_name_only() -> None:
    sign = Candidate(Box(100, 50, 400, 80), "lettering", 0.9, "the copy centre")
    found = carried("Copy Centre", [sign])
    assert found
    assert found.box == pytest.approx(Box(180, 50, 400, 80))


def test_the_box_of_several_lines_is_around_all() -> None:
    first, second, far = line("GOLDEN STATE", y=10), line("WARRIORS", y=32), line("WARRIORS", y=500)
    found = carried("Golden State Warriors", [far, first, second])
    assert found
    assert found.box == Box(first.box.x1, first.box.y1, max(first.box.x2, second.box.x2), second.box.y2)


def test_lines_of_other_height_are_other_inscriptions() -> None:
    found = carried("Golden State Warriors", [line("GOLDEN STATE", y=10), line("WARRIORS", y=32, height=80)])
    assert found
    assert found.read == "GOLDEN STATE"


def test_the_fullest_then_the_largest_wins() -> None:
    small, large, part = line("FOSTER'S"), line("FOSTER'S", y=100, height=60), line("FOSTFR'S", y=300, height=200)
    found = carried("Foster 's", [small, large, part])
    assert found
    assert found.box == large.box


names = st.text(string.ascii_letters, min_size=4, max_size=20)


@given(names, st.sampled_from([str, str.upper, str.lower, str.swapcase]))
def test_any_name_carries_itself(name: str, case: type[str]) -> None:
    found = carried(name, [line(f"* {case(name)} *")])
    assert found
    assert (found.read, found.strength) == (case(name), 1)


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=30), max_size=4))
def test_any_text_is_safe(name: str, texts: list[str]) -> None:
    found = carried(name, stacked(*texts))
    assert found is None or 0 < found.strength <= 1


@given(st.text("ab", max_size=6), st.text("ab", max_size=8))
def test_fit_is_the_least_edit_distance_to_any_stretch(pattern: str, text: str) -> None:
    def distance(left: str, right: str) -> int:
        if not left or not right:
            return len(left) + len(right)
        return min(
            distance(left[1:], right[1:]) + (left[0] != right[0]),
            distance(left[1:], right) + 1,
            distance(left, right[1:]) + 1,
        )

    everywhere = set(range(len(text) + 1))
    errors, start, end = _fit(pattern, text, everywhere, everywhere)
    stretches = {text[i:j] for i in everywhere for j in everywhere if i <= j}
    assert errors == min(distance(pattern, stretch) for stretch in stretches)
    assert errors == distance(pattern, text[start:end])


@given(st.text("abc", min_size=1, max_size=16), st.text("abc", max_size=20))
def test_the_quick_look_turns_no_fit_away(pattern: str, text: str) -> None:
    everywhere = set(range(len(text) + 1))
    assert _could_fit(pattern, text) or _fit(pattern, text, everywhere, everywhere)[0] > _errors(len(pattern))
