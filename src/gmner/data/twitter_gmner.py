"""Twitter-GMNER: `txt/{train,dev,test}.txt` with the tagged tweets, `xml/<image id>.xml` with the boxes.

Versions 1 and 2.0 are read alike and as they are (specs/datasets.md section 2): tags leniently (an I- after nothing
opens an entity), boxes by exact equality of names. An image without a file shows no entity.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from gmner.data.bio import Tweet, check_id, format_tweets, id_twice, read_splits
from gmner.data.files import replacing, unreadable
from gmner.data.matching import boxes_by_name
from gmner.data.splits import SPLIT_KEY, split_name
from gmner.data.tweets import example_of, picture_folder, token_spans, tweet_of
from gmner.data.voc import Annotation, NamedBox, annotation_files, format_annotation, read_annotation
from gmner.errors import DataError, EntityError
from gmner.tagging import word_offsets
from gmner.types import Entity, Example, valid_box

TEXT: Final = "txt"
"""The folder with the tagged tweets."""
BOXES: Final = "xml"
"""The folder with the boxes."""

Region = TypeVar("Region")
"""A box, a mask, or what stands for them."""


def read_twitter_gmner(folder: str | Path, split: str | None = None, images: str | Path | None = None) -> list[Example]:
    """The tweets of one split, or of all, with gold entities and their boxes.

    `image` is `<id>.jpg` in the folder `images`, if that is given; `image_size` is known for annotated images.
    `extra` says the split of each tweet.

    Raises:
        DataError: the folder is no such data set, or a file in it breaks its format.
        UnknownNameError: there is no such split.
    """
    folder, pictures = check_folder(Path(folder)), picture_folder(images)
    annotated = annotation_files(folder / BOXES)
    examples = []
    for name, tweets in read_splits(folder / TEXT, split).items():
        for tweet in tweets:
            example = example_of(tweet, name, pictures)
            if tweet.id in annotated:
                example = with_boxes(example, read_annotation(annotated[tweet.id]))
            examples.append(example)
    return examples


def check_folder(folder: Path, annotations: str = BOXES) -> Path:
    """The folder itself, if it holds tagged tweets and a folder of `annotations` called so.

    Raises:
        DataError: a part is missing.
    """
    for part in (TEXT, annotations):
        if not (folder / part).is_dir():
            raise DataError(
                str(folder),
                f"no folder {part} in it",
                allowed=f"Twitter-{'GMNER' if annotations == BOXES else 'SMNER'} has txt/train.txt, txt/dev.txt, "
                f"txt/test.txt and {annotations}/<image id>.{annotations}",
                todo=f"give the folder that holds txt and {annotations}",
            )
    return folder


def with_boxes(example: Example, annotation: Annotation) -> Example:
    """The post with the boxes of each entity, and the size of its picture if the annotation knows it.

    Raises:
        DataError: a box has no area.
    """
    boxes = boxes_by_name(annotation.objects)
    for name, box, line in annotation.objects:
        try:
            valid_box(*box)
        except EntityError as error:
            raise DataError(
                f"{annotation.path}:{line}", f"{error.given} of {name!r}", allowed=error.allowed, todo=error.todo
            ) from None
    return replace(
        example,
        entities=tuple(replace(entity, boxes=boxes.get(entity.text, ())) for entity in example.entities or ()),
        image_size=annotation.size if all(annotation.size) else None,
    )


def write_twitter_gmner(folder: str | Path, examples: Iterable[Example]) -> None:
    """Write posts with gold as a folder of this format; it is made if need be, and no file in it is overwritten.

    Each post goes to the split that its `extra` names. What the format has no place for is lost:
    `losses.left_out` says what that would be.

    Raises:
        DataError: a file is there already; an id comes twice or can not name a file; a post has no split or no gold,
            entities that words can not mark, regions but no `image_size`, or one string with different boxes.
    """

    def annotate(example: Example) -> str | None:
        annotation = annotation_of(example)
        return None if annotation is None else format_annotation(annotation)

    write_annotated(Path(folder), examples, f"{BOXES}/*.xml", annotate)


def write_annotated(
    folder: Path, examples: Iterable[Example], pattern: str, annotate: Callable[[Example], str | None]
) -> None:
    """Write tagged tweets by split, and a file beside them for each post that `annotate` has something to say of.

    The files are named by `pattern`, the id of the post in the place of the star.

    Raises:
        DataError: a file is there already; an id comes twice or can not name a file; a post has no split or no gold,
            or entities that words can not mark.
    """
    tweets: dict[str, list[Tweet]] = {}
    texts: dict[Path, str] = {}
    seen: dict[str, Tweet] = {}
    for example in examples:
        tweet = tweet_of(example)
        check_id(tweet.id, tweet.where)
        if tweet.id in seen:
            raise id_twice(tweet, seen[tweet.id])
        seen[tweet.id] = tweet
        tweets.setdefault(_split_of(example), []).append(tweet)
        if (text := annotate(example)) is not None:
            texts[folder / pattern.replace("*", tweet.id)] = text
    # The text comes last: a folder without it is plainly not finished.
    texts |= {folder / TEXT / f"{name}.txt": format_tweets(tweets[name]) for name in tweets}
    for path in texts:
        if path.exists():
            raise DataError(
                str(path), "the file is there already", allowed="nothing is overwritten", todo="choose a new folder"
            )
    try:
        for part in (folder / TEXT, (folder / pattern).parent):
            part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unreadable(folder, error) from None
    for path, text in texts.items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def annotation_of(example: Example) -> Annotation | None:
    """The annotation that says what the gold boxes of `example` do; None if it has none.

    Raises:
        DataError: an entity has masks but no boxes, or mentions of one string differ in their boxes, or the size of
            the picture is unknown.
    """
    names = regions_by_name(example, lambda entity: entity.boxes)
    if any(entity.masks and not entity.boxes for entity in example.entities or ()):
        raise DataError(
            f"post {example.id!r}",
            "an entity with masks but no boxes",
            allowed="Twitter-GMNER holds boxes only",
            todo="write a Twitter-SMNER folder, or stay with JSONL or Parquet",
        )
    objects = tuple(NamedBox(name, box) for name, boxes in names.items() for box in boxes)
    if not objects:
        return None
    if example.image_size is None:
        raise DataError(
            f"post {example.id!r}",
            "boxes but no `image_size`",
            allowed="an annotation says the size of its picture",
            todo="give the row `image_size`: [width, height]",
        )
    return Annotation(id=example.id, size=example.image_size, objects=objects)


def regions_by_name(example: Example, regions: Callable[[Entity], tuple[Region, ...]]) -> dict[str, tuple[Region, ...]]:
    """The regions of each surface string: annotation files know entities by nothing else.

    Raises:
        DataError: mentions of one string differ in their regions.
    """
    words = [example.text[start:end] for start, end in word_offsets(example)]
    names: dict[str, tuple[Region, ...]] = {}
    for entity, span in zip(example.entities or (), token_spans(example), strict=True):
        name = " ".join(words[span.start : span.end])
        if names.setdefault(name, regions(entity)) != regions(entity):
            raise DataError(
                f"post {example.id!r}",
                f"the regions of {name!r}",
                allowed="annotation files give all mentions of one string the same regions",
                todo="stay with JSONL or Parquet",
            )
    return names


def _split_of(example: Example) -> str:
    """The split that a post goes to."""
    name = example.extra.get(SPLIT_KEY)
    if name is None:
        raise DataError(
            f"post {example.id!r}",
            "no split",
            allowed="each post of Twitter-GMNER is in train, dev or test",
            todo="say which with --split, or give the row a key `split`",
        )
    return split_name(str(name))
