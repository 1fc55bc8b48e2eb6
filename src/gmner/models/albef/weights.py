"""ALBEF on disk: folders of ours, and published files (specs/albef.md, section 9).

A published file is a dictionary with the weights under `model`. One that was fine-tuned for visual entailment holds
the student and its momentum copy; a pre-trained one names the text's side otherwise and has heads that are not used.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.albef.codec import ALBEFCodec
from gmner.models.albef.config import ALBEFConfig
from gmner.models.albef.model import ALBEF
from gmner.nn.encoders import load_tokenizer
from gmner.nn.unfilled import unfilled
from gmner.nn.vit import resize_positions

MODULES: Final = {"vision": "visual_encoder", "text": "text_encoder", "classifier": "cls_head"}
VISION: Final = {
    "class_token": "cls_token",
    "positions": "pos_embed",
    "patches": "patch_embed.proj",
    "norm": "norm",
}
VISION_BLOCK: Final = {
    "attention_norm": "norm1",
    "attention.query": "attn.qkv",
    "attention.key": "attn.qkv",
    "attention.value": "attn.qkv",
    "attention.out": "attn.proj",
    "inner_norm": "norm2",
    "inner": "mlp.fc1",
    "outer": "mlp.fc2",
}
PARTS: Final = ("query", "key", "value")
"""In this order the published vision transformer keeps them in one tensor."""

TEXT: Final = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
TEXT_LAYER: Final = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "fusion.query": "crossattention.self.query",
    "fusion.key": "crossattention.self.key",
    "fusion.value": "crossattention.self.value",
    "fusion.out": "crossattention.output.dense",
    "fusion_norm": "crossattention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}
POSITION_IDS: Final = "embeddings.position_ids"
"""The numbers 0, 1, 2 ... that old files keep: read by nothing, written for those who expect them."""

MOMENTUM: Final = "_m"
"""What the names of the momentum copy's modules end in."""

PRETRAINING: Final = re.compile(
    r"text_encoder(_m)?\.cls\.|(vision_proj|text_proj|itm_head)(_m)?\.|temp$|\w+_queue$|queue_ptr$"
)
"""Tensors of the pre-training objectives, which visual entailment does without."""


def published_name(name: str) -> str:
    """The published name of a tensor of ours; three of ours may share one.

    >>> published_name("text.layers.6.fusion.key.bias")
    'text_encoder.encoder.layer.6.crossattention.self.key.bias'
    >>> published_name("vision.blocks.0.attention.key.weight")
    'visual_encoder.blocks.0.attn.qkv.weight'
    """
    module, _, rest = name.partition(".")
    if module == "classifier":
        inner = rest
    elif found := re.fullmatch(r"blocks\.(\d+)\.(.+)\.(\w+)", rest):
        inner = f"blocks.{found[1]}.{VISION_BLOCK[found[2]]}.{found[3]}"
    elif found := re.fullmatch(r"layers\.(\d+)\.(.+)\.(\w+)", rest):
        inner = f"encoder.layer.{found[1]}.{TEXT_LAYER[found[2]]}.{found[3]}"
    else:
        part, dot, tensor = rest.partition(".")
        inner = (VISION if module == "vision" else TEXT)[part] + dot + tensor
    return f"{MODULES[module]}.{inner}"


