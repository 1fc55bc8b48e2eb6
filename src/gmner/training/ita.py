"""Training ITA: a tagger reads the sentence with and without its picture in words, and the one view teaches the other.

Cross-view alignment (Wang et al., NAACL 2022; specs/evg_baselines.md, section 3). What is trained is a tagger like any
other (`models/tagger`); ITA is how.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gmner.errors import ConfigError
from gmner.models.tagger import weights
from gmner.models.tagger.codec import Encoded, TaggerCodec
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Sentences, Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.nn.posterior import divergence, log_posteriors
from gmner.stages.picture_in_words import in_words
from gmner.training.left_out import telling_left_out
from gmner.training.loop import Task, TrainingConfig, shuffled
from gmner.training.predictions import f1_scores, predict
from gmner.training.recipe import Tested
from gmner.types import Example


class Batch(NamedTuple):
    """Sentences with their pictures in words, the same alone, and their gold tags."""

    told: Sentences
    alone: Sentences
    tags: Tensor


class ITATask(Task):
    """Recognition from two views; the dev score that chooses the epoch is MNER F1 of the view with the picture.

    Loss: (1 - share) (NLL of both views) + share T² KL(posteriors with the picture || without), a word.
    """

    model: Tagger

    def __init__(
        self,
        model: Tagger,
        codec: TaggerCodec,
        train: Sequence[Example],
        dev: Sequence[Example],
        share: float,
        temperature: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec
        alone = codec.encode([replace(example, knowledge=None) for example in train])
        self.posts = list(zip(telling_left_out(codec.encode(train)), alone, strict=True))
        self.dev = telling_left_out(codec.encode(dev))
        self.share = share
        self.temperature = temperature

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[tuple[Encoded, Encoded]]]:
        """Posts in random order."""
        return shuffled(self.posts, batch_size, generator)

    def collate(self, batch: list[tuple[Encoded, Encoded]]) -> Batch:
        told, alone = zip(*batch, strict=True)
        return Batch(self.codec.batch(told), self.codec.batch(alone), self.codec.tags(told))

    def forward(self, tensors: Batch) -> Tensor:
        told, alone, tags = tensors
        crf, words = self.model.crf, told.words
        views = [self.model.emissions(self.model(sentences)) for sentences in (told, alone)]
        with torch.autocast(words.device.type, enabled=False):
            likelihood = sum(crf.log_likelihood(view.float(), tags, words).sum() for view in views) / words.sum()
            teacher, student = (log_posteriors(crf, view.float(), words) for view in views)
            return -(1 - self.share) * likelihood + self.share * divergence(student, teacher, words, self.temperature)

    def evaluate(self) -> dict[str, float]:
        return f1_scores(predict(self.model, self.codec, self.dev), ("mner",))

    def save(self, folder: Path) -> None:
        weights.save(folder, self.model)


@dataclass(frozen=True)
class ITARecipe:
    """A tagger, trained with cross-view alignment.

    Args:
        about: one sentence for the reader.
        task: what is trained.
        model: the tagger's settings; `knowledge` is on, for that is where the picture in words stands.
        training: the loop's settings.
        share: of the divergence in the loss. The release's mixing weight.
        temperature: that softens the posteriors. The release's: 4, for Twitter-2017 2.
    """

    about: str
    task: Literal["ita"] = "ita"
    model: TaggerConfig = field(default_factory=lambda: TaggerConfig(knowledge=True, groundable=False))
    training: TrainingConfig = field(default_factory=TrainingConfig)
    share: float = 0.5
    temperature: float = 4.0

    @property
    def reads_knowledge(self) -> bool:
        return False  # it makes it of the picture's words

    def prepare(self, train: Sequence[Example], dev: Sequence[Example]) -> ITATask:
        """A new tagger on its encoder.

        Raises:
            ConfigError: the tagger reads no knowledge or judges groundability, or no training post's picture is known
                in words.
            TextError: a sentence has more sub-words than the window.
        """
        if not self.model.knowledge or self.model.groundable:
            raise ConfigError(
                f"an ITA with model.knowledge = {self.model.knowledge} and model.groundable = {self.model.groundable}",
                allowed="ITA reads its picture in the place of knowledge, and has no groundable head",
                todo="set knowledge to true and groundable to false",
            )
        told = _told(train)
        if not any(example.knowledge for example in told):
            raise ConfigError(
                "no training post with a caption, a description, or candidates that name or say something",
                allowed="ITA is trained on pictures in words",
                todo="give captions (gmner data convert --captions), or posts that have them",
            )
        torch.manual_seed(self.training.seed)
        model = Tagger(self.model, load_encoder(self.model.encoder))
        codec = TaggerCodec(self.model, load_tokenizer(self.model.encoder))
        return ITATask(model, codec, told, _told(dev), self.share, self.temperature)

    def test(self, folder: Path, test: Sequence[Example]) -> Tested:
        """MNER on the test split, with the picture in words; beside it the F1 of the sentence alone."""
        model, codec = weights.load(folder)
        alone = codec.encode([replace(example, knowledge=None) for example in test])
        [f1] = f1_scores(predict(model, codec, alone), ("mner",)).values()
        told = telling_left_out(codec.encode(_told(test)))
        return Tested(predict(model, codec, told), ("mner",), {"mner_f1_alone": f1})


def _told(examples: Sequence[Example]) -> list[Example]:
    return [in_words(example, example.candidates or ()) for example in examples]
