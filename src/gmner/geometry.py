"""Boxes and masks as numbers: overlap, clipping, COCO run-length codes. numpy only.

Boxes are xyxy float pixels, areas are plain widths times heights (no +1). Masks are COCO run-length codes:
run lengths over the column-major pixels, background first, written as COCO's 6-bit string.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64

from gmner.errors import EntityError
from gmner.types import Box, Mask


def box_array(boxes: Sequence[Box]) -> Float[np.ndarray, "boxes 4"]:
    """Boxes as rows of an array; no boxes give a (0, 4) array."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def box_iou(left: Sequence[Box], right: Sequence[Box]) -> Float[np.ndarray, "left right"]:
    """Intersection over union of every pair; 0 where a union is empty.

    >>> box_iou([Box(0, 0, 2, 2)], [Box(1, 0, 3, 2), Box(5, 5, 6, 6)]).round(3).tolist()
    [[0.333, 0.0]]
    """
    a, b = box_array(left)[:, None], box_array(right)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = sides.clip(0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).clip(0).prod(-1) + (b[..., 2:] - b[..., :2]).clip(0).prod(-1) - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0))


def shared_area(left: Box, right: Box) -> float:
    """The area that both boxes cover, in square pixels."""
    return Box(max(left.x1, right.x1), max(left.y1, right.y1), min(left.x2, right.x2), min(left.y2, right.y2)).area


def pair_iou(left: Box, right: Box) -> float:
    """`box_iou` of a single pair, without an array: a score asks for thousands of pairs one by one."""
    intersection = shared_area(left, right)
    union = left.area + right.area - intersection
    return intersection / union if union > 0 else 0.0


def clip_box(box: Box, width: int, height: int) -> Box | None:
    """The part of `box` inside an image of `width` x `height` pixels; None if nothing is inside."""
    clipped = Box(max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height)))
    return clipped if clipped.width > 0 and clipped.height > 0 else None


def hull(boxes: Sequence[Box]) -> Box:
    """The smallest box around all `boxes` (at least one)."""
    array = box_array(boxes)
    return Box(*array[:, :2].min(0).tolist(), *array[:, 2:].max(0).tolist())


