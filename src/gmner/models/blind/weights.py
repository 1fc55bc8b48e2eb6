"""A blind reader on disk: what training changed, on top of the encoder that a package carries (`nn/changes.py`)."""

from pathlib import Path

from gmner.models.blind.codec import BlindCodec
from gmner.models.blind.config import BlindConfig
from gmner.models.blind.model import Blind
from gmner.nn import changes


def save(folder: Path, model: Blind) -> None:
    """Write a trained blind reader into `folder`."""
    changes.save(folder, model, model.config)


def load(folder: Path) -> tuple[Blind, BlindCodec]:
    """A blind reader in evaluation mode and its codec; it raises as `changes.load` does."""
    return changes.load(folder, BlindConfig, Blind, BlindCodec)
