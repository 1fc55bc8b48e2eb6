"""SeqTR asked about pictures: where, and which pixels, an expression means."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from jaxtyping import Int64

from gmner.errors import ConfigError
from gmner.image import Picture
from gmner.models.seqtr import weights
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.darknet import fold
from gmner.models.seqtr.frame import Frame, View
from gmner.models.seqtr.model import SeqTR
from gmner.nn.batching import moved
from gmner.types import Box, Mask

T = TypeVar("T")
Tokens = Int64[np.ndarray, " length"]


@dataclass(frozen=True)
class SeqTRGrounder:
    """A SeqTR in evaluation mode. `batch_size` pictures, and as many pairs, go through it at once.

    A picture is seen once for all its expressions, and only together with pictures of its padded size, as more
    padding would change what is seen in it. So what is found does not depend on the other pictures and expressions.
    """

    model: SeqTR
    codec: SeqTRCodec
    batch_size: int = 8

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `weights.save` wrote into `folder`, made quick for inference.

        Raises:
            CheckpointError: the folder is missing or damaged.
        """
        model, codec = weights.load(folder)
        fold(model)
        return cls(model, codec)

    def ground(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Box]]:
        """The box of each expression in its picture, in the picture's pixels; `expressions[i]` go with `pictures[i]`.

        Raises:
            ConfigError: the model writes masks only.
        """
        self._refuse("masks", "boxes")
        return self._ask(pictures, expressions, self.codec.box)

    def segment(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Mask]]:
        """The mask of each expression in its picture; `expressions[i]` go with `pictures[i]`. A mask may be empty.

        Raises:
            ConfigError: the model writes boxes only.
        """
        self._refuse("boxes", "masks")
        return self._ask(pictures, expressions, self.codec.mask)

    def _ask(
        self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], read: Callable[[Frame, Tokens], T]
    ) -> list[list[T]]:
        views = [self.codec.view(picture) for picture in pictures]
        written = self.write(views, expressions)
        return [[read(view.frame, tokens) for tokens in rows] for view, rows in zip(views, written, strict=True)]

    @torch.inference_mode()
    def write(self, views: Sequence[View], expressions: Sequence[Sequence[str]]) -> list[list[Tokens]]:
        """All that the model writes about each expression of each view."""
        shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, (item, asked) in enumerate(zip(views, expressions, strict=True)):
            if asked:
                shapes[item.frame.padded].append(index)
        written: list[list[Tokens]] = [[] for _ in views]
        for indexes in shapes.values():
            for start in range(0, len(indexes), self.batch_size):
                chunk = indexes[start : start + self.batch_size]
                tokens = self._write([views[index] for index in chunk], [expressions[index] for index in chunk])
                for index in chunk:
                    written[index] = [next(tokens) for _ in expressions[index]]
        return written

    def _write(self, views: list[View], expressions: list[Sequence[str]]) -> Iterator[Tokens]:
        """The tokens of every pair of views of one padded size."""
        pairs = moved(self.codec.batch(views, expressions), self.model.device)
        seen = self.model.see(pairs.pixels)
        for start in range(0, len(pairs.picture), self.batch_size):
            some = slice(start, start + self.batch_size)
            picture = pairs.picture[some]
            scene = self.model.relate(seen[picture], pairs.sizes[picture], pairs.words[some])
            yield from self.model.write(scene).cpu().numpy()

    def _refuse(self, mode: str, wanted: str) -> None:
        if self.codec.config.mode == mode:
            raise ConfigError(
                f"a SeqTR that writes {mode} is asked for {wanted}",
                allowed=f"{wanted} come from a model whose mode is {wanted!r} or 'both'",
                todo="choose another model",
            )
