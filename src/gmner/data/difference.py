"""What changed between two versions of a data set (specs/datasets.md, "v1 -> v2.0")."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from gmner.data.bio import Tweet
from gmner.data.corpus import Corpus
from gmner.data.voc import Annotation
from gmner.tagging import read_bio
from gmner.types import Box

Kind = Literal["B- moved to an equal word", "B- added", "B- removed", "other tags", "other tokens"]
"""How a tweet changed, by its tags."""


class Mention(NamedTuple):
    """An entity of a tweet: its first token, its surface string and its type."""

    position: int
    text: str
    type: str


@dataclass(frozen=True)
class TweetChange:
    """A tweet whose tokens or tags differ. `lost` and `gained` entities are read leniently, in text order."""

    id: str
    split: str
    kind: Kind
    lost: tuple[Mention, ...]
    gained: tuple[Mention, ...]


@dataclass(frozen=True)
class AnnotationChange:
    """An annotation file whose size, names or boxes differ; each lost and gained object as (name, box)."""

    id: str
    size_changed: bool
    lost: tuple[tuple[str, Box], ...]
    gained: tuple[tuple[str, Box], ...]

    @property
    def boxes_lost(self) -> int:
        """How many boxes are gone, not counting those that only changed their name."""
        return (Counter(box for _, box in self.lost) - Counter(box for _, box in self.gained)).total()

    @property
    def boxes_gained(self) -> int:
        """How many boxes are new, not counting those that only changed their name."""
        return (Counter(box for _, box in self.gained) - Counter(box for _, box in self.lost)).total()


@dataclass(frozen=True)
class Difference:
    """All changes from an old version to a new one; removed and added by id."""

    tweets: tuple[TweetChange, ...]
    tweets_removed: tuple[str, ...]
    tweets_added: tuple[str, ...]
    tweets_moved: tuple[str, ...]
    annotations: tuple[AnnotationChange, ...]
    annotations_removed: tuple[str, ...]
    annotations_added: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "tweets changed": len(self.tweets),
            **{
                f"tweets changed: {kind}": sum(change.kind == kind for change in self.tweets) for kind in get_args(Kind)
            },
            "tweets removed": len(self.tweets_removed),
            "tweets added": len(self.tweets_added),
            "tweets moved to another split": len(self.tweets_moved),
            "annotation files changed": len(self.annotations),
            "annotation files with a box less": sum(change.boxes_lost > 0 for change in self.annotations),
            "annotation files with a box more": sum(change.boxes_gained > 0 for change in self.annotations),
            "annotation files removed": len(self.annotations_removed),
            "annotation files added": len(self.annotations_added),
        }


def difference(old: Corpus, new: Corpus) -> Difference:
    """The changes from `old` to `new`, in the order of the new files."""
    before = {tweet.id: (split, tweet) for split, tweets in old.splits.items() for tweet in tweets}
    after = {tweet.id: (split, tweet) for split, tweets in new.splits.items() for tweet in tweets}
    boxes_before, boxes_after = old.annotations or {}, new.annotations or {}
    shared = [name for name in after if name in before]
    return Difference(
        tweets=tuple(
            _tweet_change(before[name][1], after[name][1], after[name][0])
            for name in shared
            if (before[name][1].tokens, before[name][1].tags) != (after[name][1].tokens, after[name][1].tags)
        ),
        tweets_removed=tuple(name for name in before if name not in after),
        tweets_added=tuple(name for name in after if name not in before),
        tweets_moved=tuple(name for name in shared if before[name][0] != after[name][0]),
        annotations=tuple(
            change
            for name, annotation in boxes_after.items()
            if name in boxes_before and (change := _annotation_change(boxes_before[name], annotation)) is not None
        ),
        annotations_removed=tuple(name for name in boxes_before if name not in boxes_after),
        annotations_added=tuple(name for name in boxes_after if name not in boxes_before),
    )


def _tweet_change(old: Tweet, new: Tweet, split: str) -> TweetChange:
    before, after = _mentions(old), _mentions(new)
    return TweetChange(
        id=new.id,
        split=split,
        kind=_kind(old, new),
        lost=tuple(mention for mention in before if mention not in after),
        gained=tuple(mention for mention in after if mention not in before),
    )


def _kind(old: Tweet, new: Tweet) -> Kind:
    if old.tokens != new.tokens:
        return "other tokens"
    steps = list(zip(new.tokens, old.tags, new.tags, strict=True))
    opened = Counter(token for token, before, after in steps if after[0] == "B" and before[0] != "B")
    closed = Counter(token for token, before, after in steps if before[0] == "B" and after[0] != "B")
    if opened == closed:
        return "B- moved to an equal word" if opened else "other tags"
    if not closed:
        return "B- added"
    return "other tags" if opened else "B- removed"


def _mentions(tweet: Tweet) -> list[Mention]:
    return [
        Mention(span.start, " ".join(tweet.tokens[span.start : span.end]), span.type) for span in read_bio(tweet.tags)
    ]


def _annotation_change(old: Annotation, new: Annotation) -> AnnotationChange | None:
    """What changed in one file; None if nothing that counts did (its `filename` and the like do not)."""
    before, after = (Counter((name, box) for name, box, _ in some.objects) for some in (old, new))
    change = AnnotationChange(
        id=new.id,
        size_changed=old.size != new.size,
        lost=tuple((before - after).elements()),
        gained=tuple((after - before).elements()),
    )
    return change if change.size_changed or change.lost or change.gained else None
