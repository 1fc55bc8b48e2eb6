"""What a stage is: one step of the cascade, from drafts of predictions to better drafts, in bulk."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from gmner.image import Picture
from gmner.types import Example, Prediction

T = TypeVar("T")

LEFT_OUT: Final = "{} sub-words of what is read beside the sentence had no room in the model's window and were left out"
"""A note on a prediction."""


class Stage(Protocol):
    """One step of the cascade: it takes drafts and gives the same drafts with its own fields filled.

    | stage     | fills                                                     |
    | --------- | --------------------------------------------------------- |
    | caption   | `example.caption`, `example.description`                  |
    | knowledge | `example.knowledge`                                       |
    | recognise | `entities`: text, type, start, end, score                 |
    | expand    | `expression` of each entity                               |
    | propose   | `candidates`                                              |
    | entail    | `groundable` of each entity, a probability                |
    | ground    | `boxes` of each entity that is judged groundable          |
    | segment   | `masks` of each entity that has boxes                     |
    | words     | `groundable` and `boxes` without a picture                |

    A stage holds weights and settings but no state between calls. It gives one draft for each that it takes, in the
    same order, and what it says of a draft does not depend on the other drafts of the call.
    """

    name: str

    def check(self, example: Example) -> None:
        """Raise a GmnerError if this stage can not work on `example`; called once, before any stage runs."""
        return

    def check_picture(self, example: Example, picture: Picture) -> None:
        """Raise a GmnerError if this stage can not work on `example` with this picture; called after `check`."""
        return

    @abstractmethod
    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        """The drafts with this stage's fields filled; `pictures[i]` is the opened picture of `drafts[i]`, if any."""


def with_note(draft: Prediction, note: str) -> Prediction:
    """The draft with one more thing that its reader must know."""
    return replace(draft, notes=(*draft.notes, note))


def with_left_out(draft: Prediction, count: int) -> Prediction:
    """The draft with a note on how many sub-words were not read, if any."""
    return with_note(draft, LEFT_OUT.format(count)) if count else draft


def once_per_picture(compute: Callable[[Picture], T], pictures: Sequence[Picture | None]) -> list[T | None]:
    """`compute` of every picture, computed once for posts that share one (the same array object)."""
    known: dict[int, T] = {}
    results: list[T | None] = []
    for picture in pictures:
        if picture is None:
            results.append(None)
            continue
        if id(picture) not in known:
            known[id(picture)] = compute(picture)
        results.append(known[id(picture)])
    return results
