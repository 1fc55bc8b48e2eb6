"""Segment by SAM: what is computed once, what stands where, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.unit.sight import blank
from tests.unit.tiny_sam import write_tiny_sam

from gmner.errors import CheckpointError
from gmner.geometry import decode_mask, mask_area
from gmner.stages import segment_by_sam as sam_module
from gmner.stages.segment_by_sam import Sam, SegmentBySam
from gmner.types import Box, Entity, Example, Prediction

LEFT, RIGHT, OUTSIDE = Box(5, 5, 40, 45), Box(40.5, 2, 88, 30), Box(100, 0, 120, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sam(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def sam(folder: Path) -> Sam:
    return Sam.load(str(folder))


def draft(*boxes: tuple[Box, ...]) -> Prediction:
    return Prediction(example=Example(text="Ada"), entities=tuple(Entity("Ada", "PER", boxes=some) for some in boxes))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (50, 90, 3), dtype=np.uint8)


def test_every_box_has_its_mask_and_nothing_else_changes(sam: Sam) -> None:
    before = draft((LEFT, RIGHT), (), (RIGHT,))
    [after] = SegmentBySam(sam)([before], [picture(1)])
    first, second, third = after.entities
    assert [len(entity.masks) for entity in after.entities] == [2, 0, 1]
    assert first.masks[1] == third.masks[0] != first.masks[0]
    assert first.boxes == (LEFT, RIGHT) and second == before.entities[1]
    assert first.provenance == {"segment": f"{sam.name}, from the box"}


def test_a_picture_is_encoded_once_whatever_is_asked_of_it(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, decoded = [], []
    encode, decode = sam.model.vision_encoder.forward, sam.model.mask_decoder.forward

    def count_encoding(*values: object, **named: object) -> object:
        encoded.append(1)
        return encode(*values, **named)

    def count_decoding(*values: object, **named: object) -> object:
        decoded.append(1)
        return decode(*values, **named)

    monkeypatch.setattr(sam.model.vision_encoder, "forward", count_encoding)
    monkeypatch.setattr(sam.model.mask_decoder, "forward", count_decoding)
    shared, other = picture(1), picture(2)
    drafts = [draft((LEFT,), (RIGHT,)), draft((LEFT,)), draft((LEFT,)), draft(()), draft((LEFT,))]
    done = SegmentBySam(sam)(drafts, [shared, shared, other, picture(3), None])
    assert len(encoded) == len(decoded) == 2  # two pictures have boxes
    assert done[0].entities[0].masks == done[1].entities[0].masks != done[2].entities[0].masks
    assert done[4] == drafts[4]


def test_a_mask_does_not_depend_on_the_other_boxes(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [LEFT, RIGHT, Box(0, 0, 90, 50), Box(10, 10, 11, 11)]
    together = sam.masks(picture(1), boxes)
    assert together == [mask for box in boxes for mask in sam.masks(picture(1), [box])]
    monkeypatch.setattr(sam_module, "_BOXES_AT_ONCE", 3)
    assert sam.masks(picture(1), boxes) == together


def test_a_box_is_clipped_and_one_outside_has_an_empty_mask(sam: Sam) -> None:
    inside, outside, beyond = sam.masks(picture(1), [RIGHT, OUTSIDE, RIGHT._replace(x2=500, y1=-40)])
    assert mask_area(outside) == 0 and outside.size == (50, 90)
    assert beyond == sam.masks(picture(1), [Box(40.5, 0, 90, 30)])[0]
    assert decode_mask(inside).shape == (50, 90)
    assert sam.masks(picture(1), []) == []


def test_what_is_no_sam_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="hf download nobody/nothing"):
        Sam.load("nobody/nothing")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="of kind bert"):
        Sam.load(str(tmp_path / "bert"))


def test_a_sam_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "sam"
    shutil.copytree(folder, broken)
    weights = load_file(broken / "model.safetensors")
    removed = next(name for name in weights if name.startswith("mask_decoder"))
    del weights[removed]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"lacks 1 weights, such as {removed}"):
        Sam.load(str(broken))


def test_a_grey_picture_is_a_picture(sam: Sam) -> None:
    assert sam.masks(blank(), [LEFT])[0].size == (300, 400)
