"""Learning where words are: two losses that teach a network from random weights to look, from gold boxes.

A loss on answers alone reaches the picture's side through all that lies between, which from random weights has to
learn first. Published models begin with eyes that a classifier or a detector has trained. Here the gold boxes say it
directly: what a region is called (`words_loss`), and which cells of the picture an expression means (`pointing_loss`).
Both are of training only, in the manner of Zeng et al. 2022 (X-VLM), who align words with regions of all sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gmner.errors import ConfigError
from gmner.types import Box

T = TypeVar("T")

NOWHERE: Final = 0.0
"""The score of pointing nowhere, beside those of the cells."""


@dataclass(frozen=True)
class Looking:
    """How a network from random weights learns to look.

    Args:
        passes: over the pictures at the beginning of each epoch, in which only words are learned, region by region.
        naming: weight of the words beside the loss of the answers: what regions are called and, in joint systems, what
            is told of names.
        pointing: weight of pointing beside it.
        pictures: of a batch of those passes.
        answers: weight of the answers beside them; with 0 a network learns to look only, and another training may begin
            with it. A joint system without pointing and answers learns in the passes only.
        together: so many questions of one picture come in a batch together, where a picture has many: the fewer, the
            more pictures a step sees, and the more often each is looked at. 0 asks all at once, as joint
            systems always do.

    Raises:
        ConfigError: a number out of its range.
    """

    passes: int = 1
    naming: float = 1.0
    pointing: float = 1.0
    answers: float = 1.0
    pictures: int = 32
    together: int = 0

    @property
    def asks(self) -> bool:
        """Whether anything is learned beside the passes."""
        return bool(self.pointing or self.answers)

    def __post_init__(self) -> None:
        for name, least in (
            ("passes", 0),
            ("naming", 0),
            ("pointing", 0),
            ("answers", 0),
            ("pictures", 1),
            ("together", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"looking setting {name!r} is {getattr(self, name)}",
                    allowed=f"it is {least} or more",
                    todo="change it",
                )


def few_at_a_time(pictures: Sequence[Sequence[T]], together: int, generator: torch.Generator) -> list[T]:
    """The questions of all pictures, `together` of one picture at a time, in a random order of these groups.

    With 0 the questions of a picture stay together, in their order.
    """
    groups = list(pictures)
    if together:
        drawn = [[some[i] for i in torch.randperm(len(some), generator=generator)] for some in pictures]
        groups = [some[start : start + together] for some in drawn for start in range(0, len(some), together)]
    order = torch.randperm(len(groups), generator=generator).tolist()
    return [question for index in order for question in groups[index]]


Corners = tuple[float, float, float, float]
"""A box as shares of a picture's sides."""

ABSENT: Final[Corners] = (0.0, 0.0, 0.0, 0.0)
"""The corners of what is nowhere."""


def corners(boxes: Sequence[Box], window: Box) -> Corners:
    """The largest box as shares of a window's sides; `ABSENT` if there is none."""
    if not boxes:
        return ABSENT
    x1, y1, x2, y2 = max(boxes, key=lambda box: box.area)
    return (
        (x1 - window.x1) / window.width,
        (y1 - window.y1) / window.height,
        (x2 - window.x1) / window.width,
        (y2 - window.y1) / window.height,
    )


def coverage(boxes: Float[Tensor, "boxes 4"], rows: int, columns: int) -> Float[Tensor, "boxes rows*columns"]:
    """How much of each box lies in each cell of a grid, line by line, as shares of what lies in the grid.

    Boxes are corners as shares of the grid's sides. One that lies outside it, or is empty, is nowhere: all zeros.
    """
    across = _overlaps(boxes[:, 0], boxes[:, 2], columns)
    down = _overlaps(boxes[:, 1], boxes[:, 3], rows)
    parts = (down[:, :, None] * across[:, None]).flatten(1)
    return parts / parts.sum(1, keepdim=True).clamp(min=torch.finfo(parts.dtype).tiny)


def pointing_loss(
    scores: Float[Tensor, "questions cells"], targets: Float[Tensor, "questions cells"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the cells that each question means, or of none where `targets` are all zero.

    `targets` are what `coverage` says. Nowhere competes with all cells at a score of 0.
    """
    with torch.autocast(scores.device.type, enabled=False):
        scores = torch.cat([torch.full_like(scores[:, :1], NOWHERE), scores], 1).float()
        wanted = torch.cat([1 - targets.sum(1, keepdim=True), targets], 1)
        return F.cross_entropy(scores, wanted)


def words_loss(
    cells: Float[Tensor, "regions cells width"],
    targets: Float[Tensor, "regions cells"],
    called: Float[Tensor, "regions words"],
    table: Float[Tensor, "words width"],
    bias: Float[Tensor, " words"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the words that each region is called, from the mean of the cells that it covers.

    What is nowhere, whose `targets` are all zero, is not asked for; without any region the loss is 0.
    """
    there = targets.sum(1) > 0
    with torch.autocast(cells.device.type, enabled=False):
        pooled = (targets[there][:, None] @ cells[there].float())[:, 0]
        likelihoods = F.linear(pooled, table.float(), bias.float()).log_softmax(-1)
        return -(called[there] * likelihoods).sum() / there.sum().clamp(min=1)


def shares(words: Sequence[Sequence[int]], count: int) -> Float[Tensor, "regions words"]:
    """What each region is called, as a distribution over `count` words: all of its own alike, each once."""
    called = torch.zeros(len(words), count)
    for row, own in zip(called, words, strict=True):
        row[sorted(set(own))] = 1 / max(len(set(own)), 1)
    return called


def _overlaps(start: Float[Tensor, " boxes"], end: Float[Tensor, " boxes"], cells: int) -> Float[Tensor, "boxes cells"]:
    """The length of each interval of 0 to 1 in each of so many equal cells."""
    edges = torch.arange(cells + 1, device=start.device) / cells
    return (torch.minimum(end[:, None], edges[1:]) - torch.maximum(start[:, None], edges[:-1])).clamp(min=0)
