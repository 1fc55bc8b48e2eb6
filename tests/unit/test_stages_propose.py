"""Propose: what the detectors find, in their order, each picture once."""

from tests.unit.sight import blank, face, line, named

from gmner.image import Picture
from gmner.stages.propose import Propose
from gmner.types import Candidate


def test_detectors_in_order_and_each_picture_once() -> None:
    seen: list[int] = []

    def faces(picture: Picture) -> list[Candidate]:
        seen.append(picture.shape[1])
        return [face(picture.shape[1] / 2)]

    first, second = blank(400), blank(600)
    drafts = [named(f"{text} of Ada", ("Ada", "PER", 0.5)) for text in ("one", "two", "three", "four")]
    found = Propose((faces, lambda _: [line("HOTEL")]))(drafts, [first, None, second, first])
    assert [draft.text for draft in found] == ["one of Ada", "two of Ada", "three of Ada", "four of Ada"]
    assert found[0].candidates == (face(200), line("HOTEL")) == found[3].candidates
    assert found[1].candidates == ()
    assert found[2].candidates == (face(300), line("HOTEL"))
    assert seen == [400, 600]


def test_no_detectors_no_candidates() -> None:
    [found] = Propose(())([named("Ada", ("Ada", "PER", 0.5))], [blank()])
    assert found.candidates == ()


def test_a_post_that_names_nothing_is_not_looked_at() -> None:
    seen: list[int] = []

    def detect(picture: Picture) -> list[Candidate]:
        seen.append(picture.shape[1])
        return [face(100)]

    first, second = blank(400), blank(600)
    drafts = [named("nobody"), named("Ada", ("Ada", "PER", 0.5)), named("nobody")]
    found = Propose((detect,))(drafts, [first, first, second])
    assert [bool(draft.candidates) for draft in found] == [False, True, False]
    assert seen == [400]
