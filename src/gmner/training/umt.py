"""Training UMT: the likelihood of the labels and, at half weight, of the untyped ones of the span branch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gmner.models.umt import weights
from gmner.models.umt.codec import Encoded, UMTCodec
from gmner.models.umt.config import UMTConfig
from gmner.models.umt.model import UMT
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.labelling import Batch, LabellingTask
from gmner.training.loop import TrainingConfig
from gmner.training.pictures import open_picture
from gmner.training.predictions import predict
from gmner.training.recipe import Tested
from gmner.types import Example


class UMTTask(LabellingTask):
    """UMT's loss.

    The published runs clip the gradient of every tensor by itself, and their rate jumps behind the warm-up and turns
    negative at the end (specs/umt.md, section 5); this house has one loop, which does neither.
    """

    model: UMT

    def forward(self, tensors: Batch) -> Tensor:
        posts, labels = tensors
        states = self.model(posts)
        with torch.autocast(states.emissions.device.type, enabled=False):
            return self.model.losses(states, labels, posts.attention).total

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class UMTRecipe:
    """A UMT, trained to recognise.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: UMT's settings; `encoder` and `vision` say what it starts from.
        training: the loop's settings.
    """

    about: str
    task: Literal["umt"] = "umt"
    model: UMTConfig = field(default_factory=UMTConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> UMTTask:
        """A new UMT on its encoders.

        Raises:
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than the window.
        """
        torch.manual_seed(self.training.seed)
        model = UMT(self.model, load_encoder(self.model.encoder), load_encoder(self.model.vision))
        codec = UMTCodec(self.model, load_tokenizer(self.model.encoder))
        return UMTTask(model, codec, _encode(codec, train), _encode(codec, dev))

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """MNER on the test split."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, _encode(codec, test)), ("mner",), {})


def _encode(codec: UMTCodec, examples: Sequence[Example]) -> list[Encoded]:
    """Every post as numbers; only what is seen of a picture is kept."""
    return [item for post in examples for item in codec.encode([post], [open_picture(post)])]
