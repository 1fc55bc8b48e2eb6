"""Predictions as one HTML page that needs nothing else: no network, no script, pictures inside."""

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from os import PathLike
from pathlib import Path
from string import Template
from typing import Final
from unicodedata import east_asian_width

import numpy as np
from PIL import Image

from gmner.errors import GmnerError
from gmner.geometry import clip_box, decode_mask, mask_box
from gmner.image import Picture, open_image
from gmner.show import box_words, check_mask, colour, ink_on, mask_share, place_tag, segments, visibility
from gmner.types import ENTITY_TYPES, Box, Entity, Example, Mask, Prediction

_LONGEST_SIDE: Final = 1000  # pixels of an embedded picture
_SHOWN: Final = (320, 640)  # a small picture is shown as wide as the one, a tall one as high as the other
_TAG_HEIGHT, _TAG_LETTER, _LONGEST_TAG = 20.0, 7.5, 220.0  # pixels on a screen, about
_HEADINGS: Final = ("entity", "type", "score", "visible", "box", "mask")


_CONTROLS = {code: 0xFFFD for code in range(32) if chr(code) not in "\t\n\r"}
"""Characters that no page may hold; a post that does shows a replacement sign in their place."""


def write_page(
    path: str | PathLike[str],
    predictions: Sequence[Prediction],
    *,
    title: str = "Entities",
    errors: Sequence[tuple[str, str]] = (),
) -> None:
    """Write one self-contained page with every post: its text, its picture and its entities.

    Pictures are opened one after another from `prediction.example.image` (a path, bytes or an array) and embedded
    as JPEG of at most 1,000 pixels a side; boxes and masks lie over them as SVG, in the frame of the original. A
    picture that can not be opened, or has masks of another, leaves its error in its place. `errors` are posts
    without a prediction, as (which post, what was wrong), listed at the end. Everything that is said is escaped.

    Raises:
        OSError: the page can not be written.
    """
    posts = [_post(number, prediction) for number, prediction in enumerate(predictions, 1)]
    most = max((len(prediction.entities) for prediction in predictions), default=0)
    page = template("page.html").substitute(
        style=asset("style.css"),
        title=escape(title),
        counts=_counts(predictions, errors),
        links=link_styles(most),
        posts="\n".join(posts),
        errors=_errors(errors),
    )
    page = page.translate(_CONTROLS)
    Path(path).write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def asset(name: str) -> str:
    """The text of a file of this package."""
    return files("gmner.report").joinpath(name).read_text(encoding="utf-8")


def template(name: str) -> Template:
    """A page of this package with its places to fill."""
    return Template(asset(name))


def _counts(predictions: Sequence[Prediction], errors: Sequence[tuple[str, str]]) -> str:
    entities = [entity for prediction in predictions for entity in prediction.entities]
    types = Counter(entity.type for entity in entities)
    counts = [
        (len(predictions), "post", "posts"),
        (len(entities), "entity", "entities"),
        (sum(entity.visible for entity in entities), "in the picture", "in the picture"),
        *((types[kind], kind, kind) for kind in ENTITY_TYPES if types[kind]),
        *([(len(errors), "error", "errors")] if errors else []),
    ]
    return "".join(f"<li><b>{count:,}</b>{one if count == 1 else many}</li>" for count, one, many in counts)


def link_styles(most: int) -> str:
    """The styles that join the places of each of `most` entities.

    While one place is pointed at or focused, the post's other entities fade.
    """
    return "\n".join(_link(index) for index in range(most))


def _link(index: int) -> str:
    here = f".post:has(.e{index}:hover, .e{index}:focus-within, .e{index}:focus)"
    others = f":is(mark, .region, .picture .tag):not(.e{index}, :has(.e{index}), .e{index} *)"
    return f"{here} {others} {{ opacity: .18; }}\n{here} .e{index} .box {{ stroke-width: 5; }}"


def _post(number: int, prediction: Prediction) -> str:
    name = f"{number}. {prediction.id}" if prediction.id else f"{number}."
    picture = _figure(prediction)
    notes = "".join(f"<li>{escape(note)}</li>" for note in prediction.notes)
    return f"""<article class="post" aria-labelledby="post-{number}">
<h2 id="post-{number}">{escape(name)}</h2>
<div class="sides{"" if picture else " alone"}">
{picture}<div>
<p class="words" dir="auto">{marked_text(prediction.text, list(enumerate(prediction.entities)))}</p>
{_table(prediction.entities)}
{f'<ul class="notes">{notes}</ul>' if notes else ""}
{background(prediction.example)}</div>
</div>
</article>"""


