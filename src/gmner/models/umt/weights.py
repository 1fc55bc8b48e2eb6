"""UMT on disk: folders of ours, and the two files of a published model (specs/umt.md, "Parameter names").

The published network and its ResNet are two files, `pytorch_model.bin` and `pytorch_encoder.bin`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from gmner import checkpoint
from gmner.image import Picture
from gmner.models.umt.codec import UMTCodec
from gmner.models.umt.config import UMTConfig
from gmner.models.umt.model import UMT
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.nn.resnet import torchvision_name

VISION: Final = "vision."
PUBLISHED_VISION: Final = "resnet."
UNUSED_VISION: Final = ("resnet.fc.weight", "resnet.fc.bias")
"""The ResNet's own classifier: published files may hold it, nothing reads it."""

MODULES: Final = {
    "encoder": "bert",
    "span_attention": "self_attention.layer",
    "main_attention": "self_attention_v2.layer",
    "image_keys": "vismap2text",
    "image_queries": "vismap2text_v2",
    "text_to_image": "txt2img_attention.layer",
    "image_to_text": "img2txt_attention.layer",
    "text_to_text": "txt2txt_attention.layer",
    "gate": "gate",
    "classifier": "classifier",
    "span_classifier": "aux_classifier",
    "crf": "crf",
    "span_crf": "aux_crf",
}
BLOCK: Final = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}
STACKS: Final = ("span_attention", "main_attention", "text_to_image", "image_to_text", "text_to_text")


def published_name(name: str) -> str:
    """The published name of a tensor of ours; those of the ResNet carry the prefix of their own file.

    >>> published_name("text_to_image.0.attention.out.bias")
    'txt2img_attention.layer.0.attention.output.dense.bias'
    """
    if name.startswith(VISION):
        return PUBLISHED_VISION + torchvision_name(name.removeprefix(VISION))
    module, _, rest = name.partition(".")
    if module in STACKS:
        index, _, rest = rest.partition(".")
        part, _, tensor = rest.rpartition(".")
        rest = f"{index}.{BLOCK[part]}.{tensor}"
    return f"{MODULES[module]}.{rest}"


def from_published(network: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Published tensors under our names; `names` are those of `UMT.state_dict()`, the ResNet's left aside.

    Raises:
        CheckpointError: a tensor is missing, or one has a name that is not expected.
    """
    return _renamed(network, [name for name in names if not name.startswith(VISION)], "the published UMT")


def vision_from_published(vision: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors of the published ResNet's file under our names, without its unused classifier.

    Raises:
        CheckpointError: a tensor is missing, or one has a name that is not expected.
    """
    used = {name: tensor for name, tensor in vision.items() if name not in UNUSED_VISION}
    return _renamed(used, [name for name in names if name.startswith(VISION)], "the ResNet of the published UMT")


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published` and `vision_from_published`."""
    return {published_name(name): tensor for name, tensor in tensors.items()}


def load_published(
    config: UMTConfig, network: Path, vision: Path, stand_in: Picture | None = None
) -> tuple[UMT, UMTCodec]:
    """A published model in evaluation mode and its codec, from its two files.

    Raises:
        CheckpointError: a file is missing, damaged or of another model, or an encoder is not there to be filled.
    """
    model = _network(config)
    names = list(model.state_dict())
    theirs = from_published(checkpoint.read_tensors(network), names)
    theirs |= vision_from_published(checkpoint.read_tensors(vision), names)
    return _filled(model, theirs, "the published UMT", stand_in)


def save(folder: Path, model: UMT) -> None:
    """Write a model into `folder`, its text encoder and ResNet included."""
    checkpoint.save(folder, model.config, model.state_dict())


def load(folder: Path, stand_in: Picture | None = None) -> tuple[UMT, UMTCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, holds other tensors than the model it describes, or an
            encoder that it names is not there.
    """
    config, tensors = checkpoint.load(folder, UMTConfig)
    return _filled(_network(config), tensors, str(folder), stand_in)


def _network(config: UMTConfig) -> UMT:
    return UMT(config, load_encoder(config.encoder), load_encoder(config.vision))


def _filled(model: UMT, tensors: Mapping[str, Tensor], what: str, stand_in: Picture | None) -> tuple[UMT, UMTCodec]:
    checkpoint.fill(model, tensors, what)
    return model.eval(), UMTCodec(model.config, load_tokenizer(model.config.encoder), stand_in)


def _renamed(published: Mapping[str, Tensor], names: Iterable[str], what: str) -> dict[str, Tensor]:
    theirs = {published_name(name): name for name in names}
    checkpoint.compare_names(published, theirs, what)
    return {theirs[name]: tensor for name, tensor in published.items()}
