"""SeqTR's cases without a network against a fixture: word ids, boxes as tokens and back, outlines of masks."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch

from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import SeqTRConfig
from gmner.models.seqtr.frame import frame_of, scaled_size
from gmner.models.seqtr.outline import sample_outline
from gmner.models.seqtr.text import SPECIAL, Vocabulary, clean
from gmner.types import Box
from gmner.verify.fixture import Comparison, Fixture, Tolerance, compare, same

PIXELS: Final = Tolerance(1e-4)
"""The reference rounds through float32 (the file's own words)."""


def checks(fixture: Fixture) -> list[Comparison]:
    """Every case, under its number. What else the file holds says of what the cases are."""
    if "token_to_index" in fixture.facts:
        return list(_words(fixture))
    return list(_boxes(fixture) if "num_bin" in fixture.facts else _outlines(fixture))


def _words(fixture: Fixture) -> Iterator[Comparison]:
    """The vocabulary, and expressions cleaned and as ids.

    An expression without any word is one unknown word here, and nothing in the released code.
    """
    facts = fixture.facts
    vocabulary = Vocabulary.build([*facts["train_expressions"], *facts["val_expressions"]])
    yield same("token_to_index", vocabulary.ids, facts["token_to_index"])
    for number, case in enumerate(facts["cases"]):
        codec = SeqTRCodec(SeqTRConfig(max_words=case["max_token"], cut_expressions=True), vocabulary)
        expected = case["ids"] if case["cleaned"] else [SPECIAL.index("UNK"), *case["ids"][1:]]
        yield same(f"{number}/cleaned", clean(case["expression"]), case["cleaned"])
        yield same(f"{number}/ids", codec.words([case["expression"]]).tolist(), [expected])


def _boxes(fixture: Fixture) -> Iterator[Comparison]:
    """Sizes and tokens exactly, pixels nearly."""
    config = SeqTRConfig(bins=fixture.facts["num_bin"])
    codec = SeqTRCodec(config, Vocabulary(()))
    for number, case in enumerate(fixture.facts["cases"]):
        original = (case["ori_hw"][1], case["ori_hw"][0])
        frame = frame_of(original, scaled_size(original, config.side))
        box = frame.seen_box(Box(*case["ori_box_xyxy"]), inclusive=True)
        tokens = codec.box_tokens(frame, box)
        yield same(f"{number}/img_hw", [*frame.seen[::-1]], case["img_hw"])
        yield same(f"{number}/pad_hw", [*frame.padded[::-1]], case["pad_hw"])
        yield same(f"{number}/scale_factor", np.tile(frame.scale, 2).tolist(), case["scale_factor"])
        yield same(f"{number}/tokens", tokens.tolist(), case["tokens"])
        yield _near(f"{number}/box_in_img", box, case["box_in_img"])
        yield _near(f"{number}/box_back_padframe", codec.corners(frame, tokens), case["box_back_padframe"])
        yield _near(f"{number}/box_back_original", codec.original_corners(frame, tokens), case["box_back_original"])


def _near(name: str, ours: Sequence[float] | np.ndarray, expected: Sequence[float]) -> Comparison:
    return compare(name, torch.tensor(np.asarray(ours)), torch.tensor(expected), PIXELS)


def _outlines(fixture: Fixture) -> Iterator[Comparison]:
    for number, case in enumerate(fixture.facts["cases"]):
        pixels = np.array([[pixel == "1" for pixel in row] for row in case["mask_rows"]])
        vertices = sample_outline(pixels, case["num_ray"])
        yield same(f"{number}/vertices_xy", vertices.tolist(), case["vertices_xy"])
        yield same(f"{number}/keep", bool((vertices != -1).any()), case["keep"])
