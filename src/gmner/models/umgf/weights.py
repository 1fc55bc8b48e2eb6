"""A UMGF in its folder. No published weights are at hand, nor are their names known."""

from pathlib import Path

from gmner import checkpoint
from gmner.models.umgf.codec import UMGFCodec
from gmner.models.umgf.config import UMGFConfig
from gmner.models.umgf.model import UMGF
from gmner.nn.encoders import load_encoder, load_tokenizer


def save(folder: Path, model: UMGF) -> None:
    """Write a model into `folder`, its text encoder and ResNet included."""
    checkpoint.save(folder, model.config, model.state_dict())


def load(folder: Path) -> tuple[UMGF, UMGFCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, holds other tensors than the model it describes, or an
            encoder that it names is not there.
    """
    config, tensors = checkpoint.load(folder, UMGFConfig)
    model = UMGF(config, load_encoder(config.encoder), load_encoder(config.vision))
    checkpoint.fill(model, tensors, str(folder))
    return model.eval(), UMGFCodec(config, load_tokenizer(config.encoder))
