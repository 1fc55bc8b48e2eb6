"""MQSPN ready to predict: posts in, entities out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from torch import nn

from gmner.image import Picture
from gmner.models.mqspn import weights
from gmner.models.mqspn.codec import Encoded, MQSPNCodec
from gmner.types import Entity, Example


@dataclass(frozen=True)
class MQSPNPredictor:
    """A model and its codec. Only `encode` needs the picture, which can be let go before `predict`."""

    model: nn.Module
    codec: MQSPNCodec
    batch_size: int = 16

    @classmethod
    def load(cls, folder: Path, batch_size: int = 16) -> Self:
        """The model of a folder that training wrote.

        Raises:
            CheckpointError: the folder is missing or damaged, or an encoder that it names is not there.
        """
        return cls(*weights.load(folder), batch_size)

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of a post that are read beside its sentence."""
        return self.codec.config.reads

    @property
    def reads_features(self) -> bool:
        """Whether regions are read as a detector's features, and not seen."""
        return bool(self.codec.config.features)

    def encode(self, example: Example, picture: Picture | None, features: np.ndarray | None = None) -> Encoded:
        """A post as numbers; its gold entities, if it has any, are not looked at.

        Raises:
            TextError: the sentence has more sub-words than the model's window.
            ConfigError: the features are not those that the model reads.
        """
        [encoded] = self.codec.encode([replace(example, entities=None)], [picture], [features])
        return encoded

    def predict(self, posts: Sequence[Encoded]) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order."""
        return self.codec.predict(self.model, posts, self.batch_size)
