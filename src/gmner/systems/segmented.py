"""Any GMNER system as an SMNER system: its boxes, and what SAM (or GrabCut, offline) sees in them.

RiVEG's way (section IV-C), which it also gives to its three baselines: nothing is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gmner.config import from_dict
from gmner.errors import ConfigError, GmnerError
from gmner.stages.given import GivenEntities
from gmner.stages.segment import SegmentByGrabCut
from gmner.stages.stage import Stage
from gmner.systems.cascade import Cascade
from gmner.systems.system import System
from gmner.types import Example, Prediction


@dataclass(frozen=True)
class Segmented(System):
    """What `system` predicts, with the masks of `segment`; masks that were there before are replaced."""

    system: System
    segment: Stage
    name: str = "segmented"

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        found = self.system.attempt(examples)
        grounded = [result for result in found if isinstance(result, Prediction)]
        finished = iter(add_masks(self.segment).attempt([_as_given(prediction) for prediction in grounded]))
        return [
            _with_post(next(finished), result.example) if isinstance(result, Prediction) else result for result in found
        ]


def add_masks(segment: Stage) -> Cascade:
    """The system that goes on from posts whose entities have boxes, as the rows of an earlier run have."""
    return Cascade("segment", (GivenEntities(), segment))


def _as_given(prediction: Prediction) -> Example:
    """The post as its row would hold it, with what was predicted."""
    return replace(
        prediction.example,
        entities=prediction.entities,
        candidates=prediction.candidates,
        image_size=prediction.image_size,
        extra={**prediction.example.extra, "notes": prediction.notes},
    )


def _with_post(result: Prediction | GmnerError, example: Example) -> Prediction | GmnerError:
    """The prediction of the post as it came."""
    return result if isinstance(result, GmnerError) else replace(result, example=example)


@dataclass(frozen=True)
class SegmentedSettings:
    """What is segmented, and by what.

    Args:
        system: the name of the system that gives the boxes.
        settings: its own settings.
        sam: a SAM in a folder or in the hub's local cache; without one, GrabCut.
        best_of_three: whether the mask that SAM rates best of three is taken, instead of its single one.
    """

    system: str = "lite"
    settings: dict[str, Any] = field(default_factory=dict)
    sam: str | None = None
    best_of_three: bool = False


def load(**settings: Any) -> Segmented:
    """The system, from the fields of `SegmentedSettings`.

    Raises:
        UnknownNameError: there is no such system.
        ConfigError: a setting is wrong.
        CheckpointError: SAM or a model of the system is missing or damaged.
    """
    from gmner.systems import load as load_system

    chosen = from_dict(SegmentedSettings, settings)
    segment = segmenter(chosen.sam, best_of_three=chosen.best_of_three)
    return Segmented(load_system(chosen.system, **chosen.settings), segment)


def segmenter(sam: str | None, *, best_of_three: bool = False) -> Stage:
    """The segment stage: by the SAM of that name or folder, or without one by GrabCut.

    Raises:
        ConfigError: the best of three masks without a SAM.
        CheckpointError: there is no such SAM at hand, or it is damaged.
    """
    if sam is None:
        if best_of_three:
            raise ConfigError(
                "the best of three masks without a SAM", allowed="GrabCut makes one mask", todo="name a SAM"
            )
        return SegmentByGrabCut()
    from gmner.stages.segment_by_sam import Sam, SegmentBySam

    return SegmentBySam(Sam.load(sam, best_of_three=best_of_three))
