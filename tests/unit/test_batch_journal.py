"""What an unfinished run leaves on disk, whatever happens to it."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.killing import Capitals, write_posts

from gmner.batch.files import predict_file
from gmner.batch.journal import Journal
from gmner.batch.source import Source
from gmner.errors import DataError

MANIFEST = {"source": "posts.jsonl", "settings": {"people": True}}
TWO = [b'{"row": {"id": "a"}}\n', b'{"error": {"line": 2}}\n']


def begun(path: Path) -> Path:
    """A journal with two rows in a first share and one in a second."""
    with Journal(path, MANIFEST) as journal:
        journal.commit(TWO, 2, "first")
        journal.commit([b'{"row": {"id": "c"}}\n'], 3, "second")
    return path


def test_it_goes_on_from_the_last_whole_share_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = begun(tmp_path / "whole").read_bytes()
    ends = [len(whole), whole.index(b"second") + len(b'second"}\n'), whole.index(b"first") + len(b'first"}\n')]
    assert ends[0] == ends[1]
    for cut in range(len(whole) + 1):
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        with Journal(path, MANIFEST) as journal:
            expected = (3, "second") if cut >= ends[0] else (2, "first") if cut >= ends[2] else (0, "")
            assert (journal.through, journal.digest) == expected
            journal.commit([b'{"row": {"id": "new"}}\n'], 9, "new")
            rows = [row["id"] for row in journal.entries("row")]
        assert rows == {3: ["a", "c", "new"], 2: ["a", "new"], 0: ["new"]}[expected[0]]
        path.unlink()


@pytest.mark.parametrize(
    "rubbish", [b"\0" * 4096, b"\xff\xfe", b'{"through": 9', b'{"row": {"id": "\0\0"}}\n{"through"']
)
def test_rubbish_at_the_end_is_cut_off(tmp_path: Path, rubbish: bytes) -> None:
    path = begun(tmp_path / "journal")
    whole = path.read_bytes()
    path.write_bytes(whole + rubbish)
    with Journal(path, MANIFEST) as journal:
        assert journal.through == 3
    assert path.read_bytes() == whole


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    path = begun(tmp_path / "journal")
    whole = path.read_bytes()
    with pytest.raises(DataError, match=r'with settings {"people": true}, which is now {"people": false}; .*--restart'):
        Journal(path, MANIFEST | {"settings": {"people": False}})
    assert path.read_bytes() == whole
    with Journal(path, MANIFEST | {"settings": {"people": False}}, restart=True) as journal:
        assert journal.through == 0 and list(journal.entries("row")) == []
    assert not path.exists()  # nothing was done


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", MANIFEST) as journal:
        with pytest.raises(DataError, match="another run is writing it"):
            Journal(tmp_path / "journal", MANIFEST, restart=True)
        journal.commit(TWO, 2, "first")
    assert Journal(tmp_path / "journal", MANIFEST).through == 2


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"my": "data"}\n')
    for restart in (False, True):
        with pytest.raises(DataError, match="not the unfinished output"):
            Journal(path, MANIFEST, restart=restart)
    assert path.read_text() == '{"my": "data"}\n'


def predict(folder: Path, **choices: Any) -> None:
    predict_file(Capitals, Source(folder / "posts.jsonl"), folder / "out.jsonl", **choices)


def test_a_full_disk_damages_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes the first of the shares and part of the next."""
    write_posts(tmp_path / "posts.jsonl", 100)
    predict(tmp_path)
    whole = [(tmp_path / f"out{end}.jsonl").read_bytes() for end in ("", ".errors")]
    (tmp_path / "out.jsonl").write_text("old\n")
    room = 9000
    write = os.write

    def short(file: int, data: bytes) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, bytes(data)[:room])
        room -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(DataError, match=r"No space left on device; .*up to row 32.* is kept there; make room"):
            predict(tmp_path)
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert len((tmp_path / "out.jsonl.unfinished").read_bytes()) < 9000
    said: list[str] = []
    predict(tmp_path, say=said.append)
    assert said and "after 32 rows" in said[0]
    assert [(tmp_path / f"out{end}.jsonl").read_bytes() for end in ("", ".errors")] == whole


def test_a_disk_that_is_full_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posts(tmp_path / "posts.jsonl", 10)

    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DataError, match="No space left"):
            predict(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["posts.jsonl"]


def test_a_folder_that_can_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posts(tmp_path / "posts.jsonl", 10)
    opened = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(DataError, match=r"out\.jsonl\.unfinished: Read-only file system; .*check the path"):
            predict(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["posts.jsonl"]


def test_a_run_killed_while_publishing_publishes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posts(tmp_path / "posts.jsonl", 100)
    predict(tmp_path)
    whole = [(tmp_path / f"out{end}.jsonl").read_bytes() for end in ("", ".errors")]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_records", "save_rows", "Journal.remove"):
        with monkeypatch.context() as patch:
            patch.setattr(f"gmner.batch.files.{step}", killed)
            with pytest.raises(KeyboardInterrupt):
                predict(tmp_path)
        assert (tmp_path / "out.jsonl.unfinished").exists()
        calls: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(Capitals, "attempt", lambda _, posts, calls=calls: calls.append(len(posts)))
            predict(tmp_path)
        assert calls == []
        assert [(tmp_path / f"out{end}.jsonl").read_bytes() for end in ("", ".errors")] == whole
        assert not (tmp_path / "out.jsonl.unfinished").exists()


def test_a_source_that_has_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    source, target = tmp_path / "posts.jsonl", tmp_path / "out.jsonl"
    write_posts(source, 100)
    rows = source.read_text(encoding="utf-8")
    predict(tmp_path)
    whole = target.read_bytes()

    def stop(posts: int) -> None:
        system = Capitals()
        attempt, left = system.attempt, [posts // 32]

        def interrupted(examples: Any) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return attempt(examples)

        system.attempt = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            predict_file(lambda: system, Source(source), target)

    stop(64)
    for changed in (rows.replace("Post 3 ", "Post three "), rows[:500]):
        source.write_text(changed, encoding="utf-8")
        with pytest.raises(DataError, match=r"rows up to 64, which are done, are no longer those of the source"):
            predict(tmp_path)
    source.write_text(rows, encoding="utf-8")  # written anew, with the same rows
    predict(tmp_path)
    assert target.read_bytes() == whole
    stop(32)
    source.write_text(rows.replace("Post 3 ", "Post three "), encoding="utf-8")
    predict(tmp_path, restart=True)
    assert b"Post three " in target.read_bytes()
