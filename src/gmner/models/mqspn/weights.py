"""MQSPN on disk: folders of ours, and the names of released checkpoints (specs/mqspn.md, sections 2 to 4 and 8)."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from gmner import checkpoint
from gmner.errors import CheckpointError, ConfigError
from gmner.models.mqspn.codec import MQSPNCodec
from gmner.models.mqspn.config import FreshText, MQSPNConfig
from gmner.models.mqspn.model import MQSPN
from gmner.models.mqspn.outputs import TYPES
from gmner.models.mqspn.prompts import mask_states, type_prompts, written_queries
from gmner.models.mqspn.released import ReleasedConfig, ReleasedMQSPN
from gmner.nn import mimetic
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.nn.region_encoder import CropEncoder
from gmner.nn.unfilled import unfilled

MODULES: Final = {
    "text.pieces": "bert.embeddings.word_embeddings",
    "text.segments": "bert.embeddings.token_type_embeddings",
    "text.positions": "bert.embeddings.position_embeddings",
    "text.norm": "bert.embeddings.LayerNorm",
    "queries.rows": "bert.entity_embeddings.entity_embeddings",
    "queries.norm": "bert.entity_embeddings.LayerNorm",
    "positions.rows": "bert.pos_entity_embeddings.entity_embeddings",
    "positions.norm": "bert.pos_entity_embeddings.LayerNorm",
    "picture.patches": "bert.vision_embeddings.patch_embedding",
    "picture.positions": "bert.vision_embeddings.aux_position_embedding",
    "picture.norm": "bert.vision_pre_layrnorm",
    "decoder_positions.rows": "pos_entity_embeddings.entity_embeddings",
    "decoder_positions.norm": "pos_entity_embeddings.LayerNorm",
    "start.source": "left_boundary_classfier.token_embedding_linear.0",
    "start.query": "left_boundary_classfier.entity_embedding_linear.0",
    "start.out": "left_boundary_classfier.boundary_predictor",
    "end.source": "right_boundary_classfier.token_embedding_linear.0",
    "end.query": "right_boundary_classfier.entity_embedding_linear.0",
    "end.out": "right_boundary_classfier.boundary_predictor",
    "region.source.0": "region_pointer_classifier.token_embedding_linear.0",
    "region.query": "region_pointer_classifier.entity_embedding_linear.0",
    "region.out": "region_pointer_classifier.boundary_predictor",
    "types.query": "entity_classifier.linnear",
    "types.attention": "entity_classifier.multihead_attn",
    "types.attention.out_proj": "entity_classifier.multihead_attn.out_proj",
    "types.out": "entity_classifier.classifier.2",
}
CLASS_ROW: Final = {"picture.class_row": "bert.vision_embeddings.class_embedding"}
STACKS: Final = {
    "text_layers": "bert.encoder.layer",
    "vision_layers": "bert.encoder.vision_layers",
    "decoder_text": "selfcrossattention.crosslayers",
    "decoder_vision": "selfcrossattention.vision_layers",
    "decoder_queries": "selfcrossattention.selflaters",
}
TEXT_LAYER: Final = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "fusion": "intermediate.fusion_dense",
    "outer": "output.dense",
    "outer_norm": "output.LayerNorm",
}
VISION_LAYER: Final = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "attention_norm": "layer_norm1",
    "inner_norm": "layer_norm2",
    "inner": "mlp.fc1",
    "outer": "mlp.fc2",
}
QUERY_LAYER: Final = {
    "attention": "entity_attention",
    "attention.out_proj": "entity_attention.out_proj",
    "norm": "entity_norm",
}
LAYERS: Final = {
    "text_layers": TEXT_LAYER,
    "decoder_text": TEXT_LAYER,
    "vision_layers": VISION_LAYER,
    "decoder_vision": VISION_LAYER,
    "decoder_queries": QUERY_LAYER,
}

DEAD: Final = re.compile(
    r"bert\.vision_embeddings\.(position_embedding|rcnn_position_embedding|img_proj\.0)\.\w+"
    r"|bert\.vision_embeddings\.(aux_position_embedding_boxfea|position_ids).*"
    r"|bert\.embeddings\.position_ids"
    r"|bert\.vision_post_layernorm\.\w+"
    r"|.*\.fusion_dense_layer\.\w+"
    r"|bert\.encoder\.layer\.[0-7]\.intermediate\.fusion_dense\.\w+"
    r"|selfcrossattention\.crosslayers\.\d+\.intermediate\.fusion_dense\.\w+"
    r"|region_pointer_classifier\.token_embedding_linear_boxfea\..*"
)
"""What checkpoints hold and nothing ever computes with: 73 of the 364 million parameters at the published size."""

ALIAS: Final = "model."
"""Checkpoints repeat every tensor under `bert.` under this prefix."""


def published_name(name: str) -> str:
    """The published name of a tensor of ours.

    >>> published_name("decoder_vision.0.inner.bias")
    'selfcrossattention.vision_layers.0.mlp.fc1.bias'
    """
    if name in CLASS_ROW:
        return CLASS_ROW[name]
    module, _, rest = name.partition(".")
    if module in STACKS:
        index, _, rest = rest.partition(".")
        part, tensor = _split(rest)
        return f"{STACKS[module]}.{index}.{LAYERS[module][part]}.{tensor}"
    part, tensor = _split(name)
    return f"{MODULES[part]}.{tensor}"


def _split(name: str) -> tuple[str, str]:
    """Module and tensor of a name."""
    module, _, tensor = name.rpartition(".")
    return module, tensor


def live(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint that something computes with, each once."""
    return {
        name: tensor for name, tensor in published.items() if not name.startswith(ALIAS) and not DEAD.fullmatch(name)
    }


