"""Training a tagger: the CRF's negative log-likelihood, and the cross-entropy of the groundable head."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from gmner.errors import ConfigError
from gmner.models.tagger import weights
from gmner.models.tagger.codec import Encoded, TaggerCodec, gold_spans
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Sentences, Spans, Tagger
from gmner.nn.batching import moved
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, alike, freeze, shuffle
from gmner.training.predictions import f1_scores, predict
from gmner.training.recipe import Tested
from gmner.training.temperature import cool, temperature
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
        dev: Sequence[Encoded],
        groundable_weight: float = 0.2,
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        self.sentences = train
        self.dev = dev
        self.groundable_weight = groundable_weight

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[Encoded]]:
        """Sentences of similar length together, in random order."""
        return alike(shuffle(self.sentences, generator), batch_size, lambda item: len(item.pieces), generator)

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

    def save(self, folder: Path) -> None:
        calibrate(self.model, self.codec, self.dev)
        weights.save(folder, self.model)


@dataclass(frozen=True)
class RecogniseRecipe:
    """A tagger, trained to recognise.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: the tagger's settings.
        training: the loop's settings.
        frozen: prefixes of parameter names that keep the weights of the encoder.
        groundable_weight: weight of the groundable head's loss beside the CRF's.
    """

    about: str
    task: Literal["recognise"] = "recognise"
    model: TaggerConfig = field(default_factory=TaggerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    frozen: tuple[str, ...] = ()
    groundable_weight: float = 0.2

    @property
    def reads_knowledge(self) -> bool:
        return self.model.knowledge

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> RecogniseTask:
        """A new tagger on its encoder; parameters whose names start with one of `frozen` are not trained.

        Raises:
            ConfigError: the tagger reads knowledge, and no training post has any.
            TextError: a sentence has more sub-words than the window.
        """
        if self.model.knowledge and all(post.knowledge is None for post in train):
            raise ConfigError(
                "the recipe has model.knowledge = true, and no training post has any knowledge",
                allowed="a model that reads knowledge is trained on posts that have it",
                todo="give --knowledge with a folder of it, or rows with the key `knowledge`",
            )
        torch.manual_seed(self.training.seed)
        model = Tagger(self.model, load_encoder(self.model.encoder))
        freeze(model, self.frozen)
        codec = TaggerCodec(self.model, load_tokenizer(self.model.encoder))
        encoded, scored = (telling_left_out(codec.encode(posts)) for posts in (train, dev))
        return RecogniseTask(model, codec, encoded, scored, self.groundable_weight)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """MNER, and the accuracy of the groundable head on gold entities."""
        model, codec = weights.load(folder)
        posts = telling_left_out(codec.encode(test))
        predictions = predict(model, codec, posts)
        measures = score(model, codec, posts, predictions)
        return Tested(predictions, ("mner",), {name: x for name, x in measures.items() if name != "mner_f1"})


def score(
    model: Tagger, codec: TaggerCodec, posts: Sequence[Encoded], predictions: Sequence[Prediction]
) -> dict[str, float]:
    """MNER F1 of predictions in percent; the groundable head's accuracy in percent on gold entities, and that of
    calling all of them what most are."""
    result = f1_scores(predictions, ("mner",))
    if model.groundable is not None:
        logits, visible = groundable_logits(model, codec, posts)
        result["groundable_accuracy"] = 100 * accuracy(logits, visible)
        result["groundable_majority"] = 100 * max(float(visible.mean()), 1 - float(visible.mean()))
    return result


def accuracy(logits: Float[Tensor, " entities"], visible: Float[Tensor, " entities"]) -> float:
    """Share of entities whose visibility a head tells right at probability 0.5."""
    return float(((logits > 0) == (visible > 0.5)).double().mean()) if len(visible) else float("nan")


def calibrate(model: Tagger, codec: TaggerCodec, dev: Sequence[Encoded]) -> float:
    """Make the groundable head's probabilities honest: one temperature that fits `dev` best; it is returned.

    It goes into the last layer's weights (`training/temperature.py`), so no decision at 0.5 changes.
    """
    if model.groundable is None:
        return 1.0
    degrees = temperature(*groundable_logits(model, codec, dev))
    cool(model.groundable.out, degrees)
    return degrees


@torch.inference_mode()
def groundable_logits(
    model: Tagger, codec: TaggerCodec, posts: Sequence[Encoded], batch_size: int = 32
) -> tuple[Float[Tensor, " entities"], Float[Tensor, " entities"]]:
    """The head's logit of every gold entity, and whether it can be seen (1) or not (0)."""
    logits, visible = [torch.empty(0)], [torch.empty(0)]
    if model.groundable is None:
        return logits[0], visible[0]
    named = [item for item in posts if gold_spans(item)]
    for start in range(0, len(named), batch_size):
        batch = named[start : start + batch_size]
        sentences = moved(codec.batch(batch), model.device)
        spans = moved(codec.spans([gold_spans(item) for item in batch]), model.device)
        logits.append(model.groundable(model(sentences), sentences.words, spans).cpu())
        visible.append(_visible(batch))
    return torch.cat(logits), torch.cat(visible)


def _visible(batch: Sequence[Encoded]) -> Tensor:
    """1 for each gold span of a batch that has a region, 0 for the others, in the order of `gold_spans`."""
    seen = []
    for item in batch:
        visible = {(entity.start, entity.end): entity.visible for entity in item.example.entities or ()}
        seen += [visible[item.offsets[s][0], item.offsets[e - 1][1]] for s, e, _ in gold_spans(item)]
    return torch.tensor(seen, dtype=torch.float32)
