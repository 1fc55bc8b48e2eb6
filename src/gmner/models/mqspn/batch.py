"""A batch of posts as tensors, for both networks."""

from typing import Final, NamedTuple

from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

PLACE: Final = 5
"""Numbers that say where a region is: its corners as shares of the picture's sides, and its share of the area."""


class Posts(NamedTuple):
    """A batch of posts as tensors, padded on the right. Region 0 is "can not be seen": a blank crop, or no features."""

    pieces: Int64[Tensor, "batch pieces"]
    segments: Int64[Tensor, "batch pieces"]
    shapes: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]
    word_of_piece: Int64[Tensor, "batch pieces"]
    """The word of the sentence that a sub-word belongs to; -1 for special tokens, further text and padding."""
    words: Bool[Tensor, "batch words"]
    looks: Shaped[Tensor, "batch regions ..."]
    """Crops, uint8 (side, side, 3) or of the released network float32 (3, side, side), or features (width) of each
    region."""
    places: Float[Tensor, "batch regions 5"]
    regions: Bool[Tensor, "batch regions"]
