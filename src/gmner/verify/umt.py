"""UMT against a fixture: every state from the text encoder to the losses, both CRFs, and the fusion features."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from gmner.models.umt.config import UMTConfig
from gmner.models.umt.model import UMT, Labels, fusion_feature
from gmner.models.umt.weights import from_published
from gmner.verify.crf import best_paths
from gmner.verify.fixture import EXACT, Comparison, Fixture, compare


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output, and our conversion matrix beside the given one."""
    model = network(fixture)
    ours = _outputs(model, fixture)
    conversion = compare("conversion_matrix", model.conversion, fixture["input/conversion_matrix"], EXACT)
    return [conversion] + [
        compare(name, ours[name], expected, EXACT if name.startswith("viterbi") else fixture.tolerance)
        for name, expected in fixture.under("output/").items()
        if name in ours
    ]


def network(fixture: Fixture) -> UMT:
    """The network that the file describes, with its weights. It is given the grid, so that it needs no ResNet."""
    from transformers import BertConfig, BertModel  # slow to load

    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
             "max_position_embeddings", "type_vocab_size")  # fmt: skip
    sizes = {name: fixture.count(name) for name in names}
    encoder = BertModel(BertConfig(**sizes, layer_norm_eps=fixture.number("layer_norm_eps")))
    config = UMTConfig(
        grid_width=fixture.count("visual_dim"),
        text_to_image=fixture.count("layer_num1"),
        image_to_text=fixture.count("layer_num2"),
        text_to_text=fixture.count("layer_num3"),
        main_share=fixture.number("alpha"),
        span_weight=fixture.number("beta"),
    )
    model = UMT(config, encoder, nn.Identity())
    model.load_state_dict(from_published(fixture.under("weight/"), model.state_dict()))
    return model.eval()


@torch.inference_mode()
def _outputs(model: UMT, fixture: Fixture) -> dict[str, Tensor]:
    """All that the network says, under the names of the fixture (its README says what each means)."""
    pieces, segments = fixture["input/input_ids"], fixture["input/segment_ids"]
    attention = fixture["input/input_mask"].bool()
    labels = Labels(fixture["input/labels"], fixture["input/aux_labels"])
    states = model.fuse(pieces, segments, attention, fixture["input/visual_grid"])
    encoded = model.encoder(input_ids=pieces, token_type_ids=segments, attention_mask=attention.long())
    losses = model.losses(states, labels, attention)
    flat = normalize(fusion_feature(states.fused, attention, "flat"))
    return {
        "bert_sequence_output": states.text,
        "bert_pooled_output": encoded.pooler_output,
        "aux_hidden": states.span,
        "main_hidden": states.main,
        "visual_proj": states.keys,
        "visual_proj_v2": states.queries,
        "image_aware_text": states.image_aware_text,
        "text_aware_image": states.text_aware_image,
        "multimodal_text": states.multimodal_text,
        "gate": states.gate,
        "fused": states.fused,
        "main_logits": states.main_logits,
        "aux_emissions": states.span_emissions,
        "converted_aux_emissions": states.converted,
        "final_emissions": states.emissions,
        "main_llh": model.crf.log_likelihood(states.emissions, labels.main, attention),
        "aux_llh": model.span_crf.log_likelihood(states.span_emissions, labels.span, attention),
        "main_loss": losses.main,
        "aux_loss": losses.span,
        "total_loss": losses.total,
        "viterbi_main": best_paths(model.crf, states.emissions, attention),
        "viterbi_aux": best_paths(model.span_crf, states.span_emissions, attention),
        "fused_mean_over_valid": fusion_feature(states.fused, attention, "mean"),
        "fused_cls": fusion_feature(states.fused, attention, "cls"),
        "fused_padded_flat_cosine": flat @ flat.T,
    }
