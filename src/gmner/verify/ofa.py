"""OFA against a fixture: every state, cached decoding, answers, beam search, losses; or the text and picture cases."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from gmner import checkpoint
from gmner.errors import CheckpointError
from gmner.models.ofa.config import BOS, PAD, OFAConfig
from gmner.models.ofa.decoding import score_answers, search
from gmner.models.ofa.loss import smoothed_loss
from gmner.models.ofa.model import OFA, Encoded, Memory, Past
from gmner.models.ofa.positions import image_buckets, token_buckets
from gmner.models.ofa.weights import from_published
from gmner.nn.beam import Beam, Constraint, Trie, always
from gmner.verify import ofa_text
from gmner.verify.fixture import EXACT, Comparison, Fixture, Tolerance, compare

EXACT_OUTPUTS = ("tokens", "argmax", "encoder_padding_mask", "token_rp_bucket_rows", "image_rp_bucket")
SEARCHES = Tolerance(2e-4)
LOSSES = Tolerance(rel=1e-5)
FIXED: Final = {
    "encoder_normalize_before": True,
    "decoder_normalize_before": True,
    "layernorm_embedding": True,
    "patch_layernorm_embedding": True,
    "add_type_embedding": True,
    "no_scale_embedding": True,
    "share_all_embeddings": True,
    "activation_fn": "gelu",
    "bn_eps": 1e-5,
    "ln_eps": 1e-5,
}
"""What is no setting here, because all published models have it."""

SPECIAL = 4
"""Ids below are always allowed beside a range."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output. The tolerances of searches, answers and losses are those of the fixtures' README."""
    if fixture.facts.get("format") == ofa_text.FORMAT:
        return ofa_text.checks(fixture)
    model = network(fixture)
    ours = _outputs(model, fixture)
    return [
        compare(name, ours[name], expected, _tolerance(name, fixture))
        for name, expected in fixture.under("output/").items()
        if name in ours
    ]


def _tolerance(name: str, fixture: Fixture) -> Tolerance:
    if name.rpartition("/")[2] in EXACT_OUTPUTS:
        return EXACT
    if name.startswith("loss_"):
        return LOSSES
    return SEARCHES if name.startswith(("gen_", "ve_")) else fixture.tolerance


def network(fixture: Fixture) -> OFA:
    """The network that the file describes, with its weights."""
    stated = fixture.facts.get("config", {})
    if other := {name: stated.get(name) for name, value in FIXED.items() if stated.get(name) != value}:
        raise CheckpointError(
            f"{fixture.path} is of an OFA with {', '.join(f'{name} = {value!r}' for name, value in other.items())}",
            allowed=f"every published OFA has {', '.join(f'{name} = {FIXED[name]!r}' for name in other)}",
            todo="take a fixture of a published size",
        )

    config = OFAConfig(
        width=fixture.count("encoder_embed_dim"),
        inner_width=fixture.count("encoder_ffn_embed_dim"),
        encoder_layers=fixture.count("encoder_layers"),
        decoder_layers=fixture.count("decoder_layers"),
        heads=fixture.count("encoder_attention_heads"),
        trunk_blocks=tuple(stated["resnet_layers"]),
        trunk_width=fixture.count("resnet_base_width"),
        bpe_symbols=fixture.count("vocab_size") - fixture.count("num_bins") - 5,
        codes=0,
        bins=fixture.count("num_bins"),
        positions=fixture.count("max_source_positions"),
        token_buckets=fixture.count("token_bucket_size"),
        image_buckets=fixture.count("image_bucket_size"),
        code_positions=fixture.count("code_image_size") // 8,
        scale_factor=fixture.number("attn_scale_factor"),
        scale_attention=stated["scale_attn"],
        scale_inner=stated["scale_fc"],
        scale_heads=stated["scale_heads"],
        scale_residuals=stated["scale_resids"],
        encoder_entangled=stated["entangle_position_embedding"],
        decoder_entangled=not stated["disable_entangle"],
    )
    model = OFA(config)
    tensors = from_published(fixture.under("weight/"), model.state_dict())
    checkpoint.fill(model, tensors, str(fixture.path), assign=True)
    return model.eval()


