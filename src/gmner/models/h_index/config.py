"""The settings of H-Index and the tokens that it generates, whose numbers published checkpoints fix."""

from dataclasses import dataclass
from typing import Final, Literal

from gmner.errors import ConfigError
from gmner.types import EntityType

START: Final = 0
END: Final = 1
"""Ends a sequence, and fills up what follows it."""
SEEN: Final = 2
"""The entity whose words came before has a region."""
UNSEEN: Final = 3
TYPE_TOKENS: Final[dict[EntityType, int]] = {"LOC": 4, "PER": 5, "OTHER": 6, "ORG": 7}
POINTERS: Final = 8
"""The token `POINTERS + p` is the source's sub-word at position p."""

LABEL_WORDS: Final = ("which region", "no region", "location", "person", "others", "organization")
"""What the tokens 2 to 7 mean: the mean of these words' embeddings is what their own embeddings begin with."""

Extra = Literal["knowledge", "caption", "description"]
"""Texts of a post beside its sentence."""

RegionLoss = Literal["kl", "bce"]


@dataclass(frozen=True)
class HIndexConfig:
    """What an H-Index is built from. The defaults are those of the published runs, apart from `released`.

    Args:
        tokenizer: whose sub-words are read: a packaged model's, a folder, or a hub name in the local cache.
        start_piece: the sub-word that begins a source, and the decoder's input.
        pad_piece: the sub-word that fills up a source.
        end_piece: the sub-word that ends a source; its embedding is also that of the token `END`.
        first_label: the embedding of the token `SEEN`; those of the tokens 3 to 7 come after it.
        vocabulary: rows of the embedding table.
        positions: most sub-words of a source, and most tokens of a target.
        width: of all states.
        heads: of every attention.
        inner_width: of the feed-forward layers.
        encoder_layers: layers that read regions and text.
        decoder_layers: layers that generate.
        dropout: share of numbers zeroed in training, of states and of attention alike.
        head_dropout: the same of what the scores are computed from.
        region_width: numbers of a region's feature.
        crop: see regions by crops of so many pixels a side, by a small convolutional network that is trained along;
            with 0, the published way, a detector's features are given.
        places: also read the place and size of each region, and norm the sum of the two as sub-words are normed, which
            the published network does not: there regions come in as small as a detector's features make them.
        regions: most candidate regions of a post, in the detector's order; the others are not seen.
        normalise: divide a post's features by the norm of all of them together, of those that are not kept as well.
        grounded: generate `SEEN` or `UNSEEN` and a region for every entity. Off, the network is BARTMNER: words and
            types only (specs/evg_baselines.md, section 3).
        joint: let `SEEN` stand for all regions together: its score rises by the logarithm of the summed exponentials
            of theirs (over the root of the width), and the region is learned and chosen at the step that generates it.
            As published, `SEEN` is scored like any token, and the region at the next step; from random weights that
            hardly learns what is in the picture.
        reads: what is read behind the sentence, in this order. Nothing can be pointed at there.
        region_loss: how the distribution over regions is learned: its divergence from the overlaps of the regions with
            the gold boxes, or whether each overlaps, one by one.
        region_weight: weight of the region's loss beside that of the tokens.
        length: tokens that a sequence may have in any case. Only `released` needs a limit.
        length_factor: tokens that it may have beside, for every sub-word and every region of the source.
        released: do as the released code does where its numbers depend on it (specs/hindex.md, section 9). The
            encoder's text and regions read the absent regions and not the present ones; a region whose features sum
            to no more than 0 counts as absent; the region of an entity is read one step before the step that was
            trained to say it, and absent regions can be chosen; tokens may follow each other in any order, up to a
            limit; an embedding of each label's words is overwritten with the label's. Otherwise what is present is
            read, the region is read where it is trained, and only sequences that mean something are generated.

    Raises:
        ConfigError: the released network, or one that grounds nothing, is to be `joint`.
    """

    tokenizer: str = "facebook/bart-base"
    start_piece: int = 0
    pad_piece: int = 1
    end_piece: int = 2
    first_label: int = 50265
    vocabulary: int = 50276
    positions: int = 1024
    width: int = 768
    heads: int = 12
    inner_width: int = 3072
    encoder_layers: int = 6
    decoder_layers: int = 6
    dropout: float = 0.1
    head_dropout: float = 0.3
    region_width: int = 2048
    crop: int = 0
    places: bool = False
    regions: int = 18
    normalise: bool = True
    grounded: bool = True
    joint: bool = False
    reads: tuple[Extra, ...] = ()
    region_loss: RegionLoss = "kl"
    region_weight: float = 1.0
    length: int = 30
    length_factor: float = 0.6
    released: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.joint and (self.released or not self.grounded):
            raise ConfigError(
                "setting 'joint' for an H-Index that is as released, or that grounds nothing",
                allowed="`joint` goes with `released` off and `grounded` on",
                todo="change one of them",
            )
