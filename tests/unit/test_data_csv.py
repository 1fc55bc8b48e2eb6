"""Posts in CSV: each record is a row, each broken one its own error."""

from pathlib import Path

import pytest

from gmner.data import iterate_rows, read, recognise
from gmner.errors import DataError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_become_keys_and_empty_cells_none(tmp_path: Path) -> None:
    path = write(
        tmp_path / "posts.csv",
        '\ufeffid,text,image,likes\r\n7,"Ada, in ""Rome""\nand Bo",a.jpg,3\r\n\r\n,Cy,,\r\n',
    )
    assert recognise(path) == "csv"
    first, second = read(path)
    assert (first.id, first.text, first.image) == ("7", 'Ada, in "Rome"\nand Bo', str(tmp_path / "a.jpg"))
    assert first.extra == {"likes": "3"}
    assert (second.id, second.text, second.image, second.extra) == ("row-5", "Cy", None, {})


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"2,b,c,d", r"posts\.csv:3: 4 cells under 2 columns"),
        (b"2", "1 cells"),
        (b'2,"b" c', "not CSV"),
        (b"2,caf\xe9", "a byte that is not UTF-8"),
        (b"2," + b"x" * 200_000, "field larger than field limit"),
        (b"1,again", "the id '1' for the second time"),
    ],
)
def test_a_broken_record_costs_itself_only(tmp_path: Path, record: bytes, words: str) -> None:
    path = write(tmp_path / "posts.csv", b"id,text\n1,a\n" + record + b"\n3,c\n")
    first, (number, error), last = iterate_rows(path)
    assert isinstance(error, DataError) and number == 3
    with pytest.raises(DataError, match=words):
        raise error
    assert (first, last) == ((2, {"id": "1", "text": "a"}), (4, {"id": "3", "text": "c"}))


@pytest.mark.parametrize("header", ["", "id,words", "text,text", "text,", '"text'])
def test_the_first_line_names_the_columns(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"posts\.csv:1: "):
        read(write(tmp_path / "posts.csv", header + "\nAda,Bo\n" if header else ""))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(iterate_rows(tmp_path / "posts.csv"))
