"""H-Index's cases without a network against a fixture: sequences as entities and their scores, or posts as targets."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from gmner.metrics.score import rates
from gmner.models.h_index.codec import HIndexCodec
from gmner.models.h_index.config import POINTERS, SEEN, HIndexConfig
from gmner.models.h_index.sequences import read_sequence
from gmner.tagging import read_bio
from gmner.types import Box, Candidate, Entity, Example
from gmner.verify.fixture import Comparison, Fixture, Tolerance, compare, same

SHARES: Final = Tolerance(2e-6)
"""The file has six digits."""

RATES: Final = Tolerance(6e-3)
"""Percent with two digits."""

COVERED: Final = 1
"""The flag of an entity that is annotated and that a candidate covers."""

UNCOVERED: Final = 0
"""The flag of an entity that is annotated and that no candidate covers. All others have no box."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every case, under its number."""
    return list(_targets(fixture) if "expected" in fixture.facts else _grouped(fixture))


class Found(NamedTuple):
    """An entity of a sequence: the numbers of the regions that it may have, and its type's token."""

    regions: frozenset[int]
    type: int


Entities = Mapping[tuple[int, ...], Found]
"""By span."""


def _grouped(fixture: Fixture) -> Iterator[Comparison]:
    """The entities of generated sequences, many malformed, and of their targets; how many are right; scores of all."""
    facts = fixture.facts
    total: dict[str, int] = {}
    exact = 0
    for number, case in enumerate(facts["cases"]):
        predicted, target = _generated(case, facts["box_num"]), _annotated(case, facts["box_num"])
        counts = _counts(predicted, target, absent=facts["box_num"])
        written = case["generated"][: len(case["target_tokens"])] == case["target_tokens"]
        yield same(f"{number}/predicted", predicted, _listed(case["expected"]["predicted"]))
        yield same(f"{number}/target", target, _listed(case["expected"]["target"]))
        read = {group.span: group.type for group in read_sequence(case["target_tokens"])}
        yield same(f"{number}/target_tokens", read, {span: found.type for span, found in target.items()})
        for name, count in (counts | {"exact": int(written)}).items():
            yield same(f"{number}/{name}", count, case["expected"][name])
            total[name] = total.get(name, 0) + count
        exact += written
    right, wrong, missed = total["tp"], total["fp"], total["fn"]
    precision, recall, f1 = (100 * rates(np.array([right, right + wrong, right + missed]))).tolist()
    corpus = facts["corpus"]
    for name, rate in (("pre", precision), ("rec", recall), ("f", f1)):
        yield compare(f"corpus/{name}", torch.tensor(rate), torch.tensor(corpus[name]), RATES)
    yield same("corpus/em", round(exact / len(facts["cases"]), 4), corpus["em"])
    for name, ours in _CORPUS.items():
        yield same(f"corpus/{name}", total[ours], corpus[name])


_CORPUS: Final = {
    "uc": "useful_correct",
    "nc": "noregion_correct",
    "tc": "type_correct",
    "sc": "span_correct",
    "tp": "tp",
    "fp": "fp",
    "fn": "fn",
}


def _generated(case: Mapping[str, Any], absent: int) -> Entities:
    """What was generated, each entity with one region or `absent`."""
    tokens, regions = case["generated"], case["generated_region"]
    return {
        group.span: Found(
            frozenset([regions[group.label] if tokens[group.label] == SEEN else absent]),
            group.type,
        )
        for group in read_sequence(tokens)
    }


def _annotated(case: Mapping[str, Any], absent: int) -> Entities:
    """What should have been: every region with a share; `absent`; or a number that no prediction has."""
    rows = zip(case["target_span"], case["region_label"], case["cover_flag"], strict=True)
    return {tuple(span): Found(_fitting(shares, flag, absent), kind) for (*span, _, kind), shares, flag in rows}


