import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from gmner import checkpoint
from gmner.errors import CheckpointError


@dataclass(frozen=True)
class Settings:
    width: int = 2


def test_a_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3).t(), "b": torch.tensor(1, dtype=torch.int8)}
    checkpoint.save(tmp_path / "m", Settings(5), tensors)
    config, loaded = checkpoint.load(tmp_path / "m", Settings)
    assert config == Settings(5)
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.toml", "model.safetensors"]


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config.toml"):
        checkpoint.load(tmp_path, Settings)


def test_a_pytorch_file_is_read_weights_only(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "good.pt")
    assert torch.equal(checkpoint.read_tensors(tmp_path / "good.pt")["a"], torch.ones(2))


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path(marker),))


marker = ""


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_harmful_pickle_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "marker", str(tmp_path / "ran"))
    torch.save({"a": Harmful()}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("bad.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match="can not be read as weights"):
            checkpoint.read_tensors(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "bad.pt", weights_only=False)
    assert (tmp_path / "ran").exists()  # it would have run


@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>404</html>", b"\x80\x02}q\x00X"])
def test_something_else_saved_as_weights(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="download the file again"):
        checkpoint.read_tensors(tmp_path / name)


@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
def test_a_truncated_file(tmp_path: Path, name: str) -> None:
    checkpoint.save(tmp_path, Settings(), {"a": torch.ones(1000)})
    torch.save({"a": torch.ones(1000)}, tmp_path / "model.pt")
    whole = (tmp_path / name.replace("m.", "model.")).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError):
        checkpoint.read_tensors(tmp_path / name)


def test_names_that_differ_are_named() -> None:
    checkpoint.compare_names(["a", "b"], ["b", "a"], "m")
    with pytest.raises(CheckpointError, match=r"lacks b \(1\) and also holds c \(1\)"):
        checkpoint.compare_names(["a", "c"], ["a", "b"], "m")


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, Settings(1), {"a": torch.zeros(1)})

    @dataclass(frozen=True)
    class Unwritable:
        width: complex = 1j

    with pytest.raises(TypeError):
        checkpoint.save(tmp_path, Unwritable(), {})
    config, _ = checkpoint.load(tmp_path, Settings)
    assert config == Settings(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "model.safetensors"]
