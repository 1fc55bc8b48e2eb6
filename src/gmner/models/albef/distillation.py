"""Momentum distillation: a slow copy of the model, the teacher, gives soft labels beside the hard ones.

Li et al. 2021, section 3.4; specs/albef.md, section 5. The teacher is in the mode of the student: in training its
dropout is active, as in the released code.
"""

import copy

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from gmner.models.albef.model import ALBEF


def new_teacher(student: ALBEF) -> ALBEF:
    """A copy of the student that is never trained."""
    return copy.deepcopy(student).requires_grad_(False)


@torch.no_grad()
def follow(teacher: ALBEF, student: ALBEF, momentum: float) -> None:
    """Move every parameter of the teacher towards the student's: p_m <- momentum * p_m + (1 - momentum) * p."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - momentum)


def distilled_loss(
    logits: Float[Tensor, "batch labels"],
    taught: Float[Tensor, "batch labels"],
    targets: Int64[Tensor, " batch"],
    share: float,
) -> Float[Tensor, ""]:
    """(1 - share) * cross-entropy with the targets + share * cross-entropy with what the teacher's logits `taught`."""
    return (1 - share) * F.cross_entropy(logits, targets) + share * F.cross_entropy(logits, taught.softmax(-1))
