"""H-Index against the tensors, sequences and preprocessing of the published one (fixtures/hindex)."""

from pathlib import Path

import pytest
import torch
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared

from gmner.errors import CheckpointError
from gmner.models.h_index.weights import TIED, UNUSED, from_published, to_published
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.h_index import network

FOLDER = Path(SHARED or "") / "fixtures" / "hindex"
FILE = FOLDER / "hindex_small.safetensors"
OUTPUTS = 21
CASES = {"grouping_cases.json": 539, "preprocess_cases.json": 84}


@needs_shared
def test_h_index_fixture() -> None:
    result = verify("h_index", FILE)
    assert result.passed
    assert len(result.comparisons) == OUTPUTS + 2  # and the entities under both readings of the region
    assert result.unchecked == ()
    # The stated tolerance is 1e-4 + 1e-4 |x|.
    assert max(comparison.difference for comparison in result.comparisons) < 3e-5


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("encoder.bart_encoder.img_proj.bias", "projected_image"),
        ("encoder.bart_encoder.layernorm_embedding.bias", "encoder_input"),
        ("encoder.bart_encoder.layers.0.self_attn.k_proj.weight", "encoder_state"),
        ("encoder.bart_encoder.layers.1.fc2.bias", "encoder_state"),
        ("decoder.decoder.embed_positions.weight", "decoder_hidden"),
        ("decoder.decoder.layers.0.encoder_attn.v_proj.weight", "decoder_hidden"),
        ("decoder.encoder_mlp.0.weight", "logits"),
        ("decoder.encoder_mlp.3.bias", "region_logits_at_region_token"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    name = f"weight/seq2seq_model.{weight}"
    tensor = read_fixture(FILE)[name].clone()
    part = tensor.view(-1)[: 5 * 64]
    part += torch.arange(len(part)) % 7 * 0.1  # a norm would not see the same number everywhere
    assert first in past(verify("h_index", changed(FILE, tmp_path / "changed.safetensors", {name: tensor})))


@needs_shared
def test_published_names_go_to_ours_and_back() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    back = to_published(from_published(theirs, network(fixture).state_dict()))
    assert back.keys() == {name for name in theirs if not name.startswith(UNUSED)}
    assert all(torch.equal(back[name], theirs[name]) for name in back)
    assert len(theirs) - len(back) == 5  # region_select and the table of tokens


@needs_shared
def test_a_file_may_hold_the_table_twice_but_not_two_tables() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    table = theirs["seq2seq_model.encoder.bart_encoder.embed_tokens.weight"]
    names = list(network(fixture).state_dict())
    assert from_published(theirs | {TIED: table.clone()}, names).keys() == set(names)
    with pytest.raises(CheckpointError, match="two different tables"):
        from_published(theirs | {TIED: table + 1}, names)
    with pytest.raises(CheckpointError, match=r"also holds gate.bias \(1\)"):
        from_published(theirs | {"gate.bias": torch.zeros(1)}, names)


@needs_shared
def test_the_region_of_an_entity_is_trained_one_step_after_it_is_read_as_released() -> None:
    """The count that the file gives for either reading: 2 and 5 of the 5 seen entities."""
    facts = read_fixture(FILE).facts
    gold = {
        row: {tuple(s): set(r) for s, (r, _) in found} for row, found in enumerate(facts["expected_pairs"]["target"])
    }
    counts = []
    for pairs in (facts["expected_pairs"]["predicted"], facts["expected_pairs_if_region_is_read_one_step_later"]):
        right = [r[0] in gold[row].get(tuple(s), set()) and r[0] < 6 for row, f in enumerate(pairs) for s, (r, _) in f]
        counts.append(sum(right))
    assert counts == [facts["metric"]["uc"], facts["metric_if_region_is_read_one_step_later"]["uc"]] == [2, 5]


@needs_shared
@pytest.mark.parametrize(("name", "compared"), CASES.items())
def test_cases(name: str, compared: int) -> None:
    result = verify("h_index", FOLDER / name)
    assert result.passed
    assert len(result.comparisons) == compared
