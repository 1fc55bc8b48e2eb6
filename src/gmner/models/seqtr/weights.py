"""SeqTR on disk: folders of ours, published files, and DarkNet's own binary files (specs/seqtr.md, sections 2, 10)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import SeqTRConfig
from gmner.models.seqtr.darknet import DarkNet, Unit
from gmner.models.seqtr.model import SeqTR
from gmner.models.seqtr.text import Vocabulary
from gmner.nn.unfilled import unfilled

WORDS_FILE: Final = "words.txt"
"""The vocabulary in a model's folder, a word a line."""

WORDS: Final = "lan_enc.embedding.weight"
POSITIONS: Final = "head.transformer.seq_positional_encoding.embedding.weight"
TASKS: Final = "head.task_embedding.weight"
"""Published names of the tables whose sizes or presence vary with vocabulary and mode."""

MODULES: Final = {
    "language.words": "lan_enc.embedding",
    "language.gru": "lan_enc.lstm",
    "fusion.to_middle": "fusion.down_bot2mid.1",
    "fusion.to_coarse": "fusion.down_mid2top.1",
    "fusion.project.0": "fusion.top_project.0",
    "fusion.project.1": "fusion.top_project.1",
    "input": "head.transformer.input_proj.conv",
    "input_norm": "head.transformer.input_proj.gn",
    "decoder_norm": "head.transformer.decoder.norm",
    "tokens": "head.transformer.query_embedding",
    "positions": "head.transformer.seq_positional_encoding.embedding",
    "tasks": "head.task_embedding",
    "predictor.0": "head.predictor.0.fc",
    "predictor.1": "head.predictor.1.fc",
    "predictor.2": "head.predictor.2.fc",
}
ENCODER: Final = {
    "attention": "self_attn",
    "norm": "norm1",
    "feed_forward.inner": "linear1",
    "feed_forward.outer": "linear2",
    "feed_forward.norm": "norm2",
}
DECODER: Final = {
    "self_attention": "self_attn",
    "self_norm": "norm1",
    "cross_attention": "multihead_attn",
    "cross_norm": "norm2",
    "feed_forward.inner": "linear1",
    "feed_forward.outer": "linear2",
    "feed_forward.norm": "norm3",
}
LAYERS: Final = {"encoder": ENCODER, "decoder": DECODER}
UNIT: Final = {"conv": "conv", "norm": "bn"}
PACKED: Final = ("query", "key", "value")
"""Projections that a published file holds as one tensor, one above the other."""


def published_name(name: str) -> str:
    """The published name of a tensor of ours; those of query, key and value share one.

    >>> published_name("decoder.0.cross_attention.key.bias")
    'head.transformer.decoder.layers.0.multihead_attn.in_proj_bias'
    >>> published_name("darknet.4.1.0.norm.weight")
    'vis_enc.darknet.4.module_list.1.0.bn.weight'
    """
    module, _, tensor = name.rpartition(".")
    if found := re.fullmatch(r"darknet\.(\d+)\.(?:(\d+\.\d+)\.)?(conv|norm)", module):
        index, pair, part = found.groups()
        return f"vis_enc.darknet.{index}.{f'module_list.{pair}.' if pair else ''}{UNIT[part]}.{tensor}"
    if found := re.fullmatch(r"(encoder|decoder)\.(\d+)\.(\w*attention)\.(\w+)", module):
        stack, index, attention, part = found.groups()
        place = f"head.transformer.{stack}.layers.{index}.{LAYERS[stack][attention]}"
        return f"{place}.in_proj_{tensor}" if part in PACKED else f"{place}.out_proj.{tensor}"
    if found := re.fullmatch(r"(encoder|decoder)\.(\d+)\.(.+)", module):
        stack, index, part = found.groups()
        return f"head.transformer.{stack}.layers.{index}.{LAYERS[stack][part]}.{tensor}"
    if found := re.fullmatch(r"(fusion\..+)\.(conv|norm)", module):
        return f"{MODULES[found[1]]}.{UNIT[found[2]]}.{tensor}"
    return f"{MODULES[module]}.{tensor}"


