"""The settings of UMGF and its labels, in the order of the release."""

from dataclasses import dataclass
from typing import Final

from gmner.nn.piece_labels import CONTINUATION, FIRST, LAST, PAD

LABELS: Final = (PAD, "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-OTHER", "I-OTHER", "O",
                 CONTINUATION, FIRST, LAST)  # fmt: skip
"""One label for every sub-word, in the order of the output columns."""


@dataclass(frozen=True)
class UMGFConfig:
    """What a UMGF is built from. The defaults are those of the release (specs/evg_baselines.md, section 3).

    Args:
        encoder: a BERT-like text encoder: a packaged one, a folder, or a hub name in the local cache.
        vision: a ResNet, named in the same way; it is trained.
        window: most sub-words of the input, special tokens included.
        objects: most visual objects of a picture, the surest candidates.
        width: of the rows that are fused.
        heads: of their attention.
        inner_width: of their feed-forward layers.
        layers: of the fusion.
        dropout: share of numbers zeroed behind every sub-layer, in training.
    """

    encoder: str = "google-bert/bert-base-cased"
    vision: str = "microsoft/resnet-152"
    window: int = 128
    objects: int = 4
    width: int = 512
    heads: int = 8
    inner_width: int = 256
    layers: int = 6
    dropout: float = 0.4
