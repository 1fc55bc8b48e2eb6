"""Training UMGF: the likelihood of the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gmner.models.umgf import weights
from gmner.models.umgf.codec import Encoded, UMGFCodec
from gmner.models.umgf.config import UMGFConfig
from gmner.models.umgf.model import UMGF
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.labelling import Batch, LabellingTask
from gmner.training.loop import TrainingConfig
from gmner.training.pictures import open_picture
from gmner.training.predictions import predict
from gmner.training.recipe import Tested
from gmner.training.regions import with_regions
from gmner.types import Example


class UMGFTask(LabellingTask):
    """UMGF's loss.

    The published runs step with Adam, take 0.8 of the rate every second epoch, read posts in the order of the file,
    and sum the loss over a batch (specs/evg_baselines.md, section 3); this house has one loop.
    """

    model: UMGF

    def forward(self, tensors: Batch) -> Tensor:
        posts, labels = tensors
        emissions = self.model(posts)
        with torch.autocast(emissions.device.type, enabled=False):
            return self.model.loss(emissions.float(), labels, posts.attention)

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class UMGFRecipe:
    """A UMGF, trained to recognise.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        candidates: a detector's files (`training.regions`); without them posts bring their candidates along.
        model: UMGF's settings; `encoder` and `vision` say what it starts from.
        training: the loop's settings.
    """

    about: str
    task: Literal["umgf"] = "umgf"
    candidates: Path | None = None
    model: UMGFConfig = field(default_factory=UMGFConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def reads_knowledge(self) -> bool:
        return False

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> UMGFTask:
        """A new UMGF on its encoders.

        Raises:
            CheckpointError: an encoder is not at hand.
            DataError: the files of candidates are missing or damaged.
            ImageError: a picture is missing or damaged.
            TextError: a sentence has more sub-words than the window.
        """
        torch.manual_seed(self.training.seed)
        model = UMGF(self.model, load_encoder(self.model.encoder), load_encoder(self.model.vision))
        codec = UMGFCodec(self.model, load_tokenizer(self.model.encoder))
        return UMGFTask(model, codec, self._encode(codec, train), self._encode(codec, dev))

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """MNER on the test split."""
        model, codec = weights.load(folder)
        return Tested(predict(model, codec, self._encode(codec, test)), ("mner",), {})

    def _encode(self, codec: UMGFCodec, examples: Sequence[Example]) -> list[Encoded]:
        """Every post as numbers; only what is seen of a picture is kept."""
        return [
            item
            for post, _ in with_regions(examples, self.candidates, features=False)
            for item in codec.encode([post], [open_picture(post)])
        ]
