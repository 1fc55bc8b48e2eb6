"""Segment: GrabCut on drawn figures and photographs, and on boxes that leave it nothing to do."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sight import blank, line, photo

from gmner.geometry import box_mask, decode_mask, encode_mask, mask_iou
from gmner.image import Picture
from gmner.stages import segment as segment_module
from gmner.stages.faces import Faces
from gmner.stages.ground import BodyShape, grow
from gmner.stages.segment import GrabCutSettings, SegmentByGrabCut
from gmner.types import Box, Candidate, Entity, EntityType, Example, Mask, Prediction


def segment(
    picture: Picture, *boxes: Box, kind: EntityType = "OTHER", candidates: tuple[Candidate, ...] = (), side: int = 192
) -> Entity:
    entity = Entity("Rivera", kind, boxes=boxes)
    draft = Prediction(example=Example(text="Rivera"), entities=(entity,), candidates=candidates)
    [done] = SegmentByGrabCut(GrabCutSettings(side=side))([draft], [picture])
    return done.entities[0]


def scenery(width: int = 400, height: int = 300) -> Picture:
    """Noise around a blue-green, the same every time."""
    noise = np.random.default_rng(0).integers(-20, 20, (height, width, 3))
    return (np.array([40, 120, 140]) + noise).astype(np.uint8)


def with_disc(picture: Picture) -> tuple[Picture, Mask]:
    """A red disc in the middle, and its mask."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (0.3 * min(width, height)) ** 2
    drawn = picture.copy()
    drawn[disc] = drawn[disc][:, ::-1]
    return drawn, encode_mask(disc)


@pytest.mark.parametrize("size", [(400, 300), (120, 200), (2000, 1500)])
def test_a_disc_is_cut_out(size: tuple[int, int]) -> None:
    picture, disc = with_disc(scenery(*size))
    width, height = size
    side = 0.4 * min(size)
    found = segment(picture, Box(width / 2 - side, height / 2 - side, width / 2 + side, height / 2 + side))
    assert mask_iou(found.masks, [disc])[0, 0] > 0.9
    assert found.provenance["segment"] == "GrabCut, rough"


def test_crumbs_and_holes_are_no_part_of_a_mask() -> None:
    picture, disc = with_disc(scenery())
    picture[60:66, 100:106] = picture[150, 200]
    picture[150:153, 190:193] = picture[60, 300]
    assert mask_iou(segment(picture, Box(80, 40, 320, 260)).masks, [disc])[0, 0] > 0.95
    assert not decode_mask(segment(picture, Box(80, 40, 320, 260)).masks[0])[60:66, 100:106].any()


def drawn_person() -> tuple[Picture, Box, Box, Mask]:
    """A face, hair, neck and a coat before the scenery; face, body, and the mask of all."""
    picture = scenery()
    hair, skin, coat = (np.zeros(picture.shape[:2], np.uint8) for _ in range(3))
    cv2.ellipse(hair, (200, 100), (33, 45), 0, 0, 360, 1, -1)
    cv2.ellipse(skin, (200, 105), (24, 30), 0, 0, 360, 1, -1)
    corners = [(180, 138), (220, 138), (270, 175), (275, 299), (125, 299), (130, 175)]
    cv2.fillPoly(coat, [np.array(corners)], 1)
    for part, colour in ((hair, (60, 30, 20)), (skin, (210, 160, 130)), (coat, (120, 20, 30))):
        picture[part == 1] = colour
    pixels = hair | skin | coat
    face = Box(172, 77, 228, 133)
    return picture, face, grow(face, [face], 400, 300, BodyShape()), encode_mask(pixels == 1)


def test_a_person_is_cut_out_from_face_and_breast() -> None:
    picture, face, body, person = drawn_person()
    found = segment(picture, body, kind="PER", candidates=(Candidate(face, "face", 0.9),))
    assert mask_iou(found.masks, [person])[0, 0] > 0.9


def test_what_grab_cut_is_told_of_a_person_beside_another() -> None:
    face, other, body = Box(170, 80, 230, 140), Box(240, 80, 300, 140), Box(80, 60, 320, 300)
    seeds = segment_module._seeds(body, face, [other], segment_module._Window(0, 0, 400, 300, 1.0))
    assert seeds[110, 200] == cv2.GC_FGD  # the face
    assert seeds[200, 200] == cv2.GC_FGD  # the breast
    assert seeds[280, 140] == cv2.GC_PR_FGD  # an arm
    assert seeds[110, 100] == cv2.GC_PR_BGD  # beside the head
    assert seeds[110, 285] == cv2.GC_BGD  # the other's face
    assert seeds[110, 350] == cv2.GC_BGD  # outside the box


