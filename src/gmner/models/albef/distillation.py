"""Momentum distillation: a slow copy of the model gives soft labels beside the hard ones (Li et al. 2021, section 3.4).

specs/albef.md, section 5.
"""

import copy

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.albef.model import ALBEF, Texts


class Distilled(nn.Module):
    """A `student` that is trained, and a `teacher` that follows it and is never trained.

    The teacher is in the mode of the student: in training its dropout is active, as in the released code.
    """

    def __init__(self, student: ALBEF) -> None:
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move every parameter of the teacher towards the student's: p_m <- momentum * p_m + (1 - momentum) * p."""
        teacher, student = list(self.teacher.parameters()), list(self.student.parameters())
        torch._foreach_lerp_(teacher, student, 1 - momentum)

    def forward(
        self,
        texts: Texts,
        pixels: Float[Tensor, "pictures 3 side side"],
        owners: Int64[Tensor, " batch"],
        targets: Int64[Tensor, " batch"],
        share: float,
    ) -> Float[Tensor, ""]:
        """(1 - share) * cross-entropy with the labels + share * cross-entropy with what the teacher says."""
        logits = self.student(texts, pixels, owners)
        with torch.no_grad():
            soft = self.teacher(texts, pixels, owners).softmax(-1)
        return (1 - share) * F.cross_entropy(logits, targets) + share * F.cross_entropy(logits, soft)
