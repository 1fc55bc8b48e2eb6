"""Networks whose weights come from a file: built as shapes, with no memory and no numbers of their own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@contextmanager
def unfilled() -> Iterator[None]:
    """A block in which networks are built as shapes, to be filled with `load_state_dict(tensors, assign=True)`.

    PyTorch's meta device alone draws normal weights all the same, for which it imports 800 modules: a second of
    processor time and 70 MB (torch 2.13).
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Normal weights are not drawn."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.normal_:
            return args[0]
        if func is nn.init.normal_:
            return kwargs["tensor"]
        return func(*args, **kwargs)
