"""OFA on disk: folders of ours, fairseq's checkpoints, and folders of the fork of transformers (ofa.md, section 12)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.ofa.codec import OFACodec
from gmner.models.ofa.config import OFAConfig
from gmner.models.ofa.model import OFA
from gmner.models.ofa.positions import image_buckets, patch_ids, token_buckets
from gmner.models.ofa.vocabulary import Vocabulary, read_vocabulary
from gmner.nn.unfilled import unfilled

SHARED: Final = "encoder.embed_tokens.weight"
"""The embedding of tokens, which published files hold under three names."""

TIED: Final = ("decoder.embed_tokens.weight", "decoder.output_projection.weight")

ATTENTION: Final = {
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "out": "out_proj",
    "head_scale": "c_attn",
}
LAYER: Final = {
    "attention_norm": "self_attn_layer_norm",
    "cross_norm": "encoder_attn_layer_norm",
    "crossed.norm": "cross_attn_ln",
    "feed_norm": "final_layer_norm",
    "feed.inner": "fc1",
    "feed.norm": "ffn_layernorm",
    "feed.outer": "fc2",
    "fed.residual_scale": "w_resid",
    **{f"attention.{ours}": f"self_attn.{theirs}" for ours, theirs in ATTENTION.items()},
    **{f"cross.{ours}": f"encoder_attn.{theirs}" for ours, theirs in ATTENTION.items()},
}
SIDE: Final = {
    "image_projection": "image_proj",
    "types": "type_embedding",
    "token_norm": "layernorm_embedding",
    "patch_norm": "patch_layernorm_embedding",
    "positions": "embed_positions",
    "image_positions": "embed_image_positions",
    "position_norm": "pos_ln",
    "image_position_norm": "image_pos_ln",
    "cross_position_queries": "cross_pos_q_linear",
    "cross_position_keys": "cross_pos_k_linear",
    "norm": "layer_norm",
    "image_code.positions": "embed_image_positions",
    "image_code.position_norm": "image_pos_ln",
    "image_code.norm": "code_layernorm_embedding",
}
SELF_POSITIONS: Final = {
    "encoder": {"position_queries": "pos_q_linear", "position_keys": "pos_k_linear"},
    "decoder": {"position_queries": "self_pos_q_linear", "position_keys": "self_pos_k_linear"},
}
ATTENDED: Final = {"encoder": "attn_ln", "decoder": "self_attn_ln"}
TABLES: Final = {
    "token_tables": "token_rel_pos_table_list",
    "image_tables": "image_rel_pos_table_list",
    "image_code.tables": "image_rel_pos_table_list",
}

FORK: Final = {
    "attn_ln": "self_attn_mid_layer_norm",
    "self_attn_ln": "self_attn_mid_layer_norm",
    "cross_attn_ln": "cross_attn_mid_layer_norm",
    "encoder_attn": "cross_attn",
    "encoder_attn_layer_norm": "cross_attn_layer_norm",
    "ffn_layernorm": "ffn_layer_norm",
}
"""What the fork of transformers calls the parts of a layer, by their published names."""


def published_name(name: str) -> str:
    """The published name of a tensor of ours.

    >>> published_name("decoder.layers.0.attended.norm.bias")
    'decoder.layers.0.self_attn_ln.bias'
    """
    if name == "tokens.weight":
        return SHARED
    side, _, rest = name.partition(".")
    if rest.startswith("trunk."):
        return f"{side}.embed_images.{rest.removeprefix('trunk.')}"
    if found := re.fullmatch(r"layers\.(\d+)\.(.+?)(\.weight|\.bias|)", rest):
        number, part, tensor = found.groups()
        return f"{side}.layers.{number}.{ATTENDED[side] if part == 'attended.norm' else LAYER[part]}{tensor}"
    if found := re.fullmatch(r"(\w+tables|image_code\.tables)\.(\d+\.weight)", rest):
        return f"{side}.{TABLES[found[1]]}.{found[2]}"
    part, _, tensor = rest.rpartition(".")
    return f"{side}.{(SIDE | SELF_POSITIONS[side])[part]}.{tensor}"


def fork_name(name: str) -> str:
    """The name of a tensor in the fork of transformers, by its published name.

    >>> fork_name("decoder.layers.0.encoder_attn.c_attn")
    'decoder.layers.0.cross_attn.c_attn'
    """
    return ".".join(FORK.get(part, part) for part in name.split("."))


def derived(config: OFAConfig) -> dict[str, Tensor]:
    """The tensors of a published file that follow from the settings: bucket tables and the positions of image codes."""
    every = torch.arange(config.image_buckets**2 + 1)
    window = patch_ids(config.code_positions, config.code_positions, config.image_buckets)
    rest = torch.full((769,), 1024)
    buffers = {"decoder.image_position_idx": torch.cat([torch.zeros(1, dtype=torch.long), window, rest])}
    for side in ("encoder", "decoder"):
        buffers[f"{side}.token_rp_bucket"] = token_buckets(config.token_buckets)
        buffers[f"{side}.image_rp_bucket"] = image_buckets(every, config.image_buckets)
    return buffers


def from_published(tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Published tensors, fairseq's names or the fork's, under ours; `names` are those of `OFA.state_dict()`.

    What follows from the settings (bucket tables, `version`) is left aside, and made anew.

    Raises:
        CheckpointError: a tensor is missing, one has a name that is not expected, or the output's embedding is not the
            input's.
    """
    tensors = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    theirs = {published_name(name): name for name in names}
    if any(part in FORK.values() for name in tensors for part in name.split(".")):
        theirs = {fork_name(name): ours for name, ours in theirs.items()}
    for name in TIED:
        if name in tensors and SHARED in tensors and not torch.equal(tensors[name], tensors[SHARED]):
            raise CheckpointError(
                f"the checkpoint of the published OFA holds a {name} of its own",
                allowed=f"it is the same as {SHARED}",
                todo="take a checkpoint with shared embeddings",
            )
    buffers = re.compile(r"(en|de)coder\.(version|token_rp_bucket|image_rp_bucket|image_position_idx)")
    held = {name: tensor for name, tensor in tensors.items() if name not in TIED and not buffers.fullmatch(name)}
    checkpoint.compare_names(held, theirs, "the published OFA")
    return {theirs[name]: tensor for name, tensor in held.items()}


