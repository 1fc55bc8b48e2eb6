"""Twitter-2015 and Twitter-2017: `train.txt`, `valid.txt` and `test.txt` with tagged tweets, and no boxes.

What the gold is depends on the reader (specs/datasets.md section 3): Twitter-2015 test has 5,207 entities where an I-
after nothing opens one (the default, as seqeval counts), and 5,072 where only B- does (`strict`). MISC, which
Twitter-2017 writes, is read as OTHER.
"""

from pathlib import Path

from gmner.data.bio import read_splits, read_tweets
from gmner.data.tweets import example_of, picture_folder
from gmner.types import Example


def read_twitter_mner(
    path: str | Path, split: str | None = None, images: str | Path | None = None, *, strict: bool = False
) -> list[Example]:
    """The tweets of one split of a folder, or of all, or of a single text file, with gold entities.

    `image` is `<id>.jpg` in the folder `images`, if that is given. `extra` says the split of each tweet, where a
    folder or `split` tells it.

    Raises:
        DataError: there is no such file, or it breaks its format.
        UnknownNameError: there is no such split.
    """
    path, pictures = Path(path), picture_folder(images)
    splits = read_splits(path, split) if path.is_dir() else {split: read_tweets(path)}
    return [example_of(tweet, name, pictures, strict=strict) for name, tweets in splits.items() for tweet in tweets]
