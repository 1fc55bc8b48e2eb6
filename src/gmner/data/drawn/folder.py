"""A drawn data set as a folder: `train.jsonl`, `dev.jsonl` and `test.jsonl`, and `images/<id>.jpg`."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from gmner.data.bio import check_id
from gmner.data.drawn.like import draw_like
from gmner.data.drawn.posts import draw_post
from gmner.data.formats import read
from gmner.data.rows import write_rows
from gmner.errors import DataError
from gmner.types import Example

IMAGES: Final = "images"
"""The folder of the pictures."""


@dataclass(frozen=True)
class Order:
    """One post to be drawn: the `number`-th of its split, under the sentence of `model` if there is one.

    `more` further names are added to a sentence of ours.
    """

    split: str
    number: int
    seed: int
    model: Example | None = None
    more: int = 0

    def draw(self) -> Example:
        if self.model is None:
            return draw_post(self.split, self.number, self.seed, self.more)
        return draw_like(self.model, self.number, self.seed)


def orders(posts: Mapping[str, int], seed: int, more: int = 0) -> list[Order]:
    """So many posts of each split; those to train on name up to `more` further figures."""
    return [
        Order(split, number, seed, more=more if split == "train" else 0)
        for split, size in posts.items()
        for number in range(size)
    ]


def orders_like(folder: Path, posts: Mapping[str, int | None], seed: int) -> list[Order]:
    """The posts of a Twitter-GMNER folder: so many of each split, from the first on, or all (None).

    Raises:
        DataError: the folder holds no data set with boxes, or a file in it breaks its format.
    """
    models = {split: read(folder, split)[:size] for split, size in posts.items()}
    if not any(entity.boxes for some in models.values() for model in some for entity in model.entities or ()):
        raise DataError(
            str(folder),
            "no entity with a box",
            allowed="pictures are drawn like those of Twitter-GMNER, whose entities have boxes",
            todo="give a Twitter-GMNER folder (txt and xml)",
        )
    for model in chain.from_iterable(models.values()):
        check_id(model.id, f"{folder}: post {model.id!r}")
    return [Order(split, number, seed, model) for split, some in models.items() for number, model in enumerate(some)]


def draw_folder(
    output: Path, work: Sequence[Order], processes: int = 1, advance: Callable[[], None] = lambda: None
) -> dict[str, list[Example]]:
    """Draw the posts and write them; `advance` is called after each. The same whatever the number of processes.

    Raises:
        DataError: the folder is not empty or can not be made.
    """
    images = output / IMAGES
    try:
        images.mkdir(parents=True, exist_ok=True)
        filled = [path for path in output.iterdir() if path != images] or list(images.iterdir())
    except OSError as error:
        raise DataError(
            str(output), f"can not be made ({error.strerror})", allowed="output is a folder", todo="choose another"
        ) from None
    if filled:
        raise DataError(
            str(output), "the folder is not empty", allowed="nothing is overwritten", todo="choose a new folder"
        )
    drawn: dict[str, list[Example]] = {order.split: [] for order in work}
    for order, post in zip(work, _drawn(images, work, processes), strict=True):
        drawn[order.split].append(post)
        advance()
    for split, some in drawn.items():
        write_rows(output / f"{split}.jsonl", some)
    return drawn


def _drawn(images: Path, work: Sequence[Order], processes: int) -> Iterator[Example]:
    """The posts in order, each as soon as it and those before it are done."""
    make = partial(_draw_and_save, images)
    if processes == 1:
        yield from map(make, work)
        return
    # Fresh processes: a copy of one that has threads may hang.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(make, work, chunksize=8)


def _draw_and_save(images: Path, order: Order) -> Example:
    """The post of an order, with its picture in a file."""
    post = order.draw()
    path = images / f"{post.id}.jpg"
    if not isinstance(post.image, np.ndarray):
        raise TypeError("a drawn picture is an array")
    Image.fromarray(post.image).save(path, quality=_QUALITY)
    return replace(post, image=str(path))


_QUALITY: Final = 88
