"""Pictures and expressions in; probabilities out (visual entailment), or boxes (visual grounding)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from gmner.image import Picture
from gmner.models.ofa import weights
from gmner.models.ofa.codec import OFACodec
from gmner.models.ofa.decoding import pad, score_answers, search
from gmner.models.ofa.model import OFA, Encoded
from gmner.types import Box


@dataclass(frozen=True)
class _Predictor:
    """A model and its codec.

    `batch_size` counts pairs of a picture and an expression; it changes no result but for the last digits. On a
    processor 1 is as fast as more and takes the least memory; a GPU wants more.
    """

    model: OFA
    codec: OFACodec
    batch_size: int = 1

    @classmethod
    def load(cls, folder: Path, *, bf16: bool = False, batch_size: int = 1) -> Self:
        """A trained model from its folder, ready to predict; in half the memory and time with `bf16`.

        Raises:
            CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
        """
        model, codec = weights.load(folder)
        model.encoder.trunk.fold()
        return cls(model.to(torch.bfloat16) if bf16 else model, codec, batch_size)

    def _encoded(
        self, pictures: Sequence[Picture], sources: Sequence[Sequence[Sequence[int]]]
    ) -> Iterator[tuple[list[int], list[Sequence[int]], Encoded]]:
        """Batches of pairs: their pictures' numbers, their questions, and what the encoder makes of them.

        The encoder reads picture and question together, so that only its trunk can be shared by a picture's questions.
        """
        pairs = [(number, source) for number, some in enumerate(sources) for source in some]
        grids: dict[int, Float[Tensor, "channels rows columns"]] = {}
        for start in range(0, len(pairs), self.batch_size):
            numbers, questions = map(list, zip(*pairs[start : start + self.batch_size], strict=True))
            new = sorted(set(numbers) - grids.keys())
            grids = {number: grid for number, grid in grids.items() if number in numbers}
            if new:
                pixels = self.codec.pixels([self.codec.view(pictures[number]) for number in new])
                grids |= zip(new, self.model.look(pixels.to(self.model.device, self.model.dtype)), strict=True)
            grid = torch.stack([grids[number] for number in numbers])
            yield numbers, questions, self.model.encode(pad(questions).to(self.model.device), grid)


class OFAEntailer(_Predictor):
    """Visual entailment: how probably a picture shows what an expression names."""

    @torch.inference_mode()
    def entail(
        self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], captions: Sequence[str | None]
    ) -> list[list[float]]:
        """P(visible) of every expression of every picture; the pictures' captions help, where there are any.

        Raises:
            TextError: an expression with its caption is longer than the model reads.
        """
        sources = [
            self.codec.entailment_sources(some, [caption] * len(some))
            for some, caption in zip(expressions, captions, strict=True)
        ]
        found: list[list[float]] = [[] for _ in pictures]
        for numbers, questions, encoded in self._encoded(pictures, sources):
            prompts = [self.codec.prompt(question) for question in questions]
            scores = score_answers(self.model, encoded, prompts, self.codec.answers)
            for number, probability in zip(numbers, self.codec.visible(scores), strict=True):
                found[number].append(probability)
        return found


class OFAGrounder(_Predictor):
    """Visual grounding: where a picture shows what an expression names."""

    @torch.inference_mode()
    def ground(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Box]]:
        """The box of every expression of every picture, in pixels of the picture and clipped to it.

        Raises:
            TextError: an expression is longer than the model reads.
        """
        counts = [len(some) for some in expressions]
        flat = iter(self.codec.grounding_sources(list(chain.from_iterable(expressions))))
        sources = [[next(flat) for _ in range(count)] for count in counts]
        free = self.codec.config.released.any_token
        constraint, among = (None, None) if free else (self.codec.only_boxes, self.codec.box_tokens)
        found: list[list[Box]] = [[] for _ in pictures]
        for numbers, _, encoded in self._encoded(pictures, sources):
            hypotheses_of_all = search(self.model, encoded, self.codec.beam, constraint, among)
            for number, hypotheses in zip(numbers, hypotheses_of_all, strict=True):
                height, width = pictures[number].shape[:2]
                found[number].append(self.codec.box(hypotheses, width, height))
        return found
