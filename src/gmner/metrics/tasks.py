"""The five tasks: what of an entity a score asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gmner.errors import UnknownNameError

RegionKind = Literal["box", "mask"]


@dataclass(frozen=True, slots=True)
class Task:
    """One projection of an entity: always its span, its type or not, its box, its mask or neither."""

    name: str
    typed: bool
    region: RegionKind | None


MNER: Final = Task("mner", typed=True, region=None)
EEG: Final = Task("eeg", typed=False, region="box")
GMNER: Final = Task("gmner", typed=True, region="box")
EES: Final = Task("ees", typed=False, region="mask")
SMNER: Final = Task("smner", typed=True, region="mask")

TASKS: Final[dict[str, Task]] = {task.name: task for task in (MNER, EEG, GMNER, EES, SMNER)}


def find_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks that `names` mean, each once, in the order given; upper and lower case are the same.

    Raises:
        UnknownNameError: there is no such task.
    """
    for name in names:
        if name.lower() not in TASKS:
            raise UnknownNameError("task", name, TASKS)
    return tuple(dict.fromkeys(TASKS[name.lower()] for name in names))
