"""A data set as its files say it: tags, boxes and masks before they become entities. For counting and comparing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from gmner.data.bio import Tweet, read_splits, read_tweets
from gmner.data.formats import read, recognise
from gmner.data.labelme import Drawing, drawing_files, read_drawing
from gmner.data.regions import with_regions
from gmner.data.splits import SPLIT_KEY
from gmner.data.tweets import tweet_of
from gmner.data.twitter_gmner import BOXES, TEXT, annotation_of, check_folder, regions_by_name
from gmner.data.twitter_smner import MASKS
from gmner.data.voc import Annotation, NamedBox, annotation_files, read_annotation
from gmner.types import Example, Mask

NamedMasks = Mapping[str, tuple[Mask, ...]]
"""The masks of one picture by the name of their entity."""


@dataclass(frozen=True)
class Corpus:
    """The tweets of each split, and the annotations and masks by image id (None where there are none of them)."""

    format: str
    splits: dict[str, list[Tweet]]
    annotations: dict[str, Annotation] | None
    masks: dict[str, NamedMasks] | None = None

    @property
    def tweets(self) -> list[Tweet]:
        """The tweets of all splits."""
        return list(chain.from_iterable(self.splits.values()))


def read_corpus(path: str | Path) -> Corpus:
    """The data set at `path`; what is no folder of the Twitter sets is brought into the form of Twitter-GMNER.

    Raises:
        DataError: the format is not recognised, or a file breaks it.
    """
    path = Path(path)
    name = recognise(path)
    if name == "twitter-gmner":
        annotations = {key: read_annotation(file) for key, file in annotation_files(path / BOXES).items()}
        return Corpus(name, read_splits(path / TEXT), annotations)
    if name == "twitter-smner":
        check_folder(path, MASKS)
        drawings = {key: read_drawing(file) for key, file in drawing_files(path / MASKS).items()}
        return Corpus(
            name,
            read_splits(path / TEXT),
            {key: _boxes_of(drawing) for key, drawing in drawings.items()},
            {key: _masks_of(drawing) for key, drawing in drawings.items()},
        )
    if name == "twitter-mner":
        return Corpus(name, read_splits(path) if path.is_dir() else {path.stem: read_tweets(path)}, None)
    splits: dict[str, list[Tweet]] = {}
    rows: dict[str, Annotation] = {}
    masks: dict[str, NamedMasks] = {}
    for example in map(_boxed, read(path)):
        splits.setdefault(str(example.extra.get(SPLIT_KEY, path.stem)), []).append(tweet_of(example))
        if (annotation := annotation_of(example)) is not None:
            rows[example.id] = annotation
        if any(entity.masks for entity in example.entities or ()):
            masks[example.id] = regions_by_name(example, lambda entity: entity.masks)
    return Corpus(name, splits, rows, masks or None)


def _boxes_of(drawing: Drawing) -> Annotation:
    """Every shape of a drawing as a box."""
    return Annotation(drawing.id, drawing.size, tuple(NamedBox(shape.name, shape.box) for shape in drawing.shapes))


def _masks_of(drawing: Drawing) -> NamedMasks:
    names = dict.fromkeys(shape.name for shape in drawing.shapes)
    return {
        name: tuple(shape.region for shape in drawing.shapes if shape.name == name and isinstance(shape.region, Mask))
        for name in names
    }


def _boxed(example: Example) -> Example:
    """The post with the tight boxes of masks that have no boxes."""
    if example.entities is None:
        return example
    return replace(example, entities=tuple(with_regions(e, e.boxes, e.masks) for e in example.entities))
