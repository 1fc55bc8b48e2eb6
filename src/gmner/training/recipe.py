"""A recipe: one TOML file that says what is trained, from what, and how."""

from dataclasses import dataclass, field
from typing import Literal

from gmner.models.tagger.config import TaggerConfig
from gmner.training.loop import TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """What `gmner train` reads.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: the tagger's settings.
        training: the loop's settings.
        frozen: prefixes of parameter names that keep the weights of the encoder.
        groundable_weight: weight of the groundable head's loss beside the CRF's.
    """

    about: str
    task: Literal["recognise"] = "recognise"
    model: TaggerConfig = field(default_factory=TaggerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    frozen: tuple[str, ...] = ()
    groundable_weight: float = 0.2
