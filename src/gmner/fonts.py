"""Text drawn with Pillow in any script for which there is a font."""

from functools import cache, lru_cache
from itertools import groupby
from typing import Final

from PIL import ImageDraw, ImageFont


class Letters:
    """Text of one size in whatever fonts have its glyphs, first the one that has most of `sample`.

    Pillow's own font has little more than ASCII, so the fonts of the system are asked for the rest.
    """

    def __init__(self, size: int, sample: str) -> None:
        characters = set(sample)
        self.size = size
        self.fonts = sorted(_fonts(size), key=lambda font: sum(not _has_glyph(font, c) for c in characters))

    def can_write(self, text: str) -> bool:
        """Whether every character has a glyph in some font."""
        return all(any(_has_glyph(font, character) for font in self.fonts) for character in text)

    def width(self, text: str) -> float:
        return sum(font.getlength(piece, direction=_direction(font)) for piece, font in self._runs(text))

    def write(self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ink: str) -> None:
        """Write `text` from `at`, the left end of its baseline."""
        x, y = at
        for piece, font in self._runs(text):
            pen.text((x, y), piece, fill=ink, font=font, anchor="ls", direction=_direction(font))
            x += font.getlength(piece, direction=_direction(font))

    def _runs(self, text: str) -> list[tuple[str, ImageFont.FreeTypeFont]]:
        """The text in pieces of one font each: whole if one font has it all, so that its letters match and join."""
        for font in self.fonts:
            if all(_has_glyph(font, character) for character in text):
                return [(text, font)]
        fonts = [next((font for font in self.fonts if _has_glyph(font, c)), self.fonts[0]) for c in text]
        runs = groupby(zip(text, fonts, strict=True), key=lambda pair: id(pair[1]))
        pairs = [list(run) for _, run in runs]
        return [("".join(character for character, _ in run), run[0][1]) for run in pairs]


_SYSTEM_FONTS: Final = (  # wide coverage first; Pillow looks for them where the system keeps its fonts
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf", "segoeui.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "PingFang.ttc", "msyh.ttc", "malgun.ttf", "YuGothM.ttc"),
    *("NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
    *("NotoSansThai-Regular.ttf", "Nirmala.ttf", "NotoEmoji-Regular.ttf", "seguiemj.ttf"),
)


@cache
def _system_fonts() -> tuple[str, ...]:
    """The files of those fonts that this system has."""
    paths = []
    for name in _SYSTEM_FONTS:
        try:
            path = ImageFont.truetype(name, 10).path
        except OSError:
            continue
        paths.append(path if isinstance(path, str) else name)
    return tuple(paths)


@lru_cache(maxsize=64)
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    own = ImageFont.load_default(size)
    fonts = [ImageFont.truetype(path, size) for path in _system_fonts()]
    return (own, *fonts) if isinstance(own, ImageFont.FreeTypeFont) else tuple(fonts)


@lru_cache(maxsize=100_000)
def _has_glyph(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether a font draws a character otherwise than the box for what it lacks (here a code that no font has)."""
    if character.isspace():
        return True
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def _direction(font: ImageFont.FreeTypeFont) -> str | None:
    """Numbers and types stand left and right of a name, whatever its script; the basic layout knows nothing else."""
    return "ltr" if font.layout_engine == ImageFont.Layout.RAQM else None
