"""H-Index against a fixture: encoder, teacher-forced and generated scores, losses, sequences and their entities."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gmner.errors import CheckpointError
from gmner.models.h_index.codec import region_scores
from gmner.models.h_index.config import END, SEEN, HIndexConfig
from gmner.models.h_index.generate import Generated, generate, limits
from gmner.models.h_index.model import HIndex, Source, Targets, sums_above_zero
from gmner.models.h_index.sequences import read_sequence
from gmner.models.h_index.weights import from_published
from gmner.nn.attention import KeysValues
from gmner.nn.regions import PLACE
from gmner.verify import h_index_cases
from gmner.verify.fixture import EXACT, Comparison, Fixture, compare

INTEGERS = ("cross_attention_mask", "generated", "generated_limited", "generated_region", "limits_of_generated_limited",
            "generated_live_steps")  # fmt: skip
WHERE = {
    "step_logits_cached": "valid_steps",
    "step_region_logits": "valid_steps",
    "generated_step_region_logits": "generated_live_steps",
    "generated_region": "generated_region_unique",
}
"""Outputs that mean something only where another one says so."""
TIE = 1e-5
"""Absent regions are equal inputs: their scores differ by rounding at most."""
PAIRS = {"expected_pairs": True, "expected_pairs_if_region_is_read_one_step_later": False}
"""The entities that the file's text lists, by whether the region is read as released."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output, and the entities and counts that the file's text holds; or every case."""
    if "cases" in fixture.facts:
        return h_index_cases.checks(fixture)
    model = network(fixture)
    source, targets = read_inputs(fixture, model.config)
    ours = _outputs(model, source, targets, fixture)
    expected = fixture.under("output/")
    compared = [
        compare(name, _where_told(name, ours[name], expected), _where_told(name, tensor, expected),
                EXACT if name in INTEGERS or not tensor.is_floating_point() else fixture.tolerance)
        for name, tensor in expected.items()
        if name in ours
    ]  # fmt: skip
    return compared + list(_entities(fixture, generate(model, source)))


def network(fixture: Fixture, **changes: Any) -> HIndex:
    """The network that the file describes, with its weights and the released behaviour, apart from `changes`."""
    config = HIndexConfig(
        start_piece=fixture.count("bos_token_id"),
        pad_piece=fixture.count("pad_token_id"),
        end_piece=fixture.count("eos_token_id"),
        first_label=fixture.count("base_vocab"),
        vocabulary=fixture.count("embedding_rows"),
        positions=fixture.count("max_position_embeddings"),
        width=fixture.count("d_model"),
        heads=fixture.count("heads"),
        inner_width=fixture.count("ffn"),
        encoder_layers=fixture.count("encoder_layers"),
        decoder_layers=fixture.count("decoder_layers"),
        region_width=fixture.count("region_dim"),
        regions=fixture.count("box_num"),
        region_weight=fixture.number("region_loss_ratio"),
        length=fixture.count("max_length"),
        length_factor=fixture.number("max_len_a"),
        released=True,
    )
    model = HIndex(replace(config, **changes))
    model.load_state_dict(from_published(fixture.under("weight/"), model.state_dict()))
    return model.eval()


def read_inputs(fixture: Fixture, config: HIndexConfig) -> tuple[Source, Targets]:
    """The file's batch. It does not say where words begin, which the released network does not ask."""
    pieces, regions = fixture["input/src_tokens"], fixture["input/image_feature"]
    positions = torch.arange(pieces.shape[1])
    attention = positions < fixture["input/src_seq_len"][:, None]
    pointable = (positions > 0) & ((pieces == config.end_piece).cumsum(1) == 0)
    places = torch.zeros(*regions.shape[:2], PLACE)  # which the published network does not read
    source = Source(pieces, attention, pointable, pointable, regions, places, sums_above_zero(regions))
    shares = fixture["input/region_label"][..., :-1]
    return source, Targets(fixture["input/tgt_tokens"], shares[shares.any(-1)])


