"""DarkNet-53 with YOLOv3's first detection units (Redmon and Farhadi 2018; specs/seqtr.md, section 2)."""

from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

SLOPE: Final = 0.1
"""Of leaky ReLU below 0."""

STRIDE: Final = 32
"""Pixels of a side of a cell of the coarsest map."""


class Unit(nn.Module):
    """Convolution, batch norm, leaky ReLU. `norm` is the identity once it is folded into the convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE, mode="fan_out", nonlinearity="leaky_relu")

    def forward(self, pixels: Float[Tensor, "batch inputs high wide"]) -> Float[Tensor, "batch outputs rows columns"]:
        return F.leaky_relu(self.norm(self.conv(pixels)), SLOPE, inplace=True)


class Stage(nn.ModuleList):
    """Pairs of units that halve the channels and restore them; with `residual` each adds its input to its output."""

    def __init__(self, channels: int, pairs: int, residual: bool = True) -> None:
        half = channels // 2
        super().__init__(nn.Sequential(Unit(channels, half, 1), Unit(half, channels, 3)) for _ in range(pairs))
        self.residual = residual

    def forward(self, pixels: Float[Tensor, "batch channels high wide"]) -> Float[Tensor, "batch channels high wide"]:
        for pair in self:
            pixels = pixels + pair(pixels) if self.residual else pair(pixels)
        return pixels


class Maps(NamedTuple):
    """What DarkNet sees, from fine to coarse."""

    fine: Float[Tensor, "batch channels*8 high/8 wide/8"]
    middle: Float[Tensor, "batch channels*16 high/16 wide/16"]
    coarse: Float[Tensor, "batch channels*32 high/32 wide/32"]


class DarkNet(nn.ModuleList):
    """The units and stages in the order in which published files hold them; published: 32 channels."""

    def __init__(self, channels: int, repeats: tuple[int, ...]) -> None:
        super().__init__([Unit(3, channels, 3)])
        *residual, plain = repeats
        for pairs in residual:
            self.append(Unit(channels, 2 * channels, 3, stride=2))
            channels *= 2
            self.append(Stage(channels, pairs))
        self.append(Stage(channels, plain, residual=False))
        self.append(Unit(channels, channels // 2, 1))
        self.append(Unit(channels // 2, channels, 3))

    def forward(self, pixels: Float[Tensor, "batch 3 high wide"]) -> Maps:
        """The maps of pictures whose sides are multiples of 32."""
        outputs = []
        for part in self:
            pixels = part(pixels)
            outputs.append(pixels)
        return Maps(outputs[6], outputs[8], outputs[13])


class Fusion(nn.Module):
    """The three maps as one: each finer one is halved and laid before the next (section 4, "bottom_up")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        fine, middle, coarse = 8 * channels, 16 * channels, 32 * channels
        self.to_middle = Unit(fine, fine, 3)
        self.to_coarse = Unit(fine + middle, fine + middle, 3)
        total = fine + middle + coarse
        self.project = nn.Sequential(Unit(total, total, 3), Unit(total, coarse, 1))

    def forward(self, maps: Maps) -> Float[Tensor, "batch channels*32 rows columns"]:
        middle = torch.cat([self.to_middle(F.avg_pool2d(maps.fine, 2)), maps.middle], 1)
        coarse = torch.cat([self.to_coarse(F.avg_pool2d(middle, 2)), maps.coarse], 1)
        fused: Tensor = self.project(coarse)
        return fused


def fold(model: nn.Module) -> None:
    """Write the batch norm of every unit into its convolution, for inference: the same numbers in less time."""
    for unit in model.modules():
        if isinstance(unit, Unit) and isinstance(unit.norm, nn.BatchNorm2d):
            unit.conv = fuse_conv_bn_eval(unit.conv, unit.norm)
            unit.norm = nn.Identity()
