"""Any system with masks, and files of predictions that get theirs; bad rows are kept apart."""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.tiny_sam import write_tiny_sam
from typer.testing import CliRunner

import gmner
from gmner.batch.files import predict_file
from gmner.batch.source import Source
from gmner.cli.main import app
from gmner.config import from_dict
from gmner.data.rows import read_predictions
from gmner.errors import ConfigError, GmnerError, ImageError, MismatchError, TextError
from gmner.geometry import mask_area, mask_of_runs
from gmner.stages.segment import SegmentByGrabCut
from gmner.stages.segment_by_sam import PUBLISHED
from gmner.systems.cascade import NO_PICTURE
from gmner.systems.segmented import Segmented, SegmentedSettings, add_masks
from gmner.systems.system import System
from gmner.types import Box, Entity, Example, Prediction

BOX = Box(10, 10, 50, 40)


class Boxes(System):
    """Puts the same box around every word with a capital."""

    name = "boxes"

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        return [self._one(example) for example in examples]

    def _one(self, example: Example) -> Prediction | GmnerError:
        if "bad" in example.text:
            return TextError("bad", allowed="good", todo="mend it")
        entity = Entity("Ada", "PER", 0, 3, boxes=(BOX,), masks=(mask_of_runs([4800], 60, 80),))
        return Prediction(example=example, entities=(entity, Entity("Rome", "LOC", 4, 8)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 60, (60, 80, 3), dtype=np.uint8)
    pixels[15:38, 20:40] += 150
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_every_system_gets_masks_and_keeps_its_errors(photo: Path) -> None:
    posts = [
        Example(text="Ada Rome", image=photo),
        Example(text="bad", image=photo),
        Example(text="Ada Rome"),
        Example(text="Ada Rome", image=photo.with_name("missing.png")),
    ]
    good, bad, blind, missing = Segmented(Boxes(), SegmentByGrabCut()).attempt(posts)
    assert isinstance(good, Prediction) and isinstance(blind, Prediction)
    assert isinstance(bad, TextError) and isinstance(missing, ImageError)
    [mask] = good.entities[0].masks
    assert mask.size == (60, 80) and mask_area(mask) == pytest.approx(23 * 20, rel=0.2)
    assert good.entities[0].boxes == (BOX,) and good.image_size == (80, 60)
    assert good.entities[1].masks == () and blind.notes == (NO_PICTURE,)


def test_regions_of_another_picture_are_refused_and_notes_are_not_repeated(photo: Path) -> None:
    masks = add_masks(SegmentByGrabCut())
    boxed = Entity("Ada", "PER", boxes=(BOX,))
    turned = replace(boxed, masks=(mask_of_runs([4800], 80, 60),))
    posts = [
        Example(text="Ada", image=photo, entities=(boxed,), image_size=(60, 80)),
        Example(text="Ada", image=photo, entities=(turned,)),
        Example(text="Ada", entities=(boxed,), extra={"notes": ("a", NO_PICTURE)}),
    ]
    stated, masked, blind = masks.attempt(posts)
    for error in (stated, masked):
        assert isinstance(error, MismatchError) and "(60, 80)" in str(error) and "(80, 60)" in str(error)
    assert isinstance(blind, Prediction) and blind.notes == ("a", NO_PICTURE)


def row(name: str, image: str | None, **more: object) -> dict[str, object]:
    entity = {"text": "Ada", "type": "PER", "start": 0, "end": 3, "boxes": [list(BOX)], "masks": []}
    return {"id": name, "text": "Ada in Rome", "entities": [entity], **({"image": image} if image else {}), **more}


def test_a_file_of_predictions_gets_masks_and_its_bad_rows_a_file(photo: Path) -> None:
    (photo.parent / "broken.png").write_bytes(photo.read_bytes()[:200])
    rows = [
        row("good", "a.png", knowledge="a mathematician"),
        row("missing", "b.png"),
        row("broken", "broken.png"),
        row("blind", None),
        row("other", "a.png", image_size=[81, 60]),
        {"id": "plain", "text": "Ada in Rome"},
        row("bad box", "a.png") | {"entities": [{"text": "Ada", "type": "PER", "boxes": [[3, 3, 1, 1]]}]},
    ]
    source, target = photo.with_name("boxes.jsonl"), photo.parent / "out" / "masks.jsonl"
    source.write_text("".join(f"{json.dumps(one)}\n" for one in rows) + "{no json\n")
    system = add_masks(SegmentByGrabCut())
    summary = predict_file(lambda: system, Source(source), target, batch_size=2, progress=False)
    assert (summary.posts, summary.entities, summary.errors) == (2, 2, 6)
    good, blind = read_predictions(target)
    assert good.id == "good" and len(good.entities[0].masks) == 1 and good.example.knowledge == "a mathematician"
    assert blind.id == "blind" and blind.entities[0].masks == ()
    errors = [json.loads(line) for line in (target.parent / "masks.errors.jsonl").read_text().splitlines()]
    reasons = {error["id"]: error["error"] for error in errors}
    assert "does not exist" in reasons["missing"] and "damaged" in reasons["broken"]
    assert "(81, 60)" in reasons["other"] and "no entities" in reasons["plain"] and "box" in reasons["bad box"]
    assert [error["line"] for error in errors] == [2, 3, 5, 6, 7, 8]


def test_the_command_segments_by_sam_and_by_grab_cut(photo: Path, tmp_path: Path) -> None:
    source, target = photo.with_name("boxes.jsonl"), photo.with_name("masks.jsonl")
    source.write_text(json.dumps(row("1", "a.png")))
    sam = write_tiny_sam(tmp_path / "sam")
    run = CliRunner().invoke
    assert run(app, ["segment", str(source), "--sam", str(sam), "-o", str(target)]).exit_code == 0
    by_sam = read_predictions(target)[0].entities[0]
    assert by_sam.provenance["segment"] == f"{sam}, from the box"
    assert run(app, ["segment", str(source), "--sam", str(sam), "--best-of-three", "-o", str(target)]).exit_code == 0
    assert "best of three" in read_predictions(target)[0].entities[0].provenance["segment"]
    assert run(app, ["segment", str(source), "-o", str(target)]).exit_code == 0
    assert "GrabCut" in read_predictions(target)[0].entities[0].provenance["segment"]
    source.write_text(json.dumps(row("1", "missing.png")))
    assert run(app, ["segment", str(source), "-o", str(target)]).exit_code == 1


def test_the_settings_of_the_page_are_settings() -> None:
    page = (Path(__file__).parents[2] / "docs" / "masks.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    settings = from_dict(SegmentedSettings, tomllib.loads(block))
    assert (settings.system, settings.sam, settings.settings) == ("lite", PUBLISHED, {"people": True})


def test_it_is_a_system_by_name(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gmner import systems

    entry = systems.Entry(summary="", needs="", make=lambda people=True: Boxes())
    monkeypatch.setitem(systems.SYSTEMS, "boxes", entry)
    system = gmner.load("segmented", system="boxes", settings={"people": False})
    [post] = system.predict([Example(text="Ada Rome", image=photo)])
    assert len(post.entities[0].masks) == 1
    with pytest.raises(ConfigError, match="best of three"):
        gmner.load("segmented", system="boxes", best_of_three=True)
    with pytest.raises(ConfigError, match="'boxes': it was given windows"):
        gmner.load("segmented", system="boxes", settings={"windows": True})