@torch.inference_mode()
def _outputs(model: OFA, fixture: Fixture) -> dict[str, Tensor]:
    """All that the network says, under the names of the fixture (its README says what each means)."""
    source, written = fixture["input/src_tokens"].long(), fixture["input/prev_output_tokens"].long()
    shown = fixture["input/patch_masks"].bool()
    outputs: dict[str, Tensor] = {}

    grid = model.look(fixture["input/patch_images"])
    with _recorded(model.encoder.layers, "encoder_state", outputs):
        encoded = model.encode(source, grid, shown)
    memory = model.decoder.memory(encoded)
    with _recorded(model.decoder.layers, "decoder_state", outputs):
        states, _ = model.decode(written[:, None], memory)
    text_only = model.encode(source, None)
    states_text_only, _ = model.decode(written[:, None], model.decoder.memory(text_only))
    rows = fixture["input/bucket_rows"].long()
    corner = fixture.tensors["output/image_rp_bucket"].shape[0]
    outputs |= {
        "resnet_features": grid,
        "encoder_out": encoded.states,
        "encoder_padding_mask": encoded.absent,
        "position_embeddings": encoded.positions.expand(len(source), -1, -1),
        "encoder_out_text_only": text_only.states,
        "decoder_logits": model.logits(states[:, 0]),
        "decoder_logits_text_only": model.logits(states_text_only[:, 0]),
        "incremental_logits": _incremental(
            model, memory, written, fixture.tensors["output/incremental_logits"].shape[1]
        ),
        "token_rp_bucket_rows": token_buckets(model.config.token_buckets)[rows],
        "image_rp_bucket": image_buckets(torch.arange(corner), model.config.image_buckets),
    }
    for name, settings in fixture.facts["generation"].items():
        outputs |= _generated(model, encoded, name, settings)
    prompts = {
        "none": [[BOS]] * len(source),
        "prev_output": [[token for token in row if token != PAD][:-1] for row in source.tolist()],
    }
    for kind in ("single", "multi"):
        for name, prompt in prompts.items():
            scores = score_answers(model, encoded, prompt, Trie(fixture.facts[f"answers_{kind}"]))
            outputs |= {f"ve_{kind}_{name}/scores": scores, f"ve_{kind}_{name}/argmax": scores.argmax(1)}
    for name, settings in fixture.facts["losses"].items():
        outputs[f"loss_{name}"] = _loss(model, encoded, fixture, name.partition("_")[0], settings)
    return outputs


@contextmanager
def _recorded(layers: nn.ModuleList, name: str, states: dict[str, Tensor]) -> Iterator[None]:
    """What enters the first layer and what leaves each, into `states` as `name`_0, `name`_1 ..."""

    def after(number: int) -> Any:
        def hook(layer: nn.Module, given: tuple[Any, ...], result: Any) -> None:
            if not number:
                states[f"{name}_0"] = given[0]
            states[f"{name}_{number + 1}"] = result[0] if isinstance(result, tuple) else result

        return hook

    handles = [layer.register_forward_hook(after(number)) for number, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _incremental(
    model: OFA, memory: Memory, written: Int64[Tensor, "batch time"], length: int
) -> Float[Tensor, "batch length vocabulary"]:
    """The scores after each of the first `length` tokens, given one at a time."""
    past: Past | None = None
    scores = []
    for place in range(length):
        states, past = model.decode(written[:, None, place : place + 1], memory, past)
        scores.append(model.logits(states[:, 0, 0]))
    return torch.stack(scores, 1)


def _generated(model: OFA, encoded: Encoded, name: str, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a search finds, padded as in the fixture."""
    constraint: Constraint | None = None
    if "answers" in settings:
        constraint = Trie(settings["answers"]).constraint(model.config.vocabulary)
    elif "constraint_range" in settings:
        constraint = always(_range(model, settings["constraint_range"]))
    beam = Beam(
        settings["beam_size"], settings["min_len"], settings["max_len_b"], settings.get("no_repeat_ngram_size", 0)
    )
    found = search(model, encoded, beam, constraint)
    longest = max(len(hypothesis.tokens) for sample in found for hypothesis in sample)

    def table(values: Any, filler: float) -> Tensor:
        return torch.tensor([[[*values(h), *[filler] * (longest - len(h.tokens))] for h in sample] for sample in found])

    return {
        f"gen_{name}/tokens": table(lambda h: h.tokens, PAD),
        f"gen_{name}/positional_scores": table(lambda h: h.log_probabilities, 0.0),
        f"gen_{name}/scores": torch.tensor([[hypothesis.score for hypothesis in sample] for sample in found]),
    }


def _range(model: OFA, bounds: str) -> Bool[Tensor, " vocabulary"]:
    """The special tokens and the ids that a text such as `110,150` bounds."""
    first, end = map(int, bounds.split(","))
    ids = torch.arange(model.config.vocabulary)
    return (ids < SPECIAL) | (ids >= first) & (ids < end)


def _loss(model: OFA, encoded: Encoded, fixture: Fixture, task: str, settings: Mapping[str, Any]) -> Tensor:
    """Summed loss, summed likelihood, number of tokens."""
    written, target = (fixture[f"input/{task}_{name}"].long() for name in ("prev_output_tokens", "target"))
    states, _ = model.decode(written[:, None], model.decoder.memory(encoded))
    kept = target != PAD
    allowed = fixture["input/ve_constraint_masks"].bool()[kept] if task == "ve" else None
    if "constraint_range" in settings:
        allowed = _range(model, settings["constraint_range"])
    late = settings["update_num"] > settings.get("drop_worst_after", 0)
    drop_worst = settings.get("drop_worst_ratio", 0.0) if late else 0.0
    logits = model.logits(states[:, 0][kept])
    return torch.tensor(smoothed_loss(logits, target[kept], settings["label_smoothing"], allowed, drop_worst))
