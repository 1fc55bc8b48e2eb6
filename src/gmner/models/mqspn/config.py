"""The settings of MQSPN. The defaults are the paper's (specs/mqspn_paper.md); `released` is what the code computes."""

from dataclasses import dataclass, field
from typing import Literal

from gmner.models.mqspn.decoding import DecodingConfig
from gmner.models.mqspn.released import ReleasedConfig

Extra = Literal["knowledge", "caption", "description"]
"""Texts of a post beside its sentence."""


@dataclass(frozen=True)
class FreshText:
    """A BERT with random weights, of which the settings' `encoder` gives the tokenizer only."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int = 512
    dropout: float = 0.1


@dataclass(frozen=True)
class FreshCrops:
    """A small convolutional encoder of crops with random weights; it is trained.

    Args:
        side: pixels of a crop.
        channels: a multiple of 4; the three layers have three, four and six times as many.
    """

    side: int = 48
    channels: int = 16


@dataclass(frozen=True)
class Queries:
    """Where queries come from; leaving both grains in is the paper, each left out one of its ablations.

    Args:
        count: of all queries, a multiple of the four types.
        typed: every query belongs to a type: the state of [MASK] in a prompt that names the type is added to it, and it
            says only whether such an entity is there. Otherwise a query chooses among the types.
        learned: the entity grain is learned; otherwise it is made of hand-written sentences.
        std: of the entity grain's first values. The paper's leave the queries of one type all but equal: they have to
            grow apart.
    """

    count: int = 60
    typed: bool = True
    learned: bool = True
    std: float = 0.02


@dataclass(frozen=True)
class Fusion:
    """The parts of the query-guided fusion net; leaving one out is an ablation of the paper.

    Args:
        layers: of the net.
        text: queries read the text.
        prefix: queries stand before the regions' own keys and values.
        aggregator: queries gather from both by similarity.
        scaled: divide similarities of the aggregator by the root of the width. The paper's are plain products, which
            wide states turn into a choice of one row.
        residual: add what the aggregator gathers to the query and normalise, where the paper puts it in its place.
    """

    layers: int = 3
    text: bool = True
    prefix: bool = True
    aggregator: bool = True
    scaled: bool = False
    residual: bool = False


@dataclass(frozen=True)
class MQSPNConfig:
    """What an MQSPN is built from.

    Args:
        encoder: a BERT-like text encoder: a packaged one, a folder, or a hub name in the local cache.
        text: a random BERT instead of it.
        casing: add a learned embedding of each word's shape to its sub-words, for encoders that drop the case.
        window: most sub-words of the input, special tokens included.
        reads: what is read behind the sentence, in this order; what does not fit is cut there, never from the sentence.
        vision: a CLIP, named like `encoder`; it sees one crop a region, and is never trained.
        crops: a small trainable encoder of crops instead of it.
        features: width of a detector's stored features, which stand in the place of crops; 0 for none.
        places: also give the network the place and size of each region, which the paper does not.
        regions: candidates that are looked at, the first in the post's order.
        queries: the query set.
        fusion: the query-guided fusion net.
        dropout: share of numbers zeroed in training, above the encoders.
        repeat: gold items are repeated until so large a share of the queries that can take them answers for one.
        decoding: which answers are kept.
        product: queries also point by likeness, the product of query and word or region. The paper's heads only add.
        released: the released network instead of the paper's: its own sizes, its text and crops, its gold.
    """

    encoder: str = "bert-base-cased"
    text: FreshText | None = None
    casing: bool = False
    window: int = 256
    reads: tuple[Extra, ...] = ()
    vision: str = "openai/clip-vit-base-patch32"
    crops: FreshCrops | None = None
    features: int = 0
    places: bool = False
    regions: int = 18
    queries: Queries = Queries()
    fusion: Fusion = Fusion()
    dropout: float = 0.1
    repeat: float = 0.75
    product: bool = False
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    released: ReleasedConfig | None = None
