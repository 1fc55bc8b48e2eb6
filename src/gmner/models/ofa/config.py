"""The settings of OFA: its sizes, its vocabulary's layout, and which habits of the released code it keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from gmner.errors import ConfigError

Size = Literal["tiny", "medium", "base", "large", "huge"]

BOS: Final = 0
PAD: Final = 1
EOS: Final = 2
UNKNOWN: Final = 3


@dataclass(frozen=True)
class Released:
    """What the released code does and this package does not unless told so (specs/ofa.md; specs/riveg.md).

    Args:
        cut: texts lose all words after the 80th without a word. Otherwise a prompt that does not fit is an error.
        quoted: a text with a double quote arrives in quotes, its own ones doubled (tables are written by a csv writer
            and split at tabs).
        colon: captions end at their first colon (the captions' file is split at colons).
        recompressed: pictures are JPEG-compressed once more, at quality 75.
        unclipped: of a gold box beyond the picture's edges the bins that do not exist become the unknown token.
            Otherwise the box is clipped to the picture.
        any_token: any token may be decoded as a coordinate, and the second corner may lie before the first; four equal
            tokens are forbidden (n-grams of 3 do not come twice). Otherwise only bins that make a box are decoded.
        half_ratios: decoded boxes are divided by ratios in half precision, off by up to 5e-4 of themselves.
        best_answer: P(visible) weighs "no" against the better of "yes" and "maybe", so that 0.5 is where the one best
            answer changes. Otherwise it is the probability of "yes" and "maybe" together.
        in_order: training data is read in the order of the file, every epoch alike.
    """

    cut: bool = False
    quoted: bool = False
    colon: bool = False
    recompressed: bool = False
    unclipped: bool = False
    any_token: bool = False
    half_ratios: bool = False
    best_answer: bool = False
    in_order: bool = False


RELEASED: Final = Released(*[True] * 9)
"""All of them, as RiVEG was run."""


@dataclass(frozen=True)
class OFAConfig:
    """What an OFA is built from. The defaults are OFA-large's with RiVEG's flags.

    Args:
        width: numbers a token.
        inner_width: of the feed-forward networks.
        encoder_layers: of the encoder.
        decoder_layers: of the decoder.
        heads: of every attention.
        trunk_blocks: bottleneck blocks of the ResNet's three stages.
        trunk_channels: channels of the ResNet's stem; its stages give 4, 8 and 16 times as many.
        trunk_width: inner width of the first stage's bottlenecks; it doubles from stage to stage.
        bpe_symbols: tokens of the vocabulary that its dictionary file lists.
        codes: image codes after these (and the mask token).
        bins: places on an axis of a picture, after these.
        positions: most tokens of a text. The tables hold two rows more.
        token_buckets: distances between tokens that have a bias each: 2 x this - 1.
        image_buckets: most rows and most columns of patches.
        code_positions: rows and columns of image codes, 1/8 of the published `code_image_size`.
        scale_factor: queries are divided by the root of the head's width times this.
        scale_attention: a layer norm after every attention.
        scale_inner: a layer norm inside the feed-forward networks.
        scale_heads: a factor a head.
        scale_residuals: a factor for each number of the residual of feed-forward networks.
        encoder_entangled: positions are also added to what the encoder reads.
        decoder_entangled: positions are also added to what the decoder reads.
        dropout: share of numbers zeroed in training.
        drop_path: share of samples that skip a branch of the last layer in training; less in the layers before.
        initial_std: standard deviation of new weights. A narrow network needs more, about the root of 1 / `width`, or
            its attention begins so even that it does not learn where to look.
        image_size: pixels of a side of the square that a picture is resized to: RiVEG has 480 for entailment and 512
            for grounding.
        released: which habits of the released code to keep.
    """

    width: int = 1024
    inner_width: int = 4096
    encoder_layers: int = 12
    decoder_layers: int = 12
    heads: int = 16
    trunk_blocks: tuple[int, int, int] = (3, 8, 36)
    trunk_channels: int = 64
    trunk_width: int = 64
    bpe_symbols: int = 50260
    codes: int = 8192
    bins: int = 1000
    positions: int = 1024
    token_buckets: int = 256
    image_buckets: int = 42
    code_positions: int = 16
    scale_factor: float = 2.0
    scale_attention: bool = True
    scale_inner: bool = True
    scale_heads: bool = True
    scale_residuals: bool = False
    encoder_entangled: bool = False
    decoder_entangled: bool = False
    dropout: float = 0.1
    drop_path: float = 0.2
    initial_std: float = 0.02
    image_size: int = 480
    released: Released = field(default_factory=Released)

    def __post_init__(self) -> None:
        """Refuse a width that its heads can not share.

        Raises:
            ConfigError: `heads` does not divide `width`.
        """
        if self.heads < 1 or self.width % self.heads:
            raise ConfigError(
                f"{self.heads} heads of attention for a width of {self.width}",
                allowed="heads share the width equally",
                todo="change `heads` or `width`",
            )

    def at(self, image_size: int, released: Released | None = None) -> "OFAConfig":
        """The same for pictures of another size, and perhaps with other habits."""
        return replace(self, image_size=image_size, released=released or self.released)

    @property
    def first_code(self) -> int:
        """The id of the first image code. Before it come four special tokens, the dictionary's, and the mask token."""
        return 4 + self.bpe_symbols + 1

    @property
    def first_bin(self) -> int:
        """The id of the bin at an edge of the picture; the others follow."""
        return self.first_code + self.codes

    @property
    def vocabulary(self) -> int:
        """How many tokens there are; the bins are the last ones."""
        return self.first_bin + self.bins


SIZES: Final[Mapping[Size, OFAConfig]] = {
    "tiny": OFAConfig(256, 1024, 4, 4, 4, (3, 4, 6)),
    "medium": OFAConfig(512, 2048, 4, 4, 8, (3, 4, 23)),
    "base": OFAConfig(768, 3072, 6, 6, 12, (3, 4, 23)),
    "large": OFAConfig(),
    "huge": OFAConfig(1280, 5120, 24, 12, 16, (3, 8, 36)),
}
"""The published sizes."""
