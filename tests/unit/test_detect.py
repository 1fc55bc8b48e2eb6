"""Candidates of tiny random detectors of the real classes, and CLIP's vectors of regions."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from gmner.errors import CheckpointError
from gmner.geometry import box_iou
from gmner.image import Picture
from gmner.stages.detect import CLIPFeatures, TransformersDetector, detect
from gmner.types import Box


@pytest.fixture
def picture() -> Picture:
    return np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random RT-DETR on disk."""
    torch.manual_seed(0)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic", out_features=None,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=[8, 8, 8], encoder_hidden_dim=16, d_model=16, num_queries=12,
        encoder_ffn_dim=16, decoder_ffn_dim=16, decoder_layers=1, encoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, decoder_in_channels=[16, 16, 16], feat_strides=[8, 16, 32], num_labels=3,
        num_denoising=0, hidden_expansion=1.0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("rtdetr")
    transformers.RTDetrForObjectDetection(config).save_pretrained(folder)
    transformers.RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    folder = tmp_path_factory.mktemp("clip")
    transformers.CLIPVisionModel(config).save_pretrained(folder)
    return folder


def test_candidates_lie_in_the_picture_the_surest_first(detector: Path, picture: Picture) -> None:
    found = TransformersDetector.load(str(detector), most=5)(picture)
    assert 1 <= len(found) <= 5
    scores = [candidate.score for candidate in found]
    assert scores == sorted(scores, reverse=True)
    for candidate in found:
        assert candidate.kind == "object"
        assert 0 <= candidate.box.x1 < candidate.box.x2 <= 160
        assert 0 <= candidate.box.y1 < candidate.box.y2 <= 90
    overlaps = box_iou([c.box for c in found], [c.box for c in found])
    assert (overlaps - np.eye(len(found)) <= 0.7 + 1e-9).all()


def test_boxes_are_shares_of_the_picture(picture: Picture) -> None:
    class Model:
        device = torch.device("cpu")

        def __call__(self, **inputs: object) -> object:
            logits = torch.tensor([[[-5.0, 2.0], [-1.0, -1.0], [3.0, -torch.inf]]])
            boxes = torch.tensor([[[0.5, 0.5, 0.5, 1.0], [0.5, 0.5, 0.51, 1.0], [0.0, 0.0, 0.25, 0.5]]])
            return type("Outputs", (), {"logits": logits, "pred_boxes": boxes})

    def processor(**inputs: object) -> transformers.BatchFeature:
        return transformers.BatchFeature({})

    found = TransformersDetector(Model(), processor)(picture)
    assert [tuple(candidate.box) for candidate in found] == [(0, 0, 20, 22.5), (40, 0, 120, 90)]  # one is a double
    assert found[1].score == pytest.approx(1 / (1 + np.exp(-2)))


def test_regions_have_features_of_their_own_pixels(detector: Path, clip: Path, picture: Picture) -> None:
    features = CLIPFeatures.load(str(clip))
    regions = detect(picture, TransformersDetector.load(str(detector), most=4), features)
    assert regions.features is not None
    assert regions.features.shape == (len(regions.boxes), 16)
    box = Box(10, 10, 60, 60)
    [before] = features(picture, [box])
    outside, inside = picture.copy(), picture.copy()
    outside[70:] = 0
    inside[20:40, 20:40] = 0
    assert np.array_equal(features(outside, [box])[0], before)
    assert not np.allclose(features(inside, [box])[0], before)
    assert features(picture, []).shape == (0, 16)
    assert detect(picture, TransformersDetector.load(str(detector))).features is None


def test_a_detector_that_is_not_there_is_no_download(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="fetch it first"):
        TransformersDetector.load("nobody/no-such-detector")
