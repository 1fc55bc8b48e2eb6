"""The pipelines of the H-Index paper: a recogniser, then EVG, which grounds among candidate regions.

propose -> recognise (UMT, UMGF, ITA, BARTMNER or the tagger) -> expand, if EVG was trained on expansions -> ground
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gmner.config import from_dict
from gmner.data.candidates import read_candidates
from gmner.errors import CheckpointError
from gmner.llm import LLMSettings, provider
from gmner.models.umgf import weights as umgf
from gmner.models.umt import weights as umt
from gmner.stages.detect import TransformersDetector
from gmner.stages.expand import Expander
from gmner.stages.ground_among import GroundAmongCandidates
from gmner.stages.picture_in_words import PictureInWords
from gmner.stages.propose import GivenCandidates
from gmner.stages.recognise import TaggerRecogniser
from gmner.stages.recognise_with_picture import BARTMNERRecogniser, PictureRecogniser
from gmner.stages.stage import Stage
from gmner.systems.cascade import Cascade

Recogniser = Literal["umt", "umgf", "ita", "bartmner", "tagger"]


@dataclass(frozen=True)
class EVGSettings:
    """What a pipeline needs.

    Args:
        recogniser: which kind of model finds the names. ITA is a tagger that reads the
            picture in words (caption, lettering, named objects); the plain one reads the text only.
        model: the folder of a trained one.
        evg: the folder of a trained EVG.
        candidates: a file or folder of candidate regions (`gmner.data.candidates`); without it posts bring their own.
        detector: a detector of transformers, a folder or a hub name in the local cache, for posts without candidates.
        open: the detector is told what to find (Grounding DINO), and has no classes of its own (RT-DETR).
        llm: the language model that says what names stand for, for an EVG that was trained on that.
    """

    recogniser: Recogniser
    model: Path
    evg: Path
    candidates: Path | None = None
    detector: str | None = None
    open: bool = False
    llm: LLMSettings | None = None


def load(**settings: Any) -> Cascade:
    """A pipeline; `settings` are the fields of `EVGSettings`.

    Raises:
        CheckpointError: a model, an encoder or the detector is missing or damaged.
        ConfigError: a setting is wrong.
        DataError: the file of candidates is missing or damaged.
    """
    chosen = from_dict(EVGSettings, settings)
    regions = {} if chosen.candidates is None else read_candidates(chosen.candidates)
    detector = None
    if chosen.detector is not None:
        detector = TransformersDetector.load(chosen.detector, "open" if chosen.open else "closed")
    recogniser: Stage
    match chosen.recogniser:
        case "umt":
            recogniser = PictureRecogniser(*umt.load(chosen.model))
        case "umgf":
            recogniser = PictureRecogniser(*umgf.load(chosen.model))
        case "bartmner":
            recogniser = BARTMNERRecogniser.load(chosen.model, regions)
        case "tagger" | "ita":
            recogniser = TaggerRecogniser.load(chosen.model)
            if chosen.recogniser == "ita" and not recogniser.codec.config.knowledge:
                raise CheckpointError(
                    f"{chosen.model} holds a tagger that reads nothing but the sentence",
                    allowed="ITA is one that was trained to read its picture in words",
                    todo="train it with a recipe of the task `ita`, or take the recogniser `tagger`",
                )
    ground = GroundAmongCandidates.load(chosen.evg, regions)
    form = ground.codec.config.form
    model = None if chosen.llm is None else provider(chosen.llm)
    words = (PictureInWords(),) if chosen.recogniser == "ita" else ()
    expand = () if form == "name" else (Expander(model, form),)
    return Cascade("evg", (GivenCandidates(regions, detector), *words, recogniser, *expand, ground))
