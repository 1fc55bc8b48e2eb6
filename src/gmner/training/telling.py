"""Learning from what captions and descriptions tell of a picture: matching and masked pieces, as pre-training does.

Li et al. 2021, section 3.2, in small: there the two run over millions of captioned pictures, here beside the task
itself over its own training posts.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.data.pairs import entailment_pairs
from gmner.expression import Form
from gmner.types import Example

UNMASKED: Final = -100
"""Where no piece has to be named: `F.cross_entropy` leaves it out."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Telling:
    """How much is learned from sentences that are told of a picture: its caption, its description, shown expressions.

    Of every picture in a batch a few sentences are drawn. Each makes a pair with its picture (entailment) and one with
    another picture of the batch (contradiction, now and then wrongly so), and once more some of its pieces are masked
    and have to be named with the picture's help.

    Args:
        sentences: so many a picture and step; all, if it has fewer.
        matching: weight of these pairs' loss beside that of the gold pairs.
        naming: weight of the loss of the masked pieces.
        masked: share of the pieces that are masked.
    """

    sentences: int = 2
    matching: float = 1.0
    naming: float = 1.0
    masked: float = 0.25


class Naming(nn.Module):
    """BERT's masked language model (Devlin et al. 2019): scores of all pieces, by the embeddings of the words."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(
        self, rows: Float[Tensor, "masked width"], words: Float[Tensor, "vocabulary width"]
    ) -> Float[Tensor, "masked vocabulary"]:
        return F.linear(self.norm(F.gelu(self.inner(rows))), words, self.bias)


def told_sentences(example: Example, form: Form = "paper") -> list[str]:
    """The sentences of a post's caption and description, and the expressions that its picture shows."""
    texts = [text for text in (example.caption, example.description) if text]
    sentences = [sentence for text in texts for sentence in _SENTENCE_END.split(text) if sentence]
    return sentences + [pair.expression for pair in entailment_pairs([example], form) if pair.visible]


def mask(pieces: list[int], share: float, sign: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """Pieces with a `share` of them, one at least, replaced by `sign`, and what stood there (`UNMASKED` elsewhere).

    The first piece, [CLS], is never masked; where there is no other, nothing is.
    """
    chosen = draw.random(len(pieces)) < share
    if len(pieces) > 1:
        chosen[draw.integers(1, len(pieces))] = True
    chosen[0] = False
    return (
        [sign if hidden else piece for piece, hidden in zip(pieces, chosen, strict=True)],
        [piece if hidden else UNMASKED for piece, hidden in zip(pieces, chosen, strict=True)],
    )
