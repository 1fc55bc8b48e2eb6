"""A folder of pictures with their texts: each pair is a post, whatever else lies there is told."""

from pathlib import Path

import pytest
from PIL import Image

from gmner.data import iterate_rows, read, recognise
from gmner.data.pictures import read_records
from gmner.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "posts"
    folder.mkdir()
    for name, text in (("b", "Ada in Rome\n"), ("a.1", "  Bo\n\nin Oslo")):
        Image.new("RGB", (4, 4)).save(folder / f"{name}.jpg")
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_picture_and_its_text_are_a_post(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"\0")
    assert recognise(folder) == "pictures"
    assert [(post.id, post.text, post.image) for post in read(folder)] == [
        ("a.1", "Bo\n\nin Oslo", str(folder / "a.1.jpg")),
        ("b", "Ada in Rome", str(folder / "b.jpg")),
    ]


def test_whatever_is_no_pair_is_its_own_error(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("a secret", encoding="utf-8")
    (folder / "lonely.png").write_bytes(b"")
    (folder / "words.txt").write_text("no picture", encoding="utf-8")
    (folder / "within").mkdir()
    for name in ("two.jpg", "two.png", "two.txt", "out.jpg", "huge.jpg", "bytes.jpg"):
        (folder / name).write_bytes(b"")
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "huge.txt").write_text("x" * 1_000_001, encoding="utf-8")
    (folder / "bytes.txt").write_bytes(b"caf\xe9")
    found = list(read_records(folder))
    errors = {row.given for _, row in found if isinstance(row, DataError)}
    assert [number for number, _ in found] == list(range(1, 10))
    assert [row["id"] for _, row in found if isinstance(row, dict)] == ["a.1", "b"]
    assert len(errors) == 7
    for words in ("'lonely.png' is not one picture", "'words.txt' is not", "'two.jpg', 'two.png', 'two.txt' are not"):
        assert any(words in error for error in errors)
    for words in ("'within' is a folder", "'out.txt' is a folder, a link that leads out", "1,000,001 bytes", "0xe9"):
        assert any(words in error for error in errors)
    assert not any("secret" in str(row) for _, row in found if isinstance(row, dict))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(read_records(tmp_path / "gone"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder of no known format"):
        read(tmp_path / "empty")
    assert list(iterate_rows(tmp_path / "empty")) == []
