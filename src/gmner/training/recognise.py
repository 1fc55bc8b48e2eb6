"""Training a tagger: the CRF's negative log-likelihood, and the cross-entropy of the groundable head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gmner.metrics import evaluate
from gmner.models.tagger.codec import Encoded, TaggerCodec, gold_spans
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.loop import Task, TrainingConfig
from gmner.types import Example, Prediction


@dataclass
class RecogniseTask(Task):
    """Recognition (and groundability from the text) on sentences with gold entities.

    The dev score that chooses the epoch is MNER F1 in percent; beside it stands the accuracy of the groundable head on
    gold spans.
    """

    model: Tagger
    codec: TaggerCodec
    train: Sequence[Encoded]
    dev: Sequence[Example]
    groundable_weight: float = 0.2

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> list[list[Encoded]]:
        """Shuffled sentences, sorted by length within chunks of fifty batches so that little is padded."""
        order = torch.randperm(len(self.train), generator=generator).tolist()
        chunk = config.batch_size * 50
        batches: list[list[Encoded]] = []
        for start in range(0, len(order), chunk):
            near = sorted(order[start : start + chunk], key=lambda index: len(self.train[index].pieces))
            batches += [
                [self.train[index] for index in near[first : first + config.batch_size]]
                for first in range(0, len(near), config.batch_size)
            ]
        return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]

    def loss(self, batch: list[Encoded]) -> Tensor:
        sentences = self.codec.batch(batch)
        words = self.model(sentences)
        with torch.autocast("cpu", enabled=False):
            emissions = self.model.emissions(words)
            likelihood = self.model.crf.log_likelihood(emissions, self.codec.tags(batch), sentences.words)
            # Per word, so that a batch of long sentences weighs no more than one of short ones.
            loss = -likelihood.sum() / sentences.words.sum()
            spans = [gold_spans(item) for item in batch]
            if self.model.groundable is not None and any(spans):
                logits = self.model.groundable(words, sentences.words, self.codec.spans(spans))
                loss = loss + self.groundable_weight * F.binary_cross_entropy_with_logits(logits, _visible(batch))
        return loss

    def evaluate(self) -> dict[str, float]:
        return scores(self.model, self.codec, self.dev)


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


def scores(model: Tagger, codec: TaggerCodec, examples: Sequence[Example]) -> dict[str, float]:
    """MNER F1 of a tagger in percent, and the groundable head's accuracy in percent on gold spans."""
    found = codec.predict(model, examples)
    predictions = [Prediction(example=e, entities=entities) for e, entities in zip(examples, found, strict=True)]
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
    right: list[Any] = []
    for start in range(0, len(encoded), batch_size):
        batch = encoded[start : start + batch_size]
        sentences = codec.batch(batch)
        spans = codec.spans([gold_spans(item) for item in batch])
        logits = model.groundable(model(sentences), sentences.words, spans)
        right += ((logits > 0) == (_visible(batch) > 0.5)).tolist()
    return sum(right) / max(len(right), 1)


def _visible(batch: Sequence[Encoded]) -> Tensor:
    """1 for each gold span of a batch that has a region, 0 for the others, in the order of `gold_spans`."""
    seen = []
    for item in batch:
        visible = {(entity.start, entity.end): entity.visible for entity in item.example.entities or ()}
        seen += [visible[item.offsets[s][0], item.offsets[e - 1][1]] for s, e, _ in gold_spans(item)]
    return torch.tensor(seen, dtype=torch.float32)