def _fitting(shares: list[float], flag: int, absent: int) -> frozenset[int]:
    if flag == COVERED:
        return frozenset(np.flatnonzero(shares).tolist())
    return frozenset([absent + 1 if flag == UNCOVERED else absent])


def _listed(entities: list[dict[str, list[int]]]) -> Entities:
    """Entities as the file lists them."""
    return {tuple(e["span"]): Found(frozenset(e["region"]), *e["type"]) for e in entities}


def _counts(predicted: Entities, target: Entities, *, absent: int) -> dict[str, int]:
    """How many entities are right, and right in part."""
    spans = predicted.keys() & target.keys()
    typed = [span for span in spans if predicted[span].type == target[span].type]
    right = [span for span in typed if predicted[span].regions <= target[span].regions]
    nowhere = sum(absent in predicted[span].regions for span in right)
    return {
        "tp": len(right),
        "fp": len(predicted) - len(right),
        "fn": len(target) - len(right),
        "useful_correct": len(right) - nowhere,
        "noregion_correct": nowhere,
        "type_correct": len(typed),
        "span_correct": len(spans),
    }


class Toy:
    """A tokenizer that cuts every word into as many sub-words as it is told."""

    unk_token_id = 3

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts

    def __call__(self, words: list[list[str]], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[10] * self.counts[word] for [word] in words]}


def _targets(fixture: Fixture) -> Iterator[Comparison]:
    """What is read of posts and what is to be generated, under each setting.

    The features are not in the file, so that of the regions as they are read only the absent ones can be compared.
    """
    for setting, results in fixture.facts["expected"].items():
        stated = dict(part.split("=") for part in setting.split(","))
        kept = int(stated["box_num"])
        config = HIndexConfig(regions=kept, normalise=stated["normalize"] == "True", released=True)
        for case, expected in zip(fixture.facts["cases"], results, strict=True):
            name = f"{setting}/{case['img_id']}"
            codec = HIndexCodec(config, Toy(dict(zip(case["words"], expected["subword_counts"], strict=True))))
            detected = case["detected"] or []
            candidates = tuple(Candidate(Box(*box), "object", 1.0) for box in detected)
            features = np.ones((len(detected), config.region_width)) if detected else None
            [item] = codec.encode([replace(_post(case), candidates=candidates)], [None], [features])
            targets, source, gold = codec.targets([item]), codec.batch([item]), codec.gold(item)
            spans = [[*(POINTERS + position for position in words.positions)] for words, _ in gold]
            labelled = zip(expected["region_label"], expected["cover_flag"], strict=True)
            shares = [row[:-1] for row, flag in labelled if flag == COVERED]
            there = [norm > 0 for norm in expected["image_feature_row_norms"]]
            yield same(f"{name}/src_seq_len", len(item.pieces), expected["src_seq_len"])
            yield same(f"{name}/tgt_tokens", targets.tokens.tolist(), [expected["tgt_tokens"]])
            yield same(f"{name}/target_span", spans, [span[:-2] for span in expected["target_span"]])
            yield same(f"{name}/entity_tags", [words.type.lower() for words, _ in gold], expected["entity_tags"])
            yield compare(
                f"{name}/region_label", targets.shares, torch.tensor(shares).reshape(len(shares), kept), SHARES
            )
            yield same(f"{name}/regions", (source.regions[0].norm(dim=-1) > 0).tolist(), there)
            yield same(f"{name}/present", source.present[0].tolist(), there)


def _post(case: Mapping[str, Any]) -> Example:
    """A post of the file: a name's boxes are those of every entity that reads the same."""
    words = case["words"]
    starts = np.cumsum([0, *(len(word) + 1 for word in words)]).tolist()
    entities = []
    for span in read_bio(case["tags"]):
        text = " ".join(words[span.start : span.end])
        boxes = tuple(Box(*box) for name, box in case["objects"] or () if name == text)
        entities.append(Entity(text, span.type, starts[span.start], starts[span.start] + len(text), boxes))
    return Example(id=case["img_id"], tokens=tuple(words), entities=tuple(entities))
