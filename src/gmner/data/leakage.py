"""Posts of one data set that another one has too (specs/datasets.md section 4).

Twitter-GMNER is drawn from Twitter-2015 and Twitter-2017: whoever trains on one of them has seen most of its test
pictures. The picture decides, not the text, which the sets split into different tokens.
"""

from collections.abc import Iterable, Sequence

from gmner.data.bio import Tweet
from gmner.data.corpus import Corpus
from gmner.data.image_ids import image_id
from gmner.tagging import split_tag
from gmner.types import Example


def drop_leaked(training: Sequence[Example], held_out: Iterable[Example]) -> tuple[list[Example], list[Example]]:
    """The training posts whose picture is in none of the `held_out` posts, and the others, which were dropped.

    `held_out` are all posts of the dev and test splits that will be scored. Pictures are the same if their ids are
    (`image_ids.image_id`).
    """
    seen = {image_id(example) for example in held_out}
    kept = [example for example in training if image_id(example) not in seen]
    return kept, [example for example in training if image_id(example) in seen]


def overlap(corpus: Corpus, other: Corpus) -> dict[str, dict[str, int]]:
    """How many image ids each split of `corpus` shares with each of `other`: split of `corpus`, split of `other`."""
    ids = {name: {tweet.id for tweet in tweets} for name, tweets in corpus.splits.items()}
    others = {name: {tweet.id for tweet in tweets} for name, tweets in other.splits.items()}
    return {name: {theirs: len(mine & other_ids) for theirs, other_ids in others.items()} for name, mine in ids.items()}


def agreement(corpus: Corpus, others: Iterable[Corpus]) -> dict[str, int]:
    """How the tweets that `corpus` shares with any of the `others` agree in tokens and tags (MISC read as OTHER)."""
    theirs = {tweet.id: tweet for other in others for tweet in other.tweets}
    pairs = [(tweet, theirs[tweet.id]) for tweet in corpus.tweets if tweet.id in theirs]
    same_tokens = [(mine, other) for mine, other in pairs if mine.tokens == other.tokens]
    identical = sum(_tags(mine) == _tags(other) for mine, other in same_tokens)
    return {
        "shared tweets": len(pairs),
        "identical tokens and tags": identical,
        "identical tokens, other tags": len(same_tokens) - identical,
        "other tokens": len(pairs) - len(same_tokens),
    }


def _tags(tweet: Tweet) -> list[tuple[str, str | None]]:
    return [split_tag(tag) for tag in tweet.tags]
