"""UMT against the tensors of the published one (fixtures/umt)."""

from pathlib import Path

import pytest
import torch
import typer
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared
from typer.testing import CliRunner

from gmner.cli.verify import verify as command
from gmner.errors import CheckpointError
from gmner.models.umt.weights import from_published, to_published
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.umt import network

FILE = Path(SHARED or "") / "fixtures" / "umt" / "umt_small.safetensors"
OUTPUTS = 25


@needs_shared
def test_umt_fixture() -> None:
    result = verify("umt", FILE)
    assert result.passed
    assert len(result.comparisons) == OUTPUTS + 1  # and the conversion matrix
    assert result.unchecked == ()
    # The stated tolerance is 1e-4; two other implementations came within a tenth of it.
    assert max(comparison.difference for comparison in result.comparisons) < 1e-5


@needs_shared
def test_the_command_says_by_its_exit_code_whether_all_is_within(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["umt", str(FILE)]).exit_code == 0
    name = "weight/gate.bias"
    path = changed(FILE, tmp_path / "changed.safetensors", {name: read_fixture(FILE)[name] + 0.01})
    assert CliRunner().invoke(app, ["umt", str(path)]).exit_code == 1


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("bert.encoder.layer.0.attention.self.query.weight", "bert_sequence_output"),
        ("bert.pooler.dense.bias", "bert_pooled_output"),
        ("self_attention.layer.0.output.LayerNorm.weight", "aux_hidden"),
        ("self_attention_v2.layer.0.intermediate.dense.bias", "main_hidden"),
        ("vismap2text.weight", "visual_proj"),
        ("vismap2text_v2.weight", "visual_proj_v2"),
        ("txt2img_attention.layer.0.attention.output.dense.bias", "image_aware_text"),
        ("img2txt_attention.layer.0.attention.self.value.weight", "text_aware_image"),
        ("txt2txt_attention.layer.0.attention.output.LayerNorm.bias", "multimodal_text"),
        ("gate.weight", "gate"),
        ("classifier.bias", "main_logits"),
        ("aux_classifier.weight", "aux_emissions"),
        ("crf.end_transitions", "main_llh"),
        ("aux_crf.transitions", "aux_llh"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    tensor = read_fixture(FILE)[f"weight/{weight}"].clone()
    tensor.view(-1)[:3] += 0.5
    path = changed(FILE, tmp_path / "changed.safetensors", {f"weight/{weight}": tensor})
    assert first in past(verify("umt", path))


@needs_shared
def test_published_names_go_to_ours_and_back() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    ours = from_published(theirs, network(fixture).state_dict())
    back = to_published(ours)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())


@needs_shared
@pytest.mark.parametrize(
    ("absent", "alien", "match"),
    [
        ("gate.bias", None, r"lacks gate.bias \(1\)"),
        (None, "gate.scale", r"also holds gate.scale \(1\)"),
        ("crf.transitions", "crf.trans", r"lacks crf.transitions \(1\) and also holds crf.trans \(1\)"),
    ],
)
def test_missing_and_alien_weights_are_named(tmp_path: Path, absent: str | None, alien: str | None, match: str) -> None:
    changes: dict[str, torch.Tensor | None] = {f"weight/{alien}": torch.zeros(1)} if alien else {}
    if absent:
        changes[f"weight/{absent}"] = None
    with pytest.raises(CheckpointError, match=match):
        verify("umt", changed(FILE, tmp_path / "changed.safetensors", changes))
