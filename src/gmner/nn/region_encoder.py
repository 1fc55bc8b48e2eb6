"""What is seen of a region as a state: a detector's feature by one projection, a crop by a small network of its own."""

import math
from typing import Final

from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from gmner.nn.crops import normalise

PATCH: Final = 6
"""Pixels of a crop that are read as one."""
GROUPS: Final = 4
CHANNELS: Final = 16


class CropEncoder(nn.Sequential):
    """Crops of `side` x `side` pixels to states: patches, two convolutions, and what is left of the crop, projected.

    Normalised by groups of channels, so that what is seen of a crop does not depend on the others. Patches leave large
    products of few numbers: it trains in a fifth of the time of one that begins with narrow convolutions.
    `channels` is a multiple of 4; the three layers have three, four and six times as many.
    """

    def __init__(self, side: int, width: int, channels: int = CHANNELS) -> None:
        first, second, third = (channels * times for times in (3, 4, 6))
        cells = math.ceil(side // PATCH / 4)
        super().__init__(
            *_normalised(nn.Conv2d(3, first, PATCH, PATCH), first),
            *_normalised(nn.Conv2d(first, second, 3, padding=1), second),
            nn.MaxPool2d(2, ceil_mode=True),
            *_normalised(nn.Conv2d(second, third, 3, padding=1), third),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(third * cells * cells, width),
        )

    def forward(self, crops: UInt8[Tensor, "crops side side 3"]) -> Float[Tensor, "crops width"]:
        state: Tensor = super().forward(normalise(crops))  # type: ignore[no-untyped-call]
        return state


def _normalised(convolution: nn.Conv2d, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.GroupNorm(GROUPS, channels), nn.ReLU()


class RegionEncoder(nn.Module):
    """Features of regions, or with `crop` their pixels, to states.

    Crops are looked at only where a region is `present`; the others become zeros.
    """

    def __init__(self, feature_width: int, crop: int, width: int) -> None:
        super().__init__()
        self.crop = crop
        self.encoder = CropEncoder(crop, width) if crop else nn.Linear(feature_width, width)

    def forward(
        self,
        features: Float[Tensor, "batch regions feature"] | UInt8[Tensor, "batch regions crop crop 3"],
        present: Bool[Tensor, "batch regions"],
    ) -> Float[Tensor, "batch regions width"]:
        if not self.crop:
            projected: Tensor = self.encoder(features)
            return projected
        seen: Tensor = self.encoder(features[present])
        return seen.new_zeros(*present.shape, seen.shape[-1]).masked_scatter(present[..., None], seen)