def from_published(published: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Published tensors under our names; `names` are those of `SeqTR.state_dict()`.

    Raises:
        CheckpointError: a tensor is missing, or one has a name that is not expected.
    """
    theirs = {name: published_name(name) for name in names}
    checkpoint.compare_names(published, theirs.values(), "the published SeqTR")
    return {name: _part(name, published[their]) for name, their in theirs.items()}


def read_published(file: Path) -> dict[str, Tensor]:
    """The tensors of a published file, under their published names.

    A training file holds the weights under `state_dict` and, if it kept a running average, that under
    `ema_state_dict`; the average is taken then, as its score chose the file. Names may begin with `module.`.

    Raises:
        CheckpointError: the file is missing, damaged, or holds other things.
    """
    loaded: Mapping[str, object] = checkpoint.read_tensors(file)
    for key in ("ema_state_dict", "state_dict"):
        inner = loaded.get(key)
        if isinstance(inner, Mapping):
            loaded = inner
            break
    tensors = {name.removeprefix("module."): value for name, value in loaded.items() if isinstance(value, Tensor)}
    if len(tensors) < len(loaded) or not tensors:
        others = [name for name, value in loaded.items() if not isinstance(value, Tensor)]
        raise CheckpointError(
            f"{file} holds {', '.join(map(repr, others[:5])) or 'nothing'}",
            allowed="a published SeqTR is a file of tensors, or one that holds them under 'state_dict'",
            todo="choose the file that the original's training wrote",
        )
    return tensors


def load_published(config: SeqTRConfig, file: Path, vocabulary: Vocabulary) -> tuple[SeqTR, SeqTRCodec]:
    """A published model in evaluation mode and its codec. The file holds word vectors, but not which words they are
    of: `vocabulary` is built from the texts that the model was trained with (`Vocabulary.build`).

    Raises:
        CheckpointError: the file is missing, damaged, or of another model, size or vocabulary.
    """
    with unfilled():
        model = SeqTR(config, len(vocabulary.words))
    checkpoint.fill(model, from_published(read_published(file), model.state_dict()), str(file), assign=True)
    return model.eval(), SeqTRCodec(config, vocabulary)


def start_from(model: SeqTR, file: Path) -> None:
    """Fill a new model from a published file, to tune it: all but the word vectors, which are another vocabulary's,
    and the positions and starts of tasks, where the file's mode has others.

    Raises:
        CheckpointError: the file is missing, damaged, or of another model or size.
    """
    theirs = read_published(file)
    own = to_published(model.state_dict())
    kept = {name for name in (POSITIONS, TASKS) if name in own and name in theirs}
    kept = {name for name in kept if theirs[name].shape == own[name].shape}
    for name in {WORDS, POSITIONS, TASKS} - kept:
        theirs.pop(name, None)
        if name in own:
            theirs[name] = own[name]
    checkpoint.fill(model, from_published(theirs, model.state_dict()), str(file))


def read_darknet(darknet: DarkNet, file: Path) -> int:
    """Fill DarkNet from one of its own files (darknet.weights, yolov3.weights); how many units were filled.

    A file may end behind any unit; the others keep what they have, their norms doing nothing. (Released code gives
    these a running variance of 0, by which evaluation divides.) What stands behind the last unit is another network's.

    Raises:
        CheckpointError: the file is missing, shorter than one unit, or ends within one.
    """
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}", allowed="weights are a file", todo="check the path")
    content = np.fromfile(file, dtype=np.float32)
    place, filled = _HEADER, 0
    with torch.no_grad():
        for unit in (module for module in darknet.modules() if isinstance(module, Unit)):
            if place == len(content):
                break
            for tensor in _in_darknet_order(unit):
                values = content[place : place + tensor.numel()]
                if len(values) < tensor.numel():
                    raise CheckpointError(
                        f"{file} ends within unit {filled}",
                        allowed="a file of DarkNet's weights ends behind a unit",
                        todo="download the file again, or set the channels and repeats of its network",
                    )
                tensor.copy_(torch.from_numpy(values.copy()).view_as(tensor))
                place += len(values)
            filled += 1
    if not filled:
        raise CheckpointError(f"{file} is empty", allowed="it holds a unit at least", todo="download it again")
    return filled


_HEADER: Final = 5
"""Numbers of four bytes before the first unit: version, and how many pictures were seen."""


def _in_darknet_order(unit: Unit) -> list[Tensor]:
    norm = unit.norm
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        raise ValueError("the batch norms are folded already")
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, unit.conv.weight]


def save(folder: Path, model: SeqTR, vocabulary: Vocabulary) -> None:
    """Write a model and its vocabulary into `folder`."""
    checkpoint.save(folder, model.config, model.state_dict())
    (folder / WORDS_FILE).write_text("\n".join(vocabulary.words), encoding="utf-8", newline="\n")


def load(folder: Path, settings: SeqTRConfig | None = None) -> tuple[SeqTR, SeqTRCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote; `settings` replace its own.

    Raises:
        CheckpointError: the folder is missing or damaged, or its files don't fit each other.
    """
    config, tensors = checkpoint.load(folder, SeqTRConfig)
    config = config if settings is None else settings
    try:
        vocabulary = Vocabulary(tuple((folder / WORDS_FILE).read_text(encoding="utf-8").split("\n")))
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{folder / WORDS_FILE} can not be read ({error})",
            allowed="a model's folder holds its vocabulary, a word a line",
            todo="copy the folder again",
        ) from None
    with unfilled():
        model = SeqTR(config, len(vocabulary.words))
    checkpoint.fill(model, tensors, str(folder), assign=True)
    return model.eval(), SeqTRCodec(config, vocabulary)


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published`."""
    published: dict[str, list[Tensor]] = {}
    for name, tensor in tensors.items():  # query, key and value stand in this order in a state dict
        published.setdefault(published_name(name), []).append(tensor)
    return {name: parts[0] if len(parts) == 1 else torch.cat(parts) for name, parts in published.items()}


def _part(name: str, tensor: Tensor) -> Tensor:
    """The third of a packed tensor that is meant."""
    projection = name.split(".")[-2]
    return tensor.chunk(3)[PACKED.index(projection)] if projection in PACKED else tensor
