"""Segment: which pixels of its box the named thing covers. The offline answer, GrabCut: rough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from gmner.geometry import box_mask, clip_box, encode_mask, shared_area
from gmner.image import Picture
from gmner.stages.stage import Stage
from gmner.types import FACE, LETTERING, Box, Candidate, Entity, Mask, Prediction

Labels = UInt8[np.ndarray, "height width"]
"""What GrabCut is told of each pixel: surely or likely foreground or background (OpenCV's GC_ numbers)."""


@dataclass(frozen=True)
class GrabCutSettings:
    """How GrabCut runs.

    `side`: the box and its surroundings are made this small (the longer side, pixels).
    `rounds`: iterations; each takes the same time.
    `margin`: how much of the surroundings it sees as background, on each side, in sides of the box.
    `least`: the part of its box that a mask must cover; else what was thought likely before the cut is the mask.
    """

    side: int = 192
    rounds: int = 3
    margin: float = 0.15
    least: float = 0.1


@dataclass(frozen=True)
class SegmentByGrabCut(Stage):
    """Fills `masks`, one for each box, with GrabCut (Rother, Kolmogorov and Blake 2004) on a small copy of the box.

    For a person GrabCut is given the face and the breast below it as certain, and an outline of head, shoulders and
    body as likely; for a thing, all of its box as likely. Lettering, tiny boxes and boxes as large as the picture are
    their own masks. OpenCV's generator starts anew for every box, so that the same box always has the same mask.

    The masks are rough: hair, hands and what has the colour of the background get lost, and what has the colour of
    the foreground comes along. A mask never leaves its box.
    """

    settings: GrabCutSettings = GrabCutSettings()
    name: str = "segment"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            draft
            if picture is None
            else replace(draft, entities=tuple(self._segment(e, draft.candidates, picture) for e in draft.entities))
            for draft, picture in zip(drafts, pictures, strict=True)
        ]

    def _segment(self, entity: Entity, candidates: Sequence[Candidate], picture: Picture) -> Entity:
        if not entity.boxes:
            return entity
        faces = [candidate.box for candidate in candidates if candidate.kind == FACE and entity.type == "PER"]
        lines = [candidate.box for candidate in candidates if candidate.kind == LETTERING]
        found = [self._mask(box, faces, lines, picture) for box in entity.boxes]
        provenance = {**entity.provenance, self.name: "; ".join(dict.fromkeys(how for _, how in found))}
        return replace(entity, masks=tuple(mask for mask, _ in found), provenance=provenance)

    def _mask(self, box: Box, faces: Sequence[Box], lines: Sequence[Box], picture: Picture) -> tuple[Mask, str]:
        """The mask of one box, and how it was made."""
        height, width = picture.shape[:2]
        face = _face_of(box, faces)
        shown = clip_box(box, width, height)
        if shown is None or min(shown.width, shown.height) < _TINY:
            return box_mask(box, width, height), "the box itself"
        box = shown
        if face is None and (box.area >= 0.95 * width * height or _covered(box, lines) > 0.5):
            return box_mask(box, width, height), "the box itself"
        window = self._window(box, width, height)
        seeds = _seeds(box, face, [other for other in faces if other != face], window)
        mask = _grab_cut(window.cut(picture), seeds, self.settings.rounds)
        how = "GrabCut, rough"
        if mask is None or mask.mean() < self.settings.least * box.area / window.area:
            mask, how = _likely(seeds), "the outline of a person" if face else "the box itself"
        pixels = window.paste(mask, box, width, height)
        if not pixels.any():  # a box so thin that the small copy has no pixel of it
            return box_mask(box, width, height), "the box itself"
        return encode_mask(pixels), how

    def _window(self, box: Box, width: int, height: int) -> "_Window":
        x, y = self.settings.margin * box.width, self.settings.margin * box.height
        left, top = max(0, int(box.x1 - x)), max(0, int(box.y1 - y))
        right, bottom = min(width, math.ceil(box.x2 + x)), min(height, math.ceil(box.y2 + y))
        return _Window(left, top, right, bottom, min(1.0, self.settings.side / max(right - left, bottom - top)))


_TINY: Final = 8.0
"""Pixels: of a box with a shorter side than this GrabCut can say nothing."""


