"""A tagger on disk: what training changed, on top of the encoder that a package carries (`nn/changes.py`)."""

from pathlib import Path

from gmner import checkpoint
from gmner.models.tagger.codec import TaggerCodec
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn.changes import apply, changes, expected
from gmner.nn.encoders import load_encoder, load_tokenizer


def save(folder: Path, model: Tagger) -> None:
    """Write a trained tagger into `folder`."""
    checkpoint.save(folder, model.config, changes(model, load_encoder(model.config.encoder)))


def load(folder: Path) -> tuple[Tagger, TaggerCodec]:
    """A tagger in evaluation mode and its codec.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the tagger it describes.
    """
    config, tensors = checkpoint.load(folder, TaggerConfig)
    model = Tagger(config, load_encoder(config.encoder))
    checkpoint.compare_names(tensors, expected(model, tensors), str(folder))
    apply(model, tensors, str(folder))
    return model.eval(), TaggerCodec(config, load_tokenizer(config.encoder))
