"""OFA's loss: cross entropy with label smoothing among the tokens that are allowed (specs/ofa.md, section 10)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gmner.models.ofa.config import PAD


class Loss(NamedTuple):
    """Sums over tokens, and how many tokens they are of: the trained loss is `total / tokens`."""

    total: Float[Tensor, ""]
    likelihood: Float[Tensor, ""]
    """The negative log-likelihood, without smoothing."""
    tokens: int


def smoothed_loss(
    logits: Float[Tensor, "batch time vocabulary"],
    target: Int64[Tensor, "batch time"],
    smoothing: float = 0.0,
    allowed: Bool[Tensor, "#batch #time vocabulary"] | None = None,
    drop_worst: float = 0.0,
) -> Loss:
    """The loss of the tokens that are not padding.

    Of the probability `smoothing` goes to the other allowed tokens in equal parts. Tokens that are not `allowed` take
    no part. The share `drop_worst` of the tokens, those of the largest loss, is left out.
    """
    kept = target != PAD
    rows, labels = logits[kept].float(), target[kept, None]
    if allowed is None:
        others: Tensor | float = rows.shape[-1] - 1
        possible = torch.ones_like(rows, dtype=torch.bool)
    else:
        possible = allowed.expand(*target.shape, -1)[kept]
        others = possible.sum(-1) - 1 + 1e-6
        rows = rows.masked_fill(~possible, -torch.inf)
    scores = rows.log_softmax(-1)
    likelihood = -scores.gather(1, labels)[:, 0]
    each = smoothing / others
    losses = (1 - smoothing - each) * likelihood - each * scores.masked_fill(~possible, 0.0).sum(-1)
    if drop_worst:
        losses, order = losses.topk(int(len(losses) * (1 - drop_worst)), largest=False)
        likelihood = likelihood[order]
    return Loss(losses.sum(), likelihood.sum(), len(losses))
