"""The settings of UMT and its labels, whose order published checkpoints fix."""

from dataclasses import dataclass
from typing import Final, Literal

from gmner.nn.piece_labels import CONTINUATION, FIRST, LAST, PAD

Fusion = Literal["mean", "cls", "flat"]
"""How the fused rows of a post become its one fusion feature, see `model.fusion_feature`."""

LABELS: Final = (PAD, "O", "B-OTHER", "I-OTHER", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC",
                 CONTINUATION, FIRST, LAST)  # fmt: skip
"""One label for every sub-word, in the order of the output columns. Padding is a state of the CRF like the others."""

SPAN_LABELS: Final = (PAD, "O", "B", "I", CONTINUATION, FIRST, LAST)
"""The labels of the auxiliary branch, which finds names but not their types."""


def span_label(label: str) -> str:
    """`B-PER` as `B`; a label without type as itself."""
    return label.partition("-")[0]


@dataclass(frozen=True)
class UMTConfig:
    """What a UMT is built from. The defaults are those of the published runs, apart from `released`.

    Args:
        encoder: a BERT-like text encoder: a packaged one, a folder, or a hub name in the local cache. It also says the
            width, heads and layer-norm epsilon of the blocks above it.
        vision: a ResNet, named in the same way.
        window: most sub-words of the input, special tokens included.
        grid_width: channels of the ResNet's last stage.
        text_to_image: blocks in which sub-words read the picture.
        image_to_text: blocks in which picture cells read the text.
        text_to_text: blocks in which sub-words read the picture cells that have read the text.
        dropout: share of numbers zeroed in training, of states and of attention alike.
        main_share: share of the main branch in the final emissions; the rest comes from the span branch.
        span_weight: weight of the span branch's loss.
        fusion: what the fusion feature of a post is, by which similar examples are found.
        released: do as the released code does where its numbers depend on it. Longer texts are cut at the window
            without a word; words that the tokenizer's clean-up removes have no sub-word; of every picture a random
            piece of 224 x 224 pixels is seen, mirrored or not, and a small or missing picture is replaced by another
            post's; any label may be decoded anywhere (specs/umt.md, sections 2, 6 and 9). Otherwise a long text is an
            error, a removed word is an unknown one, the middle of the whole picture is seen, and only labels that
            can stand at a position are decoded there.
    """

    encoder: str = "bert-base-cased"
    vision: str = "microsoft/resnet-152"
    window: int = 128
    grid_width: int = 2048
    text_to_image: int = 1
    image_to_text: int = 1
    text_to_text: int = 1
    dropout: float = 0.1
    main_share: float = 0.5
    span_weight: float = 0.5
    fusion: Fusion = "mean"
    released: bool = False
