"""labelme's and Label Studio's own readers on our files, where they are installed.

They are no dependency, not even of the tests: labelme brings Qt, Label Studio's package pins an older OpenCV. To run
these tests, install both without what they need beside it, `pip install --no-deps`, and what importing them asks for.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmner.data import write
from gmner.data.brush import decode_brush
from gmner.geometry import decode_mask, encode_mask
from gmner.types import Box, Entity, Example

WIDTH, HEIGHT = 40, 30
PIXELS = np.random.default_rng(7).random((HEIGHT, WIDTH)) < 0.3
LIBRARYS_STROKE = [0, 0, 0, 24, 57, 27, 252, 127, 243, 128, 79, 255, 24, 0]
"""What `mask2rle` of label_studio_sdk 2.1.2 makes of three rows of two pixels, of which those on the diagonals are."""


def example(folder: Path) -> Example:
    """A post of one entity with a box and a mask, whose picture lies there."""
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "1.png")
    entity = Entity("Ada", "PER", 0, 3, (Box(1, 2, 30, 25.5),), (encode_mask(PIXELS),))
    return Example(
        id="1",
        text="Ada",
        tokens=("Ada",),
        image=folder / "1.png",
        image_size=(WIDTH, HEIGHT),
        entities=(entity,),
        extra={"split": "test"},
    )


def test_labelme_opens_our_drawings(tmp_path: Path) -> None:
    labelme = pytest.importorskip("labelme")
    write(tmp_path / "out", [example(tmp_path)], "twitter-smner")
    opened = labelme.LabelFile(str(tmp_path / "out" / "json" / "1.json"))  # it looks for the picture, and at its size
    shapes = {shape["shape_type"]: shape for shape in opened.shapes}
    assert {shape["label"] for shape in opened.shapes} == {"Ada"}
    assert shapes["rectangle"]["points"] == [[1, 2], [30, 25.5]]
    (left, top), (right, bottom) = shapes["mask"]["points"]
    found = np.zeros_like(PIXELS)
    found[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = shapes["mask"]["mask"]
    np.testing.assert_array_equal(found, PIXELS)


def test_label_studio_s_converter_reads_our_strokes_and_we_read_its(tmp_path: Path) -> None:
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    write(tmp_path / "tasks.json", [example(tmp_path)], "label-studio")
    [task] = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    [stroke] = [one["value"] for one in task["annotations"][0]["result"] if one["type"] == "brush"]
    theirs = brush.decode_rle(stroke["rle"]).reshape(HEIGHT, WIDTH, 4)
    np.testing.assert_array_equal(theirs[:, :, 3] > 0, PIXELS)
    ours = decode_brush(brush.mask2rle((PIXELS * 255).astype(np.uint8)), WIDTH, HEIGHT)
    np.testing.assert_array_equal(decode_mask(ours), PIXELS)


def test_a_stroke_that_label_studio_s_converter_wrote() -> None:
    assert decode_mask(decode_brush(LIBRARYS_STROKE, 2, 3)).tolist() == [[True, False], [False, True], [True, False]]
