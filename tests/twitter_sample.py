"""Small invented data sets in the formats of the Twitter sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

TRAIN = {
    "101": "Ada/B-PER Quill/I-PER greets/O Fenwick/B-LOC",
    "102": "Go/O Otters/B-ORG !/O Otters/B-ORG win/O",
    "103": "nothing/O here/O",
}
DEV = {"16_05_01_9": "The/O Blue/B-OTHER Lantern/I-OTHER opens/O"}
TEST = {
    "O_7": "Quill/I-PER sings/O",  # an I- that continues nothing: an entity, read leniently
    "O_8": "R&B/O at/O Café/B-LOC '/I-LOC s/I-LOC",
}
BOXES = {
    "101": [("Ada Quill", (10, 20, 110, 220))],
    "102": [("Otters", (1, 1, 50, 60)), ("Otters", (60, 5, 90, 80))],
    "O_8": [("Café ' s", (5, 5, 395, 295))],
}

Objects = Sequence[tuple[str, tuple[float, float, float, float]]]


def tweet_text(tweets: Mapping[str, str]) -> str:
    """Tweets, given as words with their tags, as the text of a file."""
    return "".join(
        f"IMGID:{name}\n" + "".join("\t".join(pair.rsplit("/", 1)) + "\n" for pair in line.split(" ")) + "\n"
        for name, line in tweets.items()
    )


def voc_text(objects: Objects, size: tuple[int, int] = (400, 300)) -> str:
    """Boxes as the text of an annotation file, written as LabelImg does."""
    parts = [
        f"\t<object>\n\t\t<name>{name.replace('&', '&amp;')}</name>\n\t\t<bndbox>\n"
        + "".join(
            f"\t\t\t<{tag}>{side}</{tag}>\n" for tag, side in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "\t\t</bndbox>\n\t</object>\n"
        for name, box in objects
    ]
    return (
        "<annotation>\n\t<filename>useless_region.jpg</filename>\n"
        f"\t<size>\n\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"{''.join(parts)}</annotation>"
    )


def write_gmner(
    folder: Path,
    texts: Mapping[str, Mapping[str, str]] | None = None,
    boxes: Mapping[str, Objects] | None = None,
) -> Path:
    """A folder in the format of Twitter-GMNER: `texts` by split, `boxes` by image id."""
    for part in ("txt", "xml"):
        (folder / part).mkdir(parents=True)
    for split, tweets in (texts or {"train": TRAIN, "dev": DEV, "test": TEST}).items():
        (folder / "txt" / f"{split}.txt").write_text(tweet_text(tweets), encoding="utf-8", newline="\n")
    for name, objects in (BOXES if boxes is None else boxes).items():
        (folder / "xml" / f"{name}.xml").write_text(voc_text(objects), encoding="utf-8", newline="\n")
    return folder


def write_mner(folder: Path, texts: Mapping[str, Mapping[str, str]]) -> Path:
    """A folder in the format of Twitter-2015: the last tweet ends with the file."""
    folder.mkdir(parents=True)
    for split, tweets in texts.items():
        text = tweet_text(tweets).removesuffix("\n")
        (folder / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
    return folder
