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
    drafts = [named(text) for text in ("one", "two", "three", "four")]
    found = Propose((faces, lambda _: [line("HOTEL")]))(drafts, [first, None, second, first])
    assert [draft.text for draft in found] == ["one", "two", "three", "four"]
    assert found[0].candidates == (face(200), line("HOTEL")) == found[3].candidates
    assert found[1].candidates == ()
    assert found[2].candidates == (face(300), line("HOTEL"))
    assert seen == [400, 600]


def test_no_detectors_no_candidates() -> None:
    [found] = Propose(())([named("one")], [blank()])
    assert found.candidates == ()
