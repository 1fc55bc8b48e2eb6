"""Protocol `span`: by hand, and what must hold of any posts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scored_posts import (
    FAR,
    HALF,
    MOST,
    SQUARE,
    answer,
    echo,
    entities,
    entity,
    mask,
    post,
    scored,
)

from gmner.errors import ConfigError, MismatchError, UnknownNameError
from gmner.metrics import evaluate, f1_curve
from gmner.types import Entity, Example, Prediction

NAME = "Grace Hopper of the US Navy"
ALL = ["mner", "eeg", "gmner", "ees", "smner"]


def right(gold, predicted, **settings):
    """How many entities are right, task by task."""
    report = evaluate([gold], [predicted], **settings)
    return {task: score.right for task, score in report.scores.items()}


@pytest.mark.parametrize(
    ("truth", "guess", "expected"),
    [
        (("Grace Hopper", "PER"), ("Grace Hopper", "PER"), (1, 1, 1)),
        (("Grace Hopper", "PER"), ("Grace Hopper", "ORG"), (0, 1, 0)),  # EEG drops the type
        (("Grace Hopper", "PER"), ("Grace", "PER"), (0, 0, 0)),  # spans are exact
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER", [SQUARE]), (1, 1, 1)),
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER", [MOST]), (1, 1, 1)),
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER", [HALF]), (1, 0, 0)),  # IoU must exceed 0.5
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER"), (1, 0, 0)),  # it is in the picture
        (("Grace Hopper", "PER"), ("Grace Hopper", "PER", [SQUARE]), (1, 0, 0)),  # it is not
        (("Grace Hopper", "PER", [FAR, SQUARE]), ("Grace Hopper", "PER", [SQUARE]), (1, 1, 1)),  # any gold region
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER", [FAR, SQUARE]), (1, 0, 0)),  # the first is scored
        (("Grace Hopper", "PER", [SQUARE]), ("Grace Hopper", "PER", [SQUARE, FAR]), (1, 1, 1)),
    ],
)
def test_one_entity(truth, guess, expected):
    gold = post(NAME, truth)
    assert right(gold, answer(gold, guess)) == dict(zip(("mner", "eeg", "gmner"), expected, strict=True))


def test_threshold_and_its_sign_are_arguments():
    gold = post(NAME, ("US Navy", "ORG", [SQUARE]))
    guess = answer(gold, ("US Navy", "ORG", [HALF]))
    assert right(gold, guess)["gmner"] == 0
    assert right(gold, guess, inclusive=True)["gmner"] == 1
    assert right(gold, guess, iou=0.49)["gmner"] == 1
    assert right(gold, answer(gold, ("US Navy", "ORG", [MOST])), iou=0.7)["gmner"] == 0
    report = evaluate([gold], [guess], iou=0.75, inclusive=True)
    assert (report.threshold.iou, str(report.threshold)) == (0.75, "IoU >= 0.75")
    assert report.to_dict()["comparison"] == ">="
    for iou in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="IoU lies in"):
            evaluate([gold], [guess], iou=iou)


def test_masks_have_tasks_of_their_own():
    whole, wrong = mask(0, 0, 10, 10), mask(10, 10, 20, 20)
    gold = post(NAME, ("Grace Hopper", "PER", [SQUARE], [wrong, whole]), ("US Navy", "ORG"))
    assert right(gold, echo([gold])[0]) == {"mner": 2, "eeg": 2, "gmner": 2, "ees": 2, "smner": 2}
    second = answer(gold, ("Grace Hopper", "PER", [SQUARE], [mask(0, 15, 3, 20), whole]), ("US Navy", "ORG"))
    assert right(gold, second) == {"mner": 2, "eeg": 2, "gmner": 2, "ees": 1, "smner": 1}  # the first mask is scored
    both = answer(gold, ("Grace Hopper", "ORG", [SQUARE], [whole]), ("US Navy", "ORG"))
    assert right(gold, both) == {"mner": 1, "eeg": 2, "gmner": 1, "ees": 2, "smner": 1}
    boxes_only = answer(gold, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG"))
    assert right(gold, boxes_only) == {"mner": 2, "eeg": 2, "gmner": 2, "ees": 1, "smner": 1}


def test_a_predicted_region_of_either_kind_is_wrong_for_what_is_not_in_the_picture():
    gold = post(NAME, ("Grace Hopper", "PER", [], [mask(0, 0, 5, 5)]), ("US Navy", "ORG"))
    guess = answer(gold, ("US Navy", "ORG", [SQUARE]))
    assert right(gold, guess) == {"mner": 1, "eeg": 0, "gmner": 0, "ees": 0, "smner": 0}


def test_masks_alone_stand_for_their_tight_boxes():
    gold = post(NAME, ("US Navy", "ORG", [], [mask(0, 0, 10, 10)]))
    assert right(gold, answer(gold, ("US Navy", "ORG", [SQUARE])))["gmner"] == 1
    assert right(gold, answer(gold, ("US Navy", "ORG", [], [mask(0, 0, 10, 6)])))["gmner"] == 1
    assert right(gold, answer(gold, ("US Navy", "ORG", [], [mask(0, 0, 2, 2), mask(0, 0, 10, 10)])))["gmner"] == 0
    empty = answer(gold, ("US Navy", "ORG", [], [mask(0, 0, 0, 0)]))
    assert right(gold, empty) == {"mner": 1, "eeg": 0, "gmner": 0, "ees": 0, "smner": 0}


def test_masks_are_scored_only_where_gold_has_some():
    boxes = post(NAME, ("US Navy", "ORG", [SQUARE]))
    assert list(evaluate([boxes], echo([boxes])).scores) == ["mner", "eeg", "gmner"]
    with pytest.raises(MismatchError, match="boxes but no masks, as needed for ees and smner"):
        evaluate([boxes], echo([boxes]), tasks=ALL)
    bare = post(NAME, ("US Navy", "ORG"))
    assert evaluate([bare], echo([bare]), tasks=["SMNER"])["smner"].f1 == 1


def test_a_gold_entity_that_alone_lacks_its_mask_is_never_right_where_masks_are_scored():
    gold = post(NAME, ("Grace Hopper", "PER", [SQUARE], [mask(0, 0, 9, 9)]), ("US Navy", "ORG", [SQUARE]))
    for guess in (("US Navy", "ORG"), ("US Navy", "ORG", [SQUARE]), ("US Navy", "ORG", [SQUARE], [mask(0, 0, 9, 9)])):
        assert right(gold, answer(gold, guess))["smner"] == 0


def test_masks_of_another_size_are_refused_by_the_post():
    gold = post(NAME, ("US Navy", "ORG", [], [mask(0, 0, 5, 5)]), post_id="17")
    guess = answer(gold, ("US Navy", "ORG", [], [mask(0, 0, 5, 5, size=(30, 30))]))
    with pytest.raises(MismatchError, match="post '17': masks of images of different sizes"):
        evaluate([gold], [guess])


def test_every_prediction_counts_and_every_gold_entity_is_used_once():
    gold = post(NAME, ("US Navy", "ORG", [SQUARE]))
    twice = answer(gold, ("US Navy", "ORG", [SQUARE]), ("US Navy", "ORG", [SQUARE]), ("US Navy", "PER", [SQUARE]))
    report = evaluate([gold], [twice])
    for task, counts in {"mner": (1, 3, 1), "eeg": (1, 3, 1), "gmner": (1, 3, 1)}.items():
        assert (report[task].right, report[task].predicted, report[task].gold) == counts
    assert report["gmner"].precision == pytest.approx(1 / 3)
    assert report["gmner"].recall == 1
    assert report["gmner"].f1 == pytest.approx(0.5)


def test_entities_of_one_span_are_assigned_for_the_best():
    # The first prediction fits both gold entities, the second only the first gold one: greedily, one would be lost.
    left, middle, far_right = [SQUARE], [entity(NAME, "US", "LOC", [MOST])], [HALF]
    gold = post(NAME, ("US", "LOC", left), ("US", "ORG", far_right))
    guesses = [*middle, entity(NAME, "US", "PER", left)]
    for order in (guesses, guesses[::-1]):
        assert right(gold, answer(gold, *order))["eeg"] == 2


def test_rows_of_types():
    gold = post(NAME, ("Grace Hopper", "PER"), ("US Navy", "ORG"), ("US", "LOC"))
    report = evaluate([gold], [answer(gold, ("Grace Hopper", "PER"), ("US Navy", "LOC"), ("US", "LOC"))])
    score = report["mner"]
    assert score.of_type("PER")[2:] == (1, 1, 1, 1, 1, 1)
    assert score.of_type("LOC")[2:] == pytest.approx((0.5, 1, 2 / 3, 1, 2, 1))
    assert score.of_type("ORG")[2:] == (0, 0, 0, 0, 0, 1)
    assert [row.what for row in score.table()] == ["micro", "PER", "LOC", "ORG"]  # no OTHER anywhere
    assert [row.what for row in report["eeg"].table()] == ["micro"]
    assert score.row("macro")[2:5] == pytest.approx((1.5 / 3, 2 / 3, (1 + 2 / 3) / 3))
    with pytest.raises(UnknownNameError, match="type row of task eeg"):
        report["eeg"].of_type("PER")


def test_micro_average_by_hand():
    posts = [post(NAME, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG"), post_id=name) for name in "abc"]
    guesses = [
        answer(posts[0], ("Grace Hopper", "PER", [MOST]), ("US Navy", "ORG")),
        answer(posts[1], ("Grace Hopper", "PER", [HALF]), ("US Navy", "OTHER")),
        answer(posts[2]),
    ]
    rows = {task: evaluate(posts, guesses)[task].row()[2:] for task in ("mner", "eeg", "gmner")}
    assert rows["mner"] == pytest.approx((3 / 4, 3 / 6, 6 / 10, 3, 4, 6))
    assert rows["eeg"] == pytest.approx((3 / 4, 3 / 6, 6 / 10, 3, 4, 6))
    assert rows["gmner"] == pytest.approx((2 / 4, 2 / 6, 4 / 10, 2, 4, 6))


def test_tokens_and_text_meet():
    tokens = ("Grace", "Hopper", "of", "the", "US", "Navy")
    gold = Example(id="1", tokens=tokens, entities=(entity(NAME, "US Navy", "ORG"),))
    assert evaluate([gold], [answer(post(NAME), ("US Navy", "ORG"))])["mner"].f1 == 1


def test_entities_without_offsets_are_refused():
    gold = post(NAME, ("US Navy", "ORG"), post_id="17")
    bare = Prediction(example=Example(id="17", text=NAME), entities=(Entity("US Navy", "ORG"),))
    for protocol in ("span", "h-index", "mqspn"):
        with pytest.raises(MismatchError, match=r"no character offsets: 1 \('17'\)"):
            evaluate([gold], [bare], protocol=protocol)


def test_nothing_at_all():
    for protocol in ("span", "riveg", "h-index", "mqspn"):
        report = evaluate([], [], protocol=protocol)
        assert report.ids == ()
        assert all(row[2:] == (0, 0, 0, 0, 0, 0) for row in report.table())
    gold = post(NAME)
    assert evaluate([gold], [answer(gold)])["gmner"].f1 == 0
    assert evaluate([gold], [answer(gold, ("US", "LOC"))])["gmner"].row()[2:] == (0, 0, 0, 0, 1, 0)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"no task 'gmnr'.*did you mean 'gmner'"):
        evaluate([], [], tasks=["gmnr"])
    with pytest.raises(UnknownNameError, match="no protocol 'spam'"):
        evaluate([], [], protocol="spam")
    with pytest.raises(UnknownNameError, match="no task in this report 'smner'"):
        evaluate([], [])["smner"]


@given(scored(posts=st.integers(1, 3)))
def test_gold_against_itself_is_one(case):
    gold, _ = case
    report = evaluate(gold, echo(gold))
    expected = 1 if any(one.entities for one in gold) else 0
    assert {score.f1 for score in report.scores.values()} == {expected}


@given(scored(), st.randoms())
def test_order_of_posts_and_entities_is_no_matter(case, random):
    gold, predicted = case
    before = evaluate(gold, predicted)

    def shuffled(items):
        return tuple(random.sample(items, len(items)))

    gold = [post(one.text, *shuffled(one.entities), post_id=one.id) for one in shuffled(gold)]
    predicted = [answer(one.example, *shuffled(one.entities)) for one in shuffled(predicted)]
    after = evaluate(gold, predicted)
    assert after.to_dict() == before.to_dict()
    assert after.ids == before.ids
    for task, score in before.scores.items():
        assert (after[task].counts == score.counts).all()


@given(scored(repeated_spans=False), st.randoms())
def test_duplicates_never_help(case, random):
    gold, predicted = case
    before = evaluate(gold, predicted)
    more = [
        answer(one.example, *one.entities, *random.sample(one.entities, random.randint(0, len(one.entities))))
        for one in predicted
    ]
    after = evaluate(gold, more)
    for task, score in before.scores.items():
        assert after[task].right == score.right
        assert after[task].precision <= score.precision
        assert after[task].f1 <= score.f1


@given(scored(), st.booleans())
@settings(max_examples=50)
def test_f1_does_not_rise_with_the_threshold(case, inclusive):
    thresholds = np.linspace(0, 1, 6)
    for task in ("mner", "eeg", "gmner"):
        curve = f1_curve(*case, thresholds, task=task, inclusive=inclusive)
        assert (np.diff(curve) <= 0).all()
        assert curve.tolist() == [
            evaluate(*case, tasks=[task], iou=float(iou), inclusive=inclusive)[task].f1 for iou in thresholds
        ]


@given(scored())
def test_scores_and_counts_stand_in_their_bounds(case):
    for row in evaluate(*case).table():
        assert 0 <= row.right <= min(row.predicted, row.gold)
        assert all(0 <= rate <= 1 for rate in row[2:5])
        harmonic = 2 * row.precision * row.recall / ((row.precision + row.recall) or 1)
        assert row.f1 == pytest.approx(harmonic)


@given(scored())
def test_what_a_task_asks_for_in_addition_never_helps(case):
    scores = {task: score.right for task, score in evaluate(*case).scores.items()}
    assert scores["gmner"] <= min(scores["mner"], scores["eeg"])
    assert scores.get("smner", 0) <= min(scores["mner"], scores.get("ees", 0))


@given(st.lists(entities(), max_size=5))
def test_rows_of_types_add_up(found):
    gold = [post("w0 w1 w2 w3 w4 w5", *found[:3], post_id="1")]
    score = evaluate(gold, [answer(gold[0], *found[1:])])["gmner"]
    assert tuple(sum(score.of_type(kind)[5 + i] for kind in score.types) for i in range(3)) == score.row()[5:]
