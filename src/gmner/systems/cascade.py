"""The cascade: a post goes through the stages in order. Read this first."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gmner.errors import GmnerError, ImageError, TextError, UnknownNameError
from gmner.image import Picture, open_image
from gmner.stages.given import GivenEntities
from gmner.stages.stage import Stage
from gmner.systems.system import System, refuse_others
from gmner.types import Example, Prediction

Admitted = tuple[Example, Picture | GmnerError | None]
"""A post with its opened picture, None if it has none, or what is wrong with it."""

PIXELS_AT_ONCE: Final = 32_000_000
"""Pixels from which on no further picture is opened until the stages have seen those that are: about 100 MB."""

NO_PICTURE: Final = "the post has no picture: its entities are not grounded"


@dataclass(frozen=True)
class Cascade(System):
    """Stages in order, each of which takes what the one before gives.

    text + picture -> recognise -> propose -> entail -> ground -> segment -> Prediction

    Pictures are opened once however many posts share them. A post that can not be read (text or picture) is
    set aside with its error before the first stage, so that no stage ever meets it.
    """

    name: str
    stages: tuple[Stage, ...]

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        refuse_others(examples)
        return [result for posts in self._admitted(examples) for result in self._run(posts)]

    def between(self, first: str | None = None, last: str | None = None) -> "Cascade":
        """The part of the cascade from the stage `first` to the stage `last`, each by its name and both included.

        A part that does not begin at the beginning goes on from what the posts have: the rows of an earlier run, with
        the entities that it found, their expressions and judgements.

        Raises:
            UnknownNameError: there is no such stage, or `last` comes before `first`.
        """
        names = [stage.name for stage in self.stages]
        for name in (first, last):
            if name is not None and name not in names:
                raise UnknownNameError("stage", name, names)
        start = 0 if first is None else names.index(first)
        end = len(names) if last is None else len(names) - names[::-1].index(last)
        if end <= start:
            raise UnknownNameError(f"stage after {first}", str(last), names[start:])
        return replace(self, stages=((GivenEntities(),) if start else ()) + self.stages[start:end])

    def _run(self, posts: Sequence[Admitted]) -> list[Prediction | GmnerError]:
        """Send the posts that could be read through the stages; the others keep their errors.

        What a stage finds only then, such as an expression that is longer than a model reads, is the error of its post.
        """
        good = [(example, picture) for example, picture in posts if not isinstance(picture, GmnerError)]
        try:
            finished = iter(self._through(good))
        except (TextError, ImageError) as error:
            if len(posts) == 1:
                return [error]
            return [result for post in posts for result in self._run([post])]
        return [picture if isinstance(picture, GmnerError) else next(finished) for _, picture in posts]

    def _through(self, posts: Sequence[tuple[Example, Picture | None]]) -> list[Prediction]:
        """What the stages make of posts that could be read."""
        pictures = [picture for _, picture in posts]
        drafts = [
            Prediction(
                example=example,
                image_size=None if picture is None else (picture.shape[1], picture.shape[0]),
                notes=(NO_PICTURE,) if picture is None else (),
            )
            for example, picture in posts
        ]
        for stage in self.stages:
            drafts = stage(drafts, pictures) if drafts else drafts
        return drafts

    def _admitted(self, examples: Sequence[Example]) -> Iterator[list[Admitted]]:
        """Every example with its opened picture, in stretches whose pictures fit the memory together."""
        posts: list[Admitted] = []
        opened: dict[object, Picture | GmnerError] = {}
        for example in examples:
            posts.append((example, self._admit(example, opened)))
            pixels = sum(p.shape[0] * p.shape[1] for p in opened.values() if not isinstance(p, GmnerError))
            if pixels >= PIXELS_AT_ONCE:
                yield posts
                posts, opened = [], {}
        yield posts

    def _admit(self, example: Example, opened: dict[object, Picture | GmnerError]) -> Picture | GmnerError | None:
        """Check the text and open the picture, or say what is wrong with either."""
        try:
            for stage in self.stages:
                stage.check(example)
        except GmnerError as error:
            return error
        if example.image is None:
            return None
        image = os.fspath(example.image) if isinstance(example.image, os.PathLike) else example.image
        key = image if isinstance(image, str | bytes) else id(image)
        if key not in opened:
            try:
                opened[key] = open_image(example.image)
            except GmnerError as error:
                opened[key] = error
        picture = opened[key]
        if isinstance(picture, GmnerError):
            return picture
        try:
            for stage in self.stages:
                stage.check_picture(example, picture)
        except GmnerError as error:
            return error
        return picture
