"""Sentences whose [MASK] becomes a query, before the encoder is trained (specs/mqspn_paper.md)."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from gmner.models.mqspn.config import Queries
from gmner.models.mqspn.outputs import TYPES
from gmner.types import EntityType

NAMES: Final[dict[EntityType, str]] = {"ORG": "Organization", "OTHER": "Other", "PER": "Person", "LOC": "Location"}


def type_prompts(mask: str) -> list[str]:
    """One prompt for each type; `mask` is the tokenizer's mask token."""
    return [f"{NAMES[kind]} is an entity type about {mask}." for kind in TYPES]


def written_queries(queries: Queries, mask: str) -> list[str]:
    """Hand-written sentences in the place of learned queries. The paper does not say which it took; these are ours."""
    if not queries.typed:
        return [f"Entity number {number} is {mask}." for number in range(1, queries.count + 1)]
    each = queries.count // len(TYPES)
    return [f"{NAMES[kind]} number {number} is {mask}." for kind in TYPES for number in range(1, each + 1)]


@torch.no_grad()
def mask_states(encoder: Any, tokenizer: Any, sentences: Sequence[str]) -> Float[Tensor, "sentences width"]:
    """The encoder's state of the mask token of each sentence."""
    batch = tokenizer(list(sentences), padding=True, return_tensors="pt")
    states: Tensor = encoder.eval()(**batch).last_hidden_state
    return states[batch["input_ids"] == tokenizer.mask_token_id].clone()
