"""The only file that opens images: any reference to an RGB array, upright, within the caps."""

import hashlib
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from os import PathLike
from typing import Final, NoReturn

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from gmner.errors import ImageError

Picture = UInt8[np.ndarray, "height width 3"]
"""A decoded picture: 8-bit RGB, EXIF orientation applied, in the frame of all boxes."""

MAX_PIXELS: Final = 89_000_000
"""Larger pictures are refused before a pixel is decoded."""

MAX_BYTES: Final = 20 * 1024 * 1024
"""Larger files are refused before they are read."""

# The decoders are called directly: `PIL.Image.open` warns about large pictures on its own, and what it warns of is
# set for the whole process.
_DECODERS: Final[tuple[tuple[re.Pattern[bytes], Callable[[BytesIO], ImageFile]], ...]] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
)
_ALLOWED: Final = "pictures are JPEG, PNG, WebP, GIF or BMP files"

_FOREIGN: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL), "a HEIC picture"),
    (re.compile(rb"....ftypavi", re.DOTALL), "an AVIF picture"),
    (re.compile(rb"....ftyp", re.DOTALL), "a video"),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), "a TIFF picture"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "), "a JPEG 2000 picture"),
    (re.compile(rb"\0\0\x01\0"), "an ICO picture"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<svg", re.IGNORECASE), "an SVG drawing"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)", re.IGNORECASE), "a web page"),
    (re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+\Z"), "text"),
)

_UPRIGHT: Final = (False, 1, 1)
_TURNS: Final[dict[int | None, tuple[bool, int, int]]] = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, -1, 1),
    7: (True, -1, -1),
    8: (True, 1, -1),
}
"""EXIF orientation (TIFF 6.0 p. 36): whether the picture lies on its side, and the steps in which the file's rows and
columns then go through the upright picture's."""

_PIXELS_AT_ONCE: Final = 1 << 22
"""Pixels that are converted together; each takes up to 12 bytes on its way."""

_ORIENTATION: Final = 0x0112
_MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16", "I;16B")


def open_image(reference: "str | PathLike[str] | bytes | Image.Image | np.ndarray") -> Picture:
    """The picture of a file, of the bytes of a file, of a Pillow image or of an array.

    Files are JPEG, PNG, WebP, GIF or BMP by content, whatever their name; of an animation the first frame (of a
    Pillow image the current one) is taken. EXIF orientation is applied, transparency is laid on white, 16-bit
    samples keep their high byte, colour profiles are not applied. Arrays are uint8, (height, width) grey,
    (height, width, 3) RGB or (height, width, 4) RGBA; a contiguous RGB array is taken as it is, not copied.

    Both caps hold before anything is decoded. A picture is whole or refused: a file that ends early or fails its
    format's checks is an error. (JPEG has no checksum: flipped bits that still decode can not be seen.)

    Raises:
        ImageError: the reference is missing, unreadable, no picture, of another format, damaged or past a cap.
    """
    if isinstance(reference, np.ndarray):
        return _from_array(reference)
    if isinstance(reference, Image.Image):
        name = f"Pillow image of {reference.width} x {reference.height} pixels"
        _check_size(name, reference.size)
        return _to_picture(name, reference)
    if isinstance(reference, bytes):
        name, data = f"picture of {len(reference):,} bytes", reference
    elif isinstance(reference, str | PathLike):
        name = f"picture {_shorten(os.fspath(reference))}"
        data = _read_file(name, os.fspath(reference))
    else:
        raise ImageError(
            f"picture of type {type(reference).__name__}",
            allowed="a picture is a path, the bytes of a file, a Pillow image or a numpy array",
            todo="give one of these",
        )
    return _decode(name, data)


def check_image(data: bytes) -> None:
    """Raise what `open_image` would raise for the bytes of a file, as far as its head says: format, sides and caps.

    No pixel is decoded, so that this takes a moment however large the picture is.

    Raises:
        ImageError: it is no picture, of another format, past a cap, or its head is damaged.
    """
    _open_head(f"picture of {len(data):,} bytes", data)


