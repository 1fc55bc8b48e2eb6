"""Ground: which face a name has, how a face becomes a body, where a written name stands, when a scene is taken."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sight import blank, face, line, named, photo

from gmner.geometry import box_iou, box_mask
from gmner.stages.entail import EntailByEvidence
from gmner.stages.faces import Faces
from gmner.stages.ground import NO_PEOPLE, BodyShape, GroundByEvidence, assign, grow
from gmner.stages.lettering import Lettering
from gmner.stages.propose import Propose
from gmner.types import Box, Candidate, Entity, EntityType, Example, Prediction

PICTURE = blank(900, 600)


def ground(draft: Prediction, stage: GroundByEvidence | None = None) -> Prediction:
    return (stage or GroundByEvidence())([draft], [PICTURE])[0]


def seats(
    text: str, names: list[str], faces: list[Candidate], lines: list[Candidate] | None = None
) -> list[int | None]:
    """The face of each name, all equally likely, by its place in `faces`."""
    draft = named(text, *((name, "PER", 0.8) for name in names))
    boxes = [one.box for one in faces]
    bodies = [grow(box, boxes, 900, 600, BodyShape()) for box in boxes]
    links = assign(draft.entities, text, boxes, bodies, lines or [])
    return [links[name.casefold()].face if name.casefold() in links else None for name in names]


LEFT, RIGHT, MIDDLE = face(100), face(700), face(400)


@pytest.mark.parametrize(
    ("text", "names", "faces", "expected"),
    [
        # from left to right in the order of the text
        ("Ana", ["Ana"], [LEFT], [0]),
        ("Ana and Bea", ["Ana", "Bea"], [LEFT, RIGHT], [0, 1]),
        ("Ana and Bea", ["Ana", "Bea"], [RIGHT, LEFT], [1, 0]),
        ("Ana , Bea , Cleo", ["Ana", "Bea", "Cleo"], [MIDDLE, RIGHT, LEFT], [2, 0, 1]),
        ("L-R : Ana , Bea", ["Ana", "Bea"], [RIGHT, LEFT], [1, 0]),
        ("from left to right : Ana , Bea", ["Ana", "Bea"], [LEFT, RIGHT], [0, 1]),
        # unless it says otherwise
        ("From right : Ana , Bea and Cleo", ["Ana", "Bea", "Cleo"], [LEFT, MIDDLE, RIGHT], [2, 1, 0]),
        ("( R to L ) Ana , Bea", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("right to left : Ana , Bea", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("Ana ( right ) and Bea ( left )", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("Ana (R) and Bea (L)", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("Ana, pictured right, with Bea", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("Ana with Bea ( left )", ["Ana", "Bea"], [LEFT, RIGHT], [1, 0]),
        ("Ana , Bea ( centre ) , Cleo ( left )", ["Ana", "Bea", "Cleo"], [LEFT, MIDDLE, RIGHT], [2, 1, 0]),
        ("Left : Ana . Right : Bea", ["Ana", "Bea"], [RIGHT, LEFT], [1, 0]),
        ("Ana ( on the right )", ["Ana"], [LEFT, RIGHT], [1]),
        # words that only look so
        ("Ana left the club , Bea was right", ["Ana", "Bea"], [LEFT, RIGHT], [0, 1]),
        ("Bea , right after Ana", ["Bea", "Ana"], [LEFT, RIGHT], [0, 1]),
        # more faces than names: the largest
        ("Ana", ["Ana"], [face(100, side=50), face(400, side=80), face(700, side=60)], [1]),
        ("Ana and Bea", ["Ana", "Bea"], [face(100, side=50), face(400, side=80), face(700, side=60)], [1, 2]),
        ("Ana ( left )", ["Ana"], [face(100, side=20), face(400), face(700)], [1]),
        # more names than faces: the first of equally likely ones
        ("Ana and Bea", ["Ana", "Bea"], [RIGHT], [0, None]),
        ("Ana and Bea", ["Ana", "Bea"], [], [None, None]),
    ],
)
def test_assignment(text: str, names: list[str], faces: list[Candidate], expected: list[int | None]) -> None:
    assert seats(text, names, faces) == expected


def test_a_name_written_on_a_body_has_its_face() -> None:
    badge = line("BEA MILLER", x=80, y=300)
    assert seats("Ana and Bea Miller", ["Ana", "Bea Miller"], [LEFT, RIGHT], [badge]) == [1, 0]
    banner = line("BEA MILLER", x=400, y=10)  # above everybody
    assert seats("Ana and Bea Miller", ["Ana", "Bea Miller"], [LEFT, RIGHT], [banner]) == [0, 1]


def test_the_likelier_name_gets_the_only_face() -> None:
    draft = named("Ana and Bea", ("Ana", "PER", 0.6), ("Bea", "PER", 0.9), candidates=(LEFT,))
    ana, bea = ground(draft).entities
    assert (ana.boxes, len(bea.boxes)) == ((), 1)
    assert ana.provenance["ground"] == "nothing in the picture to point at"
    assert bea.provenance["ground"] == "the only face"


def test_mentions_that_read_alike_share_a_face() -> None:
    draft = named(
        "Ana ! Bea ! ANA !", ("Ana", "PER", 0.8), ("Bea", "PER", 0.8), ("ANA", "PER", 0.8), candidates=(LEFT, RIGHT)
    )
    ana, bea, again = ground(draft).entities
    assert ana.boxes == again.boxes != bea.boxes
    assert ana.provenance["ground"] == "face 1 of 2 from the left, in the text's order"


@given(
    st.lists(st.sampled_from(["Ana", "Bea", "Cleo", "Dana"]), min_size=1, max_size=4, unique=True),
    st.lists(st.floats(0, 800), max_size=5, unique=True),
    st.sampled_from(["", " ( right )", " ( left ) , from right"]),
)
def test_nobody_has_two_names_and_no_face_stays_free_that_a_name_needs(
    names: list[str], xs: list[float], hint: str
) -> None:
    found = seats(" and ".join(names) + hint, names, [face(x) for x in xs])
    taken = [seat for seat in found if seat is not None]
    assert len(taken) == len(set(taken)) == min(len(names), len(xs))


# Bodies


def test_a_figure_on_its_own() -> None:
    assert grow(Box(400, 100, 440, 140), [], 900, 600, BodyShape()) == Box(360, 86, 480, 460)


def test_a_portrait_reaches_the_lower_edge_and_is_narrower_there() -> None:
    body = grow(Box(300, 200, 600, 500), [], 900, 600, BodyShape())
    assert body == pytest.approx(Box(170, 95, 730, 600))  # 0.7 x (600 - 200) to each side


def test_neighbours_share_the_room() -> None:
    left, right = Box(300, 200, 360, 260), Box(400, 200, 460, 260)
    body, other = (grow(one, [left, right], 900, 600, BodyShape()) for one in (left, right))
    assert body.x2 == pytest.approx(330 + 0.7 * 100)
    assert other.x1 == pytest.approx(430 - 0.7 * 100)
    assert body.x1 == 240  # nobody on this side


def test_faces_of_another_depth_take_no_room() -> None:
    near, far = Box(300, 200, 400, 300), Box(410, 200, 440, 230)
    assert grow(near, [near, far], 900, 600, BodyShape()) == grow(near, [], 900, 600, BodyShape())


@given(st.lists(st.tuples(st.floats(0, 800), st.floats(0, 500), st.floats(5, 100)), min_size=1, max_size=4))
def test_bodies_lie_in_the_picture_and_hold_the_middle_of_their_face(faces: list[tuple[float, float, float]]) -> None:
    boxes = [Box(x, y, x + side, y + side) for x, y, side in faces]
    for box in boxes:
        body = grow(box, boxes, 900, 600, BodyShape())
        assert 0 <= body.x1 < (box.x1 + box.x2) / 2 < body.x2 <= 900
        assert 0 <= body.y1 < (box.y1 + box.y2) / 2 < body.y2 <= 600


# Other names


def test_a_written_name_is_where_it_is_written() -> None:
    lines = line("SANYO", x=300, y=200), line("PRO XTRAX", y=400)
    sanyo, epson = ground(
        named("Sanyo or Epson", ("Sanyo", "ORG", 0.9), ("Epson", "ORG", 0.6), candidates=lines)
    ).entities
    assert sanyo.boxes == (lines[0].box,)
    assert sanyo.provenance["ground"] == "the lettering 'SANYO'"
    assert epson.boxes == ()


@pytest.mark.parametrize(
    ("kind", "probability", "scene"),
    [
        ("LOC", 0.49, False),
        ("LOC", 0.5, True),
        ("OTHER", 0.7, False),
        ("OTHER", 0.75, True),
        ("ORG", 0.85, False),
        ("ORG", 0.9, True),
        ("PER", 1.0, False),
    ],
)
def test_the_whole_scene_is_the_last_resort(kind: EntityType, probability: float, scene: bool) -> None:
    [entity] = ground(named("Rivera", ("Rivera", kind, probability))).entities
    assert entity.boxes == ((Box(1, 1, 899, 599),) if scene else ())


def test_what_is_not_judged_groundable_gets_nothing() -> None:
    draft = named("Ana at Sanyo", ("Ana", "PER", 0.49), ("Sanyo", "ORG", 0.49), candidates=(LEFT, line("SANYO")))
    assert ground(draft) == draft


def test_regions_that_entities_come_with_do_not_stay() -> None:
    """Gold posts have boxes, and so have the rows of a run that went on to the end."""
    bare = named("Ana at Sanyo", ("Ana", "PER", 0.9), ("Sanyo", "ORG", 0.4))
    box = Box(1, 2, 30, 40)
    regions = {"boxes": (box,), "masks": (box_mask(box, 400, 300),)}
    draft = replace(bare, entities=tuple(replace(entity, **regions) for entity in bare.entities))
    assert ground(draft) == ground(bare) and not any(entity.visible for entity in ground(draft).entities)


def test_people_off() -> None:
    draft = named(
        "Ana at Sanyo", ("Ana", "PER", 0.9), ("Sanyo", "ORG", 0.9), candidates=(LEFT, line("ANA"), line("SANYO"))
    )
    found = ground(draft, GroundByEvidence(people=False))
    assert [len(entity.boxes) for entity in found.entities] == [0, 1]
    assert found.notes == (NO_PEOPLE,)
    assert ground(named("Sanyo", ("Sanyo", "ORG", 0.9)), GroundByEvidence(people=False)).notes == ()


def test_without_a_picture_nothing_happens() -> None:
    draft = named("Paris", ("Paris", "LOC", 0.9))
    assert GroundByEvidence()([draft], [None]) == [draft]


def test_a_post_is_grounded_the_same_in_any_company() -> None:
    posts = [
        named("Ana and Bea", ("Ana", "PER", 0.8), ("Bea", "PER", 0.8), candidates=(LEFT, RIGHT)),
        named("Paris", ("Paris", "LOC", 0.9)),
        named("Sanyo", ("Sanyo", "ORG", 0.9), candidates=(line("SANYO"),)),
    ]
    assert GroundByEvidence()(posts, [PICTURE] * 3) == [ground(post) for post in posts]


# Photographs: boxes of people and lettering drawn by hand, as parts of the width and height

PEOPLE = {
    "eileen-collins": {"Eileen": (0, 0.03, 0.75, 1)},
    "grace-hopper": {"Grace": (0.05, 0.03, 1, 1)},
    "filippo-giunchedi": {"Filippo": (0.21, 0.12, 0.82, 1)},
    "two-people-sofa": {"Ruth": (0.1, 0.2, 0.6, 1), "Walter": (0.44, 0.06, 1, 1)},
    "three-women-bar": {"Anna": (0.05, 0.18, 0.6, 1), "Julia": (0.47, 0.1, 0.78, 1), "Sofia": (0.72, 0.15, 0.98, 1)},
}


def look(draft: Prediction, name: str) -> dict[str, tuple[Box, ...]]:
    """The boxes of a post's names on a photograph, as parts of its width and height."""
    picture = photo(name)
    for stage in (Propose((Faces(), Lettering())), EntailByEvidence(), GroundByEvidence()):
        [draft] = stage([draft], [picture])
    h, w = picture.shape[:2]
    return {e.text: tuple(Box(b.x1 / w, b.y1 / h, b.x2 / w, b.y2 / h) for b in e.boxes) for e in draft.entities}


