"""Boxes and masks against pycocotools, and codes that are damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from gmner.errors import EntityError
from gmner.geometry import (
    box_array,
    box_iou,
    box_mask,
    clip_box,
    decode_mask,
    encode_mask,
    hull,
    mask_area,
    mask_box,
    mask_iou,
    mask_runs,
    pair_iou,
)
from gmner.types import Box, Mask

sides = st.integers(1, 40)
coordinates = st.floats(-50, 1500, allow_nan=False)
extents = st.floats(1e-3, 800)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, extents, extents)
pixels = st.tuples(sides, sides).flatmap(
    lambda shape: st.one_of(
        hnp.arrays(bool, shape),
        st.builds(  # few long runs, as masks have in life
            lambda x, y, w, h: box_pixels(shape, x, y, w, h), sides, sides, sides, sides
        ),
    )
)
pixel_pairs = st.tuples(sides, sides).flatmap(lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape)))


def box_pixels(shape, x, y, width, height):
    drawn = np.zeros(shape, dtype=bool)
    drawn[y : y + height, x : x + width] = True
    return drawn


def coco_code(drawn):
    return coco.encode(np.asfortranarray(drawn, dtype=np.uint8))


def coco_boxes(some):
    return np.array([[b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1] for b in some])


@given(st.lists(boxes, min_size=1, max_size=4), st.lists(boxes, min_size=1, max_size=4))
def test_box_iou_is_that_of_pycocotools(left, right):
    expected = coco.iou(coco_boxes(left), coco_boxes(right), [0] * len(right))
    assert box_iou(left, right) == pytest.approx(expected, abs=1e-6)


@given(boxes, boxes)
def test_pair_iou_is_box_iou(left, right):
    assert pair_iou(left, right) == pytest.approx(box_iou([left], [right])[0, 0], abs=1e-12)


def test_box_iou_by_hand():
    unit = Box(0, 0, 10, 10)
    assert pair_iou(unit, unit) == 1
    assert pair_iou(unit, Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert pair_iou(unit, Box(0, 0, 10, 5)) == 0.5  # the threshold itself, without rounding
    assert pair_iou(unit, Box(10, 0, 20, 10)) == 0  # touching is not overlapping
    assert pair_iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0
    assert box_iou([], [unit]).shape == (0, 1)
    assert box_array([]).shape == (0, 4)


def test_clip_and_hull():
    assert clip_box(Box(-5, -5, 20, 8), 10, 10) == Box(0, 0, 10, 8)
    assert clip_box(Box(10, 0, 20, 8), 10, 10) is None
    assert clip_box(Box(-9, -9, -1, -1), 10, 10) is None
    assert hull([Box(0, 5, 1, 6), Box(3, 0, 4, 2)]) == Box(0, 0, 4, 6)


@given(pixels)
def test_codes_are_those_of_pycocotools(drawn):
    expected = coco_code(drawn)
    mask = encode_mask(drawn)
    assert mask == Mask(tuple(expected["size"]), expected["counts"].decode())
    assert (decode_mask(mask) == drawn).all()
    assert mask_area(mask) == coco.area(expected)


def test_codes_of_large_masks():
    drawn = np.zeros((1200, 1100), dtype=bool)  # runs past 15 and 20 bits
    drawn[300:1100, 200:900] = True
    assert encode_mask(drawn).counts == coco_code(drawn)["counts"].decode()
    assert (decode_mask(encode_mask(~drawn)) == ~drawn).all()


@given(pixels)
def test_tight_box_is_that_of_pycocotools(drawn):
    box = mask_box(encode_mask(drawn))
    if not drawn.any():
        assert box is None
    else:
        x, y, width, height = coco.toBbox(coco_code(drawn)).tolist()
        assert box == Box(x, y, x + width, y + height)


@given(pixel_pairs)
def test_mask_iou_is_that_of_pycocotools(pair):
    left, right = pair
    got = mask_iou([encode_mask(left)], [encode_mask(right)])
    assert got[0, 0] == pytest.approx(coco.iou([coco_code(left)], [coco_code(right)], [0])[0, 0], abs=1e-6)


def test_mask_iou_of_lists():
    left, right = np.eye(6, dtype=bool), np.ones((6, 6), dtype=bool)
    masks = [encode_mask(left), encode_mask(right)]
    assert mask_iou(masks, masks) == pytest.approx(np.array([[1, 1 / 6], [1 / 6, 1]]))
    assert mask_iou([], masks).shape == (0, 2)
    empty = encode_mask(np.zeros((6, 6), dtype=bool))
    assert mask_iou([empty], [empty])[0, 0] == 0


def test_masks_of_different_sizes_are_refused():
    with pytest.raises(EntityError, match="different sizes"):
        mask_iou([encode_mask(np.ones((2, 3), dtype=bool))], [encode_mask(np.ones((3, 2), dtype=bool))])


@given(sides, sides, st.integers(0, 39), st.integers(0, 39), sides, sides)
def test_box_mask_covers_whole_pixels(width, height, x, y, w, h):
    drawn = decode_mask(box_mask(Box(x, y, x + w, y + h), width, height))
    assert (drawn == box_pixels((height, width), x, y, w, h)).all()


def test_box_mask_takes_pixels_by_their_centre():
    assert decode_mask(box_mask(Box(0.5, 0, 1.5, 1), 3, 1)).tolist() == [[True, False, False]]


FULL = encode_mask(np.ones((4, 5), dtype=bool))


@pytest.mark.parametrize(
    "mask",
    [
        Mask((4, 5), ""),
        Mask((4, 6), FULL.counts),  # of another size
        Mask((4, 5), FULL.counts[:-1]),  # cut short
        Mask((4, 5), FULL.counts + "1"),  # and then some
        Mask((4, 5), "P"),  # a number without its end
        Mask((4, 5), "!d0"),  # below COCO's alphabet
        Mask((4, 5), "~d0"),  # above it
        Mask((4, 5), "é"),
        Mask((3, 5), "€"),  # must not be read as the "?" that stands in for it
        Mask((4, 5), "O5"),  # a negative run
        Mask((-4, -5), FULL.counts),  # a negative size
        Mask((0, 5), FULL.counts),
        Mask((4, 5), "d0" + "P" * 14 + "0"),  # a number of more bits than there are
        Mask((1, 2**62), "0" + "P" * 12 + "4"),
    ],
)
def test_damaged_codes_are_refused(mask):
    for use in (mask_runs, mask_area, decode_mask, mask_box, lambda mask: mask_iou([mask], [mask])):
        with pytest.raises(EntityError):
            use(mask)


@given(st.integers(-2, 8), st.integers(-2, 8), st.text(st.characters(codec="utf-8"), max_size=12))
def test_any_code_is_read_whole_or_refused(height, width, counts):
    try:
        drawn = decode_mask(Mask((height, width), counts))
    except EntityError:
        return
    assert drawn.shape == (height, width)
    assert mask_area(Mask((height, width), counts)) == drawn.sum()
    assert mask_iou([Mask((height, width), counts)], [encode_mask(drawn)])[0, 0] == (1 if drawn.any() else 0)


@given(st.integers(1, 6), st.integers(1, 6), st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=6))
def test_what_is_read_is_what_pycocotools_reads(height, width, counts):
    try:
        drawn = decode_mask(Mask((height, width), counts))
    except EntityError:
        return
    assert (coco.decode({"size": [height, width], "counts": counts.encode()}).astype(bool) == drawn).all()
