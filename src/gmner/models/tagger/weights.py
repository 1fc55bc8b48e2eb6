"""A tagger on disk: what training changed, on top of the encoder that a package carries (`nn/changes.py`)."""

from pathlib import Path

from gmner.models.tagger.codec import TaggerCodec
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn import changes


def save(folder: Path, model: Tagger) -> None:
    """Write a trained tagger into `folder`."""
    changes.save(folder, model, model.config)


def load(folder: Path) -> tuple[Tagger, TaggerCodec]:
    """A tagger in evaluation mode and its codec; it raises as `changes.load` does."""
    return changes.load(folder, TaggerConfig, Tagger, TaggerCodec)
