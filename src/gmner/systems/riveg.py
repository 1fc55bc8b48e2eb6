"""RiVEG: a language model turns names into descriptions, and models that know no names find them in the picture.

(caption -> description -> knowledge ->) recognise -> expand -> entail -> ground -> segment

The first line of it is PLIM (`systems/plim.py`); papers/riveg.txt, section IV, specs/riveg.md. Every row of the paper's
tables is a recipe in recipes/riveg/. Any part can be left out, or told by gold as an oracle, to see what it costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from gmner.config import from_dict
from gmner.stages.asking import Entailer, Grounder
from gmner.stages.entail_by_model import EntailByModel
from gmner.stages.given import GoldBoxes, GoldEntities, GoldGroundable
from gmner.stages.ground_by_model import GroundByModel
from gmner.stages.segment_by_query import SegmentByQuery
from gmner.stages.stage import Stage
from gmner.systems import plim
from gmner.systems.cascade import Cascade
from gmner.systems.segmented import segmenter

if TYPE_CHECKING:
    from gmner.models.seqtr.predictor import SeqTRGrounder

Oracle = Literal["entities", "groundable", "boxes"]


@dataclass(frozen=True)
class EntailSettings:
    """Visual entailment: which model, and the folder of its weights."""

    model: Literal["ofa", "albef"]
    folder: Path


@dataclass(frozen=True)
class GroundSettings:
    """Visual grounding: which model, and the folder of its weights."""

    model: Literal["ofa", "seqtr"]
    folder: Path


@dataclass(frozen=True)
class SegmentSettings:
    """Masks: SAM or GrabCut from the boxes, or SeqTR from the expression.

    Args:
        model: which.
        weights: of SAM, a folder or a name in the hub's local cache; of SeqTR, a folder; GrabCut has none.
        best_of_three: whether the mask that SAM rates best of three is taken, instead of its single one.
    """

    model: Literal["sam", "grabcut", "seqtr"] = "sam"
    weights: str = "facebook/sam-vit-huge"
    best_of_three: bool = False


@dataclass(frozen=True)
class RivegSettings:
    """RiVEG.

    Args:
        plim: stage 1.
        entail: visual entailment; without it, the tagger's judgement by the text alone stands.
        ground: visual grounding.
        segment: masks; without it, there are none.
        threshold: the probability from which an entity is judged to be in the picture; at 0 all of them are.
        oracle: what gold tells in the place of the stage that would find it; posts must have gold then.
    """

    plim: plim.PlimSettings
    ground: GroundSettings
    entail: EntailSettings | None = None
    segment: SegmentSettings | None = None
    threshold: float = 0.5
    oracle: tuple[Oracle, ...] = ()


def load(**settings: Any) -> Cascade:
    """The system, from the settings of `RivegSettings` as a TOML file has them: paths as text, tables as dicts.

    Raises:
        CheckpointError: the weights of a part are missing or damaged.
        ConfigError: a setting is wrong.
        DataError: the pool, or a file of knowledge or answers, is missing or damaged.
    """
    return build(from_dict(RivegSettings, settings))


def build(settings: RivegSettings) -> Cascade:
    """The system; raises as `load` does."""
    gold = GoldEntities() if "entities" in settings.oracle else None
    first = plim.stages(settings.plim, gold)
    return Cascade("riveg", (*first, *_entail(settings), *_ground(settings), *_segment(settings)))


def _entail(settings: RivegSettings) -> tuple[Stage, ...]:
    if "groundable" in settings.oracle:
        return (GoldGroundable(),)
    if settings.entail is None:
        return ()
    chosen = settings.entail
    return (EntailByModel(ENTAILERS[chosen.model](chosen.folder), f"{chosen.model}, {chosen.folder.name}"),)


def _ground(settings: RivegSettings) -> tuple[Stage, ...]:
    if "boxes" in settings.oracle:
        return (GoldBoxes(settings.threshold),)
    chosen = settings.ground
    source = f"{chosen.model}, {chosen.folder.name}"
    return (GroundByModel(GROUNDERS[chosen.model](chosen.folder), source, settings.threshold),)


def _segment(settings: RivegSettings) -> tuple[Stage, ...]:
    chosen = settings.segment
    if chosen is None:
        return ()
    if chosen.model == "seqtr":
        folder = Path(chosen.weights)
        return (SegmentByQuery(_seqtr(folder), f"seqtr, {folder.name}", settings.threshold),)
    return (segmenter(chosen.weights if chosen.model == "sam" else None, best_of_three=chosen.best_of_three),)


def _ofa_entailer(folder: Path) -> Entailer:
    from gmner.models.ofa.predictor import OFAEntailer

    return OFAEntailer.load(folder)


def _albef_entailer(folder: Path) -> Entailer:
    from gmner.models.albef.predictor import ALBEFEntailer

    return ALBEFEntailer.load(folder)


def _ofa_grounder(folder: Path) -> Grounder:
    from gmner.models.ofa.predictor import OFAGrounder

    return OFAGrounder.load(folder)


def _seqtr(folder: Path) -> "SeqTRGrounder":
    from gmner.models.seqtr.predictor import SeqTRGrounder

    return SeqTRGrounder.load(folder)


ENTAILERS: Final[dict[str, Callable[[Path], Entailer]]] = {"ofa": _ofa_entailer, "albef": _albef_entailer}
GROUNDERS: Final[dict[str, Callable[[Path], Grounder]]] = {"ofa": _ofa_grounder, "seqtr": _seqtr}
