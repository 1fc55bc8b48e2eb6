"""Whether "visible with probability 0.8" is true four times in five: the reliability of `Entity.groundable`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gmner.metrics.posts import Post
from gmner.report.taxonomy import Match

BINS: Final = 10


class Bin(NamedTuple):
    """Entities whose probability lies in [low, high): how many, their mean probability, the share that is visible.

    The last bin holds probability 1 as well. Both rates are NaN where the bin is empty.
    """

    low: float
    high: float
    entities: int
    probability: float
    visible: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """The probability of being visible that a system gave to entities, and whether gold says that they are.

    `silent` counts the entities that were left out because they have no probability.
    """

    probability: Float[np.ndarray, " entities"]
    visible: Bool[np.ndarray, " entities"]
    silent: int

    @property
    def bins(self) -> list[Bin]:
        """Ten bins of equal width."""
        place = np.minimum((self.probability * BINS).astype(int), BINS - 1)
        inside = [place == number for number in range(BINS)]
        return [
            Bin(
                number / BINS,
                (number + 1) / BINS,
                int(chosen.sum()),
                float(self.probability[chosen].mean()) if chosen.any() else float("nan"),
                float(self.visible[chosen].mean()) if chosen.any() else float("nan"),
            )
            for number, chosen in enumerate(inside)
        ]

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap between probability and share over bins, weighted by their size.

        Naeini et al. 2015, with the mean probability of a bin as Guo et al. 2017 have it. NaN without entities.
        """
        gaps = [part.entities * abs(part.probability - part.visible) for part in self.bins if part.entities]
        return sum(gaps) / len(self.probability) if gaps else float("nan")

    @property
    def brier(self) -> float:
        """The mean squared difference of probability and truth (Brier 1950). NaN without entities."""
        return float(((self.probability - self.visible) ** 2).mean()) if len(self.probability) else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of entities that probability 0.5 tells right. NaN without entities."""
        return float(((self.probability >= 0.5) == self.visible).mean()) if len(self.probability) else float("nan")


def calibration(posts: Sequence[Post], matches: Sequence[Sequence[Match]]) -> Calibration:
    """Calibration over the predicted entities whose span is a gold entity's; types and boxes play no part."""
    pairs = [
        (post.predicted[match.predicted].groundable, post.gold[match.gold].visible)
        for post, found in zip(posts, matches, strict=True)
        for match in found
        if match.gold is not None and match.predicted is not None and "span" not in match.faults
    ]
    told = [(probability, visible) for probability, visible in pairs if probability is not None]
    return Calibration(
        probability=np.array([probability for probability, _ in told], dtype=float),
        visible=np.array([visible for _, visible in told], dtype=bool),
        silent=len(pairs) - len(told),
    )