def from_published(published: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Published tensors under our names; `names` are those of `ReleasedMQSPN.state_dict()`.

    Raises:
        CheckpointError: a tensor is missing, or one has a name that is not expected.
    """
    given = live(published)
    theirs = {published_name(name): name for name in names}
    checkpoint.compare_names(given, theirs, "the released MQSPN")
    return {theirs[name]: tensor for name, tensor in given.items()}


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published`, without what nothing computes with."""
    return {published_name(name): tensor for name, tensor in tensors.items()}


def needs_encoder(config: MQSPNConfig) -> bool:
    """Whether a new network begins with the text encoder that the settings name, and not with random weights."""
    return config.released.pretrained if config.released is not None else config.text is None


def sees_by_clip(config: MQSPNConfig) -> bool:
    """Whether the paper's network sees regions through a frozen CLIP."""
    return config.released is None and config.crops is None and not config.features


def build(config: MQSPNConfig, tokenizer: Any, encoder: Any = None, clip: Any = None) -> tuple[nn.Module, MQSPNCodec]:
    """A new network and its codec. `encoder` is the text encoder, where `needs_encoder`, and `clip` the CLIP, where
    `sees_by_clip` or the released network begins with one.

    Raises:
        ConfigError: the queries can not be shared out among the types.
        CheckpointError: an encoder is of another size than the released network.
    """
    vision = getattr(clip, "vision_model", clip)
    if config.released is not None:
        released = ReleasedMQSPN(config.released)
        if config.released.pretrained:
            _fill(released, backbone_tensors(encoder.state_dict(), vision.state_dict()))
        return released, MQSPNCodec(config, tokenizer)
    if config.queries.typed and config.queries.count % len(TYPES):
        raise ConfigError(
            f"{config.queries.count} typed queries",
            allowed=f"each of {len(TYPES)} types has as many of them",
            todo=f"set queries.count to a multiple of {len(TYPES)}",
        )
    encoder = fresh_encoder(config.text, len(tokenizer), config.window) if encoder is None else encoder
    mask = tokenizer.mask_token
    prompts = mask_states(encoder, tokenizer, type_prompts(mask))
    written = mask_states(encoder, tokenizer, written_queries(config.queries, mask))
    width = encoder.config.hidden_size
    if config.crops is not None:
        looks: nn.Module = CropEncoder(config.crops.side, width, config.crops.channels)
    else:
        looks = nn.Linear(config.features or vision.config.hidden_size, width)
    codec = MQSPNCodec(config, tokenizer, vision.eval() if sees_by_clip(config) else None)
    return MQSPN(config, encoder, looks, prompts, written), codec


def fresh_encoder(sizes: FreshText | None, vocabulary: int, window: int) -> Any:
    """A BERT with random weights, which attends to equal sub-words and near places (`nn.mimetic`)."""
    from transformers import BertConfig, BertModel  # slow to load

    sizes = sizes or FreshText()
    deviation = 0.7 / math.sqrt(sizes.width)  # BERT's 0.02 is meant for its width
    bert = BertModel(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.inner,
            hidden_dropout_prob=sizes.dropout,
            attention_probs_dropout_prob=sizes.dropout,
            max_position_embeddings=window,
            initializer_range=deviation,
            attn_implementation="eager",  # the fused one takes a tenth of a training step in bfloat16
        ),
        add_pooling_layer=False,
    )
    bert.embeddings.position_embeddings.weight.data.copy_(mimetic.waves(window, sizes.width, deviation))
    for layer in bert.encoder.layer:
        attention = layer.attention
        mimetic.look_for_the_same(attention.self.query, attention.self.key, sizes.heads)
        mimetic.copy_what_is_found(attention.self.value, attention.output.dense)
    return bert


