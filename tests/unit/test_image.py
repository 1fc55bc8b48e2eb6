"""Every kind of picture file that people have, made here pixel by pixel, and every way to spoil one."""

import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngInfo

from gmner.errors import ImageError
from gmner.image import MAX_BYTES, MAX_PIXELS, open_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def corners() -> Image.Image:
    """48 x 32: red, green, blue and black quarters, wide enough to survive JPEG."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24] = RED, GREEN, BLUE
    return Image.fromarray(pixels)


def noise(height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, before: bytes = b"") -> bytes:
    """A PNG file written by hand; `colour` is 0 grey, 2 RGB, 4 grey and alpha."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + before + body


def gif(canvas: tuple[int, int], frame: tuple[int, int, int, int], *, before: bytes = b"") -> bytes:
    """A GIF file up to its first frame, which has no pixels."""
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes([*RED, *GREEN])
    return head + before + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x00;"


def refusal(reference: object) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(reference)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(saved(corners(), kind))
    for reference in (path, str(path), path.read_bytes()):
        picture = open_image(reference)
        assert picture.dtype == np.uint8 and picture.shape == (32, 48, 3) and picture.flags.writeable
        for (row, column), colour in {(4, 4): RED, (4, 40): GREEN, (28, 4): BLUE, (28, 40): BLACK}.items():
            assert np.abs(picture[row, column].astype(int) - colour).max() <= 12


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_files_give_their_pixels(kind: str) -> None:
    assert np.array_equal(open_image(saved(Image.fromarray(noise()), kind)), noise())
    assert np.array_equal(open_image(saved(Image.fromarray(noise()), "WEBP", lossless=True)), noise())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (20_000, 1), (3, 2)])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
def test_any_size(kind: str, width: int, height: int) -> None:
    picture = open_image(saved(Image.new("RGB", (width, height), WHITE), kind))
    assert picture.shape == (height, width, 3) and (picture == 255).all()


# Where row 0 and column 0 of the stored picture are seen (TIFF 6.0, tag 274), as the move that shows it upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    turned = open_image(saved(corners(), kind, exif=exif, **options))
    stored = open_image(saved(corners(), kind, **options))
    assert np.array_equal(turned, UPRIGHT[orientation](stored))
    late = Image.open(BytesIO(saved(corners(), kind, exif=exif, **options)))
    assert np.array_equal(open_image(late), turned)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(open_image(saved(corners(), "PNG", exif=exif)), np.asarray(corners()))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"", b"Exif\0\0II*\0"])
def test_unreadable_metadata_does_not_spoil_whole_pixels(exif: bytes) -> None:
    assert np.array_equal(open_image(saved(corners(), "PNG", exif=exif)), np.asarray(corners()))


def test_grey() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.repeat(ramp[..., None], 3, axis=2)
    for kind in ("PNG", "BMP", "GIF"):
        assert np.array_equal(open_image(saved(Image.fromarray(ramp), kind)), expected)
    assert np.abs(open_image(saved(Image.fromarray(ramp), "JPEG", quality=100)).astype(int) - expected).max() <= 2


def test_one_bit() -> None:
    bits = np.eye(9, dtype=bool)
    for kind in ("PNG", "BMP"):
        picture = open_image(saved(Image.fromarray(bits), kind))
        assert np.array_equal(picture, np.repeat(bits[..., None] * np.uint8(255), 3, axis=2))


def test_16_bit_grey_keeps_its_high_byte() -> None:
    samples = np.array([[0, 255, 256, 0x1234, 0x7FFF, 0x8000, 0xFF00, 0xFFFF]], np.uint16)
    expected = np.repeat((samples >> 8).astype(np.uint8)[..., None], 3, axis=2)
    assert np.array_equal(open_image(saved(Image.fromarray(samples), "PNG")), expected)
    assert np.array_equal(open_image(Image.fromarray(samples)), expected)
    assert np.array_equal(open_image(Image.fromarray(samples.astype(">u2"))), expected)


