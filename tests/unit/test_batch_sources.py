"""Whatever holds posts goes through one engine; whatever is wrong with a post, and however its picture is odd."""

import json
import struct
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.killing import Capitals
from typer.testing import CliRunner

from gmner.batch.files import predict_file
from gmner.batch.source import Source
from gmner.cli.main import app
from gmner.data import read_predictions, write
from gmner.errors import ConfigError, DataError
from gmner.image import MAX_BYTES, MAX_PIXELS
from gmner.systems.cascade import Cascade
from gmner.types import Example

ROTATED = 0x0112
opens_pictures = partial(Cascade, "opens pictures", ())


def bomb(path: Path) -> None:
    """A PNG of 30,000 x 30,000 pixels in some hundred bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def odd_rows(folder: Path) -> list[dict[str, Any]]:
    """Posts that are read, though their pictures or texts are odd."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    picture.save(folder / "moving.gif", save_all=True, append_images=[picture.rotate(90)], duration=10)
    exif = Image.Exif()
    exif[ROTATED] = 6
    picture.save(folder / "turned.jpg", exif=exif)
    picture.save(folder / "a-png.jpg", format="PNG")
    pictures = ("cmyk.jpg", "deep.png", "moving.gif", "turned.jpg", "a-png.jpg")
    return [
        *({"id": name, "text": f"Ada in {name}", "image": name} for name in pictures),
        {"id": "long", "text": "x" * 100_000},
        {"id": "emoji", "text": "\U0001f389 \u202eAda\u202c"},
    ]


