"""Mending an error gives back what it cost, and mending all gives gold."""

import pytest
from hypothesis import given
from tests.unit.scored_posts import FAR, SQUARE, answer, mask, post, scored

from gmner.metrics import evaluate
from gmner.metrics.overlap import Threshold
from gmner.metrics.posts import join
from gmner.report.oracle import MENDS, mend, swaps
from gmner.report.taxonomy import classify, masks_are_judged
from gmner.types import Prediction

TEXT = "Ada met Grace Hopper of the US Navy in Rome with Bob Lee"
HALF_IOU = Threshold(0.5, inclusive=False)
GOLD = post(
    TEXT,
    ("Ada", "PER"),
    ("Grace Hopper", "PER", [SQUARE]),
    ("US Navy", "ORG", [SQUARE]),
    ("Rome", "LOC", [FAR]),
    ("Bob", "PER"),
)


def mended(*predicted, task="gmner"):
    """By kind of error, the number right in `task` when it alone is mended, and with all before it."""
    posts = join([GOLD], [answer(GOLD, *predicted)])
    matches = [classify(one, HALF_IOU, masks=masks_are_judged(posts)) for one in posts]

    def right(kinds):
        [one], [found] = posts, matches
        return evaluate([GOLD], [Prediction(example=one.example, entities=mend(one, found, kinds))])[task].right

    return {kind: (right({kind}), right(MENDS[: place + 1])) for place, kind in enumerate(MENDS)}


PREDICTED = [
    ("Ada", "PER", [SQUARE]),  # called visible
    ("Hopper", "ORG", [SQUARE]),  # span and type
    ("US Navy", "ORG", [FAR]),  # box
    ("Rome", "LOC"),  # called absent
    ("met", "OTHER"),  # spurious; Bob is missed
]


def test_gains_by_hand():
    found = mended(*PREDICTED)
    alone = {kind: right for kind, (right, _) in found.items()}
    assert alone == {
        **dict.fromkeys(("span", "type", "mask", "spurious"), 0),
        **dict.fromkeys(("called visible", "called absent", "box", "missed"), 1),
    }
    assert [right for _, right in found.values()] == [0, 1, 2, 3, 4, 4, 4, 5]


def test_mending_leaves_what_is_right_and_what_was_not_asked_for():
    posts = join([GOLD], [answer(GOLD, *PREDICTED)])
    found = classify(posts[0], HALF_IOU, masks=False)
    assert sorted(mend(posts[0], found, ()), key=str) == sorted(posts[0].predicted, key=str)
    entities = {entity.text: entity for entity in mend(posts[0], found, {"called absent", "spurious"})}
    assert entities["Rome"].boxes == (FAR,) and entities["Ada"].visible and "met" not in entities
    assert "Bob" not in entities and entities["US Navy"].boxes == (FAR,)


def test_f1_of_swaps_lists_what_occurs_in_order():
    posts = join([GOLD], [answer(GOLD, *PREDICTED)])
    matches = [classify(one, HALF_IOU, masks=False) for one in posts]
    found = swaps(posts, matches, HALF_IOU, ["mner", "gmner"])
    assert [swap.kind for swap in found] == [kind for kind in MENDS if kind != "mask"]
    by_kind = {swap.kind: swap for swap in found}
    assert by_kind["box"].alone["gmner"] == pytest.approx(2 * 1 / 10)
    assert by_kind["spurious"].alone["mner"] == pytest.approx(2 * 3 / 9)
    assert by_kind["missed"].so_far == {"mner": 1, "gmner": 1}


def test_a_mended_mask_or_region():
    whole, part = mask(0, 0, 10, 10), mask(0, 0, 10, 4)
    gold = post(TEXT, ("Ada", "PER", [SQUARE], [whole]), ("Rome", "LOC", [SQUARE], [whole]))
    posts = join([gold], [answer(gold, ("Ada", "PER", [SQUARE], [part]), ("Rome", "LOC", [FAR], [part]))])
    found = classify(posts[0], HALF_IOU, masks=True)
    ada, rome = mend(posts[0], found, {"mask"})
    assert (ada.masks, rome.masks) == ((whole,), (part,))
    ada, rome = mend(posts[0], found, {"box"})
    assert (ada.masks, rome.masks, rome.boxes) == ((part,), (whole,), (SQUARE,))


@given(scored())
def test_all_mended_is_gold(both):
    gold, predicted = both
    posts = join(gold, predicted)
    matches = [classify(one, HALF_IOU, masks=True) for one in posts]
    answers = [
        Prediction(example=one.example, entities=mend(one, found, MENDS))
        for one, found in zip(posts, matches, strict=True)
    ]
    for score in evaluate(gold, answers).scores.values():
        assert score.right == score.predicted == score.gold


@given(scored())
def test_mending_never_hurts(both):
    gold, predicted = both
    posts = join(gold, predicted)
    matches = [classify(one, HALF_IOU, masks=False) for one in posts]
    before = evaluate(gold, predicted, tasks=["gmner"])["gmner"].f1
    for swap in swaps(posts, matches, HALF_IOU, ["gmner"]):
        assert swap.alone["gmner"] >= before - 1e-12