@torch.inference_mode()
def _outputs(model: HIndex, source: Source, targets: Targets, fixture: Fixture) -> dict[str, Tensor]:
    """All that the network says, under the names of the fixture (its README says what each means)."""
    given = targets.tokens[:, :-1]
    encoded = model.encode(source)
    hidden = model.decode(given, source, encoded)
    scores = model.score(hidden, source, encoded)
    losses = model.losses(source, targets)
    crossed = network(fixture, region_loss="bce").losses(source, targets)

    past: tuple[KeysValues, ...] = ()
    steps = []
    for step in given.T:
        state, past = model.step(step, source, encoded, past)
        steps.append(model.score(state, source, encoded))

    generated = generate(model, source)
    limited = network(fixture, **_limited(fixture))
    live = (generated.tokens[:, :-1] == END).cumsum(1) == 0
    margin = generated.regions.topk(2).values
    return {
        "projected_image": encoded.projected,
        "encoder_input": encoded.inputs,
        "encoder_state": encoded.states,
        "cross_attention_mask": encoded.visible,
        "decoder_hidden": hidden,
        "logits": scores.tokens,
        "region_logits_at_region_token": scores.regions[given == SEEN],
        "valid_steps": (given == END).cumsum(1) == 0,
        "step_logits_cached": torch.cat([step.tokens for step in steps], 1),
        "step_region_logits": torch.cat([step.regions for step in steps], 1),
        "token_loss": losses.tokens,
        "region_loss_kl": losses.regions,
        "region_loss_bce": crossed.regions,
        "total_loss_kl": losses.total,
        "generated": generated.tokens,
        "generated_region": _with_start(generated.regions.argmax(-1), 0)[..., None],
        "generated_region_unique": _with_start((margin[..., 0] - margin[..., 1] > 0.01) & live, 1),
        "generated_step_region_logits": generated.regions,
        "generated_live_steps": live,
        "generated_limited": generate(limited, source).tokens,
        "limits_of_generated_limited": limits(limited.config, source),
    }


def _limited(fixture: Fixture) -> dict[str, Any]:
    config = fixture.facts.get("config")
    limited = config.get("limited") if isinstance(config, dict) else None
    if not isinstance(limited, dict) or not {"max_length", "max_len_a"} <= limited.keys():
        raise CheckpointError(
            f"{fixture.path} states limited = {limited!r}",
            allowed="the configuration of this model's fixtures has max_length and max_len_a under `limited`",
            todo="check that the file is of this model, or mend its metadata",
        )
    return {"length": limited["max_length"], "length_factor": limited["max_len_a"]}


def _with_start(steps: Tensor, filler: int) -> Tensor:
    """A column of `filler` for `START`, which no step gave, before those of the steps."""
    return torch.cat([steps.new_full((len(steps), 1), filler), steps], 1)


def _where_told(name: str, tensor: Tensor, expected: Mapping[str, Tensor]) -> Tensor:
    """The part of an output that means something: steps of open sequences, regions without an equal.

    All of it, if it is of another shape: then it differs in any case.
    """
    if name not in WHERE:
        return tensor
    where = expected[WHERE[name]].bool()
    tensor = tensor.squeeze(-1) if name == "generated_region" else tensor
    return tensor[where] if tensor.shape[: where.ndim] == where.shape else tensor


def _entities(fixture: Fixture, generated: Generated) -> Iterator[Comparison]:
    """How many posts' entities differ from those that the file lists: [span, [regions, [type]]] each."""
    for name, released in PAIRS.items():
        listed = fixture.facts.get(name)
        predicted = listed.get("predicted") if isinstance(listed, dict) else listed
        if predicted is not None:
            wrong = sum(not _agree(generated, row, found, released=released) for row, found in enumerate(predicted))
            yield compare(name, torch.tensor(wrong), torch.tensor(0), EXACT)


def _agree(generated: Generated, row: int, expected: Sequence[Any], *, released: bool) -> bool:
    """Whether the entities of a row are the expected ones. Regions that tie with ours for the first place are right."""
    tokens = generated.tokens[row].tolist()
    groups = read_sequence(tokens)
    if [(list(group.span), [group.type]) for group in groups] != [(span, kind) for span, (_, kind) in expected]:
        return False
    for group, (_, ([region], _)) in zip(groups, expected, strict=True):
        scores = region_scores(generated, row, group.label, early=released)
        if tokens[group.label] != SEEN:
            same = region == len(scores)
        else:
            same = region < len(scores) and bool(scores[region] >= scores.max() - TIE)
        if not same:
            return False
    return True
