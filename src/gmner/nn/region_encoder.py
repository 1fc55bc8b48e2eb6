"""What is seen of a region as a state: a detector's feature by one projection, a crop by a small network of its own."""

from itertools import pairwise
from typing import Final

from jaxtyping import Bool, Float
from torch import Tensor, nn

CHANNELS: Final = (3, 32, 64, 96, 128)
GROUPS: Final = 8


class CropEncoder(nn.Sequential):
    """Crops of `side` x `side` pixels to states: four convolutions of stride 2, and what is left of it, projected.

    Normalised by groups of channels, so that what is seen of a crop does not depend on the others.
    """

    def __init__(self, side: int, width: int) -> None:
        layers: list[nn.Module] = [nn.Unflatten(1, (CHANNELS[0], side, side))]
        for before, after in pairwise(CHANNELS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.ReLU()]
        left = -(-side // 2 ** (len(CHANNELS) - 1))
        super().__init__(*layers, nn.Flatten(1), nn.Linear(CHANNELS[-1] * left * left, width))


class RegionEncoder(nn.Module):
    """Features of regions, or with `crop` their pixels, one after another, to states.

    Crops are looked at only where a region is `present`; the others become zeros.
    """

    def __init__(self, feature_width: int, crop: int, width: int) -> None:
        super().__init__()
        self.crop = crop
        self.encoder = CropEncoder(crop, width) if crop else nn.Linear(feature_width, width)

    def forward(
        self, features: Float[Tensor, "batch regions feature"], present: Bool[Tensor, "batch regions"]
    ) -> Float[Tensor, "batch regions width"]:
        if not self.crop:
            projected: Tensor = self.encoder(features)
            return projected
        seen: Tensor = self.encoder(features[present])
        return seen.new_zeros(*present.shape, seen.shape[-1]).masked_scatter(present[..., None], seen)
