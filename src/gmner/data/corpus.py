"""A data set as its files say it: tags and boxes before they become entities. For counting and comparing."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gmner.data.bio import Tweet, read_splits, read_tweets
from gmner.data.formats import recognise
from gmner.data.rows import read_examples
from gmner.data.splits import SPLIT_KEY
from gmner.data.tweets import tweet_of
from gmner.data.twitter_gmner import BOXES, TEXT, annotation_of
from gmner.data.voc import Annotation, annotation_files, read_annotation


@dataclass(frozen=True)
class Corpus:
    """The tweets of each split, and the annotations by image id (None where the format has no boxes)."""

    format: str
    splits: dict[str, list[Tweet]]
    annotations: dict[str, Annotation] | None

    @property
    def tweets(self) -> list[Tweet]:
        """The tweets of all splits."""
        return list(chain.from_iterable(self.splits.values()))


def read_corpus(path: str | Path) -> Corpus:
    """The data set at `path`; rows are brought into the form of Twitter-GMNER.

    Raises:
        DataError: the format is not recognised, or a file breaks it.
    """
    path = Path(path)
    name = recognise(path)
    if name == "twitter-gmner":
        annotations = {key: read_annotation(file) for key, file in annotation_files(path / BOXES).items()}
        return Corpus(name, read_splits(path / TEXT), annotations)
    if name == "twitter-mner":
        return Corpus(name, read_splits(path) if path.is_dir() else {path.stem: read_tweets(path)}, None)
    splits: dict[str, list[Tweet]] = {}
    rows: dict[str, Annotation] = {}
    for example in read_examples(path):
        splits.setdefault(str(example.extra.get(SPLIT_KEY, path.stem)), []).append(tweet_of(example))
        if (annotation := annotation_of(example)) is not None:
            rows[example.id] = annotation
    return Corpus(name, splits, rows)