def test_16_bit_grey_with_a_transparent_value() -> None:
    samples = np.array([[1000, 1001, 40_000]], np.uint16)
    picture = open_image(saved(Image.fromarray(samples), "PNG", transparency=1000))
    assert picture[0, :, 0].tolist() == [255, 3, 156]


def test_16_bit_colour_and_grey_with_alpha_keep_their_high_byte() -> None:
    colour = png(2, 1, b"\0" + struct.pack(">6H", 0x1234, 0xFFFF, 0x80FF, 0, 255, 256), depth=16)
    assert open_image(colour).tolist() == [[[0x12, 0xFF, 0x80], [0, 0, 1]]]
    grey = png(2, 1, b"\0" + struct.pack(">4H", 0x1234, 0xFFFF, 0x80FF, 0), depth=16, colour=4)
    assert open_image(grey).tolist() == [[[0x12] * 3, [255] * 3]]


def test_cmyk_as_printers_and_as_adobe_write_it() -> None:
    inks = {
        RED: (0, 255, 255, 0),
        GREEN: (255, 0, 255, 0),
        BLUE: (255, 255, 0, 0),
        WHITE: (0,) * 4,
        BLACK: (0, 0, 0, 255),
    }
    for colour, ink in inks.items():
        image = Image.new("CMYK", (32, 32), ink)
        file = saved(image, "JPEG", quality=100)  # Pillow writes the samples inverted, with Adobe's mark
        assert b"Adobe" in file
        for reference in (image, file):
            assert np.abs(open_image(reference).astype(int) - colour).max() <= 3


def test_transparency_lies_on_white() -> None:
    rgba = np.array([[(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128), (0, 0, 255, 51)]], np.uint8)
    expected = [[RED, WHITE, (127, 127, 127), (204, 204, 255)]]
    image = Image.fromarray(rgba)
    for reference in (rgba, image, saved(image, "PNG"), saved(image, "WEBP", lossless=True, exact=True)):
        assert open_image(reference).tolist() == [[list(pixel) for pixel in expected[0]]]


def test_grey_with_alpha() -> None:
    image = Image.fromarray(np.array([[(0, 255), (0, 0), (100, 255), (0, 51)]], np.uint8), "LA")
    for reference in (image, saved(image, "PNG")):
        assert open_image(reference)[0, :, 0].tolist() == [0, 255, 100, 204]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 51])])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([*RED, *GREEN, *BLUE])
    third = BLUE if isinstance(transparency, int) else (204, 204, 255)
    file = saved(image, "PNG", transparency=transparency)
    assert open_image(file).tolist() == [[list(RED), list(WHITE), list(third)]]


def test_one_transparent_colour() -> None:
    pixels = np.array([[RED, GREEN, BLUE]], np.uint8)
    file = saved(Image.fromarray(pixels), "PNG", transparency=GREEN)
    assert open_image(file).tolist() == [[list(RED), list(WHITE), list(BLUE)]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (RED, GREEN, BLUE)]
    file = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert getattr(Image.open(BytesIO(file)), "n_frames", 1) == 3
    picture = open_image(file)
    assert picture.shape == (10, 20, 3) and np.abs(picture.astype(int) - RED).max() <= 6


def test_gif_with_a_transparent_colour_lies_on_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([*RED, *GREEN])
    assert open_image(saved(image, "GIF", transparency=1)).tolist() == [[list(RED), list(WHITE)]]


def test_a_bmp_from_top_to_bottom() -> None:
    header = (
        b"BM" + struct.pack("<IHHI", 62, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, -2, 1, 24, 0, 8, 0, 0, 0, 0)
    )
    assert open_image(header + b"\1\2\3\0\4\5\6\0").tolist() == [[[3, 2, 1]], [[6, 5, 4]]]


