"""Learning which region a text points at: from names, and from what is told of them, to candidate regions.

A joint system has three things to learn before it can choose a region: what regions are called (`training.naming`),
which of them a description means, and which description belongs to a name. The choice itself teaches all three only
together. Here the states of both texts are asked directly which candidates show the entity, or none of them: so each
step of the way has a loss of its own (as `training.pointing` has for models that read one expression at a time).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gmner.data.expansions import told_lines
from gmner.expression import EXPANSION_KEY
from gmner.nn.encoders import word_pieces
from gmner.nn.mimetic import keep
from gmner.nn.regions import region_shares
from gmner.tagging import split_words, to_token_span
from gmner.training.pointing import pointing_loss
from gmner.types import Box, Example

ABSENT: Final = -1e4
"""The score of pointing at a region that is not there."""


class Pointer(NamedTuple):
    """A text that points: the places of its sub-words in the input, and how it is spread over the candidates."""

    places: list[int]
    regions: list[float]
    """All zero for what can not be seen."""
    called: Sequence[int] = ()
    """The sub-words of what is told elsewhere of a name, if anything is."""


class Pointers(NamedTuple):
    """The pointers of a batch, filled up."""

    shares: Float[Tensor, "posts pointers pieces"]
    """How much each sub-word adds to a pointer's state."""
    targets: Float[Tensor, "posts pointers regions"]
    present: Bool[Tensor, "posts pointers"]

    def states(self, text: Float[Tensor, "posts pieces width"]) -> Float[Tensor, "posts pointers width"]:
        """The mean of the states of each pointer's sub-words."""
        return self.shares.to(text) @ text


def pointers(
    example: Example,
    offsets: Sequence[tuple[int, int]],
    words: Sequence[Sequence[int]],
    pieces: Sequence[int],
    candidates: Sequence[Box],
    tokenizer: Any,
) -> list[Pointer]:
    """The gold names of a post, and what `data.expansions` tells of each, as pointers.

    `pieces` is the input, `words` are the places of each word's sub-words in it. What is told is looked for behind
    them, and points where it stands there whole; then the name is `called` it. A name that can be seen where no
    candidate shows it points at nothing.
    """
    begins = 1 + max((place for word in words for place in word), default=0)
    lines: dict[int, tuple[list[int], Sequence[int]]] = {}
    for entity, text in told_lines(example):
        line = pieces_of(text, tokenizer)
        found = next((at for at in range(begins, len(pieces)) if list(pieces[at : at + len(line)]) == line), None)
        if found is not None:
            begins = found + len(line)
            lines[id(entity)] = list(range(found, begins)), pieces_of(entity.extra[EXPANSION_KEY], tokenizer)
    named, told = [], []
    for entity in example.entities or ():
        shares = region_shares(entity.boxes, candidates).tolist()
        if entity.visible and not any(shares):
            continue
        places, called = lines.get(id(entity), ([], ()))
        if (span := to_token_span(entity, offsets)) is not None:
            named.append(Pointer([place for word in words[span.start : span.end] for place in word], shares, called))
        if places:
            told.append(Pointer(places, shares))
    return named + told


def filled(posts: Sequence[Sequence[Pointer]], pieces: int, regions: int) -> Pointers:
    """The pointers of posts that are padded to so many sub-words and regions."""
    longest = max(map(len, posts), default=0)
    shares = torch.zeros(len(posts), longest, pieces)
    targets = torch.zeros(len(posts), longest, regions)
    present = torch.zeros(len(posts), longest, dtype=torch.bool)
    for post, some in enumerate(posts):
        for number, pointer in enumerate(some):
            shares[post, number, pointer.places] = 1 / max(len(pointer.places), 1)
            targets[post, number, : len(pointer.regions)] = torch.tensor(pointer.regions)
            present[post, number] = True
    return Pointers(shares, targets, present)


class Pointing(nn.Module):
    """How texts point at regions: by the scaled product of linear maps of both, which begin as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.asked = nn.Linear(width, width)
        self.told = nn.Linear(width, width)
        keep(self.asked)
        keep(self.told)

    def forward(
        self,
        text: Float[Tensor, "posts pieces width"],
        regions: Float[Tensor, "posts regions width"],
        there: Bool[Tensor, "posts regions"],
        pointers: Pointers,
    ) -> Float[Tensor, ""]:
        """Cross-entropy of the candidates that each pointer means, or of none; 0 without any."""
        asked: Tensor = self.asked(pointers.states(text))
        scores = (asked @ self.told(regions).transpose(1, 2)).float() / math.sqrt(text.shape[-1])
        scores = scores.masked_fill(~there[:, None], ABSENT)[pointers.present]
        if not len(scores):
            return torch.zeros_like(asked).sum()  # a mean over nothing would be none
        return pointing_loss(scores, pointers.targets[pointers.present])


def pieces_of(line: str, tokenizer: Any) -> list[int]:
    """The sub-words of the words of a line."""
    return [piece for start, end in split_words(line) for piece in _pieces_of_word(line[start:end], tokenizer)]


@lru_cache(maxsize=100_000)
def _pieces_of_word(word: str, tokenizer: Any) -> list[int]:
    """Remembered, as what is told of a data set has few words, which come often."""
    return word_pieces(tokenizer, [word])[word]
