"""The parameter names of released checkpoints and ours, there and back (specs/mqspn.md, sections 2 to 4 and 8)."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

from gmner import checkpoint

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