def backbone_tensors(bert: Mapping[str, Tensor], clip: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a BERT and of CLIP's vision encoder under their names in a released checkpoint."""
    found = {f"bert.{name}": tensor for name, tensor in bert.items() if not name.startswith("pooler.")}
    for name, tensor in clip.items():
        module, _, rest = name.removeprefix("vision_model.").partition(".")
        if module in _CLIP:
            found[f"bert.{_CLIP[module]}.{rest.removeprefix('layers.')}"] = tensor
    return {name: tensor for name, tensor in found.items() if not DEAD.fullmatch(name)}


_CLIP: Final = {
    "embeddings": "vision_embeddings",
    "pre_layrnorm": "vision_pre_layrnorm",
    "encoder": "encoder.vision_layers",
}


def _fill(model: ReleasedMQSPN, published: Mapping[str, Tensor]) -> None:
    """Put the tensors of the backbones into a new network; each must have its place there, and its shape."""
    ours = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    for name, tensor in published.items():
        if name not in ours or ours[name].shape != tensor.shape:
            raise CheckpointError(
                f"the encoders hold {name} of shape {list(tensor.shape)}, "
                f"the network {list(ours[name].shape) if name in ours else 'none'}",
                allowed="BERT and CLIP have the sizes that the settings `released` state",
                todo="name other encoders or state their sizes",
            )
        with torch.no_grad():
            ours[name].copy_(tensor)


def save(folder: Path, model: nn.Module, config: MQSPNConfig) -> None:
    """Write a model into `folder`, its text encoder included; a frozen CLIP is named only."""
    checkpoint.save(folder, config, model.state_dict())


def load(folder: Path) -> tuple[nn.Module, MQSPNCodec]:
    """A model in evaluation mode and its codec, from a folder that `save` wrote.

    Raises:
        CheckpointError: the folder is missing or damaged, holds other tensors than the model it describes, or an
            encoder that it names is not there.
    """
    config, tensors = checkpoint.load(folder, MQSPNConfig)
    tokenizer = load_tokenizer(config.encoder)
    if config.released is not None:
        released = _unfilled(config.released)
        checkpoint.fill(released, tensors, str(folder), assign=True)
        return released.eval(), MQSPNCodec(config, tokenizer)
    encoder = load_encoder(config.encoder) if needs_encoder(config) else None
    clip = load_encoder(config.vision) if sees_by_clip(config) else None
    model, codec = build(config, tokenizer, encoder, clip)
    checkpoint.fill(model, tensors, str(folder))
    return model.eval(), codec


def load_network(folder: Path, config: MQSPNConfig) -> MQSPN:
    """The paper's network of a folder that `save` wrote, for another of these settings to begin with.

    Raises:
        CheckpointError: as `load`; or its text encoder or eyes are of other sizes.
    """
    model, codec = load(folder)
    alike = all(getattr(codec.config, name) == getattr(config, name) for name in _EYES)
    if not isinstance(model, MQSPN) or not alike:
        raise CheckpointError(
            f"{folder} holds an MQSPN of other settings",
            allowed=f"these settings are the same in both: {', '.join(_EYES)}",
            todo="give a folder that was trained with them",
        )
    return model


_EYES: Final = ("encoder", "text", "casing", "window", "vision", "crops", "features", "places", "released")
"""Settings of what reads texts and sees regions."""


def begin_with(model: MQSPN, given: MQSPN) -> None:
    """Let a new network, built on the text encoder of another, see regions as that one does; and be as that one in
    all, where their settings are the same."""
    if model.config == given.config:
        model.load_state_dict(given.state_dict())
        return
    for name in ("looks", "places", "look_norm", "shapes"):
        part = getattr(model, name)
        if part is not None:
            part.load_state_dict(getattr(given, name).state_dict())


def load_released(path: Path, config: MQSPNConfig) -> tuple[ReleasedMQSPN, MQSPNCodec]:
    """A released checkpoint in evaluation mode, and its codec; `config.released` says its sizes.

    Raises:
        ConfigError: the settings are those of the paper's network.
        CheckpointError: the file is missing, damaged or of another model.
    """
    if config.released is None:
        raise ConfigError(
            "the paper's MQSPN for a released checkpoint",
            allowed="a released checkpoint holds the network that the authors' code computes",
            todo="give settings with a table `released`",
        )
    model = _unfilled(config.released)
    tensors = from_published(checkpoint.read_tensors(path), model.state_dict())
    checkpoint.fill(model, tensors, str(path), assign=True)
    return model.eval(), MQSPNCodec(config, load_tokenizer(config.encoder))


def _unfilled(sizes: ReleasedConfig) -> ReleasedMQSPN:
    with unfilled():
        return ReleasedMQSPN(sizes)
