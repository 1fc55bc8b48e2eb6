"""ALBEF against the tensors and texts of the published one (fixtures/albef)."""

from pathlib import Path

import pytest
import torch
from tests.parity.changed import changed, past
from tests.shared import SHARED, needs_shared

from gmner.errors import CheckpointError
from gmner.models.albef.weights import from_published, join_momentum, split_momentum, to_published
from gmner.verify import verify
from gmner.verify.albef import network
from gmner.verify.fixture import read_fixture

FOLDER = Path(SHARED or "") / "fixtures" / "albef"
FILE = FOLDER / "albef_ve_small.safetensors"
OUTPUTS = 28
TEXTS = 27


@needs_shared
def test_albef_fixture() -> None:
    result = verify("albef", FILE)
    assert result.passed
    assert len(result.comparisons) == OUTPUTS
    assert result.unchecked == ()
    # The stated tolerance is 1e-4; two other implementations came within a tenth of it, and so do the augmentations.
    assert max(comparison.difference for comparison in result.comparisons if "aug" not in comparison.output) < 1e-5


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("visual_encoder.patch_embed.proj.bias", "image_patch_embed"),
        ("visual_encoder.cls_token", "image_embeds"),
        ("visual_encoder.blocks.1.attn.qkv.weight", "image_embeds"),
        ("visual_encoder.blocks.2.mlp.fc2.bias", "image_embeds"),
        ("text_encoder.embeddings.token_type_embeddings.weight", "text_embeddings"),
        ("text_encoder.encoder.layer.2.attention.self.query.weight", "text_encoder"),
        ("text_encoder.encoder.layer.3.crossattention.self.key.weight", "fusion_first_layer"),
        ("text_encoder.encoder.layer.4.crossattention.output.LayerNorm.bias", "fusion"),
        ("cls_head.0.bias", "logits"),
        ("cls_head.2.weight", "momentum_cls_weight_after_update"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    tensor = read_fixture(FILE)[f"weight/{weight}"].clone()
    tensor.view(-1)[:3] += 0.5
    path = changed(FILE, tmp_path / "changed.safetensors", {f"weight/{weight}": tensor})
    assert first in past(verify("albef", path))


@needs_shared
def test_published_names_go_to_ours_and_back() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    back = to_published(from_published(theirs, network(fixture).state_dict(), "fixture"))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())


@needs_shared
def test_the_momentum_copy_goes_to_ours_and_back() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    for name in list(theirs):
        module, _, rest = name.partition(".")
        theirs[f"{module}_m.{rest}"] = theirs[name] if name.endswith("position_ids") else theirs[name] + 1
    like = network(fixture).state_dict()
    student, teacher = (from_published(half, like, "fixture") for half in split_momentum(theirs))
    assert torch.equal(teacher["vision.norm.bias"], theirs["visual_encoder_m.norm.bias"])
    back = join_momentum(to_published(student), to_published(teacher))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())


@needs_shared
@pytest.mark.parametrize(
    ("absent", "alien", "match"),
    [
        ("cls_head.0.bias", None, r"lacks cls_head.0.bias \(1\)"),
        ("visual_encoder.blocks.0.attn.qkv.weight", None, r"lacks visual_encoder.blocks.0.attn.qkv.weight \(1\)"),
        (None, "cls_head.1.bias", r"also holds cls_head.1.bias \(1\)"),
    ],
)
def test_missing_and_alien_weights_are_named(tmp_path: Path, absent: str | None, alien: str | None, match: str) -> None:
    changes: dict[str, torch.Tensor | None] = {f"weight/{alien}": torch.zeros(1)} if alien else {}
    if absent:
        changes[f"weight/{absent}"] = None
    with pytest.raises(CheckpointError, match=match):
        verify("albef", changed(FILE, tmp_path / "changed.safetensors", changes))


@needs_shared
def test_texts() -> None:
    result = verify("albef", FOLDER / "text.json")
    assert result.passed
    assert len(result.comparisons) == TEXTS
