"""Beam search over any decoder that keeps a past, answers in a trie, and n-grams that may not come twice.

The rules are fairseq's sequence generator's as specs/ofa.md, section 9, states them: constraints renormalise the
probabilities, the least and the greatest length and forbidden n-grams do not; a beam goes on until enough hypotheses
have ended.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

S = TypeVar("S")


Decode = Callable[[Int64[Tensor, "samples rows"], S], tuple[Float[Tensor, "samples rows vocabulary"], S]]
"""The scores of what follows the newest token of every row, and the state after them."""


Reorder = Callable[[S, Int64[Tensor, "samples beam"]], S]
"""The state of the rows that go on; the index counts the rows of each sample."""

Constraint = Callable[[Int64[Tensor, "samples rows time"]], Bool[Tensor, "#samples #rows vocabulary"]]
"""Which tokens may follow each row (the first token included)."""


@dataclass(frozen=True)
class Beam:
    """How to search.

    Args:
        size: rows of a sample, and hypotheses that must have ended before the search does.
        shortest: fewest tokens before the end token.
        longest: most tokens before it.
        no_repeat: n-grams of this size do not come twice in a row; 0 allows all.
        length_power: scores are sums of log-probabilities, divided by the length (end included) to this power.
        first: the token that rows begin with.
        pad: a token that is never decoded.
        end: the token that ends a hypothesis.
    """

    size: int
    shortest: int
    longest: int
    no_repeat: int = 0
    length_power: float = 1.0
    first: int = 0
    pad: int = 1
    end: int = 2


def always(allowed: Bool[Tensor, " vocabulary"]) -> Constraint:
    """The constraint that the same tokens may follow every row."""
    return lambda rows: allowed


class Hypothesis(NamedTuple):
    """One result: tokens without the first one and with the end, its score, and each token's log-probability."""

    tokens: tuple[int, ...]
    score: float
    log_probabilities: tuple[float, ...]


@torch.no_grad()
def beam_search(
    decode: Decode[S],
    reorder: Reorder[S],
    state: S,
    samples: int,
    beam: Beam,
    constraint: Constraint | None = None,
    device: torch.device | None = None,
) -> list[list[Hypothesis]]:
    """The hypotheses of every sample, best first; samples do not influence each other.

    `state` is that of `samples` x 1 rows before any token. With a narrow constraint fewer than `beam.size` hypotheses
    can end.

    Raises:
        ValueError: the vocabulary is too small for so wide a beam.
    """
    rows = torch.full((samples, 1, 1), beam.first, device=device)
    totals = torch.zeros(samples, 1, device=device)
    each = torch.zeros(samples, 1, 0, device=device)
    ended: list[list[Hypothesis]] = [[] for _ in range(samples)]
    for step in range(beam.longest + 1):
        logits, state = decode(rows[..., -1], state)
        if logits.shape[-1] <= 2 * beam.size:
            raise ValueError(f"a beam of {beam.size} needs more than {2 * beam.size} tokens, not {logits.shape[-1]}")
        scores = log_probabilities(logits, None if constraint is None else constraint(rows))
        scores = _without_forbidden(scores, rows, step, beam)
        best, places = (totals[..., None] + scores).flatten(1).topk(2 * beam.size)
        origin, token = places // scores.shape[-1], places % scores.shape[-1]
        prefixes = rows.gather(1, origin[..., None].expand(-1, -1, rows.shape[-1]))
        history = each.gather(1, origin[..., None].expand(-1, -1, each.shape[-1]))
        rows = torch.cat([prefixes, token[..., None]], -1)
        added = scores.flatten(1).gather(1, places)
        each = torch.cat([history, added[..., None]], -1)

        ends = token == beam.end
        for sample, place in (ends & best.isfinite())[:, : beam.size].nonzero().tolist():
            if len(ended[sample]) < beam.size:
                score = float(best[sample, place]) / (step + 1) ** beam.length_power
                tokens = rows[sample, place, 1:].tolist()
                ended[sample].append(Hypothesis(tuple(tokens), score, tuple(each[sample, place].tolist())))
        if all(len(found) == beam.size for found in ended):
            break

        going = ends.int().argsort(dim=1, stable=True)[:, : beam.size]  # the best that do not end, in their order
        totals = best.gather(1, going)
        rows = rows.gather(1, going[..., None].expand(-1, -1, rows.shape[-1]))
        each = each.gather(1, going[..., None].expand(-1, -1, each.shape[-1]))
        state = reorder(state, origin.gather(1, going))
    return [sorted(found, key=lambda hypothesis: -hypothesis.score) for found in ended]


