"""What is odd in a data set, each oddity with its file and line.

Most oddities are a data set's own business and only told (warnings): published scores are of the files as they are.
What cannot be read is an error.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from gmner.data.bio import HEAD, Tweet, id_twice, iterate_tweets, split_lines
from gmner.data.coco import read_coco
from gmner.data.files import read_text
from gmner.data.formats import ROWS, Format, recognise
from gmner.data.label_studio import iterate_tasks
from gmner.data.labelme import Drawing, drawing_files, from_base64, read_drawing
from gmner.data.matching import why_unmatched
from gmner.data.rows import example_from_row, iterate_rows
from gmner.data.splits import split_files
from gmner.data.statistics import boxes_of_two_names, reaches_out, span_texts, vanishes
from gmner.data.tweets import picture_folder
from gmner.data.twitter_gmner import BOXES, TEXT, check_folder
from gmner.data.twitter_smner import MASKS
from gmner.data.voc import Annotation, annotation_files, read_annotation
from gmner.errors import DataError, ImageError
from gmner.image import open_image
from gmner.tagging import illegal_steps, read_bio
from gmner.types import Box, Example, Mask


class Finding(NamedTuple):
    """One oddity: how bad, what in general (findings are counted by it), where (`file:line`), and what exactly."""

    level: Literal["error", "warning"]
    kind: str
    where: str
    detail: str


def check(path: str | Path, images: str | Path | None = None) -> list[Finding]:
    """All oddities of the data set or file at `path`: errors first, then warnings, each in the order of the files.

    `images` is the folder of a data set's pictures: with it, drawings are held against the sizes of theirs.

    Raises:
        DataError: the format is not recognised, or there is no folder `images`.
    """
    path, pictures = Path(path), picture_folder(images)
    form = recognise(path)
    if form == "twitter-gmner":
        findings = _check_twitter_gmner(check_folder(path))
    elif form == "twitter-smner":
        findings = _check_twitter_smner(check_folder(path, MASKS), pictures)
    elif form == "twitter-mner":
        findings = _check_texts(split_files(path).values() if path.is_dir() else [path], {})
    else:
        findings = _check_posts(path, form)
    return sorted(findings, key=lambda finding: finding.level)  # sorting keeps the order of the files


def _check_twitter_gmner(folder: Path) -> Iterator[Finding]:
    tweets: dict[str, Tweet] = {}
    yield from _check_texts(split_files(folder / TEXT).values(), tweets)
    for image_id, path in annotation_files(folder / BOXES).items():
        try:
            annotation = read_annotation(path)
        except DataError as error:
            yield _unreadable("unreadable annotation", error)
            continue
        yield from _check_boxes(annotation, path)
        if image_id in tweets:
            yield from _check_names(
                [(name, f"{path}:{line}") for name, _, line in annotation.objects], path, tweets[image_id]
            )
        else:
            yield Finding("warning", "annotation without tweet", str(path), f"no tweet has the id {image_id!r}")


def _check_twitter_smner(folder: Path, pictures: Path | None) -> Iterator[Finding]:
    tweets: dict[str, Tweet] = {}
    yield from _check_texts(split_files(folder / TEXT).values(), tweets)
    if (folder / BOXES).is_dir():
        yield Finding("warning", "boxes beside masks", str(folder / BOXES), "not read: the drawings say what is seen")
    for image_id, path in drawing_files(folder / MASKS).items():
        try:
            drawing = read_drawing(path)
        except DataError as error:
            yield _unreadable("unreadable annotation", error)
            continue
        yield from _check_drawing(drawing, path)
        yield from _check_size(drawing, path, pictures)
        if image_id in tweets:
            yield from _check_names(
                [(shape.name, f"{path}: {shape.place}") for shape in drawing.shapes], path, tweets[image_id]
            )
        else:
            yield Finding("warning", "annotation without tweet", str(path), f"no tweet has the id {image_id!r}")


def _check_drawing(drawing: Drawing, path: Path) -> Iterator[Finding]:
    if not drawing.shapes:
        yield Finding("warning", "annotation without shape", str(path), "nothing is drawn")
    seen: set[tuple[str, Mask | Box]] = set()
    for shape in drawing.shapes:
        where = f"{path}: {shape.place}"
        if shape.outside:
            detail = f"a point of {shape.name!r} lies outside the picture of {list(drawing.size)}"
            yield Finding("warning", "shape out of the picture", where, detail)
        if (shape.name, shape.region) in seen:
            yield Finding("warning", "shape given twice", where, f"the same for {shape.name!r}")
        seen.add((shape.name, shape.region))


def _check_size(drawing: Drawing, path: Path, pictures: Path | None) -> Iterator[Finding]:
    """The picture that the drawing carries, and the one in the folder of the pictures."""
    sources: list[tuple[str, Callable[[], bytes | Path]]] = []
    if (data := drawing.data) is not None:
        sources.append((f"{path}: imageData", lambda: from_base64(data)))
    if pictures is not None:
        file = pictures / f"{drawing.id}.jpg"
        sources.append((str(file), lambda: file))
    for where, source in sources:
        try:
            height, width = open_image(source()).shape[:2]
        except ImageError as error:
            yield Finding("warning", "picture can not be opened", where, error.given)
            continue
        if (width, height) != drawing.size:
            detail = (
                f"the picture is {width} x {height}, and {path} draws in one of {drawing.size[0]} x {drawing.size[1]}"
            )
            yield Finding("error", "drawing of a picture of another size", where, detail)


def _check_texts(paths: Iterable[Path], tweets: dict[str, Tweet]) -> Iterator[Finding]:
    """Check text files, and collect their tweets by id."""
    for path in paths:
        try:
            lines = split_lines(read_text(path))
        except DataError as error:
            yield _unreadable("unreadable file", error)
            continue
        yield from _check_layout(lines, path)
        for tweet in iterate_tweets(path):
            if isinstance(tweet, DataError):
                yield _unreadable("unreadable line", tweet)
            elif tweet.id in tweets:
                kind = "id twice" if tweets[tweet.id].path == path else "id in two splits"
                yield _unreadable(kind, id_twice(tweet, tweets[tweet.id]))
            else:
                tweets[tweet.id] = tweet
                yield from _check_tweet(tweet, path)


def _check_layout(lines: list[str], path: Path) -> Iterator[Finding]:
    """Empty lines that are missing; the tweets can be told apart without them."""
    for index, line in enumerate(lines):
        if index and line.startswith(HEAD) and lines[index - 1]:
            where = f"{path}:{index + 1}"
            yield Finding("warning", "no empty line between tweets", where, "the tweet before runs into this one")
    if lines[-2:] != ["", ""]:
        detail = "the last tweet ends with the file; careless readers drop it"
        yield Finding("warning", "no empty line at the end", f"{path}:{len(lines)}", detail)


def _check_tweet(tweet: Tweet, path: Path) -> Iterator[Finding]:
    for position in illegal_steps(tweet.tags):
        where = f"{path}:{tweet.line + 1 + position}"
        detail = f"{tweet.tokens[position]!r} is tagged {tweet.tags[position]} and continues nothing"
        yield Finding("warning", "illegal tag step", where, detail)
    for position, token in enumerate(tweet.tokens):
        if vanishes(token):
            where = f"{path}:{tweet.line + 1 + position}"
            yield Finding("warning", "token that BERT's clean-up removes", where, f"{token!a} is no word to a BERT")
    spans = read_bio(tweet.tags)
    types: dict[str, list[str]] = {}
    for span, name in zip(spans, span_texts(tweet, spans), strict=True):
        types.setdefault(name, []).append(span.type)
    for name, kinds in types.items():
        if len(kinds) > 1:
            yield Finding("warning", "repeated string", tweet.where, f"{name!r} is mentioned {len(kinds)} times")
        if len(set(kinds)) > 1:
            yield Finding("warning", "string of two types", tweet.where, f"{name!r} is {' and '.join(kinds)}")


def _check_boxes(annotation: Annotation, path: Path) -> Iterator[Finding]:
    if 0 in annotation.size:
        yield Finding("warning", "picture without size", str(path), "the size is 0, so boxes can not be checked")
    if not annotation.objects:
        yield Finding("warning", "annotation without box", str(path), "the file holds no object")
    seen: set[tuple[str, Box]] = set()
    shared = boxes_of_two_names(annotation.objects)
    for name, box, line in annotation.objects:
        where, detail = f"{path}:{line}", f"{list(box)} of {name!r}"
        if box.width <= 0 or box.height <= 0:
            yield Finding("error", "box without area", where, detail)
        if reaches_out(box, annotation.size):
            yield Finding("warning", "box out of the picture", where, f"{detail}, picture {list(annotation.size)}")
        if any(side % 1 for side in box):
            yield Finding("warning", "box with fractions of pixels", where, detail)
        if (name, box) in seen:
            yield Finding("warning", "box given twice", where, detail)
        elif box in shared and name != shared[box][0]:
            yield Finding("warning", "box under two names", where, f"{detail} is also that of {shared[box][0]!r}")
        seen.add((name, box))


def _check_names(names: Sequence[tuple[str, str]], path: Path, tweet: Tweet) -> Iterator[Finding]:
    """The names in an annotation, each with its place, that are no entity of the tweet."""
    mentions = span_texts(tweet, read_bio(tweet.tags))
    unmatched = {name: where for name, where in reversed(names) if name not in mentions}
    for name, where in reversed(unmatched.items()):
        detail = f"{name!r} is no entity of {tweet.where} ({why_unmatched(name, mentions, tweet.text)})"
        yield Finding("warning", "name that matches no entity", where, detail)
    if unmatched and len(unmatched) == len({name for name, _ in names}):
        yield Finding("warning", "file where no name matches", str(path), f"{tweet.where} has no groundable entity")


def _check_posts(path: Path, form: Format) -> Iterator[Finding]:
    for where, post in _posts(path, form):
        if isinstance(post, DataError):
            yield _unreadable("unreadable row", post)
            continue
        # Not `Path.is_file`, which raises for a name that is too long.
        if isinstance(post.image, str) and "://" not in post.image and not os.path.isfile(post.image):  # noqa: PTH113
            yield Finding("warning", "picture is missing", where, f"there is no file {post.image}")
        if post.image_size is None:
            continue
        for entity in post.entities or ():
            for box in entity.boxes:
                if reaches_out(box, post.image_size):
                    detail = f"{list(box)} of {entity.text!r}, picture {list(post.image_size)}"
                    yield Finding("warning", "box out of the picture", where, detail)
            for mask in entity.masks:
                if mask.size != post.image_size[::-1]:
                    detail = f"{list(mask.size[::-1])} of {entity.text!r}, picture {list(post.image_size)}"
                    yield Finding("error", "mask of another size", where, detail)


def _posts(path: Path, form: Format) -> Iterator[tuple[str, Example | DataError]]:
    """The posts of a file, each with its place, or what is wrong with it; COCO's stand or fall together."""
    if form == "label-studio":
        yield from ((f"{path}: task {n}", post) for n, post in enumerate(iterate_tasks(path), 1))
    elif form == "coco":
        try:
            yield from ((f"{path}: post {post.id!r}", post) for post in read_coco(path))
        except DataError as error:
            yield error.where, error
    elif form == "rows":
        for file in split_files(path, *ROWS).values():
            yield from _posts(file, recognise(file))
    else:
        for number, row in iterate_rows(path):
            where = f"{path}:{number}"
            try:
                yield where, row if isinstance(row, DataError) else example_from_row(row, where)
            except DataError as error:
                yield where, error


def _unreadable(kind: str, error: DataError) -> Finding:
    return Finding("error", kind, error.where, f"{error.given}; {error.allowed}")
