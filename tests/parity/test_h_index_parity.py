"""H-Index against the tensors, sequences and preprocessing of the published one (fixtures/hindex)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.shared import SHARED, needs_shared

from gmner.errors import CheckpointError
from gmner.models.h_index.codec import HIndexCodec
from gmner.models.h_index.config import POINTERS, SEEN, TYPE_TOKENS, HIndexConfig
from gmner.models.h_index.sequences import read_sequence
from gmner.models.h_index.weights import TIED, UNUSED, from_published, to_published
from gmner.tagging import read_bio
from gmner.types import Box, Candidate, Entity, Example
from gmner.verify import verify
from gmner.verify.fixture import read_fixture
from gmner.verify.h_index import network

FOLDER = Path(SHARED or "") / "fixtures" / "hindex"
FILE = FOLDER / "hindex_small.safetensors"
OUTPUTS = 21


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """The fixture's file with other tensors."""
    with safe_open(FILE, "pt") as file:
        save_file(tensors, path, file.metadata())
    return path


@needs_shared
def test_h_index_fixture() -> None:
    result = verify("h_index", FILE)
    assert result.passed
    assert len(result.comparisons) == OUTPUTS + 2  # and the entities under both readings of the region
    assert result.unchecked == ()
    # The stated tolerance is 1e-4 + 1e-4 |x|.
    assert max(comparison.difference for comparison in result.comparisons) < 3e-5


@needs_shared
@pytest.mark.parametrize(
    ("weight", "first"),
    [
        ("encoder.bart_encoder.img_proj.bias", "projected_image"),
        ("encoder.bart_encoder.layernorm_embedding.bias", "encoder_input"),
        ("encoder.bart_encoder.layers.0.self_attn.k_proj.weight", "encoder_state"),
        ("encoder.bart_encoder.layers.1.fc2.bias", "encoder_state"),
        ("decoder.decoder.embed_positions.weight", "decoder_hidden"),
        ("decoder.decoder.layers.0.encoder_attn.v_proj.weight", "decoder_hidden"),
        ("decoder.encoder_mlp.0.weight", "logits"),
        ("decoder.encoder_mlp.3.bias", "region_logits_at_region_token"),
    ],
)
def test_a_changed_weight_fails_where_it_is_first_used(tmp_path: Path, weight: str, first: str) -> None:
    tensors = dict(read_fixture(FILE).tensors)
    changed = tensors[f"weight/seq2seq_model.{weight}"].clone()
    part = changed.view(-1)[: 5 * 64]
    part += torch.arange(len(part)) % 7 * 0.1  # a norm would not see the same number everywhere
    tensors[f"weight/seq2seq_model.{weight}"] = changed
    result = verify("h_index", write(tmp_path / "changed.safetensors", tensors))
    assert first in [comparison.output for comparison in result.comparisons if not comparison.within]


@needs_shared
def test_published_names_go_to_ours_and_back() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    back = to_published(from_published(theirs, network(fixture).state_dict()))
    assert back.keys() == {name for name in theirs if not name.startswith(UNUSED)}
    assert all(torch.equal(back[name], theirs[name]) for name in back)
    assert len(theirs) - len(back) == 5  # region_select and the table of tokens


@needs_shared
def test_a_file_may_hold_the_table_twice_but_not_two_tables() -> None:
    fixture = read_fixture(FILE)
    theirs = fixture.under("weight/")
    table = theirs["seq2seq_model.encoder.bart_encoder.embed_tokens.weight"]
    names = list(network(fixture).state_dict())
    assert from_published(theirs | {TIED: table.clone()}, names).keys() == set(names)
    with pytest.raises(CheckpointError, match="two different tables"):
        from_published(theirs | {TIED: table + 1}, names)
    with pytest.raises(CheckpointError, match=r"also holds gate.bias \(1\)"):
        from_published(theirs | {"gate.bias": torch.zeros(1)}, names)


@needs_shared
def test_the_region_of_an_entity_is_trained_one_step_after_it_is_read_as_released() -> None:
    """The count that the file gives for either reading: 2 and 5 of the 5 seen entities."""
    facts = read_fixture(FILE).facts
    gold = {
        row: {tuple(s): set(r) for s, (r, _) in found} for row, found in enumerate(facts["expected_pairs"]["target"])
    }
    counts = []
    for pairs in (facts["expected_pairs"]["predicted"], facts["expected_pairs_if_region_is_read_one_step_later"]):
        right = [r[0] in gold[row].get(tuple(s), set()) and r[0] < 6 for row, f in enumerate(pairs) for s, (r, _) in f]
        counts.append(sum(right))
    assert counts == [facts["metric"]["uc"], facts["metric_if_region_is_read_one_step_later"]["uc"]] == [2, 5]