def to_published(tensors: Mapping[str, Tensor], config: OFAConfig) -> dict[str, Tensor]:
    """The inverse of `from_published`, with fairseq's names: all that a published file holds but `version`."""
    named = {published_name(name): tensor for name, tensor in tensors.items()}
    return named | dict.fromkeys(TIED, named[SHARED]) | derived(config)


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a published checkpoint: fairseq's `.pt`, or the folder of the fork of transformers.

    A `.pt` also holds the settings of its training as objects of classes that are not here; they are read as empty
    shells, and no code of the file runs.

    Raises:
        CheckpointError: the file is missing or damaged, or holds no model.
    """
    if path.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        return checkpoint.read_tensors(
            next((path / name for name in names if (path / name).is_file()), path / names[1])
        )
    loaded = checkpoint.read_tensors(path, foreign=True)
    model: Any = loaded.get("model")
    if not isinstance(model, dict):
        raise CheckpointError(
            f"{path} holds no state under the key 'model'",
            allowed="a checkpoint of fairseq does",
            todo="give an ofa_*.pt, or the folder of a model of the fork of transformers",
        )
    return dict(model)


def load_published(path: Path, config: OFAConfig) -> OFA:
    """A published model in evaluation mode.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, partial or of another size.
    """
    model = _network(config)
    checkpoint.fill(model, from_published(read_published(path), model.state_dict()), str(path), assign=True)
    return model.eval()


def save(folder: Path, model: OFA, vocabulary: Vocabulary) -> None:
    """Write a model and its vocabulary into `folder`."""
    checkpoint.save(folder, model.config, model.state_dict())
    vocabulary.write(folder)


def load(folder: Path, settings: OFAConfig | None = None) -> tuple[OFA, OFACodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote; `settings` replace its own.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds other tensors than the model it describes.
    """
    config, tensors = checkpoint.load(folder, OFAConfig)
    vocabulary = read_vocabulary(folder)
    config = config if settings is None else replace(settings, bpe_symbols=vocabulary.size)
    model = _network(config)
    checkpoint.fill(model, tensors, str(folder), assign=True)
    return model.eval(), OFACodec(config, vocabulary)


def _network(config: OFAConfig) -> OFA:
    with unfilled():
        return OFA(config)
