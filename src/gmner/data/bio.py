"""The text files of the Twitter sets: `IMGID:<id>`, then `token<TAB>tag` lines, then an empty line.

Twitter-GMNER, Twitter-2015 and Twitter-2017 share this format (specs/datasets.md section 1). Lines end at LF only:
the tokens hold characters (U+0092, for one) at which other splitters break.
"""

import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from gmner.data.files import located, read_text
from gmner.data.splits import split_files, split_name
from gmner.errors import DataError, GmnerError
from gmner.tagging import split_tag

HEAD: Final = "IMGID:"
"""What the first line of a tweet starts with, before its image id."""


@dataclass(frozen=True, slots=True)
class Tweet:
    """A tweet as its file has it: tags as written, types and illegal steps included.

    `line` is the number of its `IMGID:` line in the file `path`; token k stands k + 1 lines below.
    """

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    path: Path | None = None
    line: int = 0

    @property
    def text(self) -> str:
        """The tokens joined by single blanks."""
        return " ".join(self.tokens)

    @property
    def where(self) -> str:
        """The place of the tweet in its file, for errors."""
        return f"post {self.id!r}" if self.path is None else f"{self.path}:{self.line}"


def read_tweets(path: Path) -> list[Tweet]:
    """The tweets of a file.

    Raises:
        DataError: the first line that breaks the format, or an id that comes twice.
    """
    tweets: dict[str, Tweet] = {}
    for tweet in iterate_tweets(path):
        if isinstance(tweet, DataError):
            raise tweet
        if tweet.id in tweets:
            raise id_twice(tweet, tweets[tweet.id])
        tweets[tweet.id] = tweet
    return list(tweets.values())


def iterate_tweets(path: Path) -> Iterator[Tweet | DataError]:
    """The tweets of a file, and an error for each line that breaks the format; a tweet with such a line is left out.

    Raises:
        DataError: there is no such file, or it is not UTF-8.
    """
    lines = split_lines(read_text(path))
    heads = [index for index, line in enumerate(lines) if line.startswith(HEAD)]
    for index in range(heads[0] if heads else len(lines)):
        if lines[index]:
            yield _malformed(f"{path}:{index + 1}", lines[index], f"a tweet starts with a line `{HEAD}<image id>`")
    for head, after in pairwise([*heads, len(lines)]):
        yield from _read_tweet(lines[head:after], head + 1, path)


def split_lines(text: str) -> list[str]:
    """The lines of a text, split at LF and nowhere else; the CR of Windows line ends goes."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def split_token_line(line: str, where: str) -> tuple[str, str]:
    """Token and tag of a `token<TAB>tag` line.

    Raises:
        DataError: there is not exactly one tab, or nothing on one side of it.
    """
    token, _, tag = line.partition("\t")
    if not token or not tag or "\t" in tag or " " in token:
        raise _malformed(where, line, "a line is a token without blanks, one tab and a tag")
    return token, tag


def id_twice(tweet: Tweet, first: Tweet) -> DataError:
    """The error of an image id that comes a second time."""
    return DataError(
        tweet.where,
        f"the id {tweet.id!r} for the second time (first at {first.where})",
        allowed="each post has an id of its own within a data set",
        todo="take one of the two out",
    )


def read_splits(folder: Path, split: str | None = None) -> dict[str, list[Tweet]]:
    """The tweets of one split, or of every split that `folder` has.

    Raises:
        DataError: the folder has no such file, a file breaks its format, or an id comes twice.
        UnknownNameError: there is no such split.
    """
    files = split_files(folder)
    wanted = list(files) if split is None else [split_name(split)]
    if not wanted or wanted[0] not in files:
        raise DataError(
            str(folder),
            f"no text file of the split {split!r}" if wanted else "no text file of a split",
            allowed="the text is in train.txt, dev.txt (or valid.txt) and test.txt",
            todo=f"choose among {', '.join(files)}" if files else "check the path",
        )
    tweets: dict[str, list[Tweet]] = {}
    seen: dict[str, Tweet] = {}
    for name in wanted:
        tweets[name] = read_tweets(files[name])
        for tweet in tweets[name]:
            if tweet.id in seen:
                raise id_twice(tweet, seen[tweet.id])
            seen[tweet.id] = tweet
    return tweets


def check_id(image_id: str, where: str) -> None:
    """Raise DataError unless the id can be a file's name, as image and annotation are called after it."""
    if not image_id or any(character.isspace() or character in "/\\" for character in image_id):
        raise DataError(
            where,
            f"the image id {image_id!r}",
            allowed="an image id is the name of a file, without blanks and slashes",
            todo="give the post another id",
        )


def format_tweets(tweets: Iterable[Tweet]) -> str:
    """The text of a file; the inverse of `read_tweets`."""
    lines: list[str] = []
    for tweet in tweets:
        pairs = zip(tweet.tokens, tweet.tags, strict=True)
        lines += [f"{HEAD}{tweet.id}", *(f"{token}\t{tag}" for token, tag in pairs), ""]
    return "".join(f"{line}\n" for line in lines)


def _read_tweet(lines: list[str], number: int, path: Path) -> Iterator[Tweet | DataError]:
    """The tweet on `lines`, the first of which is its head and line `number` of the file; or its errors."""
    errors: list[DataError] = []
    pairs: list[tuple[str, str]] = []
    end = lines.index("") if "" in lines else len(lines)
    for index, line in enumerate(lines):
        where = f"{path}:{number + index}"
        try:
            if index == 0:
                check_id(line.removeprefix(HEAD), where)
            elif index < end:
                pairs.append(split_token_line(line, where))
                _check_tag(pairs[-1][1])
            elif line:
                raise _malformed(where, line, f"after an empty line comes a line `{HEAD}<image id>`")
        except GmnerError as error:
            errors.append(located(error, where))
    if not pairs and not errors:
        errors.append(_malformed(f"{path}:{number}", lines[0], "a tweet has at least one token"))
    if errors:
        yield from errors
    else:
        tokens, tags = zip(*pairs, strict=True)
        yield Tweet(id=lines[0].removeprefix(HEAD), tokens=tokens, tags=tags, path=path, line=number)


@lru_cache
def _check_tag(tag: str) -> None:
    """Raise a GmnerError unless `tag` is a BIO tag of a known type."""
    split_tag(tag)


def _malformed(where: str, line: str, allowed: str) -> DataError:
    return DataError(where, f"the line {reprlib.repr(line)}", allowed=allowed, todo="mend the line or take it out")