def from_published(published: Mapping[str, Tensor], like: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Published tensors under our names; `like` is the state of the `ALBEF` that they are for.

    Raises:
        CheckpointError: a tensor is missing, has a name that is not expected, or a shape that the model has not.
    """
    theirs = {name: tensor for name, tensor in published.items() if not name.endswith(POSITION_IDS)}
    checkpoint.compare_names(theirs, {published_name(name) for name in like}, what)
    ours = {}
    for name in like:
        tensor, part = theirs[published_name(name)], _part(name)
        ours[name] = tensor if part is None else tensor.chunk(len(PARTS))[part]
    checkpoint.compare_shapes(ours, like, what)
    return ours


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published`, with the numbers of the positions that published files hold."""
    published: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        theirs = published_name(name)
        if _part(name) is None:
            published[theirs] = tensor
        elif theirs not in published:  # the first of three
            head, kind = name.rsplit(".", 2)[::2]
            published[theirs] = torch.cat([tensors[f"{head}.{part}.{kind}"] for part in PARTS])
    positions = len(tensors["text.positions.weight"])
    return {**published, f"{MODULES['text']}.{POSITION_IDS}": torch.arange(positions)[None]}


def split_momentum(published: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The model of a published file, and its momentum copy under the same names."""
    student, teacher = {}, {}
    for name, tensor in published.items():
        module, dot, rest = name.partition(".")
        if module.endswith(MOMENTUM):
            teacher[module.removesuffix(MOMENTUM) + dot + rest] = tensor
        else:
            student[name] = tensor
    return student, teacher


def join_momentum(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `split_momentum`."""
    copies = {}
    for name, tensor in teacher.items():
        module, dot, rest = name.partition(".")
        copies[module + MOMENTUM + dot + rest] = tensor
    return {**student, **copies}


def load_published(config: ALBEFConfig, path: Path) -> tuple[ALBEF, ALBEFCodec]:
    """A model that was fine-tuned for visual entailment, in evaluation mode, and its codec, from a published file.

    Its momentum copy is left aside. Positions for pictures of another size are resized.

    Raises:
        CheckpointError: the file is missing, damaged, pre-trained only, or of another model.
    """
    published = _read(path, config)
    if _is_pretrained(published):
        raise CheckpointError(
            f"{path} is a pre-trained ALBEF",
            allowed="one that was fine-tuned for visual entailment has a classifier, and this has none",
            todo="give such a file, or train from this one (the setting `start` of a recipe)",
        )
    student, _ = split_momentum(published)
    with unfilled():
        model = ALBEF(config)
    checkpoint.fill(model, from_published(student, model.state_dict(), str(path)), str(path), assign=True)
    return model.eval(), ALBEFCodec(config, load_tokenizer(config.tokenizer))


def start_from(path: Path, student: ALBEF, teacher: ALBEF | None = None) -> None:
    """Fill a model that is to be fine-tuned, and its momentum copy, from a published file or a folder of ours.

    A pre-trained file has no classifier: both keep the one that they have. Without a momentum copy in the file the
    teacher begins as the student. Positions are resized to the pictures of `student`.

    Raises:
        CheckpointError: it is missing, damaged, or of another model.
    """
    if path.is_dir():
        _, tensors = checkpoint.load(path, ALBEFConfig)
        tensors = _for_pictures(tensors, student.config, path)
        for model in (student, teacher) if teacher is not None else (student,):
            checkpoint.fill(model, tensors, str(path))
        return
    published = _read(path, student.config)
    pretrained = _is_pretrained(published)
    if pretrained:
        published = {name.replace("bert.", ""): t for name, t in published.items() if not PRETRAINING.match(name)}
    theirs, momentum = split_momentum(published)
    like = {name: t for name, t in student.state_dict().items() if not (pretrained and "classifier." in name)}
    student.load_state_dict(from_published(theirs, like, str(path)), strict=not pretrained)
    if teacher is not None:
        teacher.load_state_dict(student.state_dict())
        if momentum:
            tensors = from_published(momentum, like, f"{path} (the momentum copy)")
            teacher.load_state_dict(tensors, strict=not pretrained)


def save(folder: Path, model: ALBEF) -> None:
    """Write a model into `folder`."""
    checkpoint.save(folder, model.config, model.state_dict())


def load(folder: Path) -> tuple[ALBEF, ALBEFCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
    """
    config, tensors = checkpoint.load(folder, ALBEFConfig)
    with unfilled():
        model = ALBEF(config)
    checkpoint.fill(model, tensors, str(folder), assign=True)
    return model.eval(), ALBEFCodec(config, load_tokenizer(config.tokenizer))


def _read(path: Path, config: ALBEFConfig) -> dict[str, Tensor]:
    """The tensors of a published file, with positions for the pictures of `config`."""
    contents = checkpoint.read_tensors(path)
    tensors = contents.get("model", contents)
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError(
            f"{path} holds {', '.join(sorted(map(str, contents))[:5])}",
            allowed="a published ALBEF has named tensors under `model`",
            todo="give the file that its authors published, or one of the same form",
        )
    return _for_pictures(tensors, config, path)


def _for_pictures(tensors: Mapping[str, Tensor], config: ALBEFConfig, path: Path) -> dict[str, Tensor]:
    """Tensors with positions for the pictures of `config`."""
    rows = 1 + (config.vision.resolution // config.vision.patch) ** 2
    return {
        name: _resized(tensor, rows, path) if name.endswith((".pos_embed", "vision.positions")) else tensor
        for name, tensor in tensors.items()
    }


def _is_pretrained(published: Mapping[str, Tensor]) -> bool:
    return any(".bert." in name for name in published)


def _resized(table: Tensor, rows: int, path: Path) -> Tensor:
    try:
        return resize_positions(table, rows)
    except (ValueError, RuntimeError, IndexError) as error:
        raise CheckpointError(
            f"{path} has positions of shape {tuple(table.shape)} ({error})",
            allowed="positions have the shape (1, 1 + a square, width)",
            todo="give the file that its authors published",
        ) from None


def _part(name: str) -> int | None:
    """Which third of a published tensor a tensor of ours is, if it is one."""
    found = re.search(r"vision\.blocks\.\d+\.attention\.(query|key|value)\.", name)
    return PARTS.index(found[1]) if found else None