@pytest.mark.parametrize("name", ["eileen-collins", "grace-hopper", "filippo-giunchedi", "two-people-sofa"])
def test_photographs(name: str) -> None:
    picture = photo(name)
    faces = Faces()(picture)
    for face in faces:
        body = grow(face.box, [one.box for one in faces], picture.shape[1], picture.shape[0], BodyShape())
        found = segment(picture, body, kind="PER", candidates=tuple(faces))
        pixels = decode_mask(found.masks[0])
        x1, y1, x2, y2 = (round(value) for value in face.box)
        assert pixels[y1:y2, x1:x2].mean() > 0.7
        assert 0.35 < pixels.sum() / body.area < 0.97
        top = pixels[int(body.y1) : y1, int(body.x1) : int(body.x1) + 20]
        assert top.mean() < 0.5  # beside the head


def test_lettering_and_scenes_are_their_boxes() -> None:
    picture = with_disc(scenery())[0]
    sign = line("HOTEL", x=100, y=100, height=60)
    for box, candidates in ((sign.box, (sign,)), (Box(1, 1, 399, 299), ()), (Box(0, 0, 400, 300), ())):
        found = segment(picture, box, candidates=candidates)
        assert found.masks == (box_mask(box, 400, 300),)
        assert found.provenance["segment"] == "the box itself"


@pytest.mark.parametrize(
    "box",
    [
        Box(10, 10, 10.2, 10.2),
        Box(10, 10, 13, 200),
        Box(399, 299, 400, 300),
        Box(-50, -50, -10, -10),
        Box(500, 20, 600, 90),
    ],
)
@pytest.mark.parametrize("kind", ["PER", "LOC"])
def test_boxes_too_small_or_outside(box: Box, kind: EntityType) -> None:
    found = segment(scenery(), box, kind=kind, candidates=(Candidate(box, "face", 0.9),))
    assert found.masks == (box_mask(box, 400, 300),)


def test_a_face_as_large_as_the_picture_leaves_no_background() -> None:
    found = segment(blank(), Box(0, 0, 400, 300), kind="PER", candidates=(Candidate(Box(0, 0, 400, 300), "face", 0.9),))
    assert found.provenance["segment"] == "the outline of a person"
    assert decode_mask(found.masks[0]).mean() > 0.9


def test_a_picture_of_one_colour() -> None:
    thing = segment(blank(), Box(100, 50, 300, 250))
    person = segment(
        blank(), Box(100, 50, 300, 300), kind="PER", candidates=(Candidate(Box(170, 80, 230, 140), "face", 1),)
    )
    for found in (thing, person):
        assert len(found.masks) == 1
        assert decode_mask(found.masks[0])[110, 200]


def test_the_same_box_has_the_same_mask_whatever_came_before() -> None:
    picture, face, body, _ = drawn_person()
    seen = (Candidate(face, "face", 0.9),)
    first = segment(picture, body, kind="PER", candidates=seen)
    cv2.setRNGSeed(12345)
    segment(scenery(), Box(50, 50, 200, 200))
    cv2.setRNGSeed(999)
    draft = Prediction(
        example=Example(text="Rivera"), entities=(Entity("Rivera", "PER", boxes=(body,)),), candidates=seen
    )
    other = Prediction(example=Example(text="x"), entities=(Entity("x", "LOC", boxes=(Box(50, 50, 200, 200),)),))
    _, again, none = SegmentByGrabCut()([other, draft, other], [scenery(), picture, None])
    assert again.entities[0] == first
    assert none.entities == other.entities


def test_every_box_has_a_mask_and_entities_without_boxes_have_none() -> None:
    picture = with_disc(scenery())[0]
    assert segment(picture).masks == ()
    assert len(segment(picture, Box(100, 50, 300, 250), Box(20, 20, 60, 60)).masks) == 2


def test_pictures_are_not_written_to() -> None:
    picture, face, body, _ = drawn_person()
    picture.flags.writeable = False
    assert segment(picture, body, kind="PER", candidates=(Candidate(face, "face", 0.9),)).masks


@settings(max_examples=30)
@given(
    st.floats(-20, 380), st.floats(-20, 280), st.floats(1, 300), st.floats(1, 300), st.sampled_from(["PER", "OTHER"])
)
def test_a_mask_never_leaves_its_box(x: float, y: float, width: float, height: float, kind: EntityType) -> None:
    picture, _ = with_disc(scenery())
    box = Box(x, y, x + width, y + height)
    face = Candidate(Box(x + width / 3, y, x + width / 2, y + width / 6), "face", 0.9)
    found = segment(picture, box, kind=kind, candidates=(face,), side=64)
    inside = decode_mask(box_mask(box, 400, 300))
    assert not (decode_mask(found.masks[0]) & ~inside).any()


def test_a_box_too_thin_for_the_small_copy_is_its_own_mask() -> None:
    box = Box(100, 0, 108, 4000)
    entity = segment(blank(4000, 4000), box)
    assert entity.masks == (box_mask(box, 4000, 4000),)
    assert entity.provenance == {"segment": "the box itself"}