def bad_rows(folder: Path) -> dict[str, str | bytes]:
    """Rows that can not be processed, as their lines, each with a word of its error."""
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "zero.jpg").write_bytes(b"\0" * 1000)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture", encoding="utf-8")
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    bomb(folder / "bomb.png")
    pictures = {
        "cut.jpg": "damaged",
        "zero.jpg": "no known format",
        "empty.jpg": "is empty",
        "text.jpg": "is text",
        "drawing.svg": "SVG",
        "bomb.png": "30,000 pixels",
        "gone.jpg": "does not exist",
        "http://x/a.jpg": "URL",
    }
    return {
        **{word: json.dumps({"id": name, "text": "Ada", "image": name}) for name, word in pictures.items()},
        "lone surrogate": r'{"id": "half", "text": "Ada \ud83d"}',
        "not JSON": '{"id": "broken", "text": "Ada',
        "not UTF-8": b'{"id": "bytes", "text": "\xff"}',
        "'nothing' is empty": '{"id": "nothing", "text": " "}',
        "second time": '{"id": "twice", "text": "Ada", "text": "Bo"}',
        "`text` is 7": '{"id": "seven", "text": 7}',
        "null byte": json.dumps({"id": "null", "text": "Ada", "image": "no\0folder/a.jpg"}),
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_one_bad_row_in_a_hundred(tmp_path: Path, processes: int) -> None:
    Image.fromarray(np.full((40, 60, 3), 99, np.uint8)).save(tmp_path / "good.png")
    good = [{"id": f"g{n}", "text": f"Ada {n}", "image": "good.png", "likes": n} for n in range(1400)]
    clean = [json.dumps(row).encode() for row in (*odd_rows(tmp_path), *good)]
    mixed = list(clean)
    bad = bad_rows(tmp_path)
    for place, line in zip(range(90, 1400, 90), bad.values(), strict=False):
        mixed.insert(place, line if isinstance(line, bytes) else line.encode())
    for name, lines in (("clean", clean), ("mixed", mixed)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        predict_file(opens_pictures, Source(tmp_path / f"{name}.jsonl"), tmp_path / "out" / name, processes=processes)
    assert (tmp_path / "out" / "mixed").read_bytes() == (tmp_path / "out" / "clean").read_bytes()
    assert not (tmp_path / "out" / "clean.errors.jsonl").exists()
    errors = [json.loads(line) for line in (tmp_path / "out" / "mixed.errors.jsonl").read_bytes().splitlines()]
    assert [error["line"] for error in errors] == list(range(91, 1400, 90))[: len(bad)]
    for error, word in zip(errors, bad, strict=True):
        assert word in error["error"]
    sizes = {post.id: post.image_size for post in read_predictions(tmp_path / "out" / "mixed")[:7]}
    assert sizes["turned.jpg"] == (40, 60) and sizes["cmyk.jpg"] == (60, 40) and sizes["long"] is None


_PEAKS = """
import sys
from pathlib import Path
from gmner.batch.files import predict_file
from gmner.batch.source import Source
from gmner.systems.cascade import Cascade
for source in map(Path, sys.argv[1:]):
    predict_file(lambda: Cascade("opens pictures", ()), Source(source), source.with_suffix(".out"), progress=False)
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    print(1024 * int(line.split()[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux says how much memory a process had at most")
def test_memory_is_bounded_whatever_the_rows_are(tmp_path: Path) -> None:
    """Bad rows take less than a file as large as the cap; the largest legal picture less than twice itself."""
    odd = [json.dumps(row).encode() for row in odd_rows(tmp_path)]
    bad = [line if isinstance(line, bytes) else line.encode() for line in bad_rows(tmp_path).values()]
    Image.new("RGB", (8_900, 10_000)).save(tmp_path / "largest.png")
    largest = json.dumps({"id": "largest", "text": "Ada", "image": "largest.png"}).encode()
    runs = {"clean": odd, "mixed": odd + bad, "large": [*odd, largest, *bad]}
    files = [tmp_path / f"{name}.jsonl" for name in runs]
    for file, lines in zip(files, runs.values(), strict=True):
        file.write_bytes(b"\n".join(lines) + b"\n")
    told = subprocess.run([sys.executable, "-c", _PEAKS, *map(str, files)], check=True, capture_output=True).stdout
    clean, mixed, large = map(int, told.split())
    assert mixed < clean + MAX_BYTES
    assert clean + 3 * MAX_PIXELS < large < clean + 2 * 4 * MAX_PIXELS  # Pillow holds a pixel in four bytes
    assert len(read_predictions(tmp_path / "large.out")) == len(odd) + 1


def test_the_same_posts_give_the_same_from_every_format(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, text in (("a", "Ada in Rome"), ("b", "Bo"), ("c", "SHOUT")):
        Image.new("RGB", (4, 4)).save(pictures / f"{name}.jpg")
        (pictures / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    posts = [
        Example(id=path.stem, text=path.read_text(encoding="utf-8").strip(), image=path.with_suffix(".jpg"))
        for path in sorted(pictures.glob("*.txt"))
    ]
    write(tmp_path / "posts.jsonl", posts)
    write(tmp_path / "posts.parquet", posts)
    rows = (f"{post.id},{post.text},pictures/{post.id}.jpg\n" for post in posts)
    (tmp_path / "posts.csv").write_text("id,text,image\n" + "".join(rows), encoding="utf-8")
    found = set()
    for source in (pictures, tmp_path / "posts.jsonl", tmp_path / "posts.parquet", tmp_path / "posts.csv"):
        predict_file(Capitals, Source(source), tmp_path / "out.jsonl")
        predict_file(Capitals, Source(source), tmp_path / "out.parquet")
        assert read_predictions(tmp_path / "out.parquet") == read_predictions(tmp_path / "out.jsonl")
        error = json.loads((tmp_path / "out.errors.jsonl").read_bytes())
        assert error["row"]["image"] == "pictures/c.jpg" and error["id"] == "c"
        found.add((tmp_path / "out.jsonl").read_bytes())
        assert Source(source).count() == 3
    [output] = found
    for ending in ("csv", "parquet"):
        (tmp_path / f"posts.{ending}").rename(tmp_path / f"POSTS.{ending.upper()}")
        predict_file(Capitals, Source(tmp_path / f"POSTS.{ending.upper()}"), tmp_path / "out.PARQUET")
        assert len(read_predictions(tmp_path / "out.PARQUET")) == 2
    assert [json.loads(line)["schema"] for line in output.splitlines()] == [1, 1]


def test_an_output_does_not_lie_among_the_posts(tmp_path: Path) -> None:
    """Of a folder of pictures it would be read as a post, and of a folder with a file for each split as one of them."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("Ada", encoding="utf-8")
    for target in (tmp_path / "out.jsonl", tmp_path / "out" / "out.jsonl"):
        with pytest.raises(DataError, match="lie in, what is read"):
            predict_file(Capitals, Source(tmp_path), target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.txt"]
    split = tmp_path / "rows" / "test.jsonl"
    split.parent.mkdir()
    write(split, [Example(text="Ada")])
    before = split.read_bytes()
    for command in (
        ["predict", "--input", split.parent, "--output", split],
        ["data", "convert", split.parent, split],
        ["data", "ve", split.parent, split.parent],
        ["data", "augment", split, "--output", split],
    ):
        result = CliRunner().invoke(app, list(map(str, command)))
        assert isinstance(result.exception, DataError) and "what is read" in str(result.exception)
    assert split.read_bytes() == before


def test_data_sets_have_splits_and_pictures_apart(tmp_path: Path) -> None:
    folder = tmp_path / "tagged"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.txt").write_text(f"IMGID:{split}\nAda\tB-PER\nran\tO\n\n", encoding="utf-8")
    (tmp_path / "images").mkdir()
    for split, ids in ((None, ["train", "test"]), ("test", ["test"])):
        predict_file(Capitals, Source(folder, split, tmp_path / "images"), tmp_path / "out" / "a.jsonl")
        posts = read_predictions(tmp_path / "out" / "a.jsonl")
        assert [post.id for post in posts] == ids
        assert Path(str(posts[-1].example.image)).resolve() == tmp_path / "images" / "test.jpg"
    (tmp_path / "posts.jsonl").write_text('{"text": "Ada"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="leave --split and --images out"):
        predict_file(Capitals, Source(tmp_path / "posts.jsonl", "test"), tmp_path / "out" / "b.jsonl")
    with pytest.raises(DataError, match="No such file"):
        predict_file(Capitals, Source(tmp_path / "gone.jsonl"), tmp_path / "out" / "b.jsonl")


def test_the_command_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmner.systems.load_part", lambda *_: Capitals())

    def run(text: str, *options: str) -> tuple[int, str]:
        (tmp_path / "posts.jsonl").write_text(text, encoding="utf-8")
        files = ["--input", str(tmp_path / "posts.jsonl"), "--output", str(tmp_path / "out.jsonl")]
        result = CliRunner().invoke(app, ["predict", *files, "--processes", "1", *options])
        return result.exit_code, result.stderr

    assert run('{"text": "Ada"}\n') == (0, "1 post with 1 entity, 0 errors\n")
    code, told = run('{"text": "Ada"}\n{\n')
    assert code == 3 and "1 post with 1 entity, 1 error (kept in" in told
    assert run("{\n", "--restart")[0] == 1
    assert run("")[0] == 0
