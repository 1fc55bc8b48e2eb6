import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

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


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="this system does not tell what is mapped")
def test_a_pytorch_file_is_mapped_and_an_old_one_read(tmp_path: Path) -> None:
    for name, new in (("new.pt", True), ("old.pt", False)):
        torch.save({"a": torch.ones(5)}, tmp_path / name, _use_new_zipfile_serialization=new)
        tensors = checkpoint.read_tensors(tmp_path / name)
        assert torch.equal(tensors["a"], torch.ones(5))
        assert (str(tmp_path / name) in Path("/proc/self/maps").read_text()) == new


@pytest.mark.parametrize("assign", [False, True])
def test_a_model_keeps_its_precision_whatever_the_file_has(assign: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    given = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in given.items()}
    checkpoint.fill(model, halves, "m", assign=assign)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == given[name].dtype
        assert torch.equal(tensor, halves[name].to(tensor.dtype))


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
