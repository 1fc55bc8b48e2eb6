"""A blind reader on disk: what training changed, on top of the encoder that a package carries (`nn/changes.py`)."""

from pathlib import Path

from gmner import checkpoint
from gmner.models.blind.codec import BlindCodec
from gmner.models.blind.config import BlindConfig
from gmner.models.blind.model import Blind
from gmner.nn.changes import apply, changes, expected
from gmner.nn.encoders import load_encoder, load_tokenizer


def save(folder: Path, model: Blind) -> None:
    """Write a trained blind reader into `folder`."""
    checkpoint.save(folder, model.config, changes(model, load_encoder(model.config.encoder)))


def load(folder: Path) -> tuple[Blind, BlindCodec]:
    """A blind reader in evaluation mode and its codec.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
    """
    config, tensors = checkpoint.load(folder, BlindConfig)
    model = Blind(config, load_encoder(config.encoder))
    checkpoint.compare_names(tensors, expected(model, tensors), str(folder))
    apply(model, tensors, str(folder))
    return model.eval(), BlindCodec(config, load_tokenizer(config.encoder))
