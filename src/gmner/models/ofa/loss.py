"""OFA's loss: cross entropy with label smoothing among the tokens that are allowed (specs/ofa.md, section 10)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class Loss(NamedTuple):
    """Sums over tokens, and how many tokens they are of: the trained loss is `total / tokens`."""

    total: Float[Tensor, ""]
    likelihood: Float[Tensor, ""]
    """The negative log-likelihood, without smoothing."""
    tokens: int


def smoothed_loss(
    logits: Float[Tensor, "tokens vocabulary"],
    target: Int64[Tensor, " tokens"],
    smoothing: float = 0.0,
    allowed: Bool[Tensor, "#tokens vocabulary"] | None = None,
    drop_worst: float = 0.0,
) -> Loss:
    """The loss of tokens, none of them padding.

    Of the probability `smoothing` goes to the other allowed tokens in equal parts. Tokens that are not `allowed` take
    no part. The share `drop_worst` of the tokens, those of the largest loss, is left out.
    """
    logits, labels = logits.float(), target[:, None]
    if allowed is None:
        others: Tensor | int = logits.shape[-1] - 1
        possible = torch.ones_like(logits, dtype=torch.bool)
    else:
        possible = allowed.expand_as(logits)
        others = possible.sum(-1) - 1 + 1e-6
        logits = logits.masked_fill(~possible, -torch.inf)
    scores = logits.log_softmax(-1)
    likelihood = -scores.gather(1, labels)[:, 0]
    each = smoothing / others
    losses = (1 - smoothing - each) * likelihood - each * scores.masked_fill(~possible, 0.0).sum(-1)
    if drop_worst:
        losses, order = losses.topk(int(len(losses) * (1 - drop_worst)), largest=False)
        likelihood = likelihood[order]
    return Loss(losses.sum(), likelihood.sum(), len(losses))