def test_arrays() -> None:
    rgb = noise()
    assert open_image(rgb) is rgb
    assert np.array_equal(open_image(rgb[..., 0]), np.repeat(rgb[..., :1], 3, axis=2))
    turned = open_image(rgb[::-1, ::-2])
    assert np.array_equal(turned, rgb[::-1, ::-2]) and turned.flags.c_contiguous
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=2)
    assert np.array_equal(open_image(opaque), rgb)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((3, 64, 48), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4), bool),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.array("x.jpg"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    assert str(array.shape) in refusal(array) and "uint8" in refusal(array)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (0, 0, 4)])
def test_no_pixels_are_no_picture(shape: tuple[int, ...]) -> None:
    assert "give a picture with pixels" in refusal(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_pillow_images_of_other_modes_are_refused(mode: str) -> None:
    assert f"mode '{mode}'" in refusal(Image.new(mode, (4, 3)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I;16"])
def test_pillow_images_of_every_read_mode(mode: str) -> None:
    assert open_image(Image.new(mode, (4, 3))).shape == (3, 4, 3)


def test_a_pillow_image_is_left_as_it_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(BytesIO(saved(corners().convert("RGBA"), "PNG", exif=exif)))
    open_image(image)
    assert image.size == (48, 32) and image.mode == "RGBA" and image.getexif()[0x0112] == 6


def test_a_closed_or_damaged_pillow_image_is_refused() -> None:
    closed = Image.open(BytesIO(saved(corners(), "PNG")))
    closed.close()
    assert "48 x 32" in refusal(closed)
    assert "damaged" in refusal(Image.open(BytesIO(saved(Image.fromarray(noise()), "JPEG")[:-100])))


# What is no picture file


def test_paths_that_lead_to_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("caf\u00e9 au lait\n")
    assert "does not exist" in refusal(tmp_path / "missing.jpg") and "missing.jpg" in refusal(tmp_path / "missing.jpg")
    assert "is a folder" in refusal(tmp_path)
    assert "is empty" in refusal(tmp_path / "empty.jpg")
    assert "text.jpg' is text" in refusal(str(tmp_path / "text.jpg"))
    assert "can not be read" in refusal(tmp_path / "text.jpg" / "picture.jpg")
    assert "null byte" in refusal("pic\0ture.jpg")
    assert "can not be read" in refusal("\ud800.jpg")
    assert "does not exist" in refusal("")
    assert "is no regular file" in refusal("/dev/null")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.jpg"
    path.write_bytes(saved(corners(), "JPEG"))
    monkeypatch.setattr("builtins.open", forbidden)  # the tests may run as a user who may read everything
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a.jpg", "HTTP://example.org", "file:///a.jpg", "s3://b/a.png", "data:image/png;base64,AA"],
)
def test_urls_are_not_opened(url: str) -> None:
    assert "is a URL" in refusal(url) and "download" in refusal(url)


@pytest.mark.parametrize("reference", [None, 3, ["a.jpg"], bytearray(b"GIF89a")])
def test_other_types_are_refused(reference: object) -> None:
    assert type(reference).__name__ in refusal(reference)


def test_long_paths_are_shortened() -> None:
    assert len(refusal("x" * 300)) < 350 and len(refusal("x" * 100_000)) < 350


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"II*\0" + bytes(20), "TIFF"),
        (b"MM\0*" + bytes(20), "TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg viewBox='0 0 1 1'/>", "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b"{}", "text"),
        (b"\1\2\3\4", "no known format"),
    ],
)
def test_other_formats_are_named(data: bytes, kind: str) -> None:
    assert kind in refusal(data) and "JPEG" in refusal(data) and f"{len(data)} bytes" in refusal(data)


def test_a_real_tiff_is_refused() -> None:
    assert "TIFF" in refusal(saved(corners(), "TIFF"))


# Caps