def fingerprint(picture: Picture) -> str:
    """The SHA-256 of a picture's size and pixels: the same however its file is packed."""
    return hashlib.sha256(str(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def _from_array(array: np.ndarray) -> Picture:
    name = f"array of shape {array.shape} and type {array.dtype}"
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        raise ImageError(
            name,
            allowed="a picture is uint8 of shape (height, width), (height, width, 3) or (height, width, 4)",
            todo="put the channels last and scale the values to 0..255",
        )
    _check_size(name, (array.shape[1], array.shape[0]))
    return np.ascontiguousarray(array) if array.shape[2:] == (3,) else _to_picture(name, Image.fromarray(array))


def _read_file(name: str, path: str) -> bytes:
    if re.match(r"[a-z][a-z0-9+.-]+:/|data:", path, re.IGNORECASE):
        raise ImageError(
            f"{name} is a URL", allowed="pictures are files, URLs are not opened", todo="download the picture first"
        )
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib would read "" as the current folder
        if not stat.S_ISREG(status.st_mode):
            _refuse(name, "is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file", todo="give a file")
        _check_bytes(name, status.st_size)
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(MAX_BYTES + 1)  # one more than allowed: the file may have grown
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist", allowed=_ALLOWED, todo="mend the path") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte or half a character in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(
            f"{name} can not be read ({reason})", allowed=_ALLOWED, todo="mend the path or its permissions"
        ) from None


def _open_head(name: str, data: bytes) -> ImageFile:
    """The picture in the bytes of a file, not decoded yet, within the caps."""
    _check_bytes(name, len(data))
    decoder = next((decoder for magic, decoder in _DECODERS if magic.match(data)), None)
    if decoder is None:
        kind = next((kind for magic, kind in _FOREIGN if magic.match(data)), "in no known format")
        _refuse(name, f"is {kind}", todo="convert it to JPEG or PNG, or give another file")
    try:
        if decoder is GifImageFile:
            _check_size(name, _gif_size(data))
        image = decoder(BytesIO(data))
        _check_size(name, image.size)
    except ImageError:
        raise
    except Exception as error:  # decoders meet damage with errors of many types
        _refuse_damage(name, error)
    return image


def _decode(name: str, data: bytes) -> Picture:
    """The picture in the bytes of a file."""
    image = _open_head(name, data)
    try:
        if isinstance(image, PngImageFile):
            PngImageFile(BytesIO(data)).verify()  # the checksums, which decoding skips
        image.load()
        if isinstance(image, JpegImageFile) and _ends_early(data, image):
            raise EOFError("the pixels end before the picture does")
    except Exception as error:
        _refuse_damage(name, error)
    return _to_picture(name, image)


def _to_picture(name: str, image: Image.Image) -> Picture:
    """8-bit RGB, upright."""
    if image.mode not in _MODES:
        raise ImageError(
            f"{name} has mode {image.mode!r}",
            allowed=f"a picture has mode {', '.join(_MODES)}",
            todo="scale its values to 0..255 and convert it to RGB",
        )
    try:
        image.load()
        orientation = _orientation(image)
    except Exception as error:  # a Pillow image loads late: it may be damaged or closed
        _refuse_damage(name, error)
    width, height = image.size
    sideways, *_ = _TURNS.get(orientation, _UPRIGHT)
    picture = np.empty((width, height, 3) if sideways else (height, width, 3), np.uint8)
    lying = _lying(picture, orientation)
    try:
        for rows, part in _stretches(image):
            lying[rows] = _rgb(part)
    except Exception as error:
        _refuse_damage(name, error)
    return picture


def _rgb(image: Image.Image) -> Picture:
    """8-bit RGB, as it lies in the file; what transparency shows is white."""
    if image.mode.startswith("I;16"):
        image = _grey_of_16_bits(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))  # it copies even where nothing changes


