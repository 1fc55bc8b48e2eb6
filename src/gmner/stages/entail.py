"""Entail: can the named thing be seen? The offline answer, from faces, lettering and what the text alone says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gmner.image import Picture
from gmner.naming import Carried, carried
from gmner.stages.stage import Stage
from gmner.types import FACE, LETTERING, Entity, EntityType, Prediction

PRIORS: Final[Mapping[EntityType, float]] = {"PER": 0.65, "LOC": 0.09, "ORG": 0.27, "OTHER": 0.26}
"""The part of each type's mentions that can be seen in Twitter-GMNER v2 train: the prior of an entity without one."""


@dataclass(frozen=True)
class EvidenceWeights:
    """What the picture adds to the log-odds that an entity can be seen.

    They are estimates: log-likelihood ratios from how often the detectors find what is there (on photographs) and from
    how often the annotators of Twitter-GMNER found it; the data set has no pixels to fit them on.

    `face`: a face for this name. A visible person's face is found some 7 times in 10, and a third of the pictures
    without the named person show somebody else.
    `no_face`: no face, or all of them taken by names that the text makes likelier.
    `lettering`: the picture carries the whole name; in part, that part of the weight.
    `people`: faces in a picture, for a place or a thing whose name is not written in it. Where a named person is
    visible, 2 % of the places and 9 % of the things are, else 11 % and 33 %.
    """

    face: float = 0.8
    no_face: float = -0.9
    lettering: float = 3.0
    people: float = -1.0


@dataclass(frozen=True)
class EntailByEvidence(Stage):
    """Fills `groundable`: the log-odds of the prior plus the weights of the evidence, as a probability.

    The prior is what recognition left in `groundable`, P(groundable | text), or the share of the entity's type.
    People (PER) are joined with faces only as far as counting goes: the names that are likeliest by the text (or
    written in the picture) get the faces. Without a face the lettering of a person's name says nothing. With
    `people=False` nobody is looked for, and PER keeps its prior.

    It can't tell whose face it is, whether a building or a thing without lettering is the one named, or whether a
    poster that carries a name shows it.
    """

    weights: EvidenceWeights = EvidenceWeights()
    people: bool = True
    name: str = "entail"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [
            replace(
                draft, entities=self._judge(draft) if picture is not None else tuple(map(self._unseen, draft.entities))
            )
            for draft, picture in zip(drafts, pictures, strict=True)
        ]

    def _unseen(self, entity: Entity) -> Entity:
        return replace(entity, groundable=0.0, provenance={**entity.provenance, self.name: "no picture"})

    def _judge(self, draft: Prediction) -> tuple[Entity, ...]:
        lines = [candidate for candidate in draft.candidates if candidate.kind == LETTERING]
        faces = sum(candidate.kind == FACE for candidate in draft.candidates)
        heard = [self._hear(entity, carried(entity.text, lines), faces) for entity in draft.entities]
        served = _likeliest([judgement for judgement in heard if judgement.entity.type == "PER"], faces)
        return tuple(self._look(judgement, faces, served).told(self.name) for judgement in heard)

    def _hear(self, entity: Entity, found: Carried | None, faces: int) -> "_Judgement":
        """The prior and the lettering."""
        prior = PRIORS[entity.type] if entity.groundable is None else entity.groundable
        judgement = _Judgement(entity, _logit(prior), (f"{prior:.2f} by the text",))
        if found and (entity.type != "PER" or (faces and self.people)):
            return judgement.add(self.weights.lettering * found.strength, f"the picture reads {found.read!r}")
        return judgement

    def _look(self, judgement: "_Judgement", faces: int, served: frozenset[str]) -> "_Judgement":
        """The faces."""
        entity, read = judgement.entity, len(judgement.reasons) > 1
        if entity.type == "PER":
            if not self.people:
                return judgement.add(0.0, "people are not looked for")
            if not faces:
                return judgement.add(self.weights.no_face, "no face")
            if _key(entity) in served:
                return judgement.add(self.weights.face, "a face for it")
            return judgement.add(self.weights.no_face, "likelier names take the faces")
        if faces and not read and entity.type != "ORG":
            return judgement.add(self.weights.people, "people in the picture")
        return judgement


@dataclass(frozen=True)
class _Judgement:
    """An entity, the log-odds that it can be seen so far, and what they rest on."""

    entity: Entity
    odds: float
    reasons: tuple[str, ...]

    def add(self, weight: float, reason: str) -> "_Judgement":
        return replace(self, odds=self.odds + weight, reasons=(*self.reasons, reason))

    def told(self, stage: str) -> Entity:
        provenance = {**self.entity.provenance, stage: "; ".join(self.reasons)}
        return replace(self.entity, groundable=round(1 / (1 + math.exp(-self.odds)), 6), provenance=provenance)


def _likeliest(names: Sequence[_Judgement], faces: int) -> frozenset[str]:
    """As many different names as there are faces: the likeliest, at a tie those that come first in the text."""
    ranked = dict.fromkeys(_key(name.entity) for name in sorted(names, key=lambda name: -name.odds))
    return frozenset(list(ranked)[:faces])


def _key(entity: Entity) -> str:
    """Mentions that read alike are one person."""
    return entity.text.casefold()


def _logit(probability: float) -> float:
    """Log-odds, of probabilities no surer than 0.001 and 0.999, so that evidence always counts."""
    bounded = min(max(probability, 0.001), 0.999)
    return math.log(bounded / (1 - bounded))
