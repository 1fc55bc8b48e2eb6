"""Pictures and expressions to tensors; boxes and masks to tokens and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.geometry import encode_mask
from gmner.image import Picture
from gmner.models.seqtr.config import CORNERS, SeqTRConfig
from gmner.models.seqtr.frame import Frame, View, view
from gmner.models.seqtr.model import PAD, Pairs
from gmner.models.seqtr.outline import UNUSED, fill_outline
from gmner.models.seqtr.text import Vocabulary
from gmner.types import Box, Mask


@dataclass(frozen=True)
class SeqTRCodec:
    """Between what is seen and a SeqTR's tensors, for one vocabulary."""

    config: SeqTRConfig
    vocabulary: Vocabulary

    def view(self, picture: Picture) -> View:
        """A picture as it is seen at inference."""
        return view(picture, self.config.side)

    def batch(self, views: Sequence[View], expressions: Sequence[Sequence[str]]) -> Pairs:
        """The pairs of every view with each of its expressions, in order.

        Smaller views are padded to the largest. That changes a little of what is seen in them: what must not depend
        on the batch takes views of one padded size.
        """
        width, height = (max(sides) for sides in zip(*(item.frame.padded for item in views), strict=True))
        pixels = torch.zeros(len(views), 3, height, width)
        for canvas, item in zip(pixels, views, strict=True):
            canvas[:, : item.pixels.shape[0], : item.pixels.shape[1]] = torch.from_numpy(item.pixels).permute(2, 0, 1)
        return Pairs(
            pixels=pixels,
            sizes=torch.tensor([item.frame.seen for item in views]),
            words=self.words([expression for row in expressions for expression in row]),
            picture=torch.tensor([index for index, row in enumerate(expressions) for _ in row], dtype=torch.long),
        )

    def words(self, expressions: Sequence[str]) -> Int64[Tensor, "expressions words"]:
        """Ids of the words, filled up to `max_words` or to the longest expression, if it has more.

        Released code drops words behind `max_words` (setting `cut_expressions`).
        """
        limit = self.config.max_words
        rows = [self.vocabulary.encode(expression) for expression in expressions]
        if self.config.cut_expressions:
            rows = [row[:limit] for row in rows]
        filled = [torch.tensor(row + [PAD] * (limit - len(row))) for row in rows]
        return pad_sequence(filled, batch_first=True, padding_value=PAD) if filled else torch.empty(0, limit).long()

    def targets(
        self, frame: Frame, box: Box, outline: Float32[np.ndarray, "points 2"] | None = None
    ) -> Int64[np.ndarray, " length"]:
        """The tokens of a box and an outline in seen pixels, as far as the mode writes them; no outline is an empty
        one."""
        end = np.array([self.config.end])
        parts: list[np.ndarray] = []
        if self.config.mode != "masks":
            parts += [self.box_tokens(frame, box), end]
        if self.config.mode != "boxes":
            unused = np.full((self.config.points, 2), UNUSED, np.float32)
            parts += [self.outline_tokens(frame, unused if outline is None else outline), end]
        return np.concatenate(parts)

    def box_tokens(self, frame: Frame, box: Box) -> Int64[np.ndarray, "4"]:
        """The tokens of a box in seen pixels."""
        return self._quantise(np.array(box, np.float64).reshape(2, 2), frame).reshape(4)

    def outline_tokens(self, frame: Frame, outline: Float32[np.ndarray, "points 2"]) -> Int64[np.ndarray, " 2*points"]:
        """The tokens of vertices in seen pixels; those of unused ones are ends."""
        tokens = self._quantise(outline, frame)
        tokens[(outline == UNUSED).any(1)] = self.config.end
        return tokens.ravel()

    def _quantise(self, points: Float[np.ndarray, "points 2"], frame: Frame) -> Int64[np.ndarray, "points 2"]:
        """Parts of the padded sides, cut down to whole bins.

        A coordinate at the far edge belongs to the last bin. In released code it has the token of the end.
        """
        tokens = np.trunc(points / np.array(frame.padded, points.dtype) * self.config.bins)
        clipped: np.ndarray = np.clip(tokens, 0, self.config.bins - 1).astype(np.int64)
        return clipped

    def corners(self, frame: Frame, tokens: Int64[np.ndarray, "4"]) -> Float32[np.ndarray, "4"]:
        """The pixels of the padded picture that a box's tokens stand for: the lower edges of their bins."""
        sides = np.tile(np.array(frame.padded, np.float32), 2)
        pixels: np.ndarray = tokens.astype(np.float32) * sides / np.float32(self.config.bins)
        return pixels

    def original_corners(self, frame: Frame, tokens: Int64[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        """The same in pixels of the original picture."""
        pixels: np.ndarray = self.corners(frame, tokens) / np.tile(frame.scale.astype(np.float64), 2)
        return pixels

    def box(self, frame: Frame, written: Int64[np.ndarray, " length"]) -> Box:
        """The box that was written, in pixels of the original picture.

        It lies in the picture and is at least a bin wide and high. Corners in the wrong order are swapped. Released
        code takes what comes.
        """
        corners = np.sort(self.original_corners(frame, written[:CORNERS]).reshape(2, 2), axis=0)
        size = np.array(frame.original, np.float64)
        least = np.minimum(np.array(frame.padded) / frame.scale / self.config.bins, size)
        first = np.minimum(corners[0], size - least)
        last = np.clip(corners[1], first + least, size)
        return Box(*first.tolist(), *last.tolist())

    def canvas(self, frame: Frame, tokens: Int64[np.ndarray, " coordinates"]) -> Bool[np.ndarray, "high wide"]:
        """The mask of an outline's tokens, up to the first end, in the padded picture."""
        ends = np.flatnonzero(tokens == self.config.end)
        count = int(ends[0]) if len(ends) else len(tokens)
        points = tokens[: count // 2 * 2].reshape(-1, 2)
        vertices = points.astype(np.float64) * np.array(frame.padded) / self.config.bins
        return fill_outline(vertices, frame.padded, self.config.two_points_as_box)

    def mask(self, frame: Frame, written: Int64[np.ndarray, " length"]) -> Mask:
        """The mask that was written, in the original picture."""
        pixels = self.canvas(frame, written[-self.config.tasks[-1] - 1 :])
        if not self.config.stretched_masks:
            pixels = pixels[: frame.seen[1], : frame.seen[0]]
        scaled = cv2.resize(pixels.astype(np.uint8), frame.original, interpolation=cv2.INTER_NEAREST)
        return encode_mask(scaled.astype(bool))