def _stretches(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The rows of an image in stretches: what is made of one is small beside the image, however large that is."""
    width, height = image.size
    step = max(1, _PIXELS_AT_ONCE // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        yield slice(top, bottom), image if step >= height else image.crop((0, top, width, bottom))


def _lying(picture: Picture, orientation: int | None) -> Picture:
    """The pixels of an upright picture as they lie in a file of this EXIF orientation: a view."""
    sideways, down, right = _TURNS.get(orientation, _UPRIGHT)
    return (picture.transpose(1, 0, 2) if sideways else picture)[::down, ::right]


def _orientation(image: Image.Image) -> int | None:
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:  # unreadable metadata says nothing; the pixels are whole
        return None
    return value if isinstance(value, int) else None


def _grey_of_16_bits(image: Image.Image) -> Image.Image:
    """Grey with the high bytes; Pillow itself clips at 255."""
    samples = np.asarray(image)
    grey = (samples >> 8).astype(np.uint8)
    grey[samples == image.info.get("transparency", -1)] = 255
    return Image.fromarray(grey)


def _gif_size(data: bytes) -> tuple[int, int]:
    """Width and height that hold both the screen and the first frame of a GIF, from its blocks (GIF89a, 17-20).

    Pillow widens the screen to the frame while it opens the file, and warns on its own if that makes it large.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[position] == 0x21:  # an extension: its label, then sub-blocks up to an empty one
        position += 2
        while data[position]:
            position += 1 + data[position]
        position += 1
    if data[position] != 0x2C:
        raise EOFError("it has no frame")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
    return max(width, left + frame_width), max(height, top + frame_height)


def _ends_early(data: bytes, image: Image.Image) -> bool:
    """Whether a JPEG's pixel data ran out before its last pixel, which libjpeg paints over in mid grey.

    A picture may truly end in mid grey. So more data is slipped in at the end of the scan: a decoder that has had
    enough takes no notice of it, one that ran out makes pixels of it.
    """
    width, height = image.size
    last = np.asarray(image.crop((width - 1, height - 1, width, height)))
    if (abs(last.astype(int) - 128) > 1).any():
        return False
    position = 2
    while data[position + 1] != 0xDA:  # segments, and fill bytes between them, up to the start of the scan
        fill = data[position + 1] == 0xFF
        position += 1 if fill else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    end = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]").search(data, position + 2)
    if end is None:
        return True
    more = JpegImageFile(BytesIO(data[: end.start()] + bytes(range(255)) * 16 + data[end.start() :]))
    more.load()
    pairs = zip(_stretches(more), _stretches(image), strict=True)
    return any(one.tobytes() != other.tobytes() for (_, one), (_, other) in pairs)


def _check_bytes(name: str, size: int) -> None:
    if size == 0:
        _refuse(name, "is empty", todo="fetch or export it again")
    if size > MAX_BYTES:
        raise ImageError(
            f"{name} is a file of {size:,} bytes",
            allowed=f"pictures have at most {MAX_BYTES:,} bytes",
            todo="scale it down or compress it more",
        )


def _check_size(name: str, size: tuple[int, int]) -> None:
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(
            f"{name} is {width:,} pixels wide and {height:,} high",
            allowed=f"pictures have 1 to {MAX_PIXELS:,} pixels",
            todo="scale it down" if width * height else "give a picture with pixels",
        )


def _refuse(name: str, what: str, *, todo: str) -> NoReturn:
    raise ImageError(f"{name} {what}", allowed=_ALLOWED, todo=todo)


def _refuse_damage(name: str, error: Exception) -> NoReturn:
    raise ImageError(
        f"{name} is damaged or cut off ({str(error) or type(error).__name__})",
        allowed="a picture is read whole or not at all",
        todo="fetch or export it again",
    ) from error


def _shorten(path: str) -> str:
    return repr(path if len(path) <= 120 else f"{path[:40]}...{path[-77:]}")
