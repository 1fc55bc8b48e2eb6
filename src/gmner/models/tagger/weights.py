"""A tagger on disk: what training changed, on top of the encoder that a package carries.

The packaged encoder is not stored again. Of each of its tensors that training changed the difference is kept, in 8-bit
integers with one scale a row; everything of our own (classifier, CRF, embeddings, head) is kept in fp32.
"""

from pathlib import Path

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.tagger.codec import TaggerCodec
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer

ENCODER = "encoder."
DELTA, SCALE = ".delta", ".scale"


def save(folder: Path, model: Tagger) -> None:
    """Write a trained tagger into `folder`."""
    before = load_encoder(model.config.encoder).state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith(ENCODER):
            tensors[name] = tensor
            continue
        difference = tensor.float() - before[name.removeprefix(ENCODER)].float()
        if difference.any():
            tensors[name + DELTA], tensors[name + SCALE] = quantise(difference)
    checkpoint.save(folder, model.config, tensors)


def load(folder: Path) -> tuple[Tagger, TaggerCodec]:
    """A tagger in evaluation mode and its codec.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the tagger it describes.
    """
    config, tensors = checkpoint.load(folder, TaggerConfig)
    model = Tagger(config, load_encoder(config.encoder))
    state = model.state_dict()
    changed = {name.removesuffix(DELTA) for name in tensors if name.endswith(DELTA)}
    expected = [name for name in state if not name.startswith(ENCODER)]
    expected += [name + suffix for name in changed & state.keys() for suffix in (DELTA, SCALE)]
    checkpoint.compare_names(tensors, expected, str(folder))
    shaped = {name.removesuffix(DELTA): tensor.shape for name, tensor in tensors.items() if not name.endswith(SCALE)}
    if wrong := sorted(name for name, shape in shaped.items() if shape != state[name].shape):
        raise CheckpointError(
            f"{folder} holds {', '.join(wrong[:5])} in other shapes than the tagger it describes",
            allowed="weights fit the settings and the encoder in config.toml",
            todo="give the encoder that the tagger was trained on",
        )
    for name in changed:  # added where they belong: a second copy of the encoder would take as long as reading it
        state[name].add_(dequantise(tensors.pop(name + DELTA), tensors.pop(name + SCALE)))
    model.load_state_dict(tensors, strict=False)
    return model.eval(), TaggerCodec(config, load_tokenizer(config.encoder))


def quantise(values: Float[Tensor, "rows ..."]) -> tuple[Int8[Tensor, "rows ..."], Float[Tensor, " rows"]]:
    """`values` as 8-bit integers and a scale for each row, off by at most half a scale."""
    flat = values.reshape(len(values), -1)
    scale = flat.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return (flat / scale[:, None]).round().to(torch.int8).view(values.shape), scale


def dequantise(codes: Int8[Tensor, "rows ..."], scale: Float[Tensor, " rows"]) -> Float[Tensor, "rows ..."]:
    """The inverse of `quantise`, up to its rounding."""
    return (codes.reshape(len(codes), -1) * scale[:, None]).view(codes.shape)
