"""Models that look for expressions in pictures, as stages use them: what they can do, and how they are asked."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gmner.expression import expression_of
from gmner.image import Picture
from gmner.types import Box, Entity, Mask, Prediction

T = TypeVar("T")


class Entailer(Protocol):
    """Visual entailment: does the picture show what the expression names?"""

    def entail(
        self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]], captions: Sequence[str | None]
    ) -> list[list[float]]:
        """P(shown) of `expressions[i][j]` in `pictures[i]`, whose one-line caption is `captions[i]`, if it has one."""


class Grounder(Protocol):
    """Visual grounding: where does the picture show what the expression names?"""

    def ground(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Box]]:
        """The box of `expressions[i][j]` in `pictures[i]`, in its pixels."""


class Segmenter(Protocol):
    """Masks from a query: which pixels are what the expression names?"""

    def segment(self, pictures: Sequence[Picture], expressions: Sequence[Sequence[str]]) -> list[list[Mask]]:
        """The mask of `expressions[i][j]` in `pictures[i]`."""


Ask = Callable[[Sequence[Picture], Sequence[Sequence[str]], Sequence[str | None]], Sequence[Sequence[T]]]


def ask_entities(
    drafts: Sequence[Prediction],
    pictures: Sequence[Picture | None],
    wanted: Callable[[Entity], bool],
    ask: Ask[T],
) -> list[list[T | None]]:
    """What a model says of every entity of every draft; None for those that are not `wanted` or have no picture.

    The model is asked once for all drafts, about each picture once however many posts share it (the same array and
    the same caption), and about each expression of a picture once.
    """
    shown: dict[tuple[int, str | None], tuple[Picture, dict[str, T | None]]] = {}
    for draft, picture in zip(drafts, pictures, strict=True):
        if picture is None:
            continue
        for entity in filter(wanted, draft.entities):
            _, asked = shown.setdefault((id(picture), draft.example.caption), (picture, {}))
            asked[_expression(entity)] = None
    questions = [list(asked) for _, asked in shown.values()]
    captions = [caption for _, caption in shown]
    answers = ask([picture for picture, _ in shown.values()], questions, captions) if shown else []
    for (_, asked), expressions, said in zip(shown.values(), questions, answers, strict=True):
        asked.update(zip(expressions, said, strict=True))
    return [
        [
            None
            if picture is None or not wanted(entity)
            else shown[id(picture), draft.example.caption][1][_expression(entity)]
            for entity in draft.entities
        ]
        for draft, picture in zip(drafts, pictures, strict=True)
    ]


def judged_visible(entity: Entity, threshold: float) -> bool:
    """Whether an entity is to be looked for: it is likely enough to be seen, or nobody has judged that."""
    return entity.groundable is None or entity.groundable >= threshold


def _expression(entity: Entity) -> str:
    """The expression as it was made: one that a stage wrote is not written anew."""
    return entity.expression or expression_of(entity, "name")
