"""Twitter-SMNER: `txt/{train,dev,test}.txt` with the tagged tweets, `json/<image id>.json` with labelme's drawings.

RiVEG (section III) drew masks with labelme for the groundable entities of Twitter-GMNER. Masks and entities are
joined as boxes are there: by exact equality of label and surface string, mentions of one string sharing all masks. An
image without a file shows no entity, and one that a drawing leaves out is not in the picture, whatever the boxes of
Twitter-GMNER say: a folder `xml` beside is not read. Boxes are the tight ones around the masks, unless the drawing has
rectangles of that name.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gmner.data.bio import read_splits
from gmner.data.labelme import Drawing, Shape, drawing_files, format_drawing, read_drawing
from gmner.data.regions import drawn_boxes, picture_size, with_regions
from gmner.data.rows import relative_image
from gmner.data.tweets import example_of, picture_folder
from gmner.data.twitter_gmner import TEXT, check_folder, regions_by_name, write_annotated
from gmner.types import Box, Entity, Example, Mask

MASKS: Final = "json"
"""The folder with the masks."""


def read_twitter_smner(folder: str | Path, split: str | None = None, images: str | Path | None = None) -> list[Example]:
    """The tweets of one split, or of all, with gold entities, their masks and boxes.

    `image` is `<id>.jpg` in the folder `images`, if that is given; `image_size` is known for drawn images. `extra`
    says the split of each tweet. Labels that are no entity are left aside: `gmner data check` lists them.

    Raises:
        DataError: the folder is no such data set, or a file in it breaks its format.
        UnknownNameError: there is no such split.
    """
    folder, pictures = check_folder(Path(folder), MASKS), picture_folder(images)
    drawn = drawing_files(folder / MASKS)
    examples = []
    for name, tweets in read_splits(folder / TEXT, split).items():
        for tweet in tweets:
            example = example_of(tweet, name, pictures)
            examples.append(with_drawing(example, read_drawing(drawn[tweet.id])) if tweet.id in drawn else example)
    return examples


def with_drawing(example: Example, drawing: Drawing) -> Example:
    """The post with the regions that were drawn for each of its entities."""

    def drawn(entity: Entity) -> Entity:
        regions = [shape.region for shape in drawing.shapes if shape.name == entity.text]
        boxes = [region for region in regions if isinstance(region, Box)]
        return with_regions(entity, boxes, [region for region in regions if isinstance(region, Mask)])

    return replace(example, entities=tuple(drawn(entity) for entity in example.entities or ()), image_size=drawing.size)


def write_twitter_smner(folder: str | Path, examples: Iterable[Example], *, polygons: bool = False) -> None:
    """Write posts with gold as a folder of this format; it is made if need be, and no file in it is overwritten.

    Masks are written exactly, as bitmaps or (but for those with holes) as polygons. A drawing names its picture by the
    path from the folder `json`, so that labelme opens both.

    Raises:
        DataError: as `write_twitter_gmner`, or mentions of one string differ in their masks.
    """
    folder = Path(folder)

    def annotate(example: Example) -> str | None:
        drawing = drawing_of(example, folder / MASKS)
        return None if drawing is None else json.dumps(format_drawing(drawing, polygons=polygons))

    write_annotated(folder, examples, f"{MASKS}/*.json", annotate)


def write_twitter_smner_polygons(folder: str | Path, examples: Iterable[Example]) -> None:
    """`write_twitter_smner` with polygons."""
    write_twitter_smner(folder, examples, polygons=True)


def drawing_of(example: Example, folder: Path) -> Drawing | None:
    """The drawing, to be written in `folder`, that says what the regions of `example` do; None if it has none.

    Raises:
        DataError: mentions of one string differ in their regions, or the size of the picture is unknown.
    """

    def regions(entity: Entity) -> tuple[Mask | Box, ...]:
        return (*entity.masks, *drawn_boxes(entity))

    names = regions_by_name(example, regions)
    shapes = tuple(Shape(name, region) for name, regions in names.items() for region in regions)
    if not shapes:
        return None
    image = relative_image(str(example.image), folder) if isinstance(example.image, str | Path) else ""
    return Drawing(id=example.id, size=picture_size(example), shapes=shapes, image=image)
