"""The settings of SeqTR."""

from dataclasses import dataclass
from typing import Final, Literal

from gmner.errors import ConfigError

Mode = Literal["boxes", "masks", "both"]
"""What a SeqTR writes: a box, the outline of a mask, or one after the other (multi-task)."""

GROUPS: Final = 32
"""Of the group norm before the transformer."""

CORNERS: Final = 4
"""Coordinates of a box."""


@dataclass(frozen=True)
class SeqTRConfig:
    """What a SeqTR is built from. The defaults are those of RiVEG's runs, apart from the released faults at the end.

    Args:
        mode: what is written.
        points: vertices of an outline, at most (18 for RefCOCO, 12 for RefCOCO+ and RefCOCOg).
        bins: steps of a coordinate.
        side: the longer side that pictures are scaled to, in pixels.
        max_words: words that an expression is filled up to. The backward GRU begins in the filling, so that a model
            must be used with the number that it was trained with.
        word_width: numbers of a word vector.
        channels: channels of DarkNet's first unit; those of all others, the GRU and the fused map follow from it.
        repeats: pairs of units in each of DarkNet's stages. The last number counts the pairs without addition.
        width: of the transformer.
        heads: of its attentions.
        inner_width: of its feed-forward layers.
        encoder_layers: layers that mix the cells of the fused map.
        decoder_layers: layers that write.
        dropout: share of numbers zeroed in training, of states and of attention alike.
        drifting_norms: let the batch norms of frozen units follow the training pictures, as released, so that what
            is "frozen" changes. Otherwise frozen units are in evaluation mode.
        cut_expressions: drop the words after the first `max_words`, as released. Otherwise they are read.
        inclusive_corners: let a gold box end at its last pixel, so at most at width - 1 and height - 1, as released.
            Otherwise pixels are areas, as everywhere in this package.
        two_points_as_box: draw an outline of two points (x, y), (u, v) as the box of width u and height v at (x, y),
            as released. Otherwise it is an empty mask.
        stretched_masks: scale the mask of the padded picture to the size of the original one, as released, which
            distorts it if there is padding. Otherwise the padding is cut off first.
    """

    mode: Mode = "boxes"
    points: int = 18
    bins: int = 1000
    side: int = 640
    max_words: int = 30
    word_width: int = 300
    channels: int = 32
    repeats: tuple[int, int, int, int, int, int] = (1, 2, 8, 8, 4, 2)
    width: int = 256
    heads: int = 8
    inner_width: int = 1024
    encoder_layers: int = 6
    decoder_layers: int = 3
    dropout: float = 0.1
    drifting_norms: bool = False
    cut_expressions: bool = False
    inclusive_corners: bool = False
    two_points_as_box: bool = False
    stretched_masks: bool = False

    def __post_init__(self) -> None:
        if self.width % GROUPS or self.width % self.heads:
            raise ConfigError(
                f"a width of {self.width} with {self.heads} heads",
                allowed=f"the width is a multiple of {GROUPS} (the groups of its norm) and of the heads",
                todo="change width or heads",
            )

    @property
    def end(self) -> int:
        """The token behind the last coordinate. Coordinates are the tokens below it."""
        return self.bins

    @property
    def tasks(self) -> tuple[int, ...]:
        """How many coordinates each sequence has; with two, the second begins behind the first one's end."""
        return {"boxes": (CORNERS,), "masks": (2 * self.points,), "both": (CORNERS, 2 * self.points)}[self.mode]

    @property
    def length(self) -> int:
        """Tokens of all sequences with their ends."""
        return sum(coordinates + 1 for coordinates in self.tasks)
