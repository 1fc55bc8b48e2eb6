"""Polygons to pixels: by hand, against a slow rule, and beside COCO's."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from gmner.geometry import encode_mask, mask_outlines, polygon_pixels

POINT = st.tuples(st.floats(-15, 35), st.floats(-15, 25))
WIDTH, HEIGHT = 20, 13


def slowly(points: np.ndarray, x: float, y: float) -> bool:
    """Whether a ray upwards from (x, y) crosses the outline an odd number of times."""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (x1 <= x) != (x2 <= x) and y1 + (x - x1) / (x2 - x1) * (y2 - y1) <= y:
            crossings += 1
    return crossings % 2 == 1


def margin(points: np.ndarray) -> float:
    """How far the nearest edge is above or below a centre of a pixel: where it is 0 rounding decides."""
    gaps = [1.0]
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        for x in np.arange(WIDTH) + 0.5:
            if (x1 <= x) != (x2 <= x):
                y = y1 + (x - x1) / (x2 - x1) * (y2 - y1) - 0.5
                gaps.append(abs(y - round(y)))
    return min(gaps)


@given(st.lists(POINT, min_size=3, max_size=8))
def test_pixels_are_those_whose_centre_is_inside(points: list[tuple[float, float]]) -> None:
    array = np.array(points)
    if margin(array) < 1e-6:
        return
    expected = [[slowly(array, x + 0.5, y + 0.5) for x in range(WIDTH)] for y in range(HEIGHT)]
    np.testing.assert_array_equal(polygon_pixels(array, WIDTH, HEIGHT), expected)


@given(st.tuples(*(st.integers(0, 20),) * 4))
def test_a_rectangle_on_whole_pixels_is_exact(corners: tuple[int, int, int, int]) -> None:
    (x1, x2), (y1, y2) = sorted(corners[:2]), sorted(corners[2:])
    expected = np.zeros((20, 20), dtype=bool)
    expected[y1:y2, x1:x2] = True
    outline = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], dtype=float)
    for points in (outline, outline[::-1], np.roll(outline, 1, axis=0)):
        np.testing.assert_array_equal(polygon_pixels(points, 20, 20), expected)


@pytest.mark.parametrize("seed", range(5))
def test_coco_draws_the_same_but_for_the_rim(seed: int) -> None:
    """COCO's own rule rounds to fifths of pixels, so that some pixels of the outline differ."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
    radii = rng.uniform(60, 90, 12)
    points = np.stack([100 + radii * np.cos(angles), 95 + radii * np.sin(angles)], axis=1)
    ours = polygon_pixels(points, 210, 190)
    [code] = coco.frPyObjects([points.ravel().tolist()], 190, 210)
    theirs = coco.decode(code).astype(bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.97
    rim = np.pad(theirs, 1)
    inner = rim[:-2, 1:-1] & rim[2:, 1:-1] & rim[1:-1, :-2] & rim[1:-1, 2:] & theirs
    outer = rim[:-2, 1:-1] | rim[2:, 1:-1] | rim[1:-1, :-2] | rim[1:-1, 2:] | theirs
    assert (inner <= ours).all() and (ours <= outer).all()


def test_a_star_has_a_hole_and_nothing_outside_is_drawn() -> None:
    turns = np.arange(5) * 4 * np.pi / 5
    star = np.stack([50 + 45 * np.sin(turns), 50 - 45 * np.cos(turns)], axis=1)
    pixels = polygon_pixels(star, 100, 100)
    assert not pixels[50, 50] and pixels[15, 50] and not pixels[2, 2]
    assert not polygon_pixels(star + 200, 100, 100).any()
    assert not polygon_pixels(star - 200, 100, 100).any()


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_outlines_are_the_mask_again(height: int, width: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    pixels = np.array(bits).reshape(height, width)
    outlines = mask_outlines(encode_mask(pixels))
    drawn = np.zeros_like(pixels)
    for points in outlines:
        drawn ^= polygon_pixels(points.astype(float), width, height)
    np.testing.assert_array_equal(drawn, pixels)
    areas = [(x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2 for x, y in (points.T for points in outlines)]
    parts, _ = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=4)
    assert sum(area > 0 for area in areas) == parts - 1 and sum(areas) == pixels.sum()
