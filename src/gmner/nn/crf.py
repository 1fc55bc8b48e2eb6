"""Linear-chain conditional random field: exact scores, partition, marginals and best paths, batched over sequences.

A path of tags y through a sequence of n positions scores

    start[y_1] + sum_t emissions[t, y_t] + sum_{t>1} transitions[y_{t-1}, y_t] + end[y_n]

(Lafferty et al. 2001; specs/umt.md "CRF"). Inside, tensors are time-major with the batch innermost, `time tags batch`
and `from to batch`, so that every reduction runs along contiguous memory.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_FORBIDDEN: Final = -1e30
"""Stands for minus infinity inside the recursions: it never wins, and unlike infinity it never gives NaN."""


class Constraints(NamedTuple):
    """The tags that a sequence may start with, and the steps `[from, to]` that it may take."""

    starts: Bool[Tensor, " tags"]
    steps: Bool[Tensor, "tags tags"]


def bio_constraints(tags: Sequence[str]) -> Constraints:
    """The legal steps of BIO tagging: I-X comes only after B-X or I-X, and never first. `tags` in column order.

    Tags other than I- may stand anywhere. Tags without a type (`B`, `I`) count as one type.
    """
    parts = [tag.partition("-") for tag in tags]
    starts = torch.tensor([prefix != "I" for prefix, _, _ in parts])
    continues = torch.tensor(
        [[before[0] in ("B", "I") and before[2] == after[2] for after in parts] for before in parts]
    )
    return Constraints(starts, starts | continues)


class CRF(nn.Module):
    """A linear-chain CRF over `num_tags` tags. `transitions[i, j]` scores the step from i to j.

    A sequence is the positions of a row where `mask` holds, in their order: the mask may end early (padding) and may
    have holes (sub-words after a word's first). What stands elsewhere is never read, not even NaN. A row without any
    position is the empty sequence: it has one path, the empty one, of score 0 and probability 1.

    With `allowed`, other starts and steps have probability 0: no path with one is decoded, marginals leave them out,
    and the likelihood of tags that take one is minus infinity.

    All is computed in float32 (float64 for float64 emissions or parameters), under autocast as well. Parameters have
    the names and the initial distribution U(-0.1, 0.1) of published checkpoints. Log-likelihood and log partition can
    be differentiated once.

    Raises:
        ValueError: `allowed` has the wrong shape or a dead end (no start, or a tag that nothing may follow), or, in
            any method, the shapes of the arguments do not agree.
    """

    allowed_starts: Bool[Tensor, " tags"] | None
    allowed_steps: Bool[Tensor, "tags tags"] | None

    def __init__(self, num_tags: int, allowed: Constraints | None = None) -> None:
        super().__init__()
        self.num_tags = num_tags
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        if allowed is not None:
            if allowed.starts.shape != (num_tags,) or allowed.steps.shape != (num_tags, num_tags):
                raise ValueError(f"constraints of {tuple(allowed.steps.shape)} steps do not fit {num_tags} tags")
            if not allowed.starts.any() or not allowed.steps.any(1).all():
                raise ValueError("constraints must allow a start, and after every tag another")
        # Not part of a checkpoint: the labels decide them.
        self.register_buffer("allowed_starts", None if allowed is None else allowed.starts, persistent=False)
        self.register_buffer("allowed_steps", None if allowed is None else allowed.steps, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from U(-0.1, 0.1)."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def score(
        self,
        emissions: Float[Tensor, "batch time tags"],
        tags: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
    ) -> Float[Tensor, " batch"]:
        """The score of the path `tags` in each sequence."""
        return self._score(self._align(emissions, mask, tags))

    def log_partition(
        self, emissions: Float[Tensor, "batch time tags"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, " batch"]:
        """The logarithm of the sum of exp(score) over all (allowed) paths of each sequence."""
        return self._log_partition(self._align(emissions, mask))

    def log_likelihood(
        self,
        emissions: Float[Tensor, "batch time tags"],
        tags: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
    ) -> Float[Tensor, " batch"]:
        """The log-probability of the path `tags` in each sequence; the usual loss is minus its mean."""
        chains = self._align(emissions, mask, tags)
        return self._score(chains) - self._log_partition(chains)

    @torch.no_grad()
    def marginals(
        self, emissions: Float[Tensor, "batch time tags"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time tags"]:
        """The probability of each tag at each position, 0 where the mask does not hold. Without gradient."""
        chains = self._align(emissions, mask)
        start, transitions, end = self._weights(chains, _FORBIDDEN)
        lattice = _sum_paths(chains.emissions, start, transitions, end, chains.last, keep=True)
        nodes, _ = _spread(lattice, chains.last, chains.inside[0].to(lattice.final.dtype))
        probabilities = nodes.new_zeros(mask.numel(), self.num_tags)
        probabilities[chains.rows[chains.inside]] = nodes.transpose(1, 2)[chains.inside]
        return probabilities.view(*mask.shape, self.num_tags)

    @torch.no_grad()
    def decode(self, emissions: Float[Tensor, "batch time tags"], mask: Bool[Tensor, "batch time"]) -> list[list[int]]:
        """The best path of each sequence (Viterbi 1967), as long as the sequence. Of equal paths the lower tags win."""
        chains = self._align(emissions, mask)
        start, transitions, end = self._weights(chains, _FORBIDDEN)
        paths = _best_paths(chains.emissions, start, transitions, end, chains.last).T.tolist()
        return [path[:length] for path, length in zip(paths, chains.inside.sum(0).tolist(), strict=True)]

    def extra_repr(self) -> str:
        return f"num_tags={self.num_tags}, constrained={self.allowed_steps is not None}"

    def _align(
        self,
        emissions: Float[Tensor, "batch time tags"],
        mask: Bool[Tensor, "batch time"],
        tags: Int[Tensor, "batch time"] | None = None,
    ) -> "_Chains":
        """Move each sequence's positions to the front, cut to the longest sequence, and turn to time-major."""
        tags = torch.zeros_like(mask, dtype=torch.long) if tags is None else tags
        for name, tensor, expected in (
            ("emissions", emissions, (*mask.shape, self.num_tags)),
            ("tags", tags, tuple(mask.shape)),
        ):
            if tensor.shape != expected:
                raise ValueError(f"{name} of shape {tuple(tensor.shape)} do not fit the mask: {expected} is expected")
        if not mask.shape[1]:  # No time at all: one position that belongs to no sequence saves every exception below.
            emissions, mask, tags = F.pad(emissions, (0, 0, 0, 1)), F.pad(mask, (0, 1)), F.pad(tags, (0, 1))
        batch, time = mask.shape
        mask = mask.bool()
        lengths = mask.sum(1)
        longest = max(1, int(lengths.max())) if batch else 1
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :longest]
        rows = (order + time * torch.arange(batch, device=mask.device).unsqueeze(1)).T
        inside = torch.arange(longest, device=mask.device).unsqueeze(1) < lengths
        dtype = torch.promote_types(torch.promote_types(emissions.dtype, self.transitions.dtype), torch.float32)
        chosen = emissions.flatten(0, 1).index_select(0, rows.flatten()).view(longest, batch, self.num_tags)
        # Beyond its end a sequence goes on with zeros: finite, and read by nothing before the end.
        chosen = chosen.to(dtype).transpose(1, 2).masked_fill(~inside.unsqueeze(1), 0.0).contiguous()
        path = tags.flatten()[rows].long().masked_fill(~inside, 0)
        return _Chains(chosen, path, rows, inside, (lengths - 1).clamp(min=0))

    def _weights(self, chains: "_Chains", forbidden: float) -> tuple[Tensor, Tensor, Tensor]:
        """Start, transition and end scores in the dtype of `chains`, with `forbidden` where a step is not allowed."""
        dtype = chains.emissions.dtype
        start, transitions = self.start_transitions.to(dtype), self.transitions.to(dtype)
        if self.allowed_starts is not None and self.allowed_steps is not None:
            start = start.masked_fill(~self.allowed_starts, forbidden)
            transitions = transitions.masked_fill(~self.allowed_steps, forbidden)
        return start, transitions, self.end_transitions.to(dtype)

    def _score(self, chains: "_Chains") -> Float[Tensor, " batch"]:
        emissions, path, _, inside, last = chains
        start, transitions, end = self._weights(chains, float("-inf"))
        emitted = emissions.gather(1, path.unsqueeze(1)).squeeze(1)
        steps = path[:-1] * self.num_tags + path[1:]
        stepped = transitions.flatten().index_select(0, steps.flatten()).view(steps.shape).masked_fill(~inside[1:], 0.0)
        ends = start.index_select(0, path[0]) + end.index_select(0, path.gather(0, last.unsqueeze(0)).squeeze(0))
        return emitted.sum(0) + stepped.sum(0) + ends.masked_fill(~inside[0], 0.0)

    def _log_partition(self, chains: "_Chains") -> Float[Tensor, " batch"]:
        log_partition: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
            chains.emissions, *self._weights(chains, _FORBIDDEN), chains.last, torch.is_grad_enabled()
        )
        return log_partition.masked_fill(~chains.inside[0], 0.0)