def encode_mask(pixels: Bool[np.ndarray, "height width"]) -> Mask:
    """The run-length code of a boolean picture."""
    height, width = pixels.shape
    flat = np.concatenate([[False], pixels.astype(bool).ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(changes, prepend=0, append=height * width)
    if len(runs) > 1 and runs[-1] == 0:
        runs = runs[:-1]
    return Mask((height, width), _write_counts(runs))


def decode_mask(mask: Mask) -> Bool[np.ndarray, "height width"]:
    """The boolean picture of a run-length code.

    Raises:
        EntityError: the runs do not fill the mask's size.
    """
    runs = mask_runs(mask)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(mask.size, order="F")


def mask_runs(mask: Mask) -> Int64[np.ndarray, " runs"]:
    """Run lengths in column-major order, background first.

    Raises:
        EntityError: the code is not COCO's, or its runs do not fill the mask's size.
    """
    runs = _read_counts(mask.counts)
    height, width = mask.size
    if len(runs) == 0 or runs.min() < 0 or min(height, width) < 0 or runs.sum() != height * width:
        raise EntityError(
            f"a mask of size {list(mask.size)} whose runs cover {int(runs.sum())} pixels",
            allowed="COCO run-length codes with size [height, width]",
            todo="encode the mask with pycocotools or gmner.geometry.encode_mask",
        )
    return runs


def mask_of_runs(runs: Sequence[int], height: int, width: int) -> Mask:
    """The mask of COCO's uncompressed code: run lengths in column-major order, background first.

    Raises:
        EntityError: a run is negative, or the runs do not fill the size.
    """
    mask = Mask((height, width), _write_counts(np.asarray(runs, dtype=np.int64)))
    mask_runs(mask)
    return mask


def mask_area(mask: Mask) -> int:
    """The number of pixels that the mask covers."""
    return int(mask_runs(mask)[1::2].sum())


def mask_box(mask: Mask) -> Box | None:
    """The tight box around the mask's pixels; None for an empty mask."""
    height = mask.size[0]
    ends = np.cumsum(mask_runs(mask))
    first, last = ends[:-1:2], ends[1::2] - 1  # first and last pixel of every run of foreground
    first, last = first[first <= last], last[first <= last]
    if not len(first):
        return None
    (left, right), rows = (first[0] // height, last[-1] // height), np.concatenate([first, last]) % height
    whole = (first // height != last // height).any()  # a run that goes on in the next column meets both edges
    top, bottom = (0, height - 1) if whole else (rows.min(), rows.max())
    return Box(float(left), float(top), float(right + 1), float(bottom + 1))


def box_mask(box: Box, width: int, height: int) -> Mask:
    """The mask of all pixels whose centre lies in `box`."""
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside = ((rows >= box.y1) & (rows < box.y2))[:, None] & ((columns >= box.x1) & (columns < box.x2))[None]
    return encode_mask(inside)


def polygon_pixels(points: Float[np.ndarray, "points 2"], width: int, height: int) -> Bool[np.ndarray, "height width"]:
    """The pixels whose centre lies in a polygon, by the even-odd rule; what lies outside the picture is cut off.

    >>> polygon_pixels(np.array([[0, 0], [2, 0], [2, 1], [0, 1]]), 3, 2).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    crossings = np.zeros((height + 1, width), dtype=np.uint8)  # only even or odd matters, so that it may run over
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        (x1, y1), (x2, y2) = (start, end) if start[0] <= end[0] else (end, start)
        columns = np.arange(max(0, np.ceil(x1 - 0.5)), min(width, np.ceil(x2 - 0.5)), dtype=np.int64)
        if len(columns):
            y = y1 + (columns + 0.5 - x1) * ((y2 - y1) / (x2 - x1))
            # Each edge above a centre turns the pixel, and all below it in the column, in or out.
            crossings[np.ceil(y - 0.5).clip(0, height).astype(np.int64), columns] += 1
    return np.asarray(crossings[:-1].cumsum(axis=0, dtype=np.uint8) & 1 == 1)


def mask_outlines(mask: Mask) -> list[Int64[np.ndarray, "points 2"]]:
    """The outlines of a mask along the edges of its pixels, as polygons of corners (x, y).

    Clockwise ones go around the parts (pixels that only touch at a corner are two parts), the others around holes.
    By the even-odd rule all together are the mask again.
    """
    pixels = np.pad(decode_mask(mask), 1)
    inside = pixels[1:-1, 1:-1]
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # The edges of a pixel in clockwise order: its neighbour there, where the edge starts, and which way it goes.
    for beside, (x, y), (right, down) in (
        (pixels[:-2, 1:-1], (0, 0), (1, 0)),
        (pixels[1:-1, 2:], (1, 0), (0, 1)),
        (pixels[2:, 1:-1], (1, 1), (-1, 0)),
        (pixels[1:-1, :-2], (0, 1), (0, -1)),
    ):
        for row, column in np.argwhere(inside & ~beside).tolist():
            after.setdefault((column + x, row + y), []).append((right, down))
    outlines = []
    while after:
        start = place = next(iter(after))
        way, corners = after[start][0], list[tuple[int, int]]()
        while place in after:
            ways = after[place]
            turn = (-way[1], way[0])  # to the right: around the same pixel, where two parts touch
            chosen = ways.pop(ways.index(turn) if turn in ways else 0)
            if chosen != way or not corners:
                corners.append(place)
            if not ways:
                del after[place]
            way, place = chosen, (place[0] + chosen[0], place[1] + chosen[1])
            if place == start and (-way[1], way[0]) not in after.get(place, ()):
                break  # what else begins here belongs to a part that touches this one
        outlines.append(np.array(corners))
    return outlines


def mask_iou(left: Sequence[Mask], right: Sequence[Mask]) -> Float[np.ndarray, "left right"]:
    """Intersection over union of every pair of masks, straight from the runs; 0 where a union is empty.

    Raises:
        EntityError: two masks are of images of different sizes, or a code is damaged.
    """
    sizes = {mask.size for mask in (*left, *right)}
    if len(sizes) > 1:
        raise EntityError(
            f"masks of images of different sizes {sorted(sizes)}",
            allowed="masks of one image share [height, width]",
            todo="scale the masks to the size of the original image",
        )
    ends_left, ends_right = ([np.cumsum(mask_runs(mask)) for mask in masks] for masks in (left, right))
    result = np.zeros((len(left), len(right)))
    for row, a in enumerate(ends_left):
        for column, b in enumerate(ends_right):
            result[row, column] = _run_iou(a, b)
    return result


def _run_iou(a: Int64[np.ndarray, " m"], b: Int64[np.ndarray, " n"]) -> float:
    """IoU of two masks given as the end positions of their runs.

    Between two neighbouring ends of either code neither changes, so each stretch is inside or outside as a whole.
    """
    ends = np.union1d(a, b)
    lengths = np.diff(ends, prepend=0)
    in_a = np.searchsorted(a, ends, side="left") % 2 == 1
    in_b = np.searchsorted(b, ends, side="left") % 2 == 1
    union = lengths[in_a | in_b].sum()
    return float(lengths[in_a & in_b].sum() / union) if union else 0.0


_LONGEST: Final = 7
"""Characters of a number: 35 bits, past any picture and far from the end of a 64-bit integer."""


def _read_counts(counts: str) -> Int64[np.ndarray, " runs"]:
    """Run lengths from COCO's string: 5 bits a character, lowest first, bit 6 says "more", the top bit is the sign.

    From the fourth number on, a number is the difference to the one two before it. A damaged code gives no runs.
    """
    damaged = np.zeros(0, dtype=np.int64)
    if not counts.isascii():
        return damaged
    codes = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - 48
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        return damaged
    last = codes & 32 == 0
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    places = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    if places.max() >= _LONGEST:
        return damaged
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    negative = codes[last] & 16 != 0
    values -= np.where(negative, 1 << (5 * (places[last] + 1)), 0)
    for parity in (1, 2):  # two interleaved running sums, the very first number standing alone
        values[parity::2] = np.cumsum(values[parity::2])
    return values


def _write_counts(runs: Int64[np.ndarray, " runs"]) -> str:
    """COCO's string of run lengths; the inverse of `_read_counts`."""
    numbers = runs.astype(np.int64).copy()
    numbers[3:] -= runs[1:-2]
    characters: list[str] = []
    for number in numbers.tolist():
        more = True
        while more:
            code = number & 31
            number >>= 5
            more = number != (-1 if code & 16 else 0)
            characters.append(chr(48 + (code | 32 if more else code)))
    return "".join(characters)
