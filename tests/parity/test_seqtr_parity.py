"""SeqTR against the tensors, tokens, outlines and word ids of the published one (fixtures/seqtr)."""

from pathlib import Path

import pytest
import torch
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared

from gmner.errors import CheckpointError
from gmner.models.seqtr.config import Mode
from gmner.models.seqtr.darknet import fold
from gmner.models.seqtr.weights import POSITIONS, TASKS, from_published, to_published
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.seqtr import network

FOLDER = Path(SHARED or "") / "fixtures" / "seqtr"
FILE = FOLDER / "seqtr_small.safetensors"
OUTPUTS = 30
CASES = {"geometry.json": 84, "polygon_sampling.json": 28, "text.json": 29}
MODES: tuple[Mode, ...] = ("boxes", "masks", "both")


@needs_shared
def test_seqtr_fixture() -> None:
    result = verify("seqtr", FILE)
    assert result.passed
    assert len(result.comparisons) == OUTPUTS + 1  # and the pictures
    assert result.unchecked == ()
    for comparison in result.comparisons:  # two other implementations came within these
        assert comparison.difference < (2e-4 if comparison.output.endswith("logits") else 2e-5)


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("vis_enc.darknet.6.module_list.7.1.bn.running_var", "vis_stride8"),
        ("vis_enc.darknet.7.conv.weight", "vis_stride16"),
        ("vis_enc.darknet.11.module_list.0.0.conv.weight", "vis_stride32"),
        ("lan_enc.lstm.weight_hh_l0_reverse", "lang"),
        ("lan_enc.embedding.weight", "lang"),
        ("fusion.down_bot2mid.1.bn.bias", "fused"),
        ("head.transformer.input_proj.gn.weight", "input_proj"),
        ("head.transformer.encoder.layers.5.self_attn.in_proj_bias", "memory"),
        ("head.transformer.decoder.layers.2.multihead_attn.in_proj_weight", "det_logits"),
        ("head.transformer.decoder.norm.weight", "seg_logits"),
        (POSITIONS, "multi_logits"),
        (TASKS, "multi_logits"),
        ("head.predictor.1.fc.bias", "multi_logits"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    tensor = read_fixture(FILE)[f"weight/{weight}"].clone()
    tensor.view(-1)[-200:] += 0.5
    path = changed(FILE, tmp_path / "changed.safetensors", {f"weight/{weight}": tensor})
    assert first in past(verify("seqtr", path))


@needs_shared
@pytest.mark.parametrize("mode", MODES)
def test_published_names_go_to_ours_and_back(mode: Mode) -> None:
    fixture = read_fixture(FILE)
    model = network(fixture, mode)
    theirs = fixture.under("weight/")
    theirs[POSITIONS] = theirs[POSITIONS][: model.config.length]
    if mode != "both":
        del theirs[TASKS]
    ours = from_published(theirs, model.state_dict())
    assert ours.keys() == model.state_dict().keys()
    back = to_published(ours)
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())


@needs_shared
def test_missing_and_alien_weights_are_named(tmp_path: Path) -> None:
    absent = "weight/head.transformer.encoder.layers.0.self_attn.in_proj_bias"
    path = changed(FILE, tmp_path / "changed.safetensors", {absent: None, "weight/fc.bias": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"in_proj_bias \(1\) and also holds fc.bias \(1\)"):
        verify("seqtr", path)


@needs_shared
def test_folded_norms_give_the_same() -> None:
    fixture = read_fixture(FILE)
    model = network(fixture, "boxes")
    pixels = fixture["input/img_uint8_rgb_nchw"].float()
    with torch.inference_mode():
        expected = model.see(pixels)
        fold(model)
        assert (model.see(pixels) - expected).abs().max() < 1e-5


@needs_shared
@pytest.mark.parametrize(("name", "compared"), CASES.items())
def test_cases(name: str, compared: int) -> None:
    result = verify("seqtr", FOLDER / name)
    assert result.passed
    assert len(result.comparisons) == compared
