"""Joining gold and predictions: what does not belong together is refused, with names and numbers."""

import pytest
from tests.unit.scored_posts import answer, post

from gmner.errors import ConfigError, MismatchError
from gmner.metrics import evaluate
from gmner.metrics.posts import join
from gmner.types import Example

GOLD = [post("Grace Hopper of the US Navy", ("US Navy", "ORG"), post_id=f"{number}") for number in range(10)]
PREDICTED = [answer(one, ("US Navy", "ORG")) for one in GOLD]


@pytest.mark.parametrize(
    ("gold", "predicted", "told"),
    [
        (GOLD, PREDICTED[:9], r"gold posts without a prediction: 1 \('9'\)"),
        (GOLD, PREDICTED[:3], r"without a prediction: 7 \('3', '4', '5', '6', '7', \.\.\.\).*missing='empty'"),
        (GOLD[:9], PREDICTED, r"predictions of posts that are not in the gold data: 1 \('9'\)"),
        (GOLD, [*PREDICTED, PREDICTED[4]], r"ids that stand more than once among the predictions: 1 \('4'\)"),
        ([*GOLD, GOLD[2]], PREDICTED, r"ids that stand more than once among the gold posts: 1 \('2'\)"),
        (GOLD[:1], [answer(post("grace hopper"))], "not in the gold data"),
        (GOLD[:1], [answer(post("Grace Hopper", post_id="0"))], r"posts whose text differs .*: 1 \('0'\)"),
        ([Example(id="0", text="a")], [answer(post("a", post_id="0"))], r"gold posts whose entities are unknown: 1 "),
    ],
)
def test_mismatches_are_refused(gold, predicted, told):
    with pytest.raises(MismatchError, match=told):
        evaluate(gold, predicted)


def test_missing_predictions_may_count_as_nothing():
    report = evaluate(GOLD, PREDICTED[:4], missing="empty")
    assert report["mner"].row()[5:] == (4, 4, 10)
    assert report.unpredicted == report.to_dict()["unpredicted"] == 6
    assert evaluate(GOLD, PREDICTED, missing="empty").unpredicted == 0
    with pytest.raises(MismatchError, match="not in the gold data"):
        evaluate(GOLD[:2], PREDICTED[:4], missing="empty")
    with pytest.raises(ConfigError, match="allowed are 'error' and 'empty'"):
        evaluate(GOLD, PREDICTED, missing="skip")


def test_posts_are_joined_by_id_and_sorted():
    posts = join(GOLD[::-1], PREDICTED[3:] + PREDICTED[:3])
    assert [one.id for one in posts] == [f"{number}" for number in range(10)]
    assert all(one.predicted == one.gold for one in posts)