class _Chains(NamedTuple):
    """The sequences of a batch, each from time 0 without holes, and one position at least.

    `path` holds the given tags (0 after the end), `rows` says which position of the flattened batch stands at each
    time, `inside` where sequences have not ended, `last` when each has its last position (0 for the empty ones).
    """

    emissions: Float[Tensor, "time tags batch"]
    path: Int[Tensor, "time batch"]
    rows: Int[Tensor, "time batch"]
    inside: Bool[Tensor, "time batch"]
    last: Int[Tensor, " batch"]


class _Lattice(NamedTuple):
    """What the forward recursion leaves behind.

    `pulls[t] / sums[t]` is the probability of the tag at time t given the tag at t + 1 and all emissions up to t;
    `final` holds the log-sums of all paths up to the last position, by the tag that they end in.
    """

    final: Float[Tensor, "tags batch"]
    pulls: Float[Tensor, "time-1 tags tags batch"]
    sums: Float[Tensor, "time-1 tags batch"]


def _sum_paths(
    emissions: Float[Tensor, "time tags batch"],
    start: Float[Tensor, " tags"],
    transitions: Float[Tensor, "tags tags"],
    end: Float[Tensor, " tags"],
    last: Int[Tensor, " batch"],
    *,
    keep: bool,
) -> _Lattice:
    """The forward recursion in the logarithmic domain. Without `keep`, `pulls` holds nothing of use."""
    time, tags, batch = emissions.shape
    alphas = torch.empty_like(emissions)
    torch.add(emissions[0], start.unsqueeze(1), out=alphas[0])
    # Without `keep`, every step writes into the same slab.
    pulls = emissions.new_empty(time - 1 if keep else 1, tags, tags, batch).expand(time - 1, tags, tags, batch)
    sums = emissions.new_empty(time - 1, tags, batch)
    peak = emissions.new_empty(tags, batch)
    steps = transitions.unsqueeze(2)
    for before, after, emitted, pull, total in zip(alphas[:-1], alphas[1:], emissions[1:], pulls, sums, strict=True):
        torch.add(before.unsqueeze(1), steps, out=pull)
        torch.amax(pull, 0, out=peak)
        torch.sum(pull.sub_(peak).exp_(), 0, out=total)
        torch.log(total, out=after).add_(peak).add_(emitted)
    return _Lattice(_at(alphas, last) + end.unsqueeze(1), pulls, sums)


