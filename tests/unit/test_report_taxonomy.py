"""Every entity is in one match, and each match has the faults that a reader would name."""

from collections import Counter

import pytest
from hypothesis import given
from tests.unit.scored_posts import FAR, HALF, MOST, SQUARE, entity, mask, post, scored

from gmner.errors import MismatchError
from gmner.metrics import evaluate
from gmner.metrics.overlap import Threshold
from gmner.metrics.posts import Post, join
from gmner.report.taxonomy import KINDS, Match, classify, count, masks_are_judged
from gmner.types import Entity

TEXT = "Ada met Grace Hopper of the US Navy in Rome with Bob Lee"
HALF_IOU = Threshold(0.5, inclusive=False)


def posted(gold, predicted) -> Post:
    """A post of TEXT; entities are (phrase, type, boxes, masks)."""
    return Post(
        post(TEXT),
        tuple(entity(TEXT, *parts) for parts in gold),
        tuple(entity(TEXT, *parts) for parts in predicted),
    )


def faults(gold, predicted, masks=False):
    """The faults of a pair of one gold and one predicted entity."""
    [match] = classify(posted([gold], [predicted]), HALF_IOU, masks=masks)
    assert (match.gold, match.predicted) == (0, 0)
    return match.faults


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        (("Ada", "PER"), ("Ada", "PER"), ()),
        (("Ada", "PER", [SQUARE]), ("Ada", "PER", [MOST]), ()),
        (("Ada", "PER", [FAR, SQUARE]), ("Ada", "PER", [MOST]), ()),
        (("Grace Hopper", "PER"), ("Hopper", "PER"), ("span",)),
        (("Ada", "PER"), ("Ada", "ORG"), ("type",)),
        (("Ada", "PER"), ("Ada", "PER", [SQUARE]), ("called visible",)),
        (("Ada", "PER", [SQUARE]), ("Ada", "PER"), ("called absent",)),
        (("Ada", "PER", [SQUARE]), ("Ada", "PER", [HALF]), ("box",)),
        (("Ada", "PER", [SQUARE]), ("Ada", "PER", [FAR, SQUARE]), ("box",)),
        (("Grace Hopper", "PER", [SQUARE]), ("Grace", "ORG", [FAR]), ("span", "type", "box")),
        (("Grace Hopper", "PER", [SQUARE]), ("Grace", "ORG"), ("span", "type", "called absent")),
    ],
)
def test_faults_of_a_pair(gold, predicted, expected):
    assert faults(gold, predicted) == expected


def test_masks_count_where_the_box_is_right():
    whole, part = mask(0, 0, 10, 10), mask(0, 0, 10, 5)
    gold = ("Ada", "PER", [SQUARE], [whole])
    assert faults(gold, ("Ada", "PER", [SQUARE], [part]), masks=True) == ("mask",)
    assert faults(gold, ("Ada", "PER", [SQUARE], [part]), masks=False) == ()
    assert faults(gold, ("Ada", "PER", [SQUARE], [whole]), masks=True) == ()
    assert faults(gold, ("Ada", "PER", [SQUARE]), masks=True) == ("mask",)
    assert faults(gold, ("Ada", "PER", [FAR], [whole]), masks=True) == ("box",)


def test_the_threshold_may_be_reached_or_must_be_exceeded():
    one = posted([("Ada", "PER", [SQUARE])], [("Ada", "PER", [HALF])])
    assert classify(one, Threshold(0.5, inclusive=True), masks=False)[0].kind == "right"
    assert classify(one, Threshold(0.5, inclusive=False), masks=False)[0].kind == "box"


def test_masks_are_judged_where_both_sides_have_some():
    drawn, boxed = ("Ada", "PER", [SQUARE], [mask(0, 0, 10, 10)]), ("Ada", "PER", [SQUARE])
    sides = {
        (a is drawn, b is drawn): masks_are_judged([posted([a], [b])]) for a in (drawn, boxed) for b in (drawn, boxed)
    }
    assert sides == {(True, True): True, (True, False): False, (False, True): False, (False, False): False}


