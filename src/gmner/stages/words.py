"""Entail and ground in one, from words alone: can a name be seen, and where most likely, if nobody looks?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from gmner.image import Picture
from gmner.models.blind import weights
from gmner.models.blind.codec import BlindCodec, Judgement, answered
from gmner.models.blind.model import Blind
from gmner.stages.stage import Stage, with_left_out, with_note
from gmner.types import Entity, Example, Prediction

NO_WORDS: Final = "the post has no {}: what can be seen was judged without"
NO_SIZE: Final = "the picture's size is not known: boxes are shares of its width and height"


@dataclass(frozen=True)
class JudgeByWords(Stage):
    """Fills `groundable` and `boxes` of each entity; pictures are not looked at.

    An entity gets the likeliest box where giving it is likelier right than giving none. Where the size of a picture is
    not stated the box is in shares of it, and a note says so: the decision must not depend on what is known of the
    picture. With a `batch_size` of 1 not a last digit depends on the other posts of the call.
    """

    model: Blind
    codec: BlindCodec
    batch_size: int = 1
    name: str = "words"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A judge with the weights of a folder that training wrote.

        Raises:
            CheckpointError: the folder, or the encoder that it builds on, is missing or damaged.
        """
        return cls(*weights.load(folder))

    def check(self, example: Example) -> None:
        self.codec.encode([example], [()])

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        examples, names = [draft.example for draft in drafts], [draft.entities for draft in drafts]
        encoded = self.codec.encode(examples, names)
        judgements = self.codec.predict(self.model, encoded, self.batch_size)
        return [
            with_left_out(self._judged(draft, found), item.left_out)
            for draft, found, item in zip(drafts, judgements, encoded, strict=True)
        ]

    def _judged(self, draft: Prediction, judgements: Sequence[Judgement]) -> Prediction:
        entities = tuple(map(self._told, draft.entities, judgements, [draft.image_size] * len(judgements)))
        judged = replace(draft, entities=entities)
        for name in ("caption", "description"):
            if entities and getattr(self.codec.config, name) and getattr(draft.example, name) is None:
                judged = with_note(judged, NO_WORDS.format(name))
        if draft.image_size is None and any(entity.boxes for entity in entities):
            judged = with_note(judged, NO_SIZE)
        return judged

    def _told(self, entity: Entity, judgement: Judgement, size: tuple[int, int] | None) -> Entity:
        words = f"{judgement.visible:.2f} by the words; the likeliest box right at {judgement.hit:.2f}"
        return replace(answered(entity, judgement, size), provenance={**entity.provenance, self.name: words})
