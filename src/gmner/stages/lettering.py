"""What is written in a picture: rapidocr, whose wheel carries its models."""

import functools
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float

from gmner.image import Picture
from gmner.types import LETTERING, Box, Candidate

if TYPE_CHECKING:
    from rapidocr import RapidOCR


@dataclass(frozen=True)
class LetteringSettings:
    """How lettering is read.

    `confidence`: the recogniser's mean probability of a character from which on a line is believed.
    `length`: the fewest characters of a line.
    `budget`: how much is read of one picture, in line heights. The tallest lines come first; where their lengths add
    up to the budget, the rest (small print, a page of text) stays unread. It bounds the time: 100 take 0.2 s.
    """

    confidence: float = 0.8
    length: int = 2
    budget: float = 100.0


@dataclass(frozen=True)
class Lettering:
    """Lines of lettering as `lettering` candidates with their `text`, from top to bottom.

    Reads printed Latin and Chinese lettering on signs, badges, shirts and screens. It can't read handwriting, script
    logos, curved or upside-down lettering, other scripts, and letters lower than about 1 % of the picture's longer
    side; blanks between words get lost at times.
    """

    settings: LetteringSettings = LetteringSettings()

    def __call__(self, picture: Picture) -> list[Candidate]:
        small = np.ascontiguousarray(_at_most(picture, _SIDE)[..., ::-1])  # rapidocr takes blue, green, red
        scale = np.array([picture.shape[1] / small.shape[1], picture.shape[0] / small.shape[0]])
        lines: list[Candidate] = []
        with _ONE_AT_A_TIME:
            reader = _reader()
            found = reader(small, use_det=True, use_cls=False, use_rec=False)
            quads = np.zeros((0, 4, 2)) if found.boxes is None else np.asarray(found.boxes, dtype=np.float64)
            left = self.settings.budget
            for quad in sorted(quads, key=lambda quad: -_sides(quad)[1]):
                length, height = _sides(quad)
                left -= max(length / height, _SHORTEST)
                if left < 0:
                    break
                read = reader(_straighten(small, quad), use_det=False, use_cls=False, use_rec=True)
                for text, score in zip(read.txts or (), read.scores, strict=False):
                    if score >= self.settings.confidence and len(text.strip()) >= self.settings.length:
                        corners = (*(quad.min(0) * scale).tolist(), *(quad.max(0) * scale).tolist())
                        lines.append(Candidate(Box(*corners), LETTERING, float(score), text.strip()))
        return sorted(lines, key=lambda line: (line.box.y1, line.box.x1))


_SIDE: Final = 1280
"""Pixels of the longer side of the picture that lines are cut from; they are looked for at half of it."""

_SHORTEST: Final = 7.0
"""Line heights: what a short line costs (the recogniser fills it up to this length)."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""The reader keeps the choices of a call (`use_det` ...) in itself."""


@functools.cache
def _reader() -> "RapidOCR":
    # onnxruntime reports home otherwise, and leaves the number of this machine in the user's cache.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.limit_side_len": _SIDE // 2,
            "Det.limit_type": "max",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _at_most(picture: Picture, side: int) -> Picture:
    """The picture, made smaller if its longer side is above `side`."""
    import cv2

    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _sides(quad: Float[np.ndarray, "4 2"]) -> tuple[float, float]:
    """Length and height of a line in pixels, the corners given clockwise from the top left; at least 1."""
    top, right, bottom, left = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).tolist()
    return max(top, bottom, 1.0), max(left, right, 1.0)


def _straighten(picture: Picture, quad: Float[np.ndarray, "4 2"]) -> Picture:
    """The line cut out upright; a line that is half as high again as it is long is turned to lie."""
    import cv2

    middle = quad.mean(0)
    quad = (quad - middle) * 1.03 + middle  # letters that touch the edge are read badly
    length, height = (round(side) for side in _sides(quad))
    target = np.array([[0, 0], [length, 0], [length, height], [0, height]], dtype=np.float32)
    warp = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    line = cv2.warpPerspective(picture, warp, (length, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.rot90(line) if height >= 1.5 * length else line)
