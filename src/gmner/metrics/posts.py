"""Gold and predictions joined by post."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from gmner.errors import ConfigError, MismatchError
from gmner.types import Entity, Example, Prediction

Missing = Literal["error", "empty"]


class Post(NamedTuple):
    """One post as it is scored: the gold example, its gold entities, and the entities predicted for it."""

    example: Example
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...]

    @property
    def id(self) -> str:
        return self.example.id


def join(gold: Sequence[Example], predicted: Sequence[Prediction], *, missing: Missing = "error") -> list[Post]:
    """Every gold post with what was predicted for it, sorted by id: the order of neither side matters.

    `missing="empty"` counts a gold post without a prediction as a post in which nothing was predicted, for batches
    whose bad rows have no prediction; `"error"` refuses it.

    Raises:
        MismatchError: an id stands twice on one side, a prediction is of no gold post, a gold post has no gold
            entities known or (unless `missing` allows it) no prediction, or the texts of a post differ.
        ConfigError: `missing` is neither "error" nor "empty".
    """
    if missing not in ("error", "empty"):
        raise ConfigError(
            f"missing={missing!r}", allowed="allowed are 'error' and 'empty'", todo="choose how to count such posts"
        )
    refuse_repeated((example.id for example in gold), "the gold posts")
    refuse_repeated((prediction.id for prediction in predicted), "the predictions")
    refuse_unknown_gold(gold)
    answers = {prediction.id: prediction for prediction in predicted}
    known = {example.id for example in gold}
    _refuse(
        [prediction.id for prediction in predicted if prediction.id not in known],
        "predictions of posts that are not in the gold data",
        allowed="predictions are of gold posts",
        todo="score against the gold data (and the split) that was predicted, or drop these",
    )
    if missing == "error":
        _refuse(
            [example.id for example in gold if example.id not in answers],
            "gold posts without a prediction",
            allowed="every gold post is predicted",
            todo="predict them, or count them as predicting nothing with missing='empty'",
        )
    _refuse(
        [example.id for example in gold if example.id in answers and answers[example.id].text != example.text],
        "posts whose text differs between gold and predictions",
        allowed="both sides are of the same text, character by character",
        todo="predict from the gold file's own text or tokens",
    )
    return [
        Post(example, example.entities or (), answers[example.id].entities if example.id in answers else ())
        for example in sorted(gold, key=lambda example: example.id)
    ]


def refuse_unknown_gold(gold: Sequence[Example]) -> None:
    """Raise a MismatchError if the gold entities of a post are unknown."""
    _refuse(
        [example.id for example in gold if example.entities is None],
        "gold posts whose entities are unknown",
        allowed="gold posts list their entities, `[]` where there are none",
        todo="score against annotated posts",
    )


def refuse_repeated(ids: Iterable[str], where: str) -> None:
    """Raise a MismatchError if an id comes twice; `where` says among what."""
    _refuse(
        [post for post, times in Counter(ids).items() if times > 1],
        f"ids that stand more than once among {where}",
        allowed="posts are joined by id, and every post has its own",
        todo="give every post an id of its own, or keep one of each",
    )


def _refuse(ids: Sequence[str], fault: str, *, allowed: str, todo: str) -> None:
    """Raise a MismatchError that counts and names `ids`, if there are any."""
    if ids:
        raise MismatchError(f"{fault}: {name_posts(ids)}", allowed=allowed, todo=todo)


def name_posts(ids: Sequence[str]) -> str:
    """How many posts, and the first few of their ids."""
    return f"{len(ids)} ({', '.join(map(repr, ids[:5]))}{', ...' if len(ids) > 5 else ''})"
