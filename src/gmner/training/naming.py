"""Learning what regions are called: a small loss beside that of a joint system that starts from random weights.

A joint system learns to choose a region only through the choice itself, and from random weights learns the names by
heart before it has seen what their regions look like. Here every candidate that covers a gold region is also asked for
the words of that entity's expansion, among all that occur, by the system's own word vectors: so that a region and the
words for it come to lie close together (as in `training.pointing`; Zeng et al. 2022). So is every name in the sentence,
which has to find what is told of it further on: the hop that pointing at regions alone hardly teaches.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.expression import expression_of
from gmner.nn.regions import region_shares
from gmner.training.loop import shuffled
from gmner.training.mentions import Pointer, Pointing, pieces_of
from gmner.training.pointing import Looking, shares
from gmner.types import Box, Example

T = TypeVar("T")


class Named(NamedTuple):
    """What of a post is called something, candidate regions or texts that point, by its number, and the sub-words."""

    numbers: list[int]
    pieces: Sequence[Sequence[int]]


class Told(NamedTuple, Generic[T]):
    """A training post, what its candidates are called, and what points at them, if the network learns to look."""

    post: T
    named: Named = Named([], [])
    pointers: Sequence[Pointer] = ()


class Glance(NamedTuple, Generic[T]):
    """Training posts whose candidates are looked at, without a question."""

    posts: list[Told[T]]

    def only_named(self, keep: Callable[[T, list[int]], T]) -> tuple[list[T], list[Named]]:
        """The posts with those of their candidates alone that are called something, as `keep` makes them; and what
        these are called. Most candidates are not, and to look at them takes most of the time."""
        posts, names = [], []
        for one in self.posts:
            numbers = sorted(set(one.named.numbers))
            posts.append(keep(one.post, numbers))
            names.append(Named([numbers.index(number) for number in one.named.numbers], one.named.pieces))
        return posts, names


class Names(NamedTuple):
    """What is named in a batch: regions, or texts that point."""

    post: Int64[Tensor, " named"]
    number: Int64[Tensor, " named"]
    called: Float[Tensor, "named words"]
    """Distributions over the sub-words that occur."""


def named_regions(example: Example, candidates: Sequence[Box], tokenizer: Any) -> Named:
    """The candidates that cover an entity, and the sub-words of its expansion, or of its expression if that is all."""
    regions, pieces = [], []
    for entity in example.entities or ():
        covering = region_shares(entity.boxes, candidates).nonzero()[0].tolist()
        if covering:
            regions += covering
            pieces += [pieces_of(expression_of(entity, "expansion"), tokenizer)] * len(covering)
    return Named(regions, pieces)


class Naming(nn.Module):
    """The sub-words that things are called by; their vectors are the system's own."""

    words: Int64[Tensor, " words"]

    def __init__(self, posts: Sequence[Named]) -> None:
        super().__init__()
        words = sorted({piece for post in posts for pieces in post.pieces for piece in pieces})
        self.places = {piece: place for place, piece in enumerate(words)}
        self.bias = nn.Parameter(torch.zeros(len(words)))
        self.register_buffer("words", torch.tensor(words, dtype=torch.long))

    def batch(self, posts: Sequence[Named]) -> Names:
        """What is named in some posts."""
        rows = [(post, number) for post, named in enumerate(posts) for number in named.numbers]
        pieces = [[self.places[piece] for piece in called] for post in posts for called in post.pieces]
        where = torch.tensor(rows, dtype=torch.long).view(-1, 2)
        return Names(where[:, 0], where[:, 1], shares(pieces, len(self.places)))

    def forward(
        self,
        states: Float[Tensor, "posts numbers width"],
        names: Names,
        vectors: Float[Tensor, "vocabulary width"],
    ) -> Float[Tensor, ""]:
        """Cross-entropy of what the named states are called; 0 without any."""
        named = states[names.post, names.number].float()
        with torch.autocast(states.device.type, enabled=False):
            likelihoods = F.linear(named, vectors[self.words].float(), self.bias).log_softmax(-1)
            return -(names.called * likelihoods).sum() / max(len(named), 1)


class Learner(nn.Module):
    """The network that is trained, and what names regions and points at them for it, if it learns to look."""

    def __init__(self, network: nn.Module, posts: Sequence[Told[Any]], *, width: int, looks: bool) -> None:
        super().__init__()
        self.network = network
        named = (some for post in posts for some in (post.named, described(post.pointers)))
        self.naming = Naming(list(named)) if looks else None
        self.pointing = Pointing(width) if looks else None

    def names(self, named: Sequence[Named]) -> Names | None:
        """What is called something in the posts of a batch, if that is learned."""
        return None if self.naming is None else self.naming.batch(named)


def described(pointers: Sequence[Pointer]) -> Named:
    """The texts of which something is told."""
    called = [(number, pointer.called) for number, pointer in enumerate(pointers) if pointer.called]
    return Named([number for number, _ in called], [pieces for _, pieces in called])


def glances(posts: Sequence[Told[T]], looking: Looking | None, generator: torch.Generator) -> list[Glance[T]]:
    """The batches of an epoch in which a joint system only looks: what the candidates of all posts are called."""
    if looking is None:
        return []
    named = [post for post in posts if post.named.numbers]
    return [Glance(some) for _ in range(looking.passes) for some in shuffled(named, looking.pictures, generator)]
