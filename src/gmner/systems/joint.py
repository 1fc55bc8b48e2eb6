"""Joint models: names, types and regions in one step, chosen among candidate regions.

Each post is opened, gets candidates if it has none, and becomes numbers; then all posts go through the model. A post
that can not be read keeps its error, the others their predictions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from gmner.config import from_dict
from gmner.data.candidates import Regions, read_candidates
from gmner.errors import ConfigError, GmnerError
from gmner.image import Picture, open_image
from gmner.stages.propose import Detector, GivenCandidates
from gmner.stages.stage import with_left_out
from gmner.systems.cascade import NO_PICTURE
from gmner.systems.system import System, refuse_others
from gmner.types import Entity, Example, Prediction

NO_FEATURES: Final = "the file of candidates has no features for the post: its entities are not grounded"


class Encoded(Protocol):
    """A post as a model's numbers."""

    @property
    def left_out(self) -> int:
        """Sub-words that are read beside the sentence and had no room."""


T = TypeVar("T", bound=Encoded)


class JointCodec(Protocol[T]):
    """Between posts and a model that reads text, picture and candidates; `T` is a post as its numbers."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts of a post that are read beside its sentence."""

    @property
    def reads_features(self) -> bool:
        """Whether regions are read as a detector's features, and not seen."""

    def encode(
        self,
        examples: Sequence[Example],
        pictures: Sequence[Picture | None],
        features: Sequence[np.ndarray | None] | None = None,
    ) -> list[T]:
        """Every post as numbers; only this needs the pictures, which can then be let go."""

    def predict(self, model: Any, encoded: Sequence[T], batch_size: int) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order."""


@dataclass(frozen=True)
class JointModel(Generic[T]):
    """A joint model with its codec."""

    network: Any
    codec: JointCodec[T]
    batch_size: int = 16

    def encode(self, example: Example, picture: Picture | None, features: np.ndarray | None = None) -> T:
        """A post as numbers; its gold entities, if it has any, are not looked at.

        Raises:
            TextError: the sentence is longer than the model reads.
            ConfigError: the features are not those that the model reads.
        """
        [encoded] = self.codec.encode([replace(example, entities=None)], [picture], [features])
        return encoded

    def predict(self, posts: Sequence[T]) -> list[tuple[Entity, ...]]:
        """The entities of every post in text order."""
        return self.codec.predict(self.network, posts, self.batch_size)


@dataclass(frozen=True)
class Joint(System):
    """A joint model as a system.

    Args:
        name: of the system.
        model: the model.
        regions: candidates by post id, with features if the model reads them; they come before a post's own.
        detector: proposes candidates for posts that have none.
    """

    name: str
    model: JointModel[Any]
    regions: Mapping[str, Regions]
    detector: Detector | None = None

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        refuse_others(examples)
        admitted = [self._admit(example) for example in examples]
        good = [post for post in admitted if not isinstance(post, GmnerError)]
        found = iter(self.model.predict([numbers for _, numbers in good]))
        return [post if isinstance(post, GmnerError) else replace(post[0], entities=next(found)) for post in admitted]

    def _admit(self, example: Example) -> tuple[Prediction, Any] | GmnerError:
        """The post as a draft and as the model's numbers, or what is wrong with it."""
        codec, propose = self.model.codec, GivenCandidates(self.regions, self.detector)
        try:
            picture = None if example.image is None else open_image(example.image)
            [draft] = propose([Prediction(example=example)], [picture])
            stored = self.regions.get(example.id)
            features = None if stored is None else stored.features
            numbers = self.model.encode(replace(example, candidates=draft.candidates), picture, features)
        except GmnerError as error:
            return error
        size = None if picture is None else (picture.shape[1], picture.shape[0])
        notes = list(draft.notes) if picture is not None or features is not None else [NO_PICTURE]
        notes += [NO_FEATURES] if codec.reads_features and features is None and not notes else []
        notes += [f"the post has no {name}, which the model was trained to read" for name in self._absent(example)]
        draft = replace(draft, image_size=size, notes=tuple(notes))
        return with_left_out(draft, numbers.left_out), numbers

    def _absent(self, example: Example) -> list[str]:
        return [name for name in self.model.codec.reads if not getattr(example, name)]


@dataclass(frozen=True)
class JointSettings:
    """What a joint model needs.

    Args:
        model: the folder of a trained one.
        candidates: a file or folder of candidate regions (`gmner.data.candidates`); without it posts bring their own.
        detector: a detector of transformers, a folder or a hub name in the local cache, for posts without candidates.
        open: the detector is told what to find (Grounding DINO), and has no classes of its own (RT-DETR).
        batch_size: posts of one pass.
    """

    model: Path
    candidates: Path | None = None
    detector: str | None = None
    open: bool = False
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size is {self.batch_size}", allowed="it is 1 or more", todo="give a higher one")


def load_mqspn(**settings: Any) -> Joint:
    """MQSPN as a system; `settings` are the fields of `JointSettings`, and it raises as `_build` does."""
    from gmner.models.mqspn.weights import load

    chosen = from_dict(JointSettings, settings)
    return _build("mqspn", JointModel(*load(chosen.model), chosen.batch_size), chosen)


def load_h_index(**settings: Any) -> Joint:
    """H-Index as a system; `settings` are the fields of `JointSettings`, and it raises as `_build` does."""
    from gmner.models.h_index.weights import load

    chosen = from_dict(JointSettings, settings)
    return _build("h-index", JointModel(*load(chosen.model), chosen.batch_size), chosen)


def _build(name: str, model: JointModel[Any], chosen: JointSettings) -> Joint:
    """The system of a joint model.

    Raises:
        CheckpointError: the model, an encoder or the detector is missing or damaged.
        ConfigError: a setting is wrong, or the model reads features and no file of candidates has any.
        DataError: the file of candidates is missing or damaged.
    """
    from gmner.stages.detect import TransformersDetector

    regions = {} if chosen.candidates is None else read_candidates(chosen.candidates)
    if model.codec.reads_features and all(found.features is None for found in regions.values()):
        raise ConfigError(
            f"the model {chosen.model} without features",
            allowed="it reads a detector's features of each candidate",
            todo="give `candidates`, a file that holds them",
        )
    detector = None
    if chosen.detector is not None:
        detector = TransformersDetector.load(chosen.detector, "open" if chosen.open else "closed")
    return Joint(name, model, regions, detector)
