"""Posteriors of a chain's tags that can be differentiated, for one CRF that teaches another."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from gmner.nn.crf import CRF

_FORBIDDEN = -1e30
"""Stands for minus infinity: it never wins, and unlike infinity it gives no NaN in gradients."""


def log_posteriors(
    crf: CRF, emissions: Float[Tensor, "batch time tags"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, "batch time tags"]:
    """The log-probability of each tag at each position; rows are padded on the right, where values mean nothing.

    `CRF.marginals` gives the same without gradients and much faster.
    """
    start: Tensor = crf.start_transitions
    steps: Tensor = crf.transitions
    if crf.allowed_starts is not None and crf.allowed_steps is not None:
        start = start.masked_fill(~crf.allowed_starts, _FORBIDDEN)
        steps = steps.masked_fill(~crf.allowed_steps, _FORBIDDEN)
    time = emissions.shape[1]
    forward = [start + emissions[:, 0]]
    for now in range(1, time):
        forward.append(torch.logsumexp(forward[-1][..., None] + steps, 1) + emissions[:, now])
    last = crf.end_transitions.expand_as(forward[0])
    backward = [last]
    for now in range(time - 2, -1, -1):
        before = torch.logsumexp(steps + (emissions[:, now + 1] + backward[-1])[:, None], 2)
        backward.append(torch.where(mask[:, now + 1, None], before, last))
    return F.log_softmax(torch.stack(forward, 1) + torch.stack(backward[::-1], 1), -1)


def divergence(
    student: Float[Tensor, "batch time tags"],
    teacher: Float[Tensor, "batch time tags"],
    mask: Bool[Tensor, "batch time"],
    temperature: float,
) -> Float[Tensor, ""]:
    """KL(teacher || student) of log-posteriors that a temperature softens, a position, times its square (Hinton 2015).

    The teacher is not changed by it.
    """
    soft, target = ((scores / temperature).log_softmax(-1) for scores in (student, teacher.detach()))
    each = (target.exp() * (target - soft)).sum(-1)
    return temperature**2 * each[mask].mean()
