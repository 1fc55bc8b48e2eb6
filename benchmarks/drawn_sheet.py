"""A contact sheet of fifty drawn posts: `python benchmarks/drawn_sheet.py docs/images/drawn.jpg`."""

import sys
import textwrap

from PIL import Image, ImageDraw, ImageFont

from gmner.data.drawn import draw_posts
from gmner.show import colour
from gmner.types import Example

POSTS, COLUMNS, WIDTH, PICTURE, LINE = 50, 5, 300, 230, 13


def cell(post: Example) -> Image.Image:
    """A post's picture with the boxes of its entities, and their expressions below in the same colours."""
    picture = Image.fromarray(post.image)
    pen = ImageDraw.Draw(picture)
    for index, entity in enumerate(post.entities or ()):
        for box in entity.boxes:
            pen.rectangle((box.x1, box.y1, box.x2 - 1, box.y2 - 1), outline=colour(index), width=picture.height // 80)
    scale = min((WIDTH - 10) / picture.width, PICTURE / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    lines = [("#555555", line) for line in textwrap.wrap("".join(c for c in post.text if ord(c) < 0x2000), 50)]
    for index, entity in enumerate(post.entities or ()):
        words = f"{entity.expression}{'' if entity.boxes else '  (not in the picture)'}"
        ink = colour(index) if entity.boxes else "#999999"
        lines += [(ink, line) for line in textwrap.wrap(words, 50, subsequent_indent="   ")]
    sheet = Image.new("RGB", (WIDTH, picture.height + LINE * len(lines) + 14), "white")
    sheet.paste(picture, ((WIDTH - picture.width) // 2, 4))
    pen = ImageDraw.Draw(sheet)
    for row, (ink, line) in enumerate(lines):
        pen.text((6, picture.height + 7 + row * LINE), line, fill=ink, font=ImageFont.load_default(11))
    return sheet


def contact_sheet(posts: list[Example]) -> Image.Image:
    """Cells in columns, each below the column that ends highest."""
    cells = [cell(post) for post in posts]
    heights = [0] * COLUMNS
    places = []
    for one in cells:
        column = heights.index(min(heights))
        places.append((column * WIDTH, heights[column]))
        heights[column] += one.height
    sheet = Image.new("RGB", (COLUMNS * WIDTH, max(heights)), "white")
    for one, place in zip(cells, places, strict=True):
        sheet.paste(one, place)
    return sheet


if __name__ == "__main__":
    contact_sheet(list(draw_posts("train", POSTS, seed=0))).save(sys.argv[1], quality=62, optimize=True)
