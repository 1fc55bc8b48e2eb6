"""UMGF: sub-words and visual objects are nodes of one graph, and gated messages pass between every two that differ.

Steps and symbols are those of specs/evg_baselines.md, section 3.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gmner.models.umgf.config import LABELS, UMGFConfig
from gmner.nn.attention import MultiHeadAttention, merge_heads, split_heads
from gmner.nn.crf import CRF


class Posts(NamedTuple):
    """A batch of posts as tensors, padded on the right. `pixels` are of all `present` objects, one after another."""

    pieces: Int64[Tensor, "batch pieces"]
    attention: Bool[Tensor, "batch pieces"]
    pixels: Float[Tensor, "crops 3 height width"]
    present: Bool[Tensor, "batch objects"]


class ObjectAttention(nn.Module):
    """Attention among visual objects: what is read is the objects themselves, for values have no projection, nor has
    what was read."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def forward(
        self, rows: Float[Tensor, "batch objects width"], present: Bool[Tensor, "batch objects"]
    ) -> Float[Tensor, "batch objects width"]:
        query, key, value = (split_heads(part, self.heads) for part in (self.query(rows), self.key(rows), rows))
        return merge_heads(F.scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None]))


class Messages(nn.Module):
    """What nodes are told by those of the other kind: their sum, each number of each through a gate of its own.

    The gate of two nodes is sigmoid(W [receiver ; sender] + b), whose two halves are computed once for a node.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)

    def forward(
        self,
        receivers: Float[Tensor, "batch receivers width"],
        senders: Float[Tensor, "batch senders width"],
        present: Bool[Tensor, "batch senders"],
    ) -> Float[Tensor, "batch receivers width"]:
        gates = (self.receiver(receivers)[:, :, None] + self.sender(senders)[:, None]).sigmoid()
        return torch.einsum("brsw,bsw->brw", gates, senders * present[..., None])


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__(nn.Linear(width, inner_width), nn.ReLU(), nn.Linear(inner_width, width))


class Nodes(nn.Module):
    """What one layer does with the nodes of one kind: they read each other by `attention`, then hear the others."""

    def __init__(self, config: UMGFConfig, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.messages = Messages(config.width)
        self.feed = FeedForward(config.width, config.inner_width)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def read(self, rows: Float[Tensor, "batch nodes width"], read: Tensor) -> Float[Tensor, "batch nodes width"]:
        """`rows` with what they `read` of each other."""
        out: Tensor = self.norms[0](rows + self.dropout(read))
        return out

    def hear(
        self,
        rows: Float[Tensor, "batch nodes width"],
        others: Float[Tensor, "batch others width"],
        present: Bool[Tensor, "batch others"],
    ) -> Float[Tensor, "batch nodes width"]:
        """`rows` with the messages of the `others` that are `present`, each then by itself through `feed`."""
        rows = self.norms[1](rows + self.dropout(self.messages(rows, others, present)))
        out: Tensor = self.norms[2](rows + self.dropout(self.feed(rows)))
        return out


class FusionLayer(nn.Module):
    """One layer: either kind of nodes reads itself, then messages pass between the two."""

    def __init__(self, config: UMGFConfig) -> None:
        super().__init__()
        self.text = Nodes(config, MultiHeadAttention(config.width, config.heads, dropout=0.0))
        self.objects = Nodes(config, ObjectAttention(config.width, config.heads))

    def forward(
        self,
        text: Float[Tensor, "batch pieces width"],
        objects: Float[Tensor, "batch objects width"],
        attention: Bool[Tensor, "batch pieces"],
        present: Bool[Tensor, "batch objects"],
    ) -> tuple[Float[Tensor, "batch pieces width"], Float[Tensor, "batch objects width"]]:
        text = self.text.read(text, self.text.attention(text, text, attention))
        objects = self.objects.read(objects, self.objects.attention(objects, present))
        return self.text.hear(text, objects, present), self.objects.hear(objects, text, attention)


class UMGF(nn.Module):
    """Emissions for every sub-word from the text and the picture's objects, and the `crf` that reads them.

    `encoder` is a BERT-like model of `transformers`, `vision` a ResNet of the same (`pooler_output` is read); both are
    trained.
    """

    def __init__(self, config: UMGFConfig, encoder: Any, vision: Any) -> None:
        super().__init__()
        self.config = config
        seen = vision.config.hidden_sizes[-1]
        self.encoder = encoder
        if encoder.pooler is not None:  # nothing reads it, and parallel processes would wait for its gradients
            encoder.pooler.requires_grad_(False)
        self.vision = vision
        self.look = nn.Sequential(
            nn.Linear(seen, seen),  # in the place of the ResNet's classifier
            nn.Linear(seen, config.width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, config.width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )
        self.narrow = nn.Linear(encoder.config.hidden_size, config.width)
        layers = [FusionLayer(config) for _ in range(config.layers)]
        self.layers = nn.ModuleList(layers)
        last = layers[-1].objects  # what its objects hear, nothing reads
        for part in (last.messages, last.feed, *last.norms[1:]):
            part.requires_grad_(False)
        self.classifier = nn.Linear(encoder.config.hidden_size + config.width, len(LABELS))
        self.crf = CRF(len(LABELS))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.classifier.weight.device

    def forward(self, posts: Posts) -> Float[Tensor, "batch pieces labels"]:
        """The emissions."""
        encoded = self.encoder(input_ids=posts.pieces, attention_mask=posts.attention.long()).last_hidden_state
        text, objects = self.narrow(encoded), self.objects(posts)
        for layer in self.layers:
            text, objects = layer(text, objects, posts.attention, posts.present)
        emissions: Tensor = self.classifier(torch.cat([encoded, text], -1))
        return emissions

    def objects(self, posts: Posts) -> Float[Tensor, "batch objects width"]:
        """What is seen of every object; absent ones are zeros."""
        rows = self.look(self.vision(posts.pixels).pooler_output.flatten(1))
        filled: Tensor = rows.new_zeros(*posts.present.shape, rows.shape[-1])
        return filled.masked_scatter(posts.present[..., None], rows)

    def loss(
        self,
        emissions: Float[Tensor, "batch pieces labels"],
        labels: Int64[Tensor, "batch pieces"],
        attention: Bool[Tensor, "batch pieces"],
    ) -> Float[Tensor, ""]:
        """The negative log-likelihood of the gold labels, mean over sentences.

        The release sums over the batch; to Adam, which divides by the size of the gradient, that is the same.
        """
        return -self.crf.log_likelihood(emissions, labels, attention).mean()
