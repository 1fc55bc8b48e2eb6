"""The cascade with a stage that writes down what it sees."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmner.errors import ConfigError, GmnerError, ImageError, TextError
from gmner.image import Picture
from gmner.stages.stage import Stage, once_per_picture
from gmner.systems import cascade
from gmner.systems.cascade import NO_PICTURE, Cascade
from gmner.types import Example, Prediction


@dataclass
class Witness(Stage):
    name: str = "witness"
    calls: list[list[Picture | None]] = field(default_factory=list)

    def check(self, example: Example) -> None:
        if "bad" in example.text:
            raise TextError("bad", allowed="good", todo="mend it")

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        self.calls.append(list(pictures))
        return [replace(draft, notes=(*draft.notes, draft.text.upper())) for draft in drafts]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_every_post_has_its_result_in_its_place(photo: Path) -> None:
    witness = Witness()
    posts = [
        Example(text="one", image=photo),
        Example(text="bad", image=photo),
        Example(text="two"),
        Example(text="three", image=photo.with_name("missing.png")),
        Example(text="four", image=str(photo)),
    ]
    one, bad, two, three, four = Cascade("test", (witness, witness)).attempt(posts)
    assert isinstance(bad, TextError) and isinstance(three, ImageError)
    assert isinstance(one, Prediction) and one.notes == ("ONE", "ONE") and one.image_size == (30, 20)
    assert isinstance(two, Prediction) and two.notes == (NO_PICTURE, "TWO", "TWO") and two.image_size is None
    assert isinstance(four, Prediction)
    first, nothing, last = witness.calls[0]
    assert first is last and nothing is None  # one picture, opened once
    assert len(witness.calls) == 2


def test_what_a_stage_refuses_only_while_it_works_is_the_error_of_its_post() -> None:
    @dataclass(frozen=True)
    class Reader(Stage):
        name: str = "reads"

        def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
            for draft in drafts:
                if len(draft.text) > 3:
                    raise TextError(f"{draft.text!r} is long", allowed="3 characters", todo="shorten it")
            return [replace(draft, notes=("read",)) for draft in drafts]

    posts = [Example(text=text) for text in ("Ada", "Barbara", "Cy")]
    first, error, last = Cascade("reading", (Reader(),)).attempt(posts)
    assert isinstance(first, Prediction) and isinstance(last, Prediction) and first.notes == last.notes == ("read",)
    assert isinstance(error, TextError) and "'Barbara' is long" in str(error)


def test_predict_raises_the_first_error(photo: Path) -> None:
    with pytest.raises(TextError):
        Cascade("test", (Witness(),)).predict([Example(text="good"), Example(text="bad"), Example(text="bad")])


def test_no_posts_and_only_bad_posts_reach_no_stage() -> None:
    witness = Witness()
    assert Cascade("test", (witness,)).attempt([]) == []
    [error] = Cascade("test", (witness,)).attempt([Example(text="bad")])
    assert isinstance(error, GmnerError)
    assert witness.calls == []


def test_pictures_are_opened_in_stretches_that_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "PIXELS_AT_ONCE", 1000)
    witness = Witness()
    pictures = [np.zeros((20, 20, 3), dtype=np.uint8) for _ in range(7)]
    posts = [Example(id=str(n), text="x", image=picture) for n, picture in enumerate(pictures)]
    results = Cascade("test", (witness,)).predict(posts)
    assert [result.id for result in results] == list("0123456")
    assert [len(call) for call in witness.calls] == [3, 3, 1]


def test_once_per_picture_keeps_the_order_and_counts_objects() -> None:
    a, b = np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((2, 2, 3), dtype=np.uint8)
    seen: list[int] = []

    def size(picture: Picture) -> int:
        seen.append(picture.size)
        return len(seen)

    assert once_per_picture(size, [a, None, b, a]) == [1, None, 2, 1]


@pytest.mark.parametrize("given", [Example(text="one"), ["one"], [{"text": "one"}], None])
def test_what_is_no_list_of_examples_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match=r"it takes a list of gmner\.Example"):
        Cascade("test", (Witness(),)).predict(given)  # type: ignore[arg-type]
