"""Segment by SAM beside a direct call of transformers' SamModel and SamProcessor, on a tiny random SAM."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Bool
from tests.unit.tiny_sam import write_tiny_sam

from gmner.geometry import decode_mask
from gmner.image import Picture
from gmner.stages.segment_by_sam import Sam
from gmner.types import Box

SIZES = [(90, 50), (50, 90), (64, 64), (7, 5), (1, 1), (30, 3), (300, 15), (15, 300), (641, 480)]
"""Width and height: lying, standing, as it is seen, tiny, as high as a picture has channels, 1:20 both ways, larger."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sam(tmp_path_factory.mktemp("sam"))


def picture_of(width: int, height: int) -> Picture:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def boxes_of(width: int, height: int) -> list[Box]:
    parts = [(0, 0, 1, 1), (0.1, 0.2, 0.6, 0.9), (0.5, 0.5, 1, 0.8), (0.25, 0, 0.3, 1)]
    return [Box(width * x1, height * y1, width * x2, height * y2) for x1, y1, x2, y2 in parts]


def directly(folder: Path, picture: Picture, boxes: list[Box], multimask: bool) -> list[Bool[np.ndarray, "h w"]]:
    """What transformers' own recipe gives, the best by its score where there are several."""
    from transformers import SamModel, SamProcessor

    processor: Any = SamProcessor.from_pretrained(folder, backend="pil")
    model: Any = SamModel.from_pretrained(folder).eval()
    inputs = processor(
        picture, input_boxes=[[list(box) for box in boxes]], return_tensors="pt", input_data_format="channels_last"
    )
    with torch.no_grad():
        outputs = model(
            pixel_values=inputs["pixel_values"],
            input_boxes=inputs["input_boxes"].float(),
            multimask_output=multimask,
        )
    [masks] = processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])
    best = outputs.iou_scores[0].argmax(dim=-1)
    return [mask[choice].numpy() for mask, choice in zip(masks, best, strict=True)]


@pytest.mark.parametrize("best_of_three", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_masks_are_those_of_transformers(folder: Path, size: tuple[int, int], best_of_three: bool) -> None:
    picture, boxes = picture_of(*size), boxes_of(*size)
    ours = Sam.load(str(folder), best_of_three=best_of_three).masks(picture, boxes)
    theirs = directly(folder, picture, boxes, best_of_three)
    for mask, expected in zip(ours, theirs, strict=True):
        assert mask.size == (size[1], size[0])
        np.testing.assert_array_equal(decode_mask(mask), expected)


def test_the_comparison_is_of_masks_that_differ(folder: Path) -> None:
    """Were all masks full, empty or alike, the test above would say little."""
    masks = directly(folder, picture_of(90, 50), boxes_of(90, 50), False)
    assert len({mask.tobytes() for mask in masks}) == len(masks)
    assert all(0.02 < mask.mean() < 0.98 for mask in masks)
    others = directly(folder, picture_of(90, 50), boxes_of(90, 50), True)
    assert any((mask != other).any() for mask, other in zip(masks, others, strict=True))
