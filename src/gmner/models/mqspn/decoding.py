"""Outputs to entities: what each query says, and which of them are kept (specs/mqspn.md, section 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from jaxtyping import Bool
from torch import Tensor

from gmner.models.mqspn.outputs import NONE, Outputs


@dataclass(frozen=True)
class DecodingConfig:
    """Which answers are kept.

    Args:
        order: the answers that come first win: the surest (`score`), or as released those with the highest number of
            a region (`region`).
        overlap: of answers that share a word, keep the first (`none`); drop only those that cross a kept one, so that
            spans may lie in each other (`nested`); or keep all.
        duplicates: keep answers of the span and type score of a kept one.
        spans: the best pair of a first and a last word (`pair`), or as released the best of each, dropped where the
            last comes before the first (`apart`).
        least_type, least_boundary, least_region: probabilities that an answer must exceed.
    """

    order: Literal["score", "region"] = "score"
    overlap: Literal["none", "nested", "all"] = "none"
    duplicates: bool = False
    spans: Literal["pair", "apart"] = "pair"
    least_type: float = 0.0
    least_boundary: float = 0.0
    least_region: float = 0.0


RELEASED_DECODING = DecodingConfig(order="region", spans="apart")


class Answer(NamedTuple):
    """What one query says: words `start` to `end` (the last one), a class, a region, and how sure it is of each."""

    start: int
    end: int
    type: int
    region: int
    type_score: float
    """Probability of the class."""
    span_score: float
    """Probability of the first word times that of the last."""
    groundable: float
    """Probability of the best region that shows something over that and the probability of "can not be seen"."""

    @property
    def score(self) -> float:
        """Probability of the class and of both ends."""
        return self.type_score * self.span_score


def decode(outputs: Outputs, words: Bool[Tensor, "batch words"], config: DecodingConfig) -> list[list[Answer]]:
    """The kept answers of every post of a batch, the first the most preferred."""
    return [_keep(answers, config) for answers in _answers(outputs, words, config)]


def _answers(outputs: Outputs, words: Tensor, config: DecodingConfig) -> list[list[Answer]]:
    """The answers of every post that pass the thresholds, in the order of the queries."""
    probabilities, kinds = outputs.types.float().softmax(-1).max(-1)
    if config.spans == "pair":
        pairs = (outputs.start[..., :, None] * outputs.end[..., None, :]).triu()
        best = pairs.flatten(2).argmax(-1)
        starts, ends = best // words.shape[1], best % words.shape[1]
    else:
        starts, ends = outputs.start.argmax(-1), outputs.end.argmax(-1)
    first = outputs.start.gather(-1, starts[..., None]).squeeze(-1)
    last = outputs.end.gather(-1, ends[..., None]).squeeze(-1)
    surest, regions = outputs.region.max(-1)
    shown = outputs.region[..., NONE + 1 :].amax(-1) if outputs.region.shape[-1] > 1 else 0 * surest
    groundable = shown / (shown + outputs.region[..., NONE]).clamp(min=1e-9)
    kept = (
        (kinds != NONE)
        & (starts <= ends)
        & (probabilities > config.least_type)
        & (first > config.least_boundary)
        & (last > config.least_boundary)
        & (surest > config.least_region)
    )
    columns = [c.tolist() for c in (starts, ends, kinds, regions, probabilities, first * last, groundable, kept)]
    return [
        [Answer(*values[:-1]) for values in zip(*post, strict=True) if values[-1]]
        for post in zip(*columns, strict=True)
    ]


def _keep(answers: Sequence[Answer], config: DecodingConfig) -> list[Answer]:
    kept: list[Answer] = []
    # Sorting is stable: of equals the earlier query comes first.
    for answer in sorted(answers, key=lambda a: -a.region if config.order == "region" else -a.score):
        if config.overlap != "all" and any(_collide(answer, other, config) for other in kept):
            continue
        same = (answer.start, answer.end, answer.type_score)
        if not config.duplicates and any(same == (other.start, other.end, other.type_score) for other in kept):
            continue
        kept.append(answer)
    return kept


def _collide(left: Answer, right: Answer, config: DecodingConfig) -> bool:
    """Whether two answers may not both stand."""
    if config.overlap == "none":
        return left.start <= right.end and right.start <= left.end
    return any(a.start < b.start <= a.end < b.end for a, b in ((left, right), (right, left)))