class _Window(NamedTuple):
    """The part of a picture that GrabCut sees, and how much smaller it sees it."""

    left: int
    top: int
    right: int
    bottom: int
    scale: float

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the small copy."""
        width, height = (self.right - self.left) * self.scale, (self.bottom - self.top) * self.scale
        return max(1, round(width)), max(1, round(height))

    def cut(self, picture: Picture) -> Picture:
        """The small copy."""
        import cv2

        part = picture[self.top : self.bottom, self.left : self.right]
        return np.ascontiguousarray(cv2.resize(part, self.size, interpolation=cv2.INTER_AREA))

    def shrink(self, box: Box) -> Box:
        """A box of the picture in the frame of the small copy."""
        x, y, scale = self.left, self.top, self.scale
        return Box((box.x1 - x) * scale, (box.y1 - y) * scale, (box.x2 - x) * scale, (box.y2 - y) * scale)

    def paste(self, small: Labels, box: Box, width: int, height: int) -> Bool[np.ndarray, "height width"]:
        """A mask of the small copy in the frame of the picture, as far as it lies in `box`."""
        import cv2

        pixels = np.zeros((height, width), dtype=bool)
        size = (self.right - self.left, self.bottom - self.top)
        large = cv2.resize(small * np.uint8(255), size, interpolation=cv2.INTER_LINEAR)
        pixels[self.top : self.bottom, self.left : self.right] = large > 127
        pixels[: round(box.y1)] = pixels[round(box.y2) :] = False
        pixels[:, : round(box.x1)] = pixels[:, round(box.x2) :] = False
        return pixels


_Outline = Sequence[tuple[float, float]]
"""The right edge of a body, from the top down, in sides of the face: away from its middle, below its top."""

_HEAD: Final = (0.62, 0.8)
_BODY: Final[_Outline] = ((0.35, 1.0), (0.9, 1.35), (1.25, 1.9), (1.3, 9.0))
_FACE: Final = (0.38, 0.5)
_BREAST: Final[_Outline] = ((0.25, 0.8), (0.6, 1.9), (0.6, 3.5))
"""The likely and the certain person; of head and face half the width and the height, around the face's middle."""


def _seeds(box: Box, face: Box | None, others: Sequence[Box], window: _Window) -> Labels:
    """What GrabCut is told: nothing outside the box; all of it for a thing, the drawing of a person for a person.

    Face and breast of the `others` are certainly not the person's.
    """
    import cv2

    seeds = np.full(window.size[::-1], cv2.GC_BGD, dtype=np.uint8)
    x1, y1, x2, y2 = (max(0, round(value)) for value in window.shrink(box))
    inside = seeds[y1:y2, x1:x2]
    if face is None:
        inside[:] = cv2.GC_PR_FGD
        return seeds
    inside[:] = cv2.GC_PR_BGD
    strangers = [(other, cv2.GC_BGD, _FACE, _BREAST) for other in others]
    for whose, label, head, body in (
        (face, cv2.GC_PR_FGD, _HEAD, _BODY),
        *strangers,
        (face, cv2.GC_FGD, _FACE, _BREAST),
    ):
        inside[_draw(seeds.shape, window.shrink(whose), head, body)[y1:y2, x1:x2] == 1] = label
    return seeds


def _draw(shape: tuple[int, ...], face: Box, head: tuple[float, float], body: Sequence[tuple[float, float]]) -> Labels:
    """1 where the head and the body are, else 0."""
    import cv2

    drawing = np.zeros(shape, dtype=np.uint8)
    middle, side = (face.x1 + face.x2) / 2, face.width
    axes = (round(head[0] * side), round(head[1] * side))
    cv2.ellipse(drawing, (round(middle), round(face.y1 + 0.5 * side)), axes, 0, 0, 360, 1, -1)
    right = [(middle + x * side, face.y1 + y * side) for x, y in body]
    left = [(middle - x * side, face.y1 + y * side) for x, y in reversed(body)]
    cv2.fillPoly(drawing, [np.round([*right, *left]).astype(np.int32)], 1)
    return drawing


def _grab_cut(picture: Picture, seeds: Labels, rounds: int) -> Labels | None:
    """1 where the foreground is, without crumbs; None if foreground or background hold too little to learn from."""
    import cv2

    likely = int(_likely(seeds).sum())
    if min(likely, seeds.size - likely) < _FEWEST:
        return None
    labels, background, foreground = seeds.copy(), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, labels, None, background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
    return _main_parts(np.asarray(cv2.medianBlur(_likely(labels), 5)), seeds)


_FEWEST: Final = 64
"""Pixels of foreground and of background that the colour models need."""


def _likely(labels: Labels) -> Labels:
    """1 where a pixel is surely or likely foreground, else 0."""
    return labels & 1  # GC_FGD is 1, GC_PR_FGD 3; the background's numbers are even


def _main_parts(mask: Labels, seeds: Labels) -> Labels:
    """The connected parts of a mask that hold what is certain; if nothing is, all but the crumbs."""
    import cv2

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count == 1:
        return mask
    certain = np.unique(parts[(seeds == cv2.GC_FGD) & (mask == 1)])
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = certain if len(certain) else np.flatnonzero(areas >= areas.max() / 3)
    return np.isin(parts, kept[kept > 0]).astype(np.uint8)


def _face_of(box: Box, faces: Sequence[Box]) -> Box | None:
    """The face that a person's box belongs to: in it, and nearest to the middle of its upper edge."""
    middle = (box.x1 + box.x2) / 2
    within = [face for face in faces if shared_area(face, box) > 0.5 * face.area]
    return min(within, key=lambda face: abs((face.x1 + face.x2) / 2 - middle) + abs(face.y1 - box.y1), default=None)


def _covered(box: Box, lines: Sequence[Box]) -> float:
    """The part of `box` that lines of lettering cover (more than 1 where they overlap)."""
    return sum(shared_area(line, box) for line in lines) / box.area
