"""Random weights that begin like trained ones: attention that looks for its own kind, and positions as waves.

In trained transformers query and key maps are much alike, and so are the value map and the transpose of the output
map; small data teach a network sooner that begins so (Trockman and Kolter 2023, "Mimetic initialization of
self-attention layers"). The release of that paper is not followed in scale and sign: these are for one thing, equal
sub-words and near places that find each other in a text, and what they find is added, not taken away.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

COPIED = 0.5
"""How much of what it attends to a position takes over, at first."""
LONGEST = 2000.0
"""The longest wave, in positions over 2 pi."""


@torch.no_grad()
def look_for_the_same(query: nn.Linear, key: nn.Linear, heads: int) -> None:
    """Give queries and keys of self-attention the same maps, at random an orthonormal one for each head.

    Rows of a norm of their width's root then score about the root of a head's width with themselves, and about 1, up
    or down, with others.
    """
    width = query.in_features
    rows = [torch.linalg.qr(torch.randn(width, width // heads))[0].T for _ in range(heads)]
    for linear in (query, key):
        linear.weight.copy_(torch.cat(rows))
        linear.bias.zero_()


@torch.no_grad()
def copy_what_is_found(value: nn.Linear, out: nn.Linear) -> None:
    """Give values and outputs of attention maps whose product is `COPIED` times the identity."""
    turned = torch.linalg.qr(torch.randn(value.in_features, value.in_features))[0] * math.sqrt(COPIED)
    value.weight.copy_(turned)
    out.weight.copy_(turned.T)
    for linear in (value, out):
        linear.bias.zero_()


@torch.no_grad()
def keep(linear: nn.Linear) -> None:
    """Begin with the identity, as many times one above the other as there is room for."""
    width = linear.in_features
    linear.weight.copy_(torch.eye(width).repeat(linear.out_features // width, 1))
    linear.bias.zero_()


def waves(positions: int, width: int, size: float) -> Float[Tensor, "positions width"]:
    """Positions as waves (Vaswani et al. 2017, section 3.5) whose numbers have so large a root mean square."""
    lengths = torch.exp(-math.log(LONGEST) * torch.arange(0, width, 2) / width)
    angles = torch.arange(positions)[:, None] * lengths
    return size * math.sqrt(2) * torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]
