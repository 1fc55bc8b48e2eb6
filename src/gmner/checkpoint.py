"""A trained model as a folder: `config.toml` (settings and labels), `model.safetensors`, and a card beside them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import is_zipfile

from gmner.config import from_dict, read_values, write_toml
from gmner.errors import CheckpointError, ConfigError, UnknownNameError

if TYPE_CHECKING:
    import torch
    from torch import nn

CONFIG_FILE = "config.toml"
TENSOR_FILE = "model.safetensors"

C = TypeVar("C")


def save(folder: Path, config: object, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write a model's settings and tensors into `folder`, which is made if need be; each file whole or not at all."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with _replacing(folder / CONFIG_FILE) as unfinished:
        write_toml(config, unfinished)
    with _replacing(folder / TENSOR_FILE) as unfinished:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, str(unfinished))
        unfinished.chmod(0o644)  # safetensors makes it private


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends well."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(folder: Path, kind: type[C]) -> "tuple[C, dict[str, torch.Tensor]]":
    """The settings (a dataclass `kind`) and the tensors of a folder that `save` wrote.

    Raises:
        CheckpointError: the folder or a file in it is missing or damaged, or the settings are not those of `kind`.
        ConfigError: the settings are no TOML.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise CheckpointError(
            f"{folder} holds no {CONFIG_FILE}",
            allowed=f"a model is a folder with {CONFIG_FILE} and {TENSOR_FILE}",
            todo="give the folder that training wrote",
        )
    values = read_values(folder / CONFIG_FILE)
    try:
        config = from_dict(kind, values)
    except (ConfigError, UnknownNameError) as error:
        raise CheckpointError(
            f"{folder} holds a model of another kind or version ({error.given})",
            allowed=f"the settings in its {CONFIG_FILE} are those of {kind.__name__}",
            todo="give the folder of such a model",
        ) from None
    return config, read_tensors(folder / TENSOR_FILE)


def read_tensors(path: Path, *, foreign: bool = False) -> "dict[str, torch.Tensor]":
    """The named tensors of a .safetensors file, or of a PyTorch file read weights-only: no code in it ever runs.

    A `foreign` PyTorch file may hold objects of any class beside the tensors (settings, meters), whole dictionaries
    deep: each is read as an empty shell.

    Raises:
        CheckpointError: the file is missing, truncated, or something else (a page saved as a checkpoint, say).
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"there is no file {path}", allowed="weights are a file", todo="check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        with torch.serialization.safe_globals(_shells(path) if foreign else []):
            # Mapped, so that nobody reads what nobody uses, such as an optimiser's state; old files can not be.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except Exception as error:  # the readers raise whatever the damage makes them stumble over
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} can not be read as weights ({reason})",
            allowed="weights are .safetensors, or a PyTorch file that holds tensors and plain values only",
            todo="download the file again or convert it to .safetensors",
        ) from None
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"{path} holds a {type(loaded).__name__}", allowed="weights are named tensors", todo="export a state dict"
        )
    return loaded


def _shells(path: Path) -> list[Any]:
    """A class without code in the place of each that a PyTorch file names and that holds no tensors."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    class Shell:
        def __new__(cls, *values: object, **named: object) -> "Shell":
            return object.__new__(cls)

        def __init__(self, *values: object, **named: object) -> None:
            pass

        def __setstate__(self, state: object) -> None:
            pass

    names = (name.rpartition(".") for name in get_unsafe_globals_in_checkpoint(path))
    return [type(name, (Shell,), {"__module__": module}) for module, _, name in names]


def compare_names(given: Iterable[str], expected: Iterable[str], what: str) -> None:
    """Raise a CheckpointError that names the keys unless `given` and `expected` are the same set of names."""
    missing, alien = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or alien:
        parts = [f"{word} {', '.join(names[:5])}{' ...' if len(names) > 5 else ''} ({len(names)})" for word, names in
                 (("lacks", missing), ("also holds", alien)) if names]  # fmt: skip
        raise CheckpointError(
            f"the checkpoint of {what} {' and '.join(parts)}",
            allowed="a checkpoint holds exactly the model's tensors",
            todo="choose the model that the checkpoint was made for",
        )


def compare_shapes(given: "Mapping[str, torch.Tensor]", expected: "Mapping[str, torch.Tensor]", what: str) -> None:
    """Raise a CheckpointError that names the keys unless tensors of the same names have the same shapes."""
    wrong = [f"{name} {tuple(given[name].shape)} for {tuple(expected[name].shape)}" for name in sorted(expected)
             if given[name].shape != expected[name].shape]  # fmt: skip
    if wrong:
        raise CheckpointError(
            f"the checkpoint of {what} has other shapes: {', '.join(wrong[:5])}"
            f"{' ...' if len(wrong) > 5 else ''} ({len(wrong)})",
            allowed="weights have the sizes that settings and vocabulary say",
            todo="give the settings that the checkpoint was made with",
        )


def fill(model: "nn.Module", tensors: "Mapping[str, torch.Tensor]", what: str, *, assign: bool = False) -> None:
    """Give a model the tensors of `what`, all of its own and no others, in its own precision.

    With `assign` it gets the tensors themselves and not copies, as one that is built of shapes only has to.

    Raises:
        CheckpointError: names or shapes are not those of the model.
    """
    own = model.state_dict()
    compare_names(tensors, own, what)
    compare_shapes(tensors, own, what)
    model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, assign=assign)
