"""What training posts have beside their sentence and no model of that window reads: said before the training begins."""

import logging
from collections.abc import Sequence
from typing import Protocol, TypeVar

logger = logging.getLogger(__name__)


class Encoded(Protocol):
    """A post as a model's numbers."""

    @property
    def left_out(self) -> int:
        """Sub-words that are read beside the sentence and had no room."""


T = TypeVar("T", bound=Encoded)


def telling_left_out(posts: Sequence[T]) -> Sequence[T]:
    """The same posts; how many of them are not read whole is logged."""
    cut = [post.left_out for post in posts if post.left_out]
    if cut:
        logger.warning("of %d of %d posts not all is read that stands beside the sentence: %d sub-words have no room",
                       len(cut), len(posts), sum(cut))  # fmt: skip
    return posts