def cases(name: str) -> Any:
    """A JSON file of the fixtures; nothing where they are absent."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8")) if SHARED else {"cases": [], "expected": {}}


@needs_shared
def test_grouping_of_well_formed_and_malformed_sequences() -> None:
    record = cases("grouping_cases.json")
    absent = record["box_num"]
    assert len(record["cases"]) == 48
    for case in record["cases"]:
        tokens, expected = case["generated"], case["expected"]
        found = [
            {
                "span": list(group.span),
                "region": [case["generated_region"][group.label] if tokens[group.label] == SEEN else absent],
                "type": [group.type],
            }
            for group in read_sequence(tokens)
        ]
        assert sorted(found, key=str) == sorted(expected["predicted"], key=str), tokens
        gold = [(tuple(item["span"]), tuple(item["type"])) for item in expected["target"]]
        ours = [(group.span, (group.type,)) for group in read_sequence(case["target_tokens"])]
        assert sorted(ours) == sorted(gold)
        regions = {tuple(item["span"]): set(item["region"]) for item in expected["target"]}
        right = [
            pair
            for pair in found
            if (tuple(pair["span"]), tuple(pair["type"])) in gold and pair["region"][0] in regions[tuple(pair["span"])]
        ]
        assert len(right) == expected["tp"]
        assert len(found) - len(right) == expected["fp"]
        assert len(gold) - len(right) == expected["fn"]


class Toy:
    """A tokenizer that cuts every word into as many sub-words as the record says."""

    unk_token_id = 3

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts

    def __call__(self, words: list[list[str]], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[10] * self.counts[word] for [word] in words]}


def preprocessing() -> Iterator[Any]:
    """Every post of the record under each of its settings."""
    record = cases("preprocess_cases.json")
    for setting, results in record["expected"].items():
        for case, expected in zip(record["cases"], results, strict=True):
            yield pytest.param(setting, case, expected, id=f"{setting}-{case['img_id']}")


def post(case: Any) -> Example:
    """A post of the record: a name's boxes are those of every entity that reads the same."""
    words = case["words"]
    starts = np.cumsum([0, *(len(word) + 1 for word in words)]).tolist()
    entities = []
    for span in read_bio(case["tags"]):
        text = " ".join(words[span.start : span.end])
        boxes = tuple(Box(*box) for name, box in case["objects"] or () if name == text)
        entities.append(Entity(text, span.type, starts[span.start], starts[span.start] + len(text), boxes))
    return Example(id=case["img_id"], tokens=tuple(words), entities=tuple(entities))


@needs_shared
@pytest.mark.parametrize(("setting", "case", "expected"), list(preprocessing()))
def test_preprocessing(setting: str, case: Any, expected: Any) -> None:
    kept = int(setting.partition(",")[0].removeprefix("box_num="))
    config = HIndexConfig(regions=kept, normalise="normalize=True" in setting, released=True)
    codec = HIndexCodec(config, Toy(dict(zip(case["words"], expected["subword_counts"], strict=True))))
    boxes = tuple(Candidate(Box(*box), "object", 1.0) for box in case["detected"] or ())
    features = np.abs(np.random.default_rng(0).normal(size=(len(boxes), 2048))) if boxes else None
    [item] = codec.encode([replace(post(case), candidates=boxes)], [None], [features])
    assert len(item.pieces) == expected["src_seq_len"]
    targets = codec.targets([item])
    assert targets.tokens.tolist() == [expected["tgt_tokens"]]
    covered = [
        row[:-1] for row, flag in zip(expected["region_label"], expected["cover_flag"], strict=True) if flag == 1
    ]
    np.testing.assert_allclose(targets.shares.numpy(), np.array(covered).reshape(-1, kept), atol=2e-6)
    names = {token: kind.lower() for kind, token in TYPE_TOKENS.items()}
    spans = [[*(POINTERS + place for place in words.positions)] for words, _ in codec.gold(item)]
    assert spans == [span[:-2] for span in expected["target_span"]]
    assert [names[span[-1]] for span in expected["target_span"]] == expected["entity_tags"]

    source = codec.batch([item])
    assert source.regions.shape[1] == kept
    norms = source.regions[0].norm(dim=-1)
    assert (norms > 0).tolist() == [norm > 0 for norm in expected["image_feature_row_norms"]]
    assert source.present[0].tolist() == [norm > 0 for norm in expected["image_feature_row_norms"]]
    if config.normalise and features is not None:
        whole = np.linalg.norm(features)
        np.testing.assert_allclose(norms[: len(item.regions.boxes)], np.linalg.norm(features[:kept], axis=1) / whole,
                                   rtol=1e-5)  # fmt: skip
