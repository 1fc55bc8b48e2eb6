"""`lite`: the offline default. It runs from what the installed packages carry, downloads nothing, and is rough."""

from importlib import resources
from pathlib import Path

from gmner.systems.cascade import Cascade

TAGGER = Path(str(resources.files("gmner") / "weights" / "lite-tagger"))


def load() -> Cascade:
    raise NotImplementedError
