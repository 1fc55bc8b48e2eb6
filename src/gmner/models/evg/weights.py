"""An EVG in its folder. There are no published weights."""

from pathlib import Path

from gmner import checkpoint
from gmner.models.evg.codec import EVGCodec
from gmner.models.evg.config import EVGConfig
from gmner.models.evg.model import EVG
from gmner.nn.encoders import load_encoder, load_tokenizer


def save(folder: Path, model: EVG) -> None:
    """Write a model into `folder`, its text encoder included."""
    checkpoint.save(folder, model.config, model.state_dict())


def load(folder: Path) -> tuple[EVG, EVGCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, holds other tensors than the model it describes, or the
            encoder that it names is not there.
    """
    config, tensors = checkpoint.load(folder, EVGConfig)
    model = EVG(config, load_encoder(config.encoder))
    checkpoint.fill(model, tensors, str(folder))
    return model.eval(), EVGCodec(config, load_tokenizer(config.encoder))
