"""Boxes go into every model's frame of a picture and come back: 10,000 random sizes, aspect ratios up to 1:20."""

import numpy as np
import pytest

from gmner.models.ofa.codec import OFACodec
from gmner.models.ofa.config import OFAConfig
from gmner.models.ofa.vocabulary import DICTIONARY, Vocabulary
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import SeqTRConfig
from gmner.models.seqtr.frame import frame_of, scaled_size
from gmner.models.seqtr.text import Vocabulary as Words
from gmner.types import Box

SIZES = 10_000


def sizes_and_boxes() -> list[tuple[int, int, Box]]:
    """Sides from 1 to 4,000 pixels, none of them more than twenty times the other, each with a box inside."""
    draw = np.random.default_rng(11)
    made = []
    for _ in range(SIZES):
        side = int(np.exp(draw.uniform(0, np.log(4000))))
        other = int(np.clip(side * np.exp(draw.uniform(-np.log(20), np.log(20))), 1, 4000))
        width, height = max(side, 1), max(other, 1)
        (left, right), (top, bottom) = np.sort(draw.uniform(0, width, 2)), np.sort(draw.uniform(0, height, 2))
        made.append((width, height, Box(float(left), float(top), float(right), float(bottom))))
    return made


CASES = sizes_and_boxes()


@pytest.mark.parametrize(("side", "bins"), [(512, 1000), (480, 1000), (128, 100)])
def test_ofa_comes_back_within_one_bin(side: int, bins: int) -> None:
    config = OFAConfig(image_size=side, bins=bins, bpe_symbols=0)
    codec = OFACodec(config, Vocabulary({DICTIONARY: ""}))
    for width, height, box in CASES:
        back = codec.corners(codec.bins(box, width, height), width, height)
        allowed = np.array([width, height] * 2) / (bins - 1) / 2 * 1.001 + 1e-3  # rounded to the nearest of two bins
        assert (np.abs(np.array(back) - np.array(box)) <= allowed).all(), (width, height, box, back)


@pytest.mark.parametrize(("side", "bins"), [(640, 1000), (224, 64)])
def test_seqtr_comes_back_within_one_bin(side: int, bins: int) -> None:
    codec = SeqTRCodec(SeqTRConfig(side=side, bins=bins), Words(()))
    for width, height, box in CASES:
        frame = frame_of((width, height), scaled_size((width, height), side))
        tokens = codec.box_tokens(frame, frame.seen_box(box))
        back = codec.box(frame, np.append(tokens, codec.config.end))
        allowed = np.tile(np.array(frame.padded) / frame.scale / bins, 2) * 1.001 + 1e-3  # cut down to whole bins
        assert (np.abs(np.array(back) - np.array(box)) <= allowed).all(), (width, height, box, back)
        assert back.x1 >= 0 and back.y1 >= 0 and back.x2 <= width and back.y2 <= height
