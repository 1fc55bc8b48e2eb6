"""Which query answers for which entity, and what that costs.

specs/mqspn.md, section 5; specs/mqspn_paper.md, "Set prediction".
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from gmner.models.mqspn.outputs import IMPOSSIBLE, NONE, Gold, Outputs
from gmner.nn.assignment import assign


@dataclass(frozen=True)
class CriterionConfig:
    """How outputs are matched with gold and judged. The defaults are the paper's.

    Args:
        matching: `best`, the assignment of least cost; `order`, the i-th query answers for the i-th item.
        match_type, match_boundary, match_region: weights of the probabilities in the cost.
        loss_type, loss_boundary, loss_region: weights of the losses.
        types: cross-entropy over the classes (`ce`), a binary one for each (`bce`), or the focal loss.
        none_weight: of the class "no entity" beside the types; 0 takes the number of matched queries over that of the
            others, as released (3 where 45 of 60 are matched: "no entity" weighs more than a type).
        type_mean: the cross-entropy of all queries is divided by the number of gold `items` like the other losses (the
            paper adds all up alike), or by the sum of its own `weights`, as released.
        layers: the layers' losses weigh the `same`, or rise by 1 (`linear`).
    """

    matching: Literal["best", "order"] = "best"
    match_type: float = 1.0
    match_boundary: float = 1.0
    match_region: float = 1.0
    loss_type: float = 1.0
    loss_boundary: float = 1.0
    loss_region: float = 1.0
    types: Literal["ce", "bce", "focal"] = "ce"
    none_weight: float = 1.0
    type_mean: Literal["items", "weights"] = "items"
    layers: Literal["same", "linear"] = "same"


RELEASED_CRITERION = CriterionConfig(
    match_type=2.0, match_boundary=2.0, match_region=2.0, loss_type=2.0, loss_boundary=2.0, loss_region=2.0,
    none_weight=0.0, type_mean="weights",
)  # fmt: skip


class Losses(NamedTuple):
    """The unweighted losses of one layer, a gold item; that of the type as the settings say."""

    type: Float[Tensor, ""]
    boundary: Float[Tensor, ""]
    region: Float[Tensor, ""]


def criterion(layers: list[Outputs], gold: Gold, config: CriterionConfig) -> Float[Tensor, ""]:
    """The loss of all layers, each matched by itself; one copy to the processor for all."""
    assignments = match(layers, gold, config)
    total = layers[0].start.new_zeros(())
    for number, (outputs, queries) in enumerate(zip(layers, assignments, strict=True), start=1):
        found = losses(outputs, gold, queries, config)
        layer = (
            config.loss_type * found.type + config.loss_boundary * found.boundary + config.loss_region * found.region
        )
        total = total + layer * (number if config.layers == "linear" else 1)
    return total


@torch.no_grad()
def match(layers: list[Outputs], gold: Gold, config: CriterionConfig) -> Int64[Tensor, "layers batch items"]:
    """The query that answers for each gold item in each layer, -1 where there is no item.

    Raises:
        ValueError: a post has more items than there are queries; `GoldItems` of the codec refuses those before.
    """
    if config.matching == "order":
        return torch.stack([in_order(outputs, gold) for outputs in layers])
    costs = torch.stack([cost(outputs, gold, config) for outputs in layers])
    return assign(costs, gold.present.expand(len(layers), -1, -1))


def cost(outputs: Outputs, gold: Gold, config: CriterionConfig) -> Float[Tensor, "batch queries items"]:
    """Minus the weighted sum of the probabilities that a query gives to what an item says, in every respect.

    Of several right regions the mean counts; an item whose region is unknown leaves the region out. A query that can
    not have an item's type costs so much that it takes the item only where no other can.
    """
    logits = outputs.types.float()
    kind = _columns(logits.softmax(-1), gold.types)
    bounds = _columns(outputs.start, gold.start) + _columns(outputs.end, gold.end)
    right = gold.regions.to(outputs.region.dtype)
    region = outputs.region @ right.transpose(1, 2) / right.sum(-1).clamp(min=1)[:, None]
    total = config.match_type * kind + config.match_boundary * bounds + config.match_region * region
    return -total - IMPOSSIBLE * (_columns(logits, gold.types) <= IMPOSSIBLE)


def in_order(outputs: Outputs, gold: Gold) -> Int64[Tensor, "batch items"]:
    """Items answered for in their order by the queries that can have their types, in theirs."""
    possible = _columns(outputs.types, gold.types) > IMPOSSIBLE
    taken = possible.new_zeros(possible.shape[:2])
    chosen = []
    for item in range(gold.types.shape[1]):
        free = possible[..., item] & ~taken & gold.present[:, item, None]
        first = free.to(torch.uint8).argmax(-1)
        found = free.any(-1)
        taken = taken | (F.one_hot(first, free.shape[1]).bool() & found[:, None])
        chosen.append(torch.where(found, first, -1))
    return torch.stack(chosen, 1) if chosen else gold.types.new_zeros(gold.types.shape)


def losses(outputs: Outputs, gold: Gold, queries: Int64[Tensor, "batch items"], config: CriterionConfig) -> Losses:
    """The losses of one layer whose `queries` answer for the gold items. Without any gold, only the type's is not 0."""
    row, item = (queries >= 0).nonzero(as_tuple=True)
    query = queries[row, item]
    items = max(len(row), 1)
    ends = ((outputs.start, gold.start), (outputs.end, gold.end))
    boundary = torch.stack([_pointing(points[row, query], where[row, item]) for points, where in ends]).sum()
    right = gold.regions[row, item]
    known = right.any(-1)
    region = F.binary_cross_entropy(
        outputs.region[row, query][known], right[known].to(outputs.region), reduction="sum"
    ) / (known.sum().clamp(min=1))
    targets = torch.full(outputs.types.shape[:2], NONE, device=outputs.types.device)
    targets[row, query] = gold.types[row, item]
    weights = outputs.types.new_ones(outputs.types.shape[-1], dtype=torch.float32)
    free = targets.numel() - len(row)
    weights[NONE] = config.none_weight or len(row) / max(free, 1)
    return Losses(_type_loss(outputs.types.float(), targets, weights, config), boundary / items, region)


def _pointing(points: Float[Tensor, "items words"], word: Int64[Tensor, " items"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of every word, of which one is right for each item; the sum."""
    return F.binary_cross_entropy(points, F.one_hot(word, points.shape[-1]).to(points), reduction="sum")


def _type_loss(
    logits: Float[Tensor, "batch queries classes"],
    targets: Int64[Tensor, "batch queries"],
    weights: Float[Tensor, " classes"],
    config: CriterionConfig,
) -> Float[Tensor, ""]:
    if config.types == "bce":
        return F.binary_cross_entropy_with_logits(logits, F.one_hot(targets, logits.shape[-1]).to(logits))
    likelihood = logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
    weight = weights[targets]
    if config.types == "focal":
        return -(weight * (1 - likelihood.exp()) ** 2 * likelihood).mean()
    if config.type_mean == "items":
        return -(weight * likelihood).sum() / max(int((targets != NONE).sum()), 1)
    # Released code divides 0 by 0 where a whole batch has no gold.
    return -(weight * likelihood).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def _columns(rows: Float[Tensor, "batch queries n"], index: Int64[Tensor, "batch items"]) -> Tensor:
    """The chosen columns of each post's rows: (batch, queries, items)."""
    return rows.gather(-1, index[:, None].expand(-1, rows.shape[1], -1))
