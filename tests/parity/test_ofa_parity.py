"""OFA against the tensors of the published one, and against its text and picture cases (fixtures/ofa)."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared
from torch.nn.attention import SDPBackend, sdpa_kernel

from gmner.errors import CheckpointError
from gmner.models.ofa.weights import TIED, derived, from_published, to_published
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.ofa import network
from gmner.verify.ofa_text import FOLDER

FOLDER_OF_FIXTURES = Path(SHARED or "") / "fixtures" / "ofa"
MODELS = {name: FOLDER_OF_FIXTURES / f"ofa_model_{name}.safetensors" for name in "ab"}
TEXT = FOLDER_OF_FIXTURES / "ofa_text.json"
OUTPUTS = {"a": 47, "b": 48}
CASES = 132


@needs_shared
@pytest.mark.parametrize("name", MODELS)
def test_model_fixtures(name: str) -> None:
    result = verify("ofa", MODELS[name])
    assert result.passed
    assert len(result.comparisons) == OUTPUTS[name]
    assert result.unchecked == ()


@needs_shared
@pytest.mark.parametrize("name", MODELS)
def test_with_plain_attention_the_difference_is_that_of_any_two_implementations(name: str) -> None:
    with sdpa_kernel(SDPBackend.MATH):  # the fast kernel's exponential is worth 3e-5 by itself
        result = verify("ofa", MODELS[name])
    assert max(comparison.difference for comparison in result.comparisons) < 2e-5


@needs_shared
def test_text_fixture() -> None:
    result = verify("ofa", TEXT)
    assert result.passed
    assert len(result.comparisons) == CASES


@needs_shared
def test_text_fixture_needs_the_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "x" / "y" / "ofa_text.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(TEXT.read_bytes())
    with pytest.raises(CheckpointError, match=FOLDER):
        verify("ofa", copy)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(CheckpointError, match="holds no vocabulary"):
        verify("ofa", copy)


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("encoder.embed_images.layer2.1.bn2.running_mean", "resnet_features"),
        ("encoder.type_embedding.weight", "encoder_state_0"),
        ("encoder.image_pos_ln.bias", "position_embeddings"),
        ("encoder.token_rel_pos_table_list.0.weight", "encoder_out_text_only"),
        ("encoder.image_rel_pos_table_list.1.weight", "encoder_state_2"),
        ("encoder.layers.0.self_attn.c_attn", "encoder_state_1"),
        ("encoder.layers.1.ffn_layernorm.weight", "encoder_state_2"),
        ("decoder.layernorm_embedding.bias", "decoder_state_0"),
        ("decoder.cross_pos_q_linear.weight", "decoder_state_1"),
        ("decoder.layers.1.cross_attn_ln.weight", "decoder_state_2"),
        ("decoder.layer_norm.weight", "ve_multi_none/scores"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    tensor = read_fixture(MODELS["a"])[f"weight/{weight}"].clone()
    tensor.view(-1)[:: max(tensor.numel() // 50, 1)] += 0.5
    path = changed(MODELS["a"], tmp_path / "changed.safetensors", {f"weight/{weight}": tensor})
    assert first in past(verify("ofa", path))


@needs_shared
@pytest.mark.parametrize("name", MODELS)
def test_published_names_go_to_ours_and_back(name: str) -> None:
    fixture = read_fixture(MODELS[name])
    model = network(fixture)
    theirs = fixture.under("weight/")
    ours = from_published(theirs, model.state_dict())
    assert ours.keys() == model.state_dict().keys()
    back = to_published(ours, model.config)
    assert back.keys() == theirs.keys() | set(TIED) | derived(model.config).keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in theirs.items())
    again = to_published(from_published(back, model.state_dict()), model.config)
    assert back.keys() == again.keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in again.items())


@needs_shared
def test_a_fixture_of_another_arrangement_is_refused(tmp_path: Path) -> None:
    with safe_open(MODELS["a"], "pt") as file:
        metadata = dict(file.metadata())
    metadata["fixture"] = metadata["fixture"].replace('"activation_fn": "gelu"', '"activation_fn": "relu"')
    save_file(dict(read_fixture(MODELS["a"]).tensors), tmp_path / "relu.safetensors", metadata)
    with pytest.raises(CheckpointError, match="activation_fn = 'relu'"):
        verify("ofa", tmp_path / "relu.safetensors")
