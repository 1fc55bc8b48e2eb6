"""The systems by name: `load("lite")`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gmner.errors import ConfigError, UnknownNameError
from gmner.systems.system import System


@dataclass(frozen=True)
class Entry:
    """One system of the list: what it is, in a line; what it needs beyond the installation; how it is made."""

    summary: str
    needs: str
    make: Callable[..., System]


def _lite(**settings: Any) -> System:
    from gmner.systems import lite

    return lite.load(**settings)


def _plim(**settings: Any) -> System:
    from gmner.systems import plim

    return plim.load(**settings)


def _segmented(**settings: Any) -> System:
    from gmner.systems import segmented

    return segmented.load(**settings)


SYSTEMS: Final[dict[str, Entry]] = {
    "lite": Entry(
        summary="tagger, faces, lettering and GrabCut in a cascade: the offline default, rough",
        needs="nothing",
        make=_lite,
    ),
    "plim": Entry(
        summary="stage 1 of RiVEG: names as referring expressions, with a language model's help; grounds nothing",
        needs="a trained tagger; a language model, or recorded answers of one",
        make=_plim,
    ),
    "segmented": Entry(
        summary="any other system, its boxes made masks by SAM or GrabCut",
        needs="what that system needs; a SAM such as facebook/sam-vit-huge, or nothing for GrabCut",
        make=_segmented,
    ),
}


def load(name: str = "lite", **settings: Any) -> System:
    """The system `name`, ready to predict; `settings` are its own (`load("lite", people=False)`).

    Raises:
        UnknownNameError: there is no such system; the nearest name is suggested.
        ConfigError: the system has no such setting.
        CheckpointError: its weights are missing or damaged.
    """
    if name not in SYSTEMS:
        raise UnknownNameError("system", name, SYSTEMS)
    try:
        return SYSTEMS[name].make(**settings)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise ConfigError(
            f"system {name!r} was given {', '.join(settings)}",
            allowed="a system takes its own settings only",
            todo=f"see the docstring of gmner.systems.{name}.load",
        ) from None


def load_part(name: str, settings: Mapping[str, Any], first: str | None, last: str | None) -> System:
    """The system `name`, or of a cascade the part from the stage `first` to the stage `last` (None: all of it).

    Raises:
        ConfigError: a part of a system that has no stages.
        UnknownNameError: there is no such stage. Otherwise as `load`.
    """
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
