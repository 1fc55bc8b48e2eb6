"""Where faces are: OpenCV's two best frontal cascades, the second asked whether the first is right."""

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import UInt8

from gmner.geometry import box_iou
from gmner.image import Picture
from gmner.types import FACE, Box, Candidate

if TYPE_CHECKING:
    import cv2


@dataclass(frozen=True)
class FaceSettings:
    """How faces are looked for.

    `side`: the picture is made this small (its longer side, pixels) before it is searched.
    `smallest`: the smallest face that is looked for, in pixels of the small picture.
    `agreement`: hits of both cascades together from which on a face is believed.
    `skin`: the part of the face's middle that must have the colour of skin. Greyscale pictures are let off.
    """

    side: int = 480
    smallest: int = 20
    agreement: int = 8
    skin: float = 0.2


@dataclass(frozen=True)
class Faces:
    """Faces seen from the front, as `face` candidates, the surest first. Who they are is not asked.

    `frontalface_alt2` proposes. `frontalface_alt` looks at each proposal again, enlarged, and must find a face there
    too; a face must have the colour of skin. On 109 photographs, at 640 pixels in steps of 1.15, this found 135 of 151
    faces that any cascade finds, with 4 false alarms; the first cascade alone has 13 at the same recall. 480 pixels in
    steps of 1.2 take half the time and find as many, but for faces that are too small then (docs/lite.md).

    It can't find profiles, faces in strong shadow or coloured light, faces turned by more than some 20 degrees,
    helmets, and faces under 4 % of the picture's longer side. It takes statues and paintings for people.
    """

    settings: FaceSettings = FaceSettings()

    def __call__(self, picture: Picture) -> list[Candidate]:
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, self.settings.side / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        skin = _skin(small)
        faces: list[Candidate] = []
        with _ONE_AT_A_TIME:
            proposer, judge = _cascades()
            for box, hits in _search(proposer, grey, 1.2, (self.settings.smallest, max(size))):
                confirmed = _look_again(judge, grey, box)
                if confirmed and hits + confirmed >= self.settings.agreement and _part(skin, box) >= self.settings.skin:
                    faces.append(Candidate(box, FACE, 1 - 0.5 ** ((hits + confirmed) / self.settings.agreement)))
        x, y = width / size[0], height / size[1]
        return [
            Candidate(Box(b.x1 * x, b.y1 * y, b.x2 * x, b.y2 * y), FACE, face.score)
            for face in _apart(faces)
            for b in [face.box]
        ]


_UNIT: Final = 48
"""Pixels to which the side of a proposal is scaled before the second look."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Cascades keep state while they search."""


@functools.cache
def _cascades() -> "tuple[cv2.CascadeClassifier, cv2.CascadeClassifier]":
    import cv2.data

    folder = cv2.data.haarcascades
    first, second = (f"{folder}haarcascade_{name}.xml" for name in ("frontalface_alt2", "frontalface_alt"))
    return cv2.CascadeClassifier(first), cv2.CascadeClassifier(second)


def _search(
    cascade: "cv2.CascadeClassifier", grey: UInt8[np.ndarray, "h w"], step: float, sides: tuple[int, int]
) -> list[tuple[Box, int]]:
    """The faces with sides within `sides` that the cascade finds, and how many hits each has."""
    low, high = sides
    found, counts = cascade.detectMultiScale2(grey, step, 1, minSize=(low, low), maxSize=(high, high))
    return [
        (Box(x, y, x + w, y + h), int(count))
        for (x, y, w, h), count in zip(np.asarray(found, dtype=float).reshape(-1, 4).tolist(), counts, strict=True)
    ]


def _look_again(judge: "cv2.CascadeClassifier", grey: UInt8[np.ndarray, "h w"], box: Box) -> int:
    """How many hits the second cascade has on the face `box`, searched for around it and at about its size."""
    import cv2

    margin, scale = 0.4 * box.width, _UNIT / box.width
    left, top = max(0, int(box.x1 - margin)), max(0, int(box.y1 - margin))
    crop = grey[top : int(box.y2 + margin), left : int(box.x2 + margin)]
    crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    found = _search(judge, crop, 1.1, (int(0.65 * _UNIT), int(1.5 * _UNIT)))
    x, y = (box.x1 - left) * scale, (box.y1 - top) * scale
    overlaps = box_iou([Box(x, y, x + _UNIT, y + _UNIT)], [other for other, _ in found])[0]
    return max((hits for (_, hits), overlap in zip(found, overlaps, strict=True) if overlap > 0.35), default=0)


def _skin(picture: Picture) -> UInt8[np.ndarray, "h w"]:
    """1 where a pixel has the colour of skin, of any tone (skin differs in brightness, which is not asked).

    A greyscale picture is skin everywhere. The bounds on the colour differences are a little wider than those of Chai
    and Ngan (1999), "Face segmentation using skin-color map in videophone applications".
    """
    import cv2

    if np.abs(picture[::8, ::8, 0].astype(int) - picture[::8, ::8, 2]).mean() < 3:
        return np.ones(picture.shape[:2], dtype=np.uint8)
    inside = cv2.inRange(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), (0, 133, 77), (255, 180, 135))
    return np.asarray(inside // 255, dtype=np.uint8)


def _part(skin: UInt8[np.ndarray, "h w"], box: Box) -> float:
    """The part of the middle of `box` (a quarter of its area) that is skin."""
    x, y = int(box.width / 4), int(box.height / 4)
    middle = skin[int(box.y1) + y : int(box.y2) - y, int(box.x1) + x : int(box.x2) - x]
    return float(middle.mean()) if middle.size else 0.0


def _apart(faces: Sequence[Candidate]) -> list[Candidate]:
    """The surest faces first, without those that lie on a surer one (its chin and throat look like a face, too)."""
    kept: list[Candidate] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if not any(_on(face.box, other.box) or _on(other.box, face.box) for other in kept):
            kept.append(face)
    return kept


def _on(box: Box, other: Box) -> bool:
    """Whether the middle of `box` lies in `other` or on its throat."""
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return other.x1 < x < other.x2 and other.y1 < y < other.y2 + 0.3 * other.height
