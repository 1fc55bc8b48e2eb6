"""RiVEG from tiny random parts: every published combination builds, a post goes through all stages, oracles tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.tiny_sam import write_tiny_sam

from gmner.config import from_dict, read_values
from gmner.data import write_rows
from gmner.errors import CheckpointError
from gmner.geometry import box_mask
from gmner.stages.answers import write_expansions
from gmner.systems import load, riveg
from gmner.systems.lite import TAGGER
from gmner.systems.plim import PlimSettings
from gmner.systems.riveg import EntailSettings, GroundSettings, RivegSettings, SegmentSettings
from gmner.training.recipes import read_recipe
from gmner.types import Box, Entity, Example, Prediction

RECIPES = Path(__file__).parents[2] / "recipes"
CASCADES = sorted((RECIPES / "riveg").glob("*.toml"))
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
BOX = Box(5, 5, 40, 50)
WOMAN = {"expansion": "a woman in uniform"}
POST = Example(
    id="1",
    text="Grace Hopper of the US Navy",
    image=PICTURE,
    caption="a woman",
    entities=(
        Entity("Grace Hopper", "PER", 0, 12, boxes=(BOX,), masks=(box_mask(BOX, 80, 60),), extra=WOMAN),
        Entity("US Navy", "ORG", 20, 27, extra={"expansion": "the navy of a country"}),
    ),
)
SMALL = {
    "ofa-entail-narrow": ("start=''", "model.width=16", "model.inner_width=16", "model.heads=2", "model.image_size=64"),
    "ofa-ground-narrow": ("model.width=16", "model.inner_width=16", "model.heads=2", "model.image_size=64"),
    "albef-drawn": ("model.vision.resolution=32", "model.vision.width=16", "model.text.width=16"),
    "seqtr-drawn-both": ("model.side=64", "model.width=32", "model.channels=2"),
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Folders of parts that were never trained."""
    folder = tmp_path_factory.mktemp("parts")
    for name, changes in SMALL.items():
        torch.manual_seed(0)
        task = read_recipe(RECIPES / f"{name}.toml", changes).prepare([POST] * 4, [POST])
        task.save(folder / name)
    write_tiny_sam(folder / "sam")
    return {path.name: str(path) for path in folder.iterdir()}


def settings(parts: Mapping[str, str], recipe: Path) -> RivegSettings:
    """A published combination with tiny parts of the same kinds."""
    values = read_values(recipe)
    values["plim"]["tagger"] = str(TAGGER)
    values["entail"]["folder"] = parts[{"ofa": "ofa-entail-narrow", "albef": "albef-drawn"}[values["entail"]["model"]]]
    values["ground"]["folder"] = parts[
        {"ofa": "ofa-ground-narrow", "seqtr": "seqtr-drawn-both"}[values["ground"]["model"]]
    ]
    values["segment"]["weights"] = parts[{"sam": "sam", "seqtr": "seqtr-drawn-both"}[values["segment"]["model"]]]
    return from_dict(RivegSettings, values)


def test_there_is_a_recipe_for_every_row() -> None:
    assert len(CASCADES) == 15  # Table VIII: 8, of which Tables VI and IX share 2; they have 2 and 4 more; Table XI: 1


@pytest.mark.parametrize("path", CASCADES, ids=lambda path: path.stem)
def test_every_published_combination_builds(path: Path, parts: Mapping[str, str]) -> None:
    cascade = riveg.build(settings(parts, path))
    assert [stage.name for stage in cascade.stages] == ["recognise", "expand", "entail", "ground", "segment"]


@pytest.mark.parametrize("path", CASCADES[:1], ids=lambda path: path.stem)
def test_a_part_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(CheckpointError, match="plim-"):
        load("riveg", **read_values(path))


def tiny(parts: Mapping[str, str], answers: Path | None = None, **changes: Any) -> Prediction:
    """What tiny RiVEG says of the post."""
    llm = None if answers is None else {"model": "gold", "replay": str(answers)}
    plim = {"tagger": str(TAGGER)} | ({} if llm is None else {"llm": llm})
    chosen = {
        "plim": from_dict(PlimSettings, plim),
        "entail": EntailSettings("ofa", Path(parts["ofa-entail-narrow"])),
        "ground": GroundSettings("ofa", Path(parts["ofa-ground-narrow"])),
        "segment": SegmentSettings("sam", parts["sam"]),
        "threshold": 0.0,
    }
    [prediction] = riveg.build(RivegSettings(**(chosen | changes))).predict([POST])
    return prediction


def test_a_post_goes_through_all_stages(parts: Mapping[str, str], tmp_path: Path) -> None:
    write_expansions(tmp_path / "answers.jsonl", [POST], "gold")
    found = tiny(parts, tmp_path / "answers.jsonl")
    assert [entity.text for entity in found.entities] == ["Grace Hopper", "US Navy"]
    first = found.entities[0]
    assert first.expression == "Grace Hopper (PER) - a woman in uniform"
    assert first.groundable is not None and len(first.boxes) == len(first.masks) == 1
    assert all(0 <= value <= limit for value, limit in zip(first.boxes[0], (80, 60, 80, 60), strict=True))
    assert {"expand", "entail", "ground", "segment"} <= first.provenance.keys()
    assert first.provenance["entail"] == "ofa, ofa-entail-narrow"
    write_rows(tmp_path / "rows.jsonl", [found])


def test_parts_can_be_left_out(parts: Mapping[str, str]) -> None:
    found = tiny(parts, entail=None, segment=None)
    assert all(entity.boxes and not entity.masks and entity.expression for entity in found.entities)
    assert "no language model is configured" in found.notes[0]


def test_oracles_tell_what_gold_knows(parts: Mapping[str, str]) -> None:
    found = tiny(parts, oracle=("entities", "groundable", "boxes"), segment=SegmentSettings("grabcut"), threshold=0.5)
    assert [entity.boxes for entity in found.entities] == [(BOX,), ()]
    assert [len(entity.masks) for entity in found.entities] == [1, 0]
    assert [entity.score for entity in found.entities] == [None, None]  # the tagger was not asked


def test_masks_from_a_query(parts: Mapping[str, str]) -> None:
    found = tiny(parts, segment=SegmentSettings("seqtr", parts["seqtr-drawn-both"]))
    assert all(entity.masks for entity in found.entities)
