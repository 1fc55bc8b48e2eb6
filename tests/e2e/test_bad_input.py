"""Bad input ends in one sentence (what was given, what is allowed, what to do) and exit code 2, never a traceback."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.errors import GmnerError

pytestmark = pytest.mark.slow


def sentence(arguments: list[str]) -> str:
    """The one sentence that a command ends in."""
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, GmnerError), result.output
    text = str(result.exception)
    assert text.count("\n") == 0
    assert text.count("; ") >= 2
    return text


def bomb(path: Path) -> Path:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    Image.new("RGB", (400, 300), "navy").save(tmp_path / "good.jpg", quality=95)
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("this is no picture", encoding="utf-8")
    (tmp_path / "empty.jpg").write_bytes(b"")
    bomb(tmp_path / "bomb.png")
    return {path.stem: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "missing"), ("text", "picture"), ("truncated", "trunc"), ("empty", "empty"), ("bomb", "30,?000")],
)
def test_pictures(pictures: dict[str, Path], tmp_path: Path, name: str, words: str) -> None:
    import re

    path = pictures.get(name, tmp_path / "missing.jpg")
    assert re.search(words, sentence(["predict", "--text", "Ada in Rome", "--image", str(path)]))


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text(text: str) -> None:
    assert "empty" in sentence(["predict", "--text", text])


def test_100_000_characters() -> None:
    assert "sub-words" in sentence(["predict", "--text", "Ada in Rome " * 8334])


@pytest.mark.parametrize(
    "text", ["🎉🎉👩‍👩‍👧", "ذهب محمد إلى القاهرة أمس", "שלום מירושלים", "\u202eabc\u202c", "\u200b x"]
)
def test_unusual_texts_are_read(text: str) -> None:
    result = CliRunner().invoke(app, ["predict", "--text", text, "--json"])
    assert result.exit_code == 0, result.exception
    row = json.loads(result.stdout)
    assert row["text"] == text
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in row["entities"])


def test_unknown_system_and_protocol(tmp_path: Path) -> None:
    assert "did you mean 'lite'?" in sentence(["predict", "--text", "Ada", "--system", "light"])
    (tmp_path / "posts.jsonl").write_text('{"id": "1", "text": "Ada", "entities": []}\n', encoding="utf-8")
    files = [f"--{side}={tmp_path / 'posts.jsonl'}" for side in ("gold", "pred")]
    assert "did you mean 'span'?" in sentence(["evaluate", *files, "--protocol", "spam"])


def test_neither_text_nor_file() -> None:
    assert "give one of them" in sentence(["predict"])
    assert "--output" in sentence(["predict", "--input", "posts.jsonl"])


def test_settings_that_a_system_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("colour = 3", encoding="utf-8")
    given = ["predict", "--text", "Ada", "--config", str(tmp_path / "s.toml")]
    assert "colour" in sentence(given)
    (tmp_path / "s.toml").write_text("windows = true", encoding="utf-8")
    result = CliRunner().invoke(app, ["predict", "--text", "Ada in Rome " * 300, "--json", *given[3:]])
    assert result.exit_code == 0, result.exception
    assert "windows" in json.loads(result.stdout)["notes"][-1]


def test_malformed_rows_are_set_aside_with_their_line(pictures: dict[str, Path], tmp_path: Path) -> None:
    rows = [
        json.dumps({"id": "good", "text": "Ada Lovelace in Rome", "image": "good.jpg"}),
        '{"id": "broken", ',
        json.dumps({"id": "empty", "text": ""}),
        json.dumps({"id": "no picture file", "text": "Ada", "image": "nowhere.jpg"}),
        json.dumps({"id": "cut", "text": "Ada", "image": "truncated.jpg"}),
        json.dumps({"id": "also good", "text": "Bob in Oslo"}),
    ]
    (tmp_path / "posts.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    arguments = ["predict", "--input", str(tmp_path / "posts.jsonl"), "--output", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 3, result.exception
    good = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in good if "id" in row] == ["good", "also good"]
    bad = [json.loads(line) for line in (tmp_path / "out.errors.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in bad] == [2, 3, 4, 5]
    assert all(row["error"] for row in bad)


def test_gold_and_predictions_that_do_not_match_up(tmp_path: Path) -> None:
    for name, ids in (("gold", ("1", "2")), ("pred", ("2", "3"))):
        lines = [json.dumps({"id": i, "text": "Ada", "entities": []}) for i in ids]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    files = ["--gold", str(tmp_path / "gold.jsonl"), "--pred", str(tmp_path / "pred.jsonl")]
    assert "'3'" in sentence(["evaluate", *files])
    (tmp_path / "pred.jsonl").write_text('{"id": "1", "text": ', encoding="utf-8")
    assert "pred.jsonl:1" in sentence(["evaluate", *files])
