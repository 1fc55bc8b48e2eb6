"""What both networks say of a batch, and what they should have said."""

from typing import Final, NamedTuple

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gmner.types import EntityType

TYPES: Final[tuple[EntityType, ...]] = ("ORG", "OTHER", "PER", "LOC")
"""The types in the order of the classes 1 to 4, which published checkpoints fix. Class 0 is no entity."""

NONE: Final = 0
"""The class of a query that finds nothing, and the region of an entity that can not be seen."""

IMPOSSIBLE: Final = -10000.0
"""The logit of what can not be: its probability is 0 exactly."""


class Outputs(NamedTuple):
    """What one layer says, query by query. Padded words and regions have probability 0."""

    types: Float[Tensor, "batch queries classes"]
    """Logits."""
    start: Float[Tensor, "batch queries words"]
    """Probability that a word is the entity's first, each word by itself."""
    end: Float[Tensor, "batch queries words"]
    """Probability that a word is the entity's last."""
    region: Float[Tensor, "batch queries regions"]
    """Probability that a region shows the entity; region 0 says that none does."""


class Gold(NamedTuple):
    """The entities to be found, padded."""

    types: Int64[Tensor, "batch items"]
    start: Int64[Tensor, "batch items"]
    """The first word."""
    end: Int64[Tensor, "batch items"]
    """The last word."""
    regions: Bool[Tensor, "batch items regions"]
    """The regions that are right. None is where an entity can be seen and no candidate shows it."""
    present: Bool[Tensor, "batch items"]
