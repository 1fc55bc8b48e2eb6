"""Every kind of case in the JSON fixtures is really compared: where another value is expected, the check fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.shared import SHARED, needs_shared
from typer import Exit

from gmner.cli.verify import verify as command
from gmner.errors import CheckpointError
from gmner.verify import fixtures, verify

FOLDER = Path(SHARED or "") / "fixtures"
FIRST = "expected/box_num=3,normalize=True/0"
PLACES = {
    ("albef", "albef/text.json"): "cases/3/out batch/cleaned batch/input_ids batch/attention_mask",
    ("seqtr", "seqtr/text.json"): "token_to_index/UNK cases/1/cleaned cases/2/ids",
    ("seqtr", "seqtr/geometry.json"): "cases/1/img_hw cases/1/pad_hw cases/1/scale_factor cases/1/box_in_img "
    "cases/1/tokens cases/1/box_back_padframe cases/1/box_back_original",
    ("seqtr", "seqtr/polygon_sampling.json"): "cases/4/vertices_xy cases/4/keep",
    ("h_index", "hindex/grouping_cases.json"): "cases/0/expected/tp cases/0/expected/fp cases/0/expected/fn "
    "cases/0/expected/useful_correct cases/0/expected/noregion_correct cases/0/expected/type_correct "
    "cases/0/expected/span_correct cases/0/expected/exact cases/0/expected/predicted cases/0/expected/target "
    "corpus/f corpus/rec corpus/pre corpus/em corpus/uc corpus/nc corpus/tc corpus/sc corpus/tp corpus/fp corpus/fn",
    ("h_index", "hindex/preprocess_cases.json"): f"{FIRST}/tgt_tokens {FIRST}/target_span {FIRST}/region_label "
    f"{FIRST}/entity_tags {FIRST}/src_seq_len {FIRST}/image_feature_row_norms",
}


def cases() -> Iterator[Any]:
    for (model, file), places in PLACES.items():
        for place in places.split():
            yield pytest.param(model, file, place, id=f"{file}:{place}")


def other(value: Any) -> Any:
    """The value with one number, flag or text in it another one: the first."""
    if isinstance(value, list):
        return [other(value[0]), *value[1:]]
    if isinstance(value, dict):
        name = next(iter(value))
        return value | {name: other(value[name])}
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}?"
    return value - 1  # a norm of 0.5 is then none at all


@needs_shared
@pytest.mark.parametrize(("model", "file", "place"), list(cases()))
def test_another_expectation_fails(tmp_path: Path, model: str, file: str, place: str) -> None:
    facts = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    *way, last = (int(key) if key.isdigit() else key for key in place.split("/"))
    inner = facts
    for key in way:
        inner = inner[key]
    inner[last] = other(inner[last])
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(facts), encoding="utf-8")
    assert not verify(model, changed).passed


@needs_shared
def test_a_folder_is_all_its_fixtures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("seqtr", FOLDER / "seqtr")
    said = capsys.readouterr().out
    for name, count in {"geometry": 84, "polygon_sampling": 28, "seqtr_small": 31, "text": 29}.items():
        assert name in said
        assert f"{count} of {count} outputs" in said
    for name in ("text.json", "polygon_sampling.json"):
        facts = json.loads((FOLDER / "seqtr" / name).read_text(encoding="utf-8"))
        if name == "polygon_sampling.json":
            facts["cases"][0]["keep"] = not facts["cases"][0]["keep"]
        (tmp_path / name).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(Exit):  # though the last file passes
        command("seqtr", tmp_path)
    assert "29 of 29" in capsys.readouterr().out


def test_a_folder_without_fixtures_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no fixture"):
        fixtures(tmp_path)


@pytest.mark.parametrize("facts", ["{}", '{"cases": [{}]}', '{"cases": 3, "expected": []}', '{"cases": []}'])
@pytest.mark.parametrize("model", ["albef", "seqtr", "h_index"])
def test_cases_of_another_form_are_refused(tmp_path: Path, model: str, facts: str) -> None:
    path = tmp_path / "cases.json"
    path.write_text(facts, encoding="utf-8")
    with pytest.raises(CheckpointError):
        verify(model, path)