@pytest.mark.parametrize("name", PEOPLE)
def test_people_on_photographs(name: str) -> None:
    expected = PEOPLE[name]
    draft = named(" and ".join(expected) + " in Leeds with Bob", *((who, "PER", 0.7) for who in expected))
    absent = named(draft.text, ("Leeds", "LOC", 0.1), ("Bob", "PER", 0.3)).entities
    found = look(replace(draft, entities=(*draft.entities, *absent)), name)
    for who, box in expected.items():
        assert box_iou(found[who], [Box(*box)])[0, 0] > 0.55
    assert found["Leeds"] == found["Bob"] == ()


def test_lettering_on_a_photograph() -> None:
    found = look(
        named("A FreedomBox , not a Google", ("FreedomBox", "OTHER", 0.4), ("Google", "ORG", 0.2)), "freedombox"
    )
    assert box_iou(found["FreedomBox"], [Box(0.262, 0.45, 0.692, 0.575)])[0, 0] > 0.6
    assert found["Google"] == ()


@pytest.mark.parametrize("name", ["china-temple", "falcon9-rocket", "freedombox"])
def test_who_is_not_there_is_not_found(name: str) -> None:
    assert look(named("says Bob Ross", ("Bob Ross", "PER", 0.6)), name) == {"Bob Ross": ()}


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("third from left: Ana", {"Ana": 2}),
        ("Ana, second from the left, and Bea", {"Ana": 1}),
        ("Ana (2nd from right)", {"Ana": 1}),
        ("first from left: Ana", {"Ana": 0}),
    ],
)
def test_a_counted_seat_is_the_face_in_that_place(text: str, seats: dict[str, int]) -> None:
    faces = [Box(x, 20, x + 30, 50) for x in (10, 110, 210)]
    bodies = [grow(face, faces, 300, 200, BodyShape()) for face in faces]
    names = [Entity(name, "PER", text.index(name), text.index(name) + 3, groundable=0.9) for name in seats]
    links = assign(names, text, faces, bodies, ())
    assert {name: links[name.casefold()].face for name in seats} == seats
    assert all("as the text says" in links[name.casefold()].reason for name in seats)


def test_two_things_are_not_both_the_whole_scene() -> None:
    rex = Entity("Rex", "OTHER", 0, 3, groundable=0.85)
    bella = Entity("Bella", "OTHER", 8, 13, groundable=0.9)
    draft = Prediction(example=Example(text="Rex and Bella"), entities=(rex, bella))
    [found] = GroundByEvidence()([draft], [np.zeros((40, 60, 3), dtype=np.uint8)])
    assert [len(entity.boxes) for entity in found.entities] == [0, 1]
