"""Training a tagger: the CRF's negative log-likelihood, and the cross-entropy of the groundable head."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from gmner.metrics import evaluate
from gmner.models.tagger.codec import Encoded, TaggerCodec, gold_spans
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Sentences, Spans, Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.loop import Task
from gmner.types import Example, Prediction


class Batch(NamedTuple):
    """Sentences with their gold tags, their gold entities, and which of these can be seen (1) or not (0)."""

    sentences: Sentences
    tags: Int64[Tensor, "batch words"]
    spans: Spans
    visible: Float[Tensor, " spans"]


class RecogniseTask(Task):
    """Recognition (and groundability from the text) on sentences with gold entities.

    The loss is the CRF's negative log-likelihood a word, so that a batch of long sentences weighs no more than one of
    short ones, and `groundable_weight` times the cross-entropy of the groundable head on gold entities. The dev score
    that chooses the epoch is MNER F1 in percent; beside it stands the groundable head's accuracy on gold spans.
    """

    model: Tagger

    def __init__(
        self,
        model: Tagger,
        codec: TaggerCodec,
        train: Sequence[Encoded],
        dev: Sequence[Example],
        groundable_weight: float = 0.2,
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.sentences = train
        self.dev = dev
        self.groundable_weight = groundable_weight

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Shuffled sentences, sorted by length within chunks of fifty batches so that little is padded."""
        order = torch.randperm(len(self.sentences), generator=generator).tolist()
        batches: list[list[Encoded]] = []
        for start in range(0, len(order), batch_size * 50):
            chunk = [self.sentences[index] for index in order[start : start + batch_size * 50]]
            chunk.sort(key=lambda item: len(item.pieces))
            batches += [chunk[first : first + batch_size] for first in range(0, len(chunk), batch_size)]
        return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]

    def collate(self, batch: list[Encoded]) -> Batch:
        spans = self.codec.spans([gold_spans(item) for item in batch])
        return Batch(self.codec.batch(batch), self.codec.tags(batch), spans, _visible(batch))

    def forward(self, tensors: Batch) -> Tensor:
        sentences, tags, spans, visible = tensors
        words = self.model(sentences)
        with torch.autocast(words.device.type, enabled=False):
            likelihood = self.model.crf.log_likelihood(self.model.emissions(words), tags, sentences.words)
            loss = -likelihood.sum() / sentences.words.sum()
            if self.model.groundable is not None:
                # A sum over no entities is 0, a mean would be none: all parameters take part in every step.
                logits = self.model.groundable(words, sentences.words, spans)
                crossed = F.binary_cross_entropy_with_logits(logits, visible, reduction="sum")
                loss = loss + self.groundable_weight * crossed / max(len(visible), 1)
        return loss

    def evaluate(self) -> dict[str, float]:
        return score(self.model, self.codec, self.dev, predict(self.model, self.codec, self.dev))


def build(
    config: TaggerConfig,
    train: Sequence[Example],
    dev: Sequence[Example],
    frozen: Sequence[str] = (),
    groundable_weight: float = 0.2,
    seed: int = 42,
) -> RecogniseTask:
    """The task of training a new tagger; parameters whose names start with one of `frozen` are not trained."""
    torch.manual_seed(seed)
    model = Tagger(config, load_encoder(config.encoder))
    for name, parameter in model.named_parameters():
        if any(name.startswith(prefix) for prefix in frozen):
            parameter.requires_grad = False
    codec = TaggerCodec(config, load_tokenizer(config.encoder))
    return RecogniseTask(model, codec, codec.encode(train), dev, groundable_weight)


def predict(model: Tagger, codec: TaggerCodec, examples: Sequence[Example]) -> list[Prediction]:
    """What a tagger finds in every example."""
    found = codec.predict(model, examples)
    return [Prediction(example=example, entities=entities) for example, entities in zip(examples, found, strict=True)]


def score(
    model: Tagger, codec: TaggerCodec, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> dict[str, float]:
    """MNER F1 of predictions in percent, and the groundable head's accuracy in percent on gold entities."""
    result = {"mner_f1": 100 * evaluate(examples, predictions, tasks=("mner",))["mner"].f1}
    if model.groundable is not None:
        result["groundable_accuracy"] = 100 * groundable_accuracy(model, codec, examples)
    return result


@torch.inference_mode()
def groundable_accuracy(model: Tagger, codec: TaggerCodec, examples: Sequence[Example], batch_size: int = 32) -> float:
    """Share of the gold entities whose visibility the text-only head tells right at probability 0.5."""
    if model.groundable is None:
        return float("nan")
    encoded = [item for item in codec.encode(examples) if gold_spans(item)]
    right: list[bool] = []
    for start in range(0, len(encoded), batch_size):
        batch = encoded[start : start + batch_size]
        sentences = codec.batch(batch).to(model.device)
        spans = codec.spans([gold_spans(item) for item in batch]).to(model.device)
        logits = model.groundable(model(sentences), sentences.words, spans)
        right += ((logits > 0).cpu() == (_visible(batch) > 0.5)).tolist()
    return sum(right) / max(len(right), 1)


def _visible(batch: Sequence[Encoded]) -> Tensor:
    """1 for each gold span of a batch that has a region, 0 for the others, in the order of `gold_spans`."""
    seen = []
    for item in batch:
        visible = {(entity.start, entity.end): entity.visible for entity in item.example.entities or ()}
        seen += [visible[item.offsets[s][0], item.offsets[e - 1][1]] for s, e, _ in gold_spans(item)]
    return torch.tensor(seen, dtype=torch.float32)
