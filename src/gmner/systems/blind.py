"""`blind`: the floor. It never opens a picture; a method that looks should be judged by how far it is above.

recognise: a trained tagger finds names in the text (and in recorded knowledge, if it was trained to read that)
words:     a text encoder over the post and its picture's recorded caption and description says whether a name can be
           seen, and which box is likeliest; without this reader every entity is called ungroundable: the plainest floor

docs/floor.md says what it reaches and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmner.config import from_dict
from gmner.errors import GmnerError
from gmner.stages.recognise import TaggerRecogniser
from gmner.stages.words import JudgeByWords
from gmner.systems.cascade import Cascade
from gmner.systems.system import refuse_others
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class BlindSettings:
    """What the floor is made of.

    Args:
        tagger: the folder of a trained tagger. One that reads knowledge takes it from the posts.
        reader: the folder of a trained blind reader; without one, every entity is called ungroundable.
    """

    tagger: Path
    reader: Path | None = None


@dataclass(frozen=True)
class Blindfold(Cascade):
    """A cascade that opens no picture.

    Of a picture there is known what the post states: its caption and description, and its size, which scales boxes
    and decides nothing.
    """

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        refuse_others(examples)
        refusals = [self._refusal(example) for example in examples]
        good = [example for example, error in zip(examples, refusals, strict=True) if error is None]
        drafts = [Prediction(example=example, image_size=example.image_size) for example in good]
        for stage in self.stages:
            drafts = stage(drafts, [None] * len(drafts)) if drafts else drafts
        finished = iter(drafts)
        return [next(finished) if error is None else error for error in refusals]

    def _refusal(self, example: Example) -> GmnerError | None:
        """What is wrong with a post, if a stage can not read it."""
        try:
            for stage in self.stages:
                stage.check(example)
        except GmnerError as error:
            return error
        return None


def load(**settings: Any) -> Blindfold:
    """The floor, from the settings of `BlindSettings` as a TOML file has them.

    Raises:
        CheckpointError: the tagger or the reader is missing or damaged.
        ConfigError: a setting is wrong.
    """
    chosen = from_dict(BlindSettings, settings)
    recogniser = TaggerRecogniser.load(chosen.tagger)
    return Blindfold("blind", (recogniser, *([JudgeByWords.load(chosen.reader)] if chosen.reader else [])))