def log_probabilities(
    logits: Float[Tensor, "*batch vocabulary"], allowed: Bool[Tensor, "*#batch vocabulary"] | None = None
) -> Float[Tensor, "*batch vocabulary"]:
    """Log-probabilities among the `allowed` tokens, -inf for the others (and for all, where none is allowed)."""
    logits = logits.float()
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    return logits.log_softmax(-1).nan_to_num(nan=-torch.inf, neginf=-torch.inf)


def _without_forbidden(
    scores: Float[Tensor, "samples rows vocabulary"], rows: Int64[Tensor, "samples rows time"], step: int, beam: Beam
) -> Float[Tensor, "samples rows vocabulary"]:
    """Scores with -inf for padding, for ends that come too soon, for others that come too late, for repetitions."""
    scores[..., beam.pad] = -torch.inf
    if step < beam.shortest:
        scores[..., beam.end] = -torch.inf
    if step >= beam.longest:
        end = scores[..., beam.end].clone()
        scores.fill_(-torch.inf)
        scores[..., beam.end] = end
    if beam.no_repeat:
        before = beam.no_repeat - 1
        for sample, of_sample in enumerate(rows.tolist()):
            for row, tokens in enumerate(of_sample):
                scores[sample, row, list(_repetitions(tokens, before))] = -torch.inf
    return scores


def _repetitions(tokens: Sequence[int], before: int) -> Iterator[int]:
    """What already followed the last `before` tokens."""
    last = tokens[len(tokens) - before :]
    for place in range(len(tokens) - before):
        if tokens[place : place + before] == last:
            yield tokens[place + before]


class Trie:
    """Answers as token sequences, and which token may follow which prefix. An answer ends with the token `end`."""

    def __init__(self, answers: Sequence[Sequence[int]], end: int = 2) -> None:
        self.answers = [tuple(answer) for answer in answers]
        self.end = end
        self._successors: dict[tuple[int, ...], set[int]] = {}
        for answer in self.answers:
            whole = (*answer, end)
            for place, token in enumerate(whole):
                self._successors.setdefault(whole[:place], set()).add(token)
            self._successors.setdefault(whole, set())

    def successors(self, prefix: Sequence[int]) -> list[int]:
        """What may follow a prefix: nothing after a whole answer, the end after what begins no answer."""
        return sorted(self._successors.get(tuple(prefix), {self.end}))

    @property
    def forks(self) -> list[tuple[int, ...]]:
        """The prefixes at which answers part: elsewhere the next token is certain. Sorted."""
        return sorted(prefix for prefix, tokens in self._successors.items() if len(tokens) > 1)

    @property
    def choices(self) -> list[int]:
        """The tokens that may follow at forks. Sorted."""
        return sorted({token for fork in self.forks for token in self.successors(fork)})

    def constraint(self, vocabulary: int) -> Constraint:
        """The trie as a constraint of a search."""

        def allowed(rows: Int64[Tensor, "samples rows time"]) -> Bool[Tensor, "samples rows vocabulary"]:
            mask = torch.zeros(*rows.shape[:2], vocabulary, dtype=torch.bool)
            for sample, of_sample in enumerate(rows[..., 1:].tolist()):
                for row, prefix in enumerate(of_sample):
                    mask[sample, row, self.successors(prefix)] = True
            return mask.to(rows.device)

        return allowed

    def score(
        self, logits: Callable[[list[tuple[int, ...]]], Float[Tensor, "samples forks vocabulary"]]
    ) -> Float[Tensor, "samples answers"]:
        """The log-probability of every answer among these answers, in their order.

        `logits` gives the scores of what follows each of the forks; answers of one token have one fork, the empty one.
        """
        forks = self.forks
        scores = logits(forks) if forks else torch.zeros(1, 0, 1)
        totals = scores.new_zeros(len(scores), len(self.answers), dtype=torch.float)
        for place, fork in enumerate(forks):
            tokens = self.successors(fork)
            steps = scores[:, place, tokens].float().log_softmax(-1)
            for number, answer in enumerate(self.answers):
                whole = (*answer, self.end)
                if whole[: len(fork)] == fork:
                    totals[:, number] += steps[:, tokens.index(whole[len(fork)])]
        return totals
