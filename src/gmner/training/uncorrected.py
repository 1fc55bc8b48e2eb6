"""AdamW without bias correction, and the linear schedule that goes with it (specs/mqspn.md, section 8)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class UncorrectedAdamW(Optimizer):
    """Adam whose moments are not corrected for beginning at 0, and whose weight decay comes after the step.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr m / (sqrt(v) + eps);  p -= lr decay p

    Early steps are larger than those of `torch.optim.AdamW`, about 3.2 times at first and 6.5 times at the tenth.
    A parameter without gradient stays as it is, undecayed.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 2e-5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                mean, square = state["mean"], state["square"]
                mean.lerp_(parameter.grad, 1 - first)
                square.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
                parameter.addcdiv_(mean, square.sqrt().add_(group["eps"]), value=-group["lr"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
        return loss


def delayed(step: int, *, steps: int, warmup: float) -> float:
    """The factor of the learning rate of a `step` out of `steps`, the first of which has none.

    It rises linearly over the first `warmup` x `steps`, which need not be whole, and falls linearly to 0.

    >>> [delayed(step, steps=4, warmup=0.5) for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    rising = warmup * steps
    return step / rising if step < rising else (steps - step) / max(steps - rising, 1)
