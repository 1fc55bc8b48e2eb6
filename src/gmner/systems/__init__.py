"""The systems by name: `load("lite")`."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from gmner.config import settings_of
from gmner.errors import ConfigError, UnknownNameError
from gmner.systems.system import System


@dataclass(frozen=True)
class Entry:
    """One system of the list: what it is, in a line; what it needs beyond the installation; how it is made."""

    summary: str
    needs: str
    make: Callable[..., System]


def _made_by(module: str, function: str = "load") -> Callable[..., System]:
    """A function of a module of this package, which is imported when the system is made: the list costs nothing."""

    def make(**settings: Any) -> System:
        system: System = getattr(import_module(f"gmner.systems.{module}"), function)(**settings)
        return system

    return make


SYSTEMS: Final[dict[str, Entry]] = {
    "lite": Entry(
        summary="tagger, faces, lettering and GrabCut in a cascade: the offline default, rough",
        needs="nothing",
        make=_made_by("lite"),
    ),
    "plim": Entry(
        summary="stage 1 of RiVEG: names as referring expressions, with a language model's help; grounds nothing",
        needs="a trained tagger; a language model, or recorded answers of one",
        make=_made_by("plim"),
    ),
    "riveg": Entry(
        summary="RiVEG: referring expressions, visual entailment, visual grounding, masks from the boxes",
        needs="trained parts: a tagger, OFA or ALBEF, OFA or SeqTR, SAM; a language model, or recorded answers of one",
        make=_made_by("riveg"),
    ),
    "mqspn": Entry(
        summary="MQSPN: names, types and regions as one set, found by queries among candidate regions",
        needs="a trained model; posts with candidate regions, or a detector of transformers",
        make=_made_by("joint", "load_mqspn"),
    ),
    "h-index": Entry(
        summary="H-Index: names, visibility and types as one generated sequence, each with a candidate region",
        needs="a trained model; posts with candidate regions, or a detector of transformers",
        make=_made_by("joint", "load_h_index"),
    ),
    "evg": Entry(
        summary="UMT, UMGF, BARTMNER or a tagger, then EVG: names first, and a candidate region for each, if any",
        needs="two trained models; posts with candidate regions, or a detector of transformers",
        make=_made_by("evg"),
    ),
    "segmented": Entry(
        summary="any other system, its boxes made masks by SAM or GrabCut",
        needs="what that system needs; a SAM such as facebook/sam-vit-huge, or nothing for GrabCut",
        make=_made_by("segmented"),
    ),
    "blind": Entry(
        summary="the floor: says what can be seen, and where, from words alone; it never opens a picture",
        needs="a trained tagger; a trained blind reader, without which every entity is called ungroundable",
        make=_made_by("blind"),
    ),
}


def load(name: str = "lite", **settings: Any) -> System:
    """The system `name`, ready to predict; `settings` are its own (`load("lite", people=False)`).

    Raises:
        UnknownNameError: there is no such system, or it has no such setting; the nearest name is suggested.
        ConfigError: a setting holds a value of the wrong kind.
        CheckpointError: its weights are missing or damaged.
    """
    if name not in SYSTEMS:
        raise UnknownNameError("system", name, SYSTEMS)
    with settings_of(f"system {name!r}"):
        try:
            return SYSTEMS[name].make(**settings)
        except TypeError as error:  # of a system whose settings are no dataclass
            if "unexpected keyword" not in str(error):
                raise
            raise ConfigError(
                f"it was given {', '.join(settings)}",
                allowed="a system takes its own settings only",
                todo="see the docstring of what makes it",
            ) from None


def load_part(
    name: str, settings: Mapping[str, Any], first: str | None, last: str | None, file: Path | None = None
) -> System:
    """The system `name`, or of a cascade the part from the stage `first` to the stage `last` (None: all of it).

    `file` is where the settings stand, to be named in errors.

    Raises:
        ConfigError: a part of a system that has no stages.
        UnknownNameError: there is no such stage. Otherwise as `load`.
    """
    with settings_of(str(file)) if file is not None else nullcontext():
        system = load(name, **settings)
    if first is None and last is None:
        return system
    from gmner.systems.cascade import Cascade

    if not isinstance(system, Cascade):
        raise ConfigError(
            f"--from-stage or --to-stage for the system {name!r}",
            allowed="only a cascade has stages",
            todo="drop them, or choose another system",
        )
    return system.between(first, last)
