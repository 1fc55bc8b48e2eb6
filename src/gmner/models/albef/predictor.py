"""ALBEF as the second stage uses it: does each picture show each of its expressions?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from gmner.image import Picture
from gmner.models.albef import weights
from gmner.models.albef.codec import ALBEFCodec, probabilities
from gmner.models.albef.model import ALBEF
from gmner.nn.batching import moved


@dataclass(frozen=True)
class ALBEFEntailer:
    """Visual entailment by an ALBEF. `batch_size` counts pictures as well as pairs that are computed together."""

    model: ALBEF
    codec: ALBEFCodec
    batch_size: int = 16

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a folder that `weights.save` wrote.

        Raises:
            CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
        """
        return cls(*weights.load(folder))

    @torch.inference_mode()
    def entail(
        self,
        pictures: Sequence[Picture],
        expressions: Sequence[Sequence[str]],
        captions: Sequence[str | None],
    ) -> list[list[float]]:
        """P(visible) of `expressions[i]` in `pictures[i]`; above 0.5 the answer is yes (see `codec.probabilities`).

        The vision transformer sees each picture once, and one without expressions not at all. ALBEF reads one text, so
        that `captions` are left aside. What is said of a pair does not depend on the others, but for the last digits.

        Raises:
            TextError: an expression has more sub-words than the model has positions.
        """
        del captions
        encoded = [self.codec.encode(texts) for texts in expressions]
        asked = [index for index, texts in enumerate(encoded) if texts]
        found: list[list[float]] = [[] for _ in pictures]
        for first in range(0, len(asked), self.batch_size):
            some = asked[first : first + self.batch_size]
            said = self._said([pictures[index] for index in some], [encoded[index] for index in some])
            for index in some:
                found[index] = [next(said) for _ in encoded[index]]
        return found

    def _said(self, pictures: Sequence[Picture], encoded: Sequence[Sequence[list[int]]]) -> Iterator[float]:
        """The probabilities of a few pictures' pairs, in order."""
        seen = self.model.vision(self.codec.pixels(pictures).to(self.model.vision.positions))
        pairs = [(owner, pieces) for owner, texts in enumerate(encoded) for pieces in texts]
        for start in range(0, len(pairs), self.batch_size):
            owners = torch.tensor([owner for owner, _ in pairs[start : start + self.batch_size]])
            low, high = int(owners[0]), int(owners[-1]) + 1  # no keys and values of pictures that nobody reads
            batch = self.codec.batch([pieces for _, pieces in pairs[start : start + self.batch_size]])
            texts = moved(batch, self.model.device)
            logits = self.model.judge(texts, seen[low:high], (owners - low).to(self.model.device))
            yield from probabilities(logits.float(), self.codec.config.decision).tolist()