def quickly_refused(reference: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = time.perf_counter()
        sentence = refusal(reference)
        assert time.perf_counter() - start < 10  # a bomb that is inflated takes longer, if it ends at all
    return sentence


@pytest.mark.parametrize("side", [9_434, 9_460, 13_000, 30_000, 2_000_000_000])
def test_a_png_bomb_is_refused_from_its_header(side: int) -> None:
    assert f"{side:,} pixels wide" in quickly_refused(png(side, side, b""))


@pytest.mark.parametrize("side", [9_460, 13_400, 65_500])
def test_bombs_of_the_other_formats(side: int) -> None:
    jpeg = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    bmp = bytearray(saved(Image.new("RGB", (16, 16)), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    for reference in (bytes(jpeg), bytes(bmp), gif((side, side), (0, 0, 4, 4)), gif((4, 4), (side - 4, 0, 4, side))):
        assert f"{side:,} pixels wide" in quickly_refused(reference)


def test_a_webp_bomb() -> None:
    webp = bytearray(saved(Image.new("RGBA", (16, 16), (1, 2, 3, 4)), "WEBP", lossless=True, exif=Image.Exif()))
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    body = b"WEBP" + extended + bytes(webp[webp.index(b"VP8L") :])
    quickly_refused(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_a_gif_hides_no_bomb_behind_extensions() -> None:
    comment = b"\x21\xfe\x05hello\x03you\x00"
    assert "60,000" in quickly_refused(gif((4, 4), (0, 0, 60_000, 60_000), before=comment))
    assert "damaged" in quickly_refused(gif((4, 4), (0, 0, 60_000, 60_000), before=b"\x07"))


def test_the_largest_picture_is_allowed_and_one_row_more_is_not() -> None:
    height, width = MAX_PIXELS // 10_000, 10_000
    assert open_image(np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))).shape == (height, width, 3)
    assert "scale it down" in refusal(np.broadcast_to(np.zeros(3, np.uint8), (height + 1, width, 3)))
    assert "scale it down" in refusal(Image.new("1", (width, height + 1)))


def header_only(kind: str) -> bytes:
    """A file of 30,000 x 30,000 pixels, as far as its header."""
    if kind == "PNG":
        return png(30_000, 30_000, b"")
    if kind == "GIF":
        return gif((30_000, 30_000), (0, 0, 4, 4))
    file = bytearray(saved(Image.new("RGB", (16, 16)), kind))
    if kind == "JPEG":
        frame = file.index(b"\xff\xc0")
        file[frame + 5 : frame + 9] = struct.pack(">HH", 30_000, 30_000)
    else:
        file[18:26] = struct.pack("<ii", 30_000, 30_000)
    return bytes(file)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "BMP"])
