"""The parameter names of a ResNet (He et al. 2016): ours are those of `transformers`, published ones torchvision's."""

import re

_PARTS = {"convolution": "conv", "normalization": "bn"}


def torchvision_name(name: str) -> str:
    """torchvision's name of a tensor of `transformers.ResNetModel`. It has no classifier (`fc`).

    >>> torchvision_name("encoder.stages.0.layers.2.layer.1.normalization.running_mean")
    'layer1.2.bn2.running_mean'

    Raises:
        ValueError: a ResNetModel has no tensor of that name.
    """
    if found := re.fullmatch(r"embedder\.embedder\.(convolution|normalization)\.(\w+)", name):
        return f"{_PARTS[found[1]]}1.{found[2]}"
    if found := re.fullmatch(
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.(?:layer\.(\d+)|shortcut)\.(convolution|normalization)\.(\w+)", name
    ):
        stage, layer, index, part, tensor = found.groups()
        if index is None:
            module = f"downsample.{0 if part == 'convolution' else 1}"
        else:
            module = f"{_PARTS[part]}{int(index) + 1}"
        return f"layer{int(stage) + 1}.{layer}.{module}.{tensor}"
    raise ValueError(f"a ResNet has no tensor {name!r}")
