"""A model on disk as what training changed, on top of the encoder that a package carries.

The packaged encoder is not stored again. Of each of its tensors that training changed the difference is kept, in 8-bit
integers with one scale a row; everything of our own is kept as it is.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.nn.encoders import load_encoder, load_tokenizer

ENCODER: Final = "encoder."
DELTA: Final = ".delta"
SCALE: Final = ".scale"


class Config(Protocol):
    """Settings of a model on an encoder."""

    @property
    def encoder(self) -> str:
        """The name that the encoder goes by (`nn/encoders.py`)."""


C = TypeVar("C", bound=Config)
M = TypeVar("M", bound=nn.Module)
D = TypeVar("D")


def save(folder: Path, model: nn.Module, config: Config) -> None:
    """Write what training changed of a model on `config.encoder` into `folder`."""
    before = load_encoder(config.encoder).state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith(ENCODER):
            tensors[name] = tensor
            continue
        difference = tensor.float() - before[name.removeprefix(ENCODER)].float()
        if difference.any():
            tensors[name + DELTA], tensors[name + SCALE] = quantise(difference)
    checkpoint.save(folder, config, tensors)


def load(folder: Path, config: type[C], model: Callable[[C, Any], M], codec: Callable[[C, Any], D]) -> tuple[M, D]:
    """A model in evaluation mode and its codec, made of the settings with the encoder, and with its tokenizer.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
    """
    settings, tensors = checkpoint.load(folder, config)
    network = model(settings, load_encoder(settings.encoder))
    _apply(network, tensors, str(folder))
    return network.eval(), codec(settings, load_tokenizer(settings.encoder))


def _apply(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Bring a `model` on the encoder as it was before training to what was saved."""
    state = model.state_dict()
    changed = {name.removesuffix(DELTA) for name in tensors if name.endswith(DELTA)} & state.keys()
    own = [name for name in state if not name.startswith(ENCODER)]
    checkpoint.compare_names(tensors, [*own, *(name + suffix for name in changed for suffix in (DELTA, SCALE))], where)
    shaped = {name.removesuffix(DELTA): tensor.shape for name, tensor in tensors.items() if not name.endswith(SCALE)}
    if wrong := sorted(name for name, shape in shaped.items() if shape != state[name].shape):
        raise CheckpointError(
            f"{where} holds {', '.join(wrong[:5])} in other shapes than the model it describes",
            allowed="weights fit the settings and the encoder in config.toml",
            todo="give the encoder that the model was trained on",
        )
    for name in shaped:  # added where they belong: a second copy of the encoder would take as long as reading it
        if name + DELTA in tensors:
            state[name].add_(dequantise(tensors[name + DELTA], tensors[name + SCALE]))
        else:
            state[name].copy_(tensors[name])


def quantise(values: Float[Tensor, "rows ..."]) -> tuple[Int8[Tensor, "rows ..."], Float[Tensor, " rows"]]:
    """`values` as 8-bit integers and a scale for each row, off by at most half a scale."""
    flat = values.reshape(len(values), -1)
    scale = flat.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return (flat / scale[:, None]).round().to(torch.int8).view(values.shape), scale


def dequantise(codes: Int8[Tensor, "rows ..."], scale: Float[Tensor, " rows"]) -> Float[Tensor, "rows ..."]:
    """The inverse of `quantise`, up to its rounding."""
    return (codes.reshape(len(codes), -1) * scale[:, None]).view(codes.shape)