def test_pictures_past_a_cap_never_reach_a_decoder(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    whole, large = saved(corners(), kind), header_only(kind)
    for owner in (Image.Image, ImageFile, JpegImageFile, GifImageFile):
        monkeypatch.setattr(owner, "load", decode)
    assert "30,000 pixels wide" in refusal(large)
    assert "a pixel was decoded" in refusal(whole)  # this would tell
    monkeypatch.setattr("gmner.image._DECODERS", ())
    assert "20,971,521 bytes" in refusal(whole + bytes(MAX_BYTES + 1 - len(whole)))  # not even the header is read


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I;16"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("at_once", [1, 57, 300])
def test_in_stretches_a_picture_is_the_same(
    mode: str, orientation: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode == "I;16":
        image = Image.fromarray(noise()[..., 0].astype(np.uint16) * 257)
    elif mode in ("HSV", "PA"):
        image = Image.fromarray(noise()).convert("P" if mode == "PA" else "RGB").convert(mode)
    else:
        image = Image.fromarray(np.dstack([noise(), noise()[..., 0]])).convert(mode)
    image.getexif()[0x0112] = orientation
    if mode in ("P", "L", "RGB"):
        image.info["transparency"] = (1, 2, 3) if mode == "RGB" else 5
    whole = open_image(image)
    monkeypatch.setattr("gmner.image._PIXELS_AT_ONCE", at_once)
    assert np.array_equal(open_image(image), whole)
    if mode == "RGB":
        del image.info["transparency"]
        assert np.array_equal(open_image(image), UPRIGHT[orientation](np.asarray(image)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "turned JPEG", "transparent PNG"])
def test_beside_what_pillow_holds_a_large_picture_takes_its_own_memory_and_little_more(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmner.image._PIXELS_AT_ONCE", 1 << 17)
    size = (1_500, 1_000)
    image = Image.new("RGBA", size, (1, 2, 3, 4)) if kind.startswith("transparent") else Image.new("RGB", size, "navy")
    exif = Image.Exif()
    if kind.startswith("turned"):
        exif[0x0112] = 6
    file = saved(image, kind.split()[-1], **({} if kind == "BMP" else {"exif": exif}))
    del image
    tracemalloc.start()
    try:
        picture = open_image(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (
        peak < picture.nbytes + len(file) + 1_800_000
    )  # Pillow's own array is not counted; one more copy of the picture would be


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse
    assert "1,000,000,000,000 bytes" in quickly_refused(path)
    whole = saved(corners(), "PNG")
    assert "20,971,521 bytes" in refusal(whole + bytes(MAX_BYTES + 1 - len(whole)))
    assert open_image(whole + bytes(MAX_BYTES - len(whole))).shape == (32, 48, 3)


# Damage

FILES = {kind: saved(Image.fromarray(noise()), kind) for kind in FORMATS}
FILES["progressive JPEG"] = saved(Image.fromarray(noise()), "JPEG", progressive=True)
FILES["lossless WebP"] = saved(Image.fromarray(noise()), "WEBP", lossless=True)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_anywhere_is_whole_or_refused(kind: str) -> None:
    whole = open_image(FILES[kind])
    length = len(FILES[kind])
    refused = 0
    for end in sorted({*range(1, 80), *range(80, length, max(1, length // 150)), *range(length - 20, length)}):
        try:
            picture = open_image(FILES[kind][:end])
        except ImageError:
            refused += 1
        else:
            assert np.array_equal(picture, whole), f"{kind} cut at {end} of {length}"
    assert refused > 150


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_gives_a_picture_or_our_error(kind: str, place: int, change: int) -> None:
    data = bytearray(FILES[kind])
    data[place % len(data)] ^= change
    try:
        picture = open_image(bytes(data))
    except ImageError:
        return
    assert picture.dtype == np.uint8 and picture.ndim == 3
    if kind == "PNG":
        assert np.array_equal(picture, noise())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBP", b"GIF89a", b"BM"]), st.binary())
def test_noise_is_refused(magic: bytes, rest: bytes) -> None:
    refusal(magic + rest)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_jpeg_cut_off_and_closed_is_no_half_picture(mode: str, kept: float) -> None:
    file = saved(Image.fromarray(noise()).convert(mode), "JPEG", quality=90)
    cut = file[: int(len(file) * kept)].rstrip(b"\xff") + b"\xff\xd9"
    Image.open(BytesIO(cut)).load()  # Pillow does not mind
    assert "the pixels end before the picture does" in refusal(cut)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_truly_grey_below_is_a_picture(mode: str, progressive: bool) -> None:
    pixels = noise()
    pixels[16:] = 128
    for image in (Image.fromarray(pixels), Image.new("RGB", (30, 30), (128, 128, 128))):
        file = saved(image.convert(mode), "JPEG", quality=100, subsampling=0, progressive=progressive)
        picture = open_image(file)
        assert np.abs(picture[-1, -1].astype(int) - 128).max() <= 1


def test_png_metadata_that_inflates_without_end_is_refused() -> None:
    info = PngInfo()
    info.add_text("comment", "x" * 80_000_000, zip=True)
    assert "damaged" in refusal(saved(corners(), "PNG", pnginfo=info))


def test_nothing_of_pillow_changes_and_threads_agree() -> None:
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    files = [file for file in FILES.values() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(open_image, files))
    assert all(np.array_equal(picture, open_image(file)) for picture, file in zip(together, files, strict=True))
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before
