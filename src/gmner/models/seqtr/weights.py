"""SeqTR on disk: folders of ours, published files, and DarkNet's own binary files (specs/seqtr.md, sections 2, 10)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor

from gmner import checkpoint

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
    "into": "head.transformer.input_proj.conv",
    "into_norm": "head.transformer.input_proj.gn",
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
