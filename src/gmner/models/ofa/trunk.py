"""The ResNet that turns a picture into patches: v1.5 (stride in the 3x3 convolution), without its last stage."""

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

EXPANSION = 4
"""Channels that a stage gives, by those that it is counted in."""


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut (He et al. 2016). Names are torchvision's, as published."""

    def __init__(self, given: int, inner: int, out: int, stride: int, *, projected: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        projection = nn.Sequential(nn.Conv2d(given, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.downsample: nn.Module = projection if projected else nn.Identity()

    def forward(self, grid: Float[Tensor, "batch given height width"]) -> Float[Tensor, "batch out rows columns"]:
        inner = self.bn1(self.conv1(grid)).relu_()
        inner = self.bn2(self.conv2(inner)).relu_()
        out: Tensor = self.bn3(self.conv3(inner)).add_(self.downsample(grid)).relu_()
        return out


class Trunk(nn.Module):
    """Patches of 16 x 16 pixels. Published ones have `channels` = `width` = 64 and give 1024 numbers a patch."""

    def __init__(self, blocks: tuple[int, int, int], channels: int = 64, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        sides = [channels, *(channels * EXPANSION * 2**stage for stage in range(3))]
        self.layer1 = _stage(blocks[0], sides[0], width, sides[1], stride=1)
        self.layer2 = _stage(blocks[1], sides[1], 2 * width, sides[2], stride=2)
        self.layer3 = _stage(blocks[2], sides[2], 4 * width, sides[3], stride=2)
        self.out_channels = sides[3]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        grid: Tensor = self.layer3(self.layer2(self.layer1(self.pool(self.bn1(self.conv1(pixels)).relu_()))))
        return grid

    def fold(self) -> Self:
        """Put the batch norms into the convolutions before them; for inference, and there is no way back."""
        for module in [self, *self.modules()]:
            for index in (1, 2, 3):
                conv, norm = getattr(module, f"conv{index}", None), getattr(module, f"bn{index}", None)
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    _fold(conv, norm)
                    setattr(module, f"bn{index}", nn.Identity())
            if isinstance(module, Bottleneck) and isinstance(module.downsample, nn.Sequential):
                module.downsample = _fold(*module.downsample)
        return self


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution with the norm behind it. Its weights are changed where they lie: a second trunk is 170 MB."""
    fused = fuse_conv_bn_eval(conv, norm)
    conv.weight.copy_(fused.weight)
    conv.bias = fused.bias
    return conv


def _stage(blocks: int, given: int, inner: int, out: int, stride: int) -> nn.Sequential:
    first = Bottleneck(given, inner, out, stride, projected=True)
    return nn.Sequential(first, *(Bottleneck(out, inner, out, 1, projected=False) for _ in range(blocks - 1)))