def test_a_post_with_one_of_each_kind():
    one = posted(
        [("Ada", "PER"), ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG", [SQUARE]), ("Rome", "LOC")],
        [("Bob Lee", "PER"), ("US Navy", "OTHER"), ("Hopper", "PER", [SQUARE]), ("Ada", "PER")],
    )
    found = classify(one, HALF_IOU, masks=False)
    assert found == [
        Match(0, 3),
        Match(1, 2, ("span",)),
        Match(2, 1, ("type", "called absent")),
        Match(3, None),
        Match(None, 0),
    ]
    assert [match.kind for match in found] == ["right", "span", "type", "missed", "spurious"]
    assert [match.alone for match in found] == [True, True, False, True, True]


def test_counts_by_kind_and_type():
    posts = [
        posted([("Ada", "PER"), ("Rome", "LOC")], [("Ada", "ORG"), ("US Navy", "ORG")]),
        posted([("Ada", "PER")], [("Ada", "OTHER", [SQUARE])]),
    ]
    found = {row.kind: row for row in count(posts, [classify(one, HALF_IOU, masks=False) for one in posts])}
    assert list(found) == list(KINDS)
    assert (found["type"].total, found["type"].alone) == (2, 1)
    assert found["type"].by_type == {"PER": 2, "LOC": 0, "ORG": 0, "OTHER": 0}
    assert found["missed"].by_type == {"PER": 0, "LOC": 1, "ORG": 0, "OTHER": 0}
    assert found["spurious"].by_type == {"PER": 0, "LOC": 0, "ORG": 1, "OTHER": 0}
    assert sum(row.total for row in found.values()) == 4


def test_equal_spans_go_before_large_overlaps():
    """`US Navy` is taken by its equal; what is left of `the US Navy` is spurious."""
    one = posted([("US Navy", "ORG")], [("the US Navy", "ORG"), ("US Navy", "PER")])
    assert classify(one, HALF_IOU, masks=False) == [Match(0, 1, ("type",)), Match(None, 0)]


def test_of_overlapping_spans_the_larger_overlap_is_taken():
    one = posted([("Grace Hopper of the", "PER")], [("Grace", "PER"), ("Hopper of the", "PER")])
    assert classify(one, HALF_IOU, masks=False) == [Match(0, 1, ("span",)), Match(None, 0)]


def test_no_pair_is_given_up_for_a_larger_overlap():
    """Both gold entities find a partner, though `Grace Hopper` overlaps the longer prediction best."""
    one = posted([("Grace Hopper", "PER"), ("Hopper of", "OTHER")], [("Grace Hopper of", "PER"), ("Grace", "PER")])
    assert [match.predicted for match in classify(one, HALF_IOU, masks=False)] == [1, 0]


def test_of_two_predictions_of_one_span_the_right_one_is_paired():
    one = posted([("Ada", "PER", [SQUARE])], [("Ada", "PER", [FAR]), ("Ada", "ORG"), ("Ada", "PER", [MOST])])
    assert classify(one, HALF_IOU, masks=False) == [Match(0, 2), Match(None, 0), Match(None, 1)]


def test_entities_without_offsets_pair_with_nobody():
    one = Post(post(TEXT), (Entity("Ada", "PER"),), (Entity("Ada", "PER"),))
    assert classify(one, HALF_IOU, masks=False) == [Match(0, None), Match(None, 0)]


def test_masks_of_other_sizes_are_told_with_the_post():
    gold, predicted = mask(0, 0, 10, 10), mask(0, 0, 10, 10, size=(30, 30))
    one = posted([("Grace Hopper", "PER", [SQUARE], [gold])], [("Hopper", "PER", [SQUARE], [predicted])])
    with pytest.raises(MismatchError, match=r"post .1.*different sizes"):
        classify(one, HALF_IOU, masks=True)


@given(scored())
def test_every_entity_is_in_one_match_and_the_right_ones_are_those_that_are_scored(both):
    gold, predicted = both
    posts = join(gold, predicted)
    matches = [classify(one, HALF_IOU, masks=False) for one in posts]
    for one, found in zip(posts, matches, strict=True):
        assert [match.gold for match in found if match.gold is not None] == list(range(len(one.gold)))
        assert Counter(match.predicted for match in found if match.predicted is not None) == Counter(
            range(len(one.predicted))
        )
    right = sum(match.kind == "right" for found in matches for match in found)
    assert right == evaluate(gold, predicted, tasks=["gmner"])["gmner"].right
    assert sum(row.total for row in count(posts, matches)) == sum(map(len, matches))


@given(scored())
def test_with_masks_the_pairs_right_but_for_the_mask_are_those_of_gmner(both):
    gold, predicted = both
    matches = [match for one in join(gold, predicted) for match in classify(one, HALF_IOU, masks=True)]
    pairs = [match for match in matches if match.gold is not None and match.predicted is not None]
    right = sum(not {*match.faults} - {"mask"} for match in pairs)
    assert right == evaluate(gold, predicted, tasks=["gmner"])["gmner"].right
