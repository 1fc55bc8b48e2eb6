"""The processes of a training, and work before it that they divide among them."""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def processes() -> int:
    """How many there are: one, unless `torchrun` has started this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def divided(items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """What `work` makes of every item, in their order. Of several processes each does a part, and all have all."""
    if processes() == 1:
        return list(work(items))
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState(cpu=not torch.accelerator.is_available())
    count = state.num_processes
    parts: list[Sequence[R]] = gather_object([work(items[state.process_index :: count])])
    return [parts[number % count][number // count] for number in range(len(items))]
