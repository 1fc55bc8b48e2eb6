"""The settings of EVG."""

from dataclasses import dataclass

from gmner.expression import Form


@dataclass(frozen=True)
class EVGConfig:
    """What an EVG is built from. The published one is known by its name and scores only; all of this is ours.

    Args:
        encoder: a BERT-like text encoder: a packaged one, a folder, or a hub name in the local cache. It also says the
            width and heads of the blocks above it.
        window: most sub-words of sentence and entity together, special tokens included.
        form: how the entity is written behind the sentence: by `name` and type, or with what the name stands for.
        region_width: numbers of a region's feature, which are divided by their norm.
        crop: see regions by crops of so many pixels a side, by a small convolutional network that is trained along;
            with 0, a detector's features are given.
        regions: most candidate regions of a post, in the detector's order; the others are not seen.
        dropout: share of numbers zeroed in training above the encoder.
    """

    encoder: str = "bert-base-uncased"
    window: int = 256
    form: Form = "name"
    region_width: int = 2048
    crop: int = 0
    regions: int = 18
    dropout: float = 0.1