Numbered = Sequence[tuple[int, Entity]]
"""Entities with their numbers, from 0: places of one number have one colour and are joined."""


def marked_text(text: str, entities: Numbered) -> str:
    """The text with a mark around every entity; a mark that others cut into carries its tag on the last piece."""
    pieces: list[str] = []
    for start, end, inside in segments(text, [entity for _, entity in entities]):
        piece = escape(text[start:end])
        for position in reversed(inside):
            number, entity = entities[position]
            tag = f'<span class="tag" dir="ltr">{number + 1} {entity.type}</span>' if entity.end == end else ""
            piece = f'<mark {attributes(number, entity)} tabindex="0">{piece}{tag}</mark>'
        pieces.append(piece)
    return "".join(pieces)


def attributes(index: int, entity: Entity, kind: str = "", style: str = "") -> str:
    """The class that links the places of an entity, and its colours."""
    classes = " ".join(filter(None, (f"e{index}", kind, "" if entity.visible else "absent")))
    return f'class="{classes}" style="--c:{colour(index)};--ink:{ink_on(colour(index))};{style}"'


def _figure(prediction: Prediction) -> str:
    """The picture with shapes and tags over it; the error in its place if it can not be; nothing if there is none."""
    if prediction.example.image is None:
        return ""
    entities = list(enumerate(prediction.entities))
    try:
        picture = open_image(prediction.example.image)
        check_masks(prediction.entities, picture)
    except GmnerError as error:
        return problem(error)
    height, width = picture.shape[:2]
    shown_width = min(max(width, _SHOWN[0]), _SHOWN[1] * width / height)
    told = escape(f"The post's picture, with {who(entities)}")
    image = f'<img src="{data_url(picture, _LONGEST_SIDE)}" width="{width}" height="{height}" alt="{told}">'
    return figure(image, entities, (width, height), shown_width)


def check_masks(entities: Sequence[Entity], picture: Picture) -> None:
    """Raise EntityError unless every mask has the picture's size."""
    for entity in entities:
        for mask in entity.masks:
            check_mask(entity, mask, picture)


def problem(error: GmnerError) -> str:
    """An error in the place of a picture."""
    return f'<p class="problem">{escape(str(error))}</p>\n'


def who(entities: Numbered) -> str:
    """The entities in the picture, in words."""
    shown = [f"{number + 1} {entity.text} ({entity.type})" for number, entity in entities if entity.visible]
    return ", ".join(shown) or "no entity"


def figure(image: str, entities: Numbered, size: tuple[int, int], shown_width: float) -> str:
    """An image element with the entities' shapes and tags over it.

    `size` is (width, height) of the original, in whose frame boxes and masks are; `shown_width` is in pixels of the
    screen, and less where the page is narrower.
    """
    width, height = size
    shown = [(index, entity, _places(entity, width, height)) for index, entity in entities if entity.visible]
    # Large regions come first, so that the small ones in them can be pointed at.
    shown.sort(key=lambda region: -max((box.area for box in region[2]), default=0.0))
    shapes = "\n".join(_region(index, entity, width, height) for index, entity, _ in shown)
    return f"""<figure class="picture" style="width:{shown_width:.0f}px">
{image}
<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">
{shapes}
</svg>
{_tags(shown, shown_width / width, width, height)}
</figure>
"""


def _tags(shown: Sequence[tuple[int, Entity, Sequence[Box]]], scale: float, width: int, height: int) -> str:
    """Number and name at the first region of every entity, the number at its others, placed in shares of the picture.

    A browser alone knows how wide letters are; the guess here only keeps tags apart.
    """
    room = (width * scale, height * scale)
    places = [(i, entity, order, box) for i, entity, boxes in shown for order, box in enumerate(boxes)]
    boxes = [Box(*(value * scale for value in box)) for _, _, _, box in places]
    placed: list[Box] = []
    tags: list[str] = []
    for (index, entity, order, _), box in zip(places, boxes, strict=True):
        label = f"{index + 1}" if order else f"{index + 1} {entity.text}"
        letters = sum(2 if east_asian_width(character) in "WF" else 1 for character in label)
        size = (min(letters * _TAG_LETTER + 12, _LONGEST_TAG), _TAG_HEIGHT)
        tag = place_tag(size, box, placed, boxes, room)
        placed.append(tag)
        left, top = 100 * tag.x1 / room[0], 100 * tag.y1 / room[1]
        place = f"left:{left:.2f}%;top:{top:.2f}%;max-width:min({_LONGEST_TAG:.0f}px, {100 - left:.2f}%)"
        tags.append(f'<span {attributes(index, entity, "tag", place)} tabindex="0" dir="auto">{escape(label)}</span>')
    return "\n".join(tags)


