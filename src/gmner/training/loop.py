"""The one training loop: a task says what a batch is, what it costs and how good the model is."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        epochs: passes over the training data.
        batch_size: samples of one forward pass.
        accumulate: forward passes of one step.
        lr: learning rate of the parameters that `lr_groups` does not name.
        lr_groups: learning rates by prefix of the parameter's name; the longest prefix that fits counts.
        weight_decay: AdamW's, for matrices; vectors (biases, norms) have none.
        warmup: share of the steps in which the rate rises from 0; then it falls linearly to 0.
        clip: largest norm of the gradient; 0 does not clip.
        bf16: compute the forward pass in bfloat16 where the processor has it.
        seed: of weights, order and dropout.
    """

    epochs: int = 5
    batch_size: int = 32
    accumulate: int = 1
    lr: float = 1e-4
    lr_groups: dict[str, float] = field(default_factory=dict)
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    bf16: bool = False
    seed: int = 42


class Task(Protocol):
    """What is trained: batches, their loss, and the score on the development data."""

    model: nn.Module

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Sequence[Any]:
        """One epoch's batches in their order."""

    def loss(self, batch: Any) -> Tensor:
        """The mean loss of a batch."""

    def evaluate(self) -> dict[str, float]:
        """Scores on the development data; the first one chooses the best epoch."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave."""

    number: int
    loss: float
    seconds: float
    scores: dict[str, float]


def train(task: Task, config: TrainingConfig) -> list[Epoch]:
    """Train `task.model` and leave it with the weights of the epoch that scored best (the earlier one of equals)."""
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.AdamW(parameter_groups(task.model, config))
    history: list[Epoch] = []
    best: dict[str, Tensor] = {}
    schedule: torch.optim.lr_scheduler.LambdaLR | None = None
    for number in range(1, config.epochs + 1):
        batches = task.batches(config, generator)
        if schedule is None:
            steps = -(-len(batches) // config.accumulate) * config.epochs
            schedule = linear_schedule(optimiser, steps, config.warmup)
        started = time.monotonic()
        task.model.train()
        total = sum(_steps(task, batches, optimiser, schedule, config, f"epoch {number}/{config.epochs}"))
        task.model.eval()
        epoch = Epoch(number, total / max(len(batches), 1), time.monotonic() - started, task.evaluate())
        logger.info("epoch %d: loss %.4f in %.0f s, %s", number, epoch.loss, epoch.seconds, epoch.scores)
        if not history or _key(epoch) > max(_key(before) for before in history):
            best = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
        history.append(epoch)
    if best:
        task.model.load_state_dict(best)
    return history


def _steps(
    task: Task,
    batches: Sequence[Any],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    config: TrainingConfig,
    label: str,
) -> Iterable[float]:
    """Take one epoch's steps and give the loss of every batch."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        for index, batch in enumerate(progress.track(batches, description=label)):
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
                loss = task.loss(batch)
            (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
            yield float(loss.detach())
            if (index + 1) % config.accumulate and index + 1 < len(batches):
                continue
            if config.clip:
                nn.utils.clip_grad_norm_(parameters, config.clip)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()


def parameter_groups(model: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The trainable parameters, by learning rate and weight decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        prefixes = [prefix for prefix in config.lr_groups if name.startswith(prefix)]
        lr = config.lr_groups[max(prefixes, key=len)] if prefixes else config.lr
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, decay), []).append(parameter)
    return [{"params": found, "lr": lr, "weight_decay": decay} for (lr, decay), found in groups.items()]


def linear_schedule(optimiser: torch.optim.Optimizer, steps: int, warmup: float) -> torch.optim.lr_scheduler.LambdaLR:
    """Rise linearly from 0 over the first `warmup` share of `steps`, then fall linearly to 0."""
    rising = max(round(steps * warmup), 1)

    def factor(step: int) -> float:
        return (step + 1) / rising if step < rising else max(steps - step, 0) / max(steps - rising, 1)

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _key(epoch: Epoch) -> float:
    return next(iter(epoch.scores.values()))