def _spread(
    lattice: _Lattice, last: Int[Tensor, " batch"], weight: Float[Tensor, " batch"]
) -> tuple[Float[Tensor, "time tags batch"], Float[Tensor, "tags tags batch"]]:
    """The backward recursion: `weight` of each sequence spread over its tags, and over its steps summed over time."""
    final, pulls, sums = lattice
    nodes = final.new_zeros(len(sums) + 1, *final.shape)
    nodes.scatter_(0, last.expand(1, *final.shape), (final.softmax(0) * weight).unsqueeze(0))
    edges = torch.zeros_like(final).unsqueeze(0).repeat(final.shape[0], 1, 1)
    flow = torch.empty_like(edges)
    backwards = (reversed(steps.unbind()) for steps in (nodes[1:], nodes[:-1], pulls, sums))
    for after, before, pull, total in zip(*backwards, strict=True):
        torch.mul(pull, after / total, out=flow)
        edges.add_(flow)
        before.add_(flow.sum(1))
    return nodes, edges


def _best_paths(
    emissions: Float[Tensor, "time tags batch"],
    start: Float[Tensor, " tags"],
    transitions: Float[Tensor, "tags tags"],
    end: Float[Tensor, " tags"],
    last: Int[Tensor, " batch"],
) -> Int[Tensor, "time batch"]:
    """The best tags of each sequence; after its end the last tag is repeated.

    Only the best scores are kept on the way forward: which tag each came from is found again on the way back, for
    the one tag of each sequence that matters.
    """
    scores = torch.empty_like(emissions)
    torch.add(emissions[0], start.unsqueeze(1), out=scores[0])
    steps = transitions.unsqueeze(2)
    reached = emissions.new_empty(*transitions.shape, emissions.shape[2])
    for before, after, emitted in zip(scores[:-1], scores[1:], emissions[1:], strict=True):
        torch.add(before.unsqueeze(1), steps, out=reached)
        torch.amax(reached, 0, out=after).add_(emitted)
    final = (_at(scores, last) + end.unsqueeze(1)).argmax(0)
    paths = [final]
    ended = torch.arange(len(emissions) - 1, device=last.device).unsqueeze(1) >= last
    for before, at_end in zip(reversed(scores[:-1].unbind()), reversed(ended.unbind()), strict=True):
        previous = (before + transitions.index_select(1, paths[-1])).argmax(0)
        paths.append(torch.where(at_end, final, previous))
    return torch.stack(paths[::-1])


def _at(values: Float[Tensor, "time tags batch"], times: Int[Tensor, " batch"]) -> Float[Tensor, "tags batch"]:
    return values.gather(0, times.expand(1, *values.shape[1:])).squeeze(0)


class _LogPartition(torch.autograd.Function):
    """The log partition, whose gradient is the marginals: computed by recursion, not by unrolling the forward one."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor, last: Tensor, keep: bool
    ) -> Tensor:
        lattice = _sum_paths(emissions, start, transitions, end, last, keep=keep)
        ctx.save_for_backward(last, *lattice)
        return lattice.final.logsumexp(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        last, *lattice = ctx.saved_tensors
        nodes, edges = _spread(_Lattice(*lattice), last, gradient)
        return nodes, nodes[0].sum(1), edges.sum(2), _at(nodes, last).sum(1), None, None