def data_url(picture: Picture, longest: int) -> str:
    """A picture of at most `longest` pixels a side as a JPEG in a data URL."""
    image = Image.fromarray(picture)
    image.thumbnail((longest, longest))
    file = BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _places(entity: Entity, width: int, height: int) -> list[Box]:
    """The boxes of an entity inside the picture, largest first; those around its masks if it has no boxes."""
    boxes = [clip_box(box, width, height) for box in entity.boxes] or [mask_box(mask) for mask in entity.masks]
    return sorted((box for box in boxes if box is not None), key=lambda box: -box.area)


def _region(index: int, entity: Entity, width: int, height: int) -> str:
    parts = [f'<path class="mask" d="{_outline(mask, width, height)}"/>' for mask in entity.masks]
    for box in _places(entity, width, height) if entity.boxes else []:
        place = f'x="{box.x1:.1f}" y="{box.y1:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        parts.append(f'<rect class="rim" {place}/><rect class="box" {place}/>')
    title = f"<title>{escape(f'{index + 1} {entity.text} ({entity.type})')}</title>"
    return f"<g {attributes(index, entity, 'region')}>{title}{''.join(parts)}</g>"


def _outline(mask: Mask, width: int, height: int) -> str:
    """The outlines of a mask, holes included, as an SVG path over a picture of `width` x `height`.

    The mask is traced at the size of the embedded picture, every pixel doubled so that even one alone has an area.
    """
    import cv2

    pixels = decode_mask(mask).astype(np.uint8)
    scale = min(1.0, _LONGEST_SIDE / max(pixels.shape)) * 2
    size = (max(2, round(pixels.shape[1] * scale)), max(2, round(pixels.shape[0] * scale)))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    steps = np.array([width / size[0], height / size[1]])
    paths = []
    for outline in outlines:
        points = (outline[:, 0] + 0.5) * steps
        paths.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist()) + "Z")
    return "".join(paths)


def _table(entities: Sequence[Entity]) -> str:
    if not entities:
        return '<p class="quiet">No entities were found.</p>'
    head = "".join(f'<th scope="col">{heading}</th>' for heading in _HEADINGS)
    rows = "\n".join(_row(index, entity) for index, entity in enumerate(entities))
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="Table of entities"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>"""


def _row(index: int, entity: Entity) -> str:
    score = "" if entity.score is None else f"{entity.score:.2f}"
    numbers = "".join(
        f'<td class="number">{words}</td>'
        for words in (entity.type, score, visibility(entity), box_words(entity), mask_share(entity))
    )
    tag = f'<span class="tag{"" if entity.visible else " absent"}">{index + 1}</span>'
    name = f"<td>{tag} <bdi>{escape(entity.text)}</bdi>{said(entity)}</td>"
    return f"<tr {attributes(index, entity)}>{name}{numbers}</tr>"


def said(entity: Entity) -> str:
    """What was looked for, and who said why."""
    lines = [entity.expression, *(f"{stage}: {words}" for stage, words in entity.provenance.items())]
    return "".join(f'<div class="said" dir="auto">{escape(words)}</div>' for words in lines if words)


def background(example: Example) -> str:
    """Caption and knowledge of the whole post, folded away."""
    known = {"Caption": example.caption, "Description": example.description, "Knowledge": example.knowledge}
    items = "".join(f"<dt>{name}</dt><dd dir='auto'>{escape(words)}</dd>" for name, words in known.items() if words)
    return f"<details><summary>Caption and knowledge</summary><dl>{items}</dl></details>\n" if items else ""


def _errors(errors: Sequence[tuple[str, str]]) -> str:
    if not errors:
        return ""
    rows = "\n".join(
        f'<tr><td>{escape(post)}</td><td class="problem">{escape(error)}</td></tr>' for post, error in errors
    )
    return f"""<section class="errors" aria-labelledby="errors">
<h2 id="errors">Posts without a prediction</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of errors"><table>
<thead><tr><th scope="col">post</th><th scope="col">what was wrong</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
</section>"""
