"""Published parameter names and ours, and a model in its folder (specs/hindex.md, section 3, "Parameter names")."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.h_index.codec import HIndexCodec
from gmner.models.h_index.config import LABEL_WORDS, HIndexConfig
from gmner.models.h_index.model import POSITION_OFFSET, HIndex
from gmner.nn.encoders import from_pretrained, load_encoder, load_tokenizer
from gmner.nn.unfilled import unfilled

ENCODER: Final = "seq2seq_model.encoder.bart_encoder."
DECODER: Final = "seq2seq_model.decoder.decoder."
HEAD: Final = "seq2seq_model.decoder."

MODULES: Final = {
    "embedding": f"{ENCODER}embed_tokens",
    "encoder_positions": f"{ENCODER}embed_positions",
    "encoder_norm": f"{ENCODER}layernorm_embedding",
    "encoder": f"{ENCODER}layers",
    "decoder_positions": f"{DECODER}embed_positions",
    "decoder_norm": f"{DECODER}layernorm_embedding",
    "decoder": f"{DECODER}layers",
    "regions.encoder": f"{ENCODER}img_proj",
    "pointer_inner": f"{HEAD}encoder_mlp.0",
    "pointer_outer": f"{HEAD}encoder_mlp.3",
}
PARTS: Final = {
    "attention": "self_attn",
    "attention_norm": "self_attn_layer_norm",
    "cross": "encoder_attn",
    "cross_norm": "encoder_attn_layer_norm",
    "inner": "fc1",
    "outer": "fc2",
    "outer_norm": "final_layer_norm",
}
PROJECTIONS: Final = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}

TIED: Final = f"{DECODER}embed_tokens.weight"
"""The encoder's table again: a file may hold it twice."""
UNUSED: Final = (f"{HEAD}region_select.", f"{HEAD}causal_masks", f"{HEAD}mapping")
"""Nothing reads `region_select`, whose shape depends on the number of regions; the others follow from the settings."""

TRUNK: Final = {"encoder.": ENCODER, "decoder.": DECODER}
"""Names of BART alone, as transformers has them."""


def published_name(name: str) -> str:
    """The published name of a tensor of ours.

    >>> published_name("decoder.0.cross.query.bias")
    'seq2seq_model.decoder.decoder.layers.0.encoder_attn.q_proj.bias'
    """
    module = next(module for module in MODULES if name.startswith(f"{module}."))
    rest = name.removeprefix(f"{module}.")
    if module in ("encoder", "decoder"):
        parts = rest.split(".")
        rest = ".".join(PARTS.get(part, PROJECTIONS.get(part, part)) for part in parts)
    return f"{MODULES[module]}.{rest}"


def from_published(published: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Published tensors under our names; `names` are those of `HIndex.state_dict()`.

    Raises:
        CheckpointError: a tensor is missing, one has a name that is not expected, or the two copies of the embedding
            table differ.
    """
    theirs = {published_name(name): name for name in names}
    used = {name: tensor for name, tensor in published.items() if not name.startswith(UNUSED)}
    twin, table = used.pop(TIED, None), used.get(published_name("embedding.weight"))
    if twin is not None and table is not None and not torch.equal(twin, table):
        raise CheckpointError(
            f"the published H-Index has two different tables in {published_name('embedding.weight')} and {TIED}",
            allowed="encoder and decoder share one table",
            todo="export the checkpoint again",
        )
    checkpoint.compare_names(used, theirs, "the published H-Index")
    return {theirs[name]: tensor for name, tensor in used.items()}


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published`, without what nothing reads (`UNUSED`)."""
    return {published_name(name): tensor for name, tensor in tensors.items()}


def load_published(config: HIndexConfig, path: Path) -> tuple[HIndex, HIndexCodec]:
    """A published model in evaluation mode and its codec. The file says how large its tables are.

    Raises:
        CheckpointError: the file is missing, damaged or of another model, or the tokenizer is not there.
    """
    tensors = checkpoint.read_tensors(path)
    table, positions = (tensors.get(published_name(f"{name}.weight")) for name in ("embedding", "encoder_positions"))
    if table is not None and positions is not None:
        config = replace(config, vocabulary=len(table), positions=len(positions) - POSITION_OFFSET)
    with unfilled():
        model = HIndex(config)
    checkpoint.fill(model, from_published(tensors, model.state_dict()), str(path), assign=True)
    return model.eval(), HIndexCodec(config, load_tokenizer(config.tokenizer))


def save(folder: Path, model: HIndex) -> None:
    """Write a model into `folder`."""
    checkpoint.save(folder, model.config, model.state_dict())


def load(folder: Path) -> tuple[HIndex, HIndexCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, holds other tensors than the model it describes, or the
            tokenizer that it names is not there.
    """
    config, tensors = checkpoint.load(folder, HIndexConfig)
    with unfilled():
        model = HIndex(config)
    checkpoint.fill(model, tensors, str(folder), assign=True)
    return model.eval(), HIndexCodec(config, load_tokenizer(config.tokenizer))


def begin_with(model: HIndex, folder: Path) -> None:
    """Fill a new model with the weights of a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, or holds a model of other sizes.
    """
    _, tensors = checkpoint.load(folder, HIndexConfig)
    checkpoint.fill(model, tensors, str(folder))


def begin_with_bart(model: HIndex, trunk: str) -> None:
    """Fill a new model with the weights of the BART `trunk`, as published training begins.

    The embedding of each label becomes the mean of those of its words. In the `released` setting the embedding of the
    first of these sub-words becomes it too (specs/hindex.md, section 9, fault 5).

    Raises:
        CheckpointError: `trunk` is not at hand, is no BART, or is of another size than the model.
    """
    from transformers import AutoTokenizer, BartModel

    bart = load_encoder(trunk)
    if not isinstance(bart, BartModel):
        raise CheckpointError(
            f"{trunk} is a {type(bart).__name__}",
            allowed="H-Index begins with a BART",
            todo="name one, or none: then training begins with random weights",
        )
    tokenizer: Any = from_pretrained(AutoTokenizer, trunk)  # words of labels begin without a blank
    tensors = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    for name, tensor in bart.state_dict().items():
        for ours, theirs in TRUNK.items():
            renamed = theirs + name.removeprefix(ours)
            if name.startswith(ours) and renamed in tensors and not renamed.endswith("embed_tokens.weight"):
                tensors[renamed] = tensor
    table = tensors[published_name("embedding.weight")].clone()
    words = bart.get_input_embeddings().weight.detach()
    table[: len(words)] = words[: len(table)]
    for label, text in enumerate(LABEL_WORDS, model.config.first_label):
        pieces = tokenizer(text, add_special_tokens=False)["input_ids"]
        table[label] = table[pieces].mean(0)
        if model.config.released:
            table[pieces[0]] = table[label]
    tensors[published_name("embedding.weight")] = table
    checkpoint.fill(model, from_published(tensors, model.state_dict()), trunk)
