"""Tweets of the text files as Examples, and back."""

from pathlib import Path

from gmner.data.bio import Tweet
from gmner.data.files import located
from gmner.data.splits import SPLIT_KEY
from gmner.errors import DataError, TextError
from gmner.tagging import (
    TokenSpan,
    locate_tokens,
    read_bio,
    to_entity,
    to_token_span,
    word_offsets,
    write_bio,
)
from gmner.types import Example


def picture_folder(images: str | Path | None) -> Path | None:
    """The folder of the pictures, if one is given.

    Raises:
        DataError: there is no such folder.
    """
    if images is None or Path(images).is_dir():
        return None if images is None else Path(images)
    raise DataError(
        str(images),
        "a file, where a folder belongs" if Path(images).exists() else "no such folder",
        allowed="pictures are <image id>.jpg in one folder",
        todo="check the path",
    )


def example_of(tweet: Tweet, split: str | None = None, images: Path | None = None, *, strict: bool = False) -> Example:
    """The post that a tweet is, with the gold entities that its tags mark (`strict` as in `tagging.read_bio`).

    `image` is `<id>.jpg` in the folder `images`, if that is given; `extra` says the split, if that is given.

    Raises:
        DataError: the tweet holds nothing but white space.
    """
    offsets = locate_tokens(tweet.text, tweet.tokens)
    try:
        return Example(
            id=tweet.id,
            tokens=tweet.tokens,
            image=None if images is None else str(images / f"{tweet.id}.jpg"),
            entities=tuple(to_entity(span, tweet.text, offsets) for span in read_bio(tweet.tags, strict=strict)),
            extra={} if split is None else {SPLIT_KEY: split},
        )
    except TextError as error:
        raise located(error, tweet.where) from None


def tweet_of(example: Example) -> Tweet:
    """The tweet that says what `example` does, as far as words and tags can; the inverse of `example_of`.

    Raises:
        DataError: as `token_spans`.
    """
    words = tuple(example.text[start:end] for start, end in word_offsets(example))
    return Tweet(id=example.id, tokens=words, tags=tuple(write_bio(token_spans(example), len(words))))


def token_spans(example: Example) -> list[TokenSpan]:
    """The span of each gold entity in the words of `example`.

    Raises:
        DataError: the gold is unknown, or two entities overlap, or one has no offsets or cuts through a word.
    """
    where = f"post {example.id!r}"
    if example.entities is None:
        raise DataError(where, "no gold entities", allowed="tagged text needs gold", todo="give the row `entities`")
    offsets, spans = word_offsets(example), list[TokenSpan]()
    for entity in example.entities:
        span = to_token_span(entity, offsets)
        if span is None or any(span.start < other.end and other.start < span.end for other in spans):
            raise DataError(
                where,
                f"entity {entity.text!r} at {entity.start}:{entity.end}",
                allowed="BIO tags mark whole words, each for one entity only",
                todo="mend the offsets, or stay with JSONL",
            )
        spans.append(span)
    return spans
