"""`lite`: the offline default. It runs on what the installed packages carry, downloads nothing, and is rough.

recognise: a tagger on MiniLM (trained on Twitter-GMNER v2) finds names and says how likely each can be seen
propose:   OpenCV finds faces, RapidOCR reads lettering
entail:    text and picture together: can it be seen?
ground:    people below their faces, names where they are written, places as the scene
segment:   GrabCut

It links names to people by the words and the layout. It recognises no faces.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from gmner.config import from_dict
from gmner.stages.entail import EntailByEvidence
from gmner.stages.faces import Faces
from gmner.stages.ground import GroundByEvidence
from gmner.stages.lettering import Lettering
from gmner.stages.propose import Propose
from gmner.stages.recognise import TaggerRecogniser
from gmner.stages.segment import SegmentByGrabCut
from gmner.systems.cascade import Cascade

TAGGER = Path(str(resources.files("gmner") / "weights" / "lite-tagger"))
"""The tagger that the package carries."""


@dataclass(frozen=True)
class LiteSettings:
    """What can be chosen.

    Args:
        people: ground names of people. Off, nobody of type PER gets a region, and no face is looked for.
        windows: read texts that are longer than the recogniser's window in overlapping stretches instead of
            refusing them; the prediction has a note that says so.
    """

    people: bool = True
    windows: bool = False


def load(**settings: Any) -> Cascade:
    """The lite cascade, ready to predict; `settings` are the fields of `LiteSettings`.

    Raises:
        UnknownNameError, ConfigError: a setting does not exist or holds a value of the wrong kind.
        CheckpointError: the packaged encoder or tagger is missing or damaged.
    """
    chosen = from_dict(LiteSettings, settings)
    people = chosen.people
    detectors = (Faces(), Lettering()) if people else (Lettering(),)
    for detect in detectors:  # they load their models at the first look, which should not be a user's post
        detect(np.zeros((64, 64, 3), dtype=np.uint8))
    return Cascade(
        name="lite",
        stages=(
            TaggerRecogniser.load(TAGGER, windows=chosen.windows),
            Propose(detectors),
            EntailByEvidence(people=people),
            GroundByEvidence(people=people),
            SegmentByGrabCut(),
        ),
    )
