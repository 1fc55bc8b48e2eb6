"""The released MQSPN against the tensors of the authors' code (fixtures/mqspn)."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared

from gmner.errors import CheckpointError, UnknownNameError
from gmner.models.mqspn.weights import DEAD, from_published, live, to_published
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.mqspn import network, posts

FOLDER = Path(SHARED or "") / "fixtures" / "mqspn"
FORWARD = FOLDER / "forward.safetensors"
OPTIONS = FOLDER / "forward_options.safetensors"

COMPARED = {"data": 36, "decode": 10, "forward": 527, "forward_options": 17, "match_loss": 62, "optim": 3, "score": 2}
"""How much of each file is compared. `forward` holds 465 norms of gradients in its metadata."""


@needs_shared
@pytest.mark.parametrize("name", COMPARED)
def test_fixture(name: str) -> None:
    result = verify("mqspn", FOLDER / f"{name}.safetensors")
    assert past(result) == set()
    assert len(result.comparisons) == COMPARED[name]
    assert result.unchecked == ()


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("bert.embeddings.LayerNorm.weight", "hidden/word_embeddings"),
        ("bert.entity_embeddings.entity_embeddings.weight", "hidden/query_embeddings"),
        ("bert.pos_entity_embeddings.LayerNorm.bias", "hidden/query_pos_backbone"),
        ("pos_entity_embeddings.entity_embeddings.weight", "hidden/query_pos_decoder"),
        ("bert.vision_embeddings.aux_position_embedding.weight", "hidden/vision_embeddings"),
        ("bert.encoder.layer.7.attention.self.key.bias", "hidden/backbone_after_layer_8/region"),  # the prefix
        ("bert.encoder.layer.9.intermediate.fusion_dense.weight", "hidden/pooled_words"),
        ("bert.encoder.vision_layers.8.mlp.fc2.bias", "hidden/backbone_after_layer_8/token"),
        ("selfcrossattention.vision_layers.0.self_attn.out_proj.weight", "hidden/decoder_0/region"),
        ("entity_classifier.multihead_attn.out_proj.bias", "layer_0/entity_logits"),
        ("left_boundary_classfier.boundary_predictor.bias", "layer_0/p_left"),
        ("region_pointer_classifier.token_embedding_linear.0.weight", "layer_0/p_region"),
    ],
)
def test_a_changed_weight_fails_where_it_is_used(tmp_path: Path, weight: str, first: str) -> None:
    tensor = read_fixture(FORWARD)[f"weight/{weight}"].clone()
    tensor.view(-1)[:5] += 0.5
    path = changed(FORWARD, tmp_path / "changed.safetensors", {f"weight/{weight}": tensor})
    assert first in past(verify("mqspn", path))


@needs_shared
def test_a_wrong_epsilon_of_a_norm_fails() -> None:
    fixture = read_fixture(FORWARD)
    model, batch = network(fixture), posts(fixture)
    model.text.norm.eps = 1e-5
    expected = fixture["output/hidden/word_embeddings"]
    assert (model.states(batch).embedded.text - expected).abs().max() > 1e-5


@needs_shared
@pytest.mark.parametrize("path", [FORWARD, OPTIONS], ids=["forward", "options"])
def test_names_there_and_back(path: Path) -> None:
    published = read_fixture(path).under("weight/")
    model = network(read_fixture(path))
    again = to_published(from_published(published, model.state_dict()))
    assert again.keys() == live(published).keys()
    assert all(torch.equal(again[name], published[name]) for name in again)
    assert all(DEAD.fullmatch(name) for name in published.keys() - again.keys())


@needs_shared
def test_copies_of_tensors_are_passed_over_and_strangers_refused() -> None:
    published = read_fixture(FORWARD).under("weight/")
    names = network(read_fixture(FORWARD)).state_dict()
    twice = {**published, **{f"model.{n[5:]}": t for n, t in published.items() if n.startswith("bert.")}}
    assert from_published(twice, names).keys() == names.keys()
    with pytest.raises(CheckpointError, match=r"also holds bert\.pooler"):
        from_published({**published, "bert.pooler": torch.zeros(1)}, names)
    del published["bert.encoder.layer.8.intermediate.fusion_dense.weight"]
    with pytest.raises(CheckpointError, match=r"lacks bert\.encoder\.layer\.8\.intermediate\.fusion_dense\.weight"):
        from_published(published, names)


@needs_shared
def test_only_the_last_layer_is_asked_in_evaluation() -> None:
    fixture = read_fixture(FORWARD)
    model = network(fixture)
    [outputs] = model(posts(fixture))
    assert torch.allclose(outputs.region, fixture["output/layer_2/p_region"], atol=1e-5)
    assert len(model.train()(posts(fixture))) == 3


@needs_shared
def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"output/x": torch.zeros(1)}, path, {"fixture": '{"name": "speed"}'})
    with pytest.raises(UnknownNameError, match="no fixture of mqspn 'speed'"):
        verify("mqspn", path)
