"""Twitter-GMNER: `txt/{train,dev,test}.txt` with the tagged tweets, `xml/<image id>.xml` with the boxes.

Versions 1 and 2.0 are read alike and as they are (specs/datasets.md section 2): tags leniently (an I- after nothing
opens an entity), boxes by exact equality of names. An image without a file shows no entity.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gmner.data.bio import Tweet, check_id, format_tweets, id_twice, read_splits
from gmner.data.files import replacing, unreadable
from gmner.data.matching import boxes_by_name
from gmner.data.splits import SPLIT_KEY, split_name
from gmner.data.tweets import example_of, picture_folder, token_spans, tweet_of
from gmner.data.voc import Annotation, NamedBox, annotation_files, format_annotation, read_annotation
from gmner.errors import DataError, EntityError
from gmner.tagging import word_offsets
from gmner.types import Box, Example, valid_box

TEXT: Final = "txt"
"""The folder with the tagged tweets."""
BOXES: Final = "xml"
"""The folder with the boxes."""


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


def check_folder(folder: Path) -> Path:
    """The folder itself, if it holds what Twitter-GMNER does.

    Raises:
        DataError: a part is missing.
    """
    for part in (TEXT, BOXES):
        if not (folder / part).is_dir():
            raise DataError(
                str(folder),
                f"no folder {part} in it",
                allowed="Twitter-GMNER has txt/train.txt, txt/dev.txt, txt/test.txt and xml/<image id>.xml",
                todo="give the folder that holds txt and xml",
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

    Each post goes to the split that its `extra` names. What the format has no place for is lost: `left_out` says
    what that would be.

    Raises:
        DataError: a file is there already; an id comes twice or can not name a file; a post has no split or no gold,
            entities that words can not mark, regions but no `image_size`, or one string with different boxes.
    """
    folder = Path(folder)
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
        if (annotation := annotation_of(example)) is not None:
            texts[folder / BOXES / f"{tweet.id}.xml"] = format_annotation(annotation)
    # The text comes last: a folder without it is plainly not finished.
    texts |= {folder / TEXT / f"{name}.txt": format_tweets(tweets[name]) for name in tweets}
    for path in texts:
        if path.exists():
            raise DataError(
                str(path), "the file is there already", allowed="nothing is overwritten", todo="choose a new folder"
            )
    try:
        for part in (TEXT, BOXES):
            (folder / part).mkdir(parents=True, exist_ok=True)
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
    where = f"post {example.id!r}"
    words = [example.text[start:end] for start, end in word_offsets(example)]
    boxes: dict[str, tuple[Box, ...]] = {}
    for entity, span in zip(example.entities or (), token_spans(example), strict=True):
        name = " ".join(words[span.start : span.end])
        if boxes.setdefault(name, entity.boxes) != entity.boxes or (entity.masks and not entity.boxes):
            raise DataError(
                where,
                f"the regions of {name!r}",
                allowed="Twitter-GMNER holds boxes only, and gives all mentions of one string the same ones",
                todo="stay with JSONL or Parquet",
            )
    objects = tuple(NamedBox(name, box) for name, some in boxes.items() for box in some)
    if not objects:
        return None
    if example.image_size is None:
        raise DataError(
            where,
            "boxes but no `image_size`",
            allowed="an annotation says the size of its picture",
            todo="give the row `image_size`: [width, height]",
        )
    return Annotation(id=example.id, size=example.image_size, objects=objects)


def left_out(examples: Iterable[Example]) -> dict[str, int]:
    """What this format has no place for, each with the number of posts that have it."""
    counts: Counter[str] = Counter()
    for example in examples:
        entities = example.entities or ()
        losses = {
            "the text as it was (words joined by blanks are written)": example.text != tweet_of(example).text,
            "caption": example.caption is not None,
            "description": example.description is not None,
            "knowledge": example.knowledge is not None,
            "candidates": example.candidates is not None,
            "image path": example.image is not None,
            "image size without boxes": example.image_size is not None and annotation_of(example) is None,
            "masks": any(entity.masks for entity in entities),
            "scores, expressions and provenance of entities": any(
                entity.score is not None
                or entity.groundable is not None
                or entity.expression is not None
                or entity.provenance
                for entity in entities
            ),
            "keys of its own": bool(example.extra.keys() - {SPLIT_KEY}) or any(entity.extra for entity in entities),
        }
        counts.update(name for name, lost in losses.items() if lost)
    return dict(counts)


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
