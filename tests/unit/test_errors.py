import copy
import pickle

import pytest

from gmner.errors import DataError, GmnerError, TextError, UnknownNameError

ERRORS = [
    TextError("the text is empty", allowed="a post has text", todo="give it"),
    DataError("posts.jsonl:3", "no JSON", allowed="a row is JSON", todo="mend it"),
    UnknownNameError("system", "light", ["lite", "riveg"]),
]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_survive_the_way_to_another_process(error: GmnerError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__


def test_a_sentence_says_what_was_given_what_is_allowed_and_what_to_do() -> None:
    assert str(ERRORS[0]) == "the text is empty; a post has text; give it."
    assert str(ERRORS[1]) == "posts.jsonl:3: no JSON; a row is JSON; mend it."


def test_the_nearest_name_is_suggested() -> None:
    assert str(ERRORS[2]) == "there is no system 'light'; known are lite, riveg; did you mean 'lite'?"
    assert str(UnknownNameError("system", "zzz", ["lite"])).endswith("choose one of these.")
