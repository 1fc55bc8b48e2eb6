"""The one training loop: a task says what a batch is, what it costs and how good the model is.

Devices, several processes and mixed precision are `accelerate`'s: the same command runs under `torchrun`.
"""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from rich.progress import TaskID
from torch import Tensor, nn

from gmner.checkpoint import read_tensors
from gmner.errors import CheckpointError, ConfigError, MissingPackageError
from gmner.progress import progress_bar
from gmner.training.muon import Muon
from gmner.training.processes import processes
from gmner.training.uncorrected import UncorrectedAdamW, delayed

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)

T = TypeVar("T")

STATE_FILE = "unfinished.pt"
"""Where an unfinished run lies in its folder, until `finish` removes it."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        epochs: passes over the training data.
        batch_size: samples of one forward pass (of each process, if there are several).
        accumulate: forward passes of one step.
        lr: learning rate of the parameters that `lr_groups` does not name.
        lr_groups: learning rates by prefix of the parameter's name in the model; the longest that fits counts.
        optimiser: AdamW; as BERT's first code had it, without bias correction (`training/uncorrected.py`); or Muon,
            for networks from random weights (`training/muon.py`).
        weight_decay: AdamW's, for matrices; vectors (biases, norms) have none.
        decayed_vectors: patterns (`*.norm.weight`) of names of vectors that are decayed too.
        warmup: share of the steps in which the rate rises from 0.
        schedule: what follows: the rate falls linearly to 0, or is constant. `delayed` is linear and one step behind,
            so that the first step has rate 0.
        first_epochs: epochs of a first stage, in which the parameters of `first_frozen` keep their values. Then all
            are trained, by a new optimiser with a warm-up of its own.
        first_frozen: prefixes of parameters' names.
        clip: largest norm of the gradient; 0 does not clip.
        bf16: compute the forward pass in bfloat16.
        patience: stop after so many epochs without a better dev score; 0 goes on to the end.
        seed: of weights, order and dropout.
    """

    epochs: int = 5
    batch_size: int = 32
    accumulate: int = 1
    lr: float = 1e-4
    lr_groups: dict[str, float] = field(default_factory=dict)
    optimiser: Literal["adamw", "uncorrected", "muon"] = "adamw"
    weight_decay: float = 0.01
    decayed_vectors: tuple[str, ...] = ()
    warmup: float = 0.1
    schedule: Literal["linear", "constant", "delayed"] = "linear"
    first_epochs: int = 0
    first_frozen: tuple[str, ...] = ()
    clip: float = 1.0
    bf16: bool = False
    patience: int = 0
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse what no training can have.

        Raises:
            ConfigError: a number out of its range.
        """
        rates = {"lr": self.lr, **{f"lr_groups.{prefix}": rate for prefix, rate in self.lr_groups.items()}}
        least = {
            "epochs": 1,
            "batch_size": 1,
            "accumulate": 1,
            "weight_decay": 0,
            "warmup": 0,
            "first_epochs": 0,
            "clip": 0,
            "patience": 0,
        }
        for name, value, lowest in (
            *((name, getattr(self, name), lowest) for name, lowest in least.items()),
            *((name, rate, 0) for name, rate in rates.items()),
        ):
            if not value >= lowest:
                raise ConfigError(
                    f"training setting {name!r} is {value}", allowed=f"it is {lowest} or more", todo="change it"
                )
        if self.warmup > 1:
            raise ConfigError(
                f"training setting 'warmup' is {self.warmup}",
                allowed="it is a share of the steps, 0 to 1",
                todo="change it",
            )
        if self.first_epochs >= self.epochs or bool(self.first_epochs) != bool(self.first_frozen):
            raise ConfigError(
                f"training settings 'first_epochs' = {self.first_epochs} of {self.epochs} and 'first_frozen' = "
                f"{list(self.first_frozen)}",
                allowed="a first stage is shorter than the whole, and something is frozen in it",
                todo="set both or neither",
            )

    @property
    def stages(self) -> list[range]:
        """The epochs of each stage, counted from 0."""
        whole = range(self.epochs)
        return [whole[: self.first_epochs], whole[self.first_epochs :]] if self.first_epochs else [whole]


class Task(nn.Module):
    """What is trained: its batches, their loss, the score on the development data, and how it is kept."""

    model: nn.Module
    partial: bool = False
    """Whether some batches reach only some of the parameters."""

    @abstractmethod
    def batches(self, batch_size: int, generator: torch.Generator) -> Sequence[Any]:
        """One epoch's batches in a random order, not yet tensors."""

    @abstractmethod
    def collate(self, batch: Any) -> Any:
        """A batch as a structure of CPU tensors."""

    @abstractmethod
    def forward(self, tensors: Any) -> Tensor:
        """The mean loss of a collated batch."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Scores on the development data; the first one chooses the best epoch."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Put the last touches to the trained model, and write it into `folder`."""


def freeze(model: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Parameters whose names start with one of the prefixes are not trained."""
    for name, parameter in model.named_parameters():
        if name.startswith(prefixes):
            parameter.requires_grad_(False)


def shuffle(items: Sequence[T], generator: torch.Generator) -> list[T]:
    """`items` in a random order."""
    return [items[index] for index in torch.randperm(len(items), generator=generator).tolist()]


def shuffled(items: Sequence[T], batch_size: int, generator: torch.Generator) -> list[list[T]]:
    """Batches of `items` in a random order, the last ones perhaps smaller."""
    return dealt(_cut(shuffle(items, generator), batch_size * processes()))


def alike(
    items: Sequence[T], batch_size: int, size: Callable[[T], float], generator: torch.Generator, chunk: int = 50
) -> list[list[T]]:
    """Batches in a random order, of items of similar `size` so that little is padded.

    Items are sorted within each `chunk` batches as they come (0: all of them), so that they should come at random.
    Batches that several processes take at the same time are alike, for each step is as slow as the slowest of them.
    """
    chunks = _cut(items, batch_size * chunk) if chunk else [items]
    together = batch_size * processes()
    return dealt(shuffle([group for some in chunks for group in _cut(sorted(some, key=size), together)], generator))


def dealt(groups: Sequence[Sequence[T]]) -> list[list[T]]:
    """A batch of each group for every process, one after another."""
    return [part for group in groups for process in range(processes()) if (part := list(group[process :: processes()]))]


def _cut(items: Sequence[T], size: int) -> list[list[T]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave."""

    number: int
    loss: float
    seconds: float
    scores: dict[str, float]

    @property
    def key(self) -> float:
        """The score that chooses the best epoch."""
        return next(iter(self.scores.values()))


def train(
    task: Task, config: TrainingConfig, folder: Path, run: Mapping[str, Any] = MappingProxyType({})
) -> list[Epoch]:
    """Train `task.model` and leave it with the weights of the epoch that scored best (the earliest of equals).

    After every epoch the run is saved into `folder`; killed and started again, it goes on after the last whole epoch
    and ends with the same weights, for every epoch draws its order and dropout from a seed of its own. What was saved
    stays until `finish` is called, so that nothing is lost if the model can not be written or tested. TensorBoard
    logs go to `folder` / tensorboard.

    `run` says, in terms of JSON, what the weights depend on beside `config`: a run that was begun with another is not
    gone on with.

    Raises:
        MissingPackageError: the packages of the extra `train` are not installed.
        CheckpointError: `folder` holds an unfinished run of other settings or data, or a damaged one.
        ConfigError: the loss is no longer a number, or a setting names parameters that the model lacks.
    """
    accelerator = _accelerator(config, partial=task.partial)
    late = _frozen_at_first(task.model, config)
    share = len(_own(task.batches(config.batch_size, torch.Generator()), accelerator))
    folder.mkdir(parents=True, exist_ok=True)
    about = {**run, "training": asdict(config)}
    saved = _saved(folder / STATE_FILE, about)
    history, best = ([Epoch(**epoch) for epoch in saved["history"]], saved["best"]) if saved else ([], {})
    if saved:
        task.model.load_state_dict(saved["model"])
        logger.info("going on after epoch %d of %d", len(history), config.epochs)
    with _Log(folder, accelerator, share * config.epochs, len(history) * share) as log:
        for stage in config.stages:
            if len(history) >= stage.stop or _stopped(history, config.patience):
                continue
            for parameter in late:
                parameter.requires_grad_(stage.start > 0)
            optimiser = new_optimiser(task.model, config)
            schedule = new_schedule(optimiser, math.ceil(share / config.accumulate) * len(stage), config)
            accelerator.free_memory()
            wrapped, optimiser = accelerator.prepare(task, optimiser)
            if saved and len(history) > stage.start:
                optimiser.load_state_dict(saved["optimiser"])
                schedule.load_state_dict(saved["schedule"])
            while len(history) < stage.stop and not _stopped(history, config.patience):
                number = len(history) + 1
                torch.manual_seed(config.seed * 1000 + number)
                generator = torch.Generator().manual_seed(config.seed * 1000 + number)
                batches = _own(task.batches(config.batch_size, generator), accelerator)
                started = time.monotonic()
                task.train()
                loss = _epoch(wrapped, task, batches, optimiser, schedule, accelerator, config, log, number)
                task.eval()
                epoch = Epoch(number, loss, time.monotonic() - started, task.evaluate())
                if not history or epoch.key > max(before.key for before in history):
                    best = {name: tensor.detach().cpu().clone() for name, tensor in task.model.state_dict().items()}
                history.append(epoch)
                log.epoch(epoch)
                if accelerator.is_main_process:
                    _save(folder / STATE_FILE, task, optimiser, schedule, about, history, best)
    task.model.load_state_dict(best)
    return history


def finish(folder: Path) -> None:
    """Remove what was saved of a run: the model that it gave is written."""
    (folder / STATE_FILE).unlink(missing_ok=True)


def _epoch(
    wrapped: nn.Module,
    task: Task,
    batches: Sequence[Any],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    accelerator: "Accelerator",
    config: TrainingConfig,
    log: "_Log",
    number: int,
) -> float:
    """Take one epoch's steps; the mean loss of this process's batches."""
    from accelerate.utils import send_to_device

    total = 0.0
    for index, batch in enumerate(batches):
        whole = (index + 1) % config.accumulate == 0 or index + 1 == len(batches)
        tensors = send_to_device(task.collate(batch), accelerator.device)
        with nullcontext() if whole else accelerator.no_sync(wrapped), accelerator.autocast():
            loss = wrapped(tensors)
            accelerator.backward(loss / config.accumulate)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ConfigError(
                f"the loss of epoch {number} became {value}",
                allowed="training needs a finite loss",
                todo="lower the learning rates or switch bf16 off",
            )
        total += value
        log.batch(value, float(schedule.get_last_lr()[0]))
        if whole:
            if config.clip:
                accelerator.clip_grad_norm_(wrapped.parameters(), config.clip)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    return total / max(len(batches), 1)


def _frozen_at_first(model: nn.Module, config: TrainingConfig) -> list[nn.Parameter]:
    """The parameters that the first stage does not train and the second does.

    Raises:
        ConfigError: a prefix names none.
    """
    found: dict[str, nn.Parameter] = {}
    for prefix in config.first_frozen:
        named = {n: p for n, p in model.named_parameters() if n.startswith(prefix) and p.requires_grad}
        if not named:
            raise ConfigError(
                f"training setting 'first_frozen' names {prefix!r}",
                allowed="a prefix of the names of parameters that are trained",
                todo="correct the prefix",
            )
        found |= named
    return list(found.values())


def new_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser of what is trainable, with nothing in its memory."""
    groups = parameter_groups(model, config)
    match config.optimiser:
        case "adamw":
            return torch.optim.AdamW(groups, fused=True)
        case "uncorrected":
            return UncorrectedAdamW(groups)
        case "muon":
            return Muon(groups, fused=True)


def parameter_groups(model: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The trainable parameters, by learning rate, weight decay and, for Muon, whether they are linear layers'
    matrices."""
    linear = {id(part.weight) for part in model.modules() if isinstance(part, nn.Linear)}
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        prefixes = [prefix for prefix in config.lr_groups if name.startswith(prefix)]
        lr = config.lr_groups[max(prefixes, key=len)] if prefixes else config.lr
        decayed = parameter.ndim > 1 or any(fnmatchcase(name, pattern) for pattern in config.decayed_vectors)
        orthogonal = config.optimiser == "muon" and id(parameter) in linear
        groups.setdefault((lr, config.weight_decay if decayed else 0.0, orthogonal), []).append(parameter)
    return [
        {"params": found, "lr": lr, "weight_decay": decay, "orthogonal": orthogonal}
        for (lr, decay, orthogonal), found in groups.items()
    ]


def new_schedule(
    optimiser: torch.optim.Optimizer, steps: int, config: TrainingConfig
) -> torch.optim.lr_scheduler.LambdaLR:
    """The rate over the `steps` of a stage."""
    if config.schedule == "delayed":
        return torch.optim.lr_scheduler.LambdaLR(optimiser, partial(delayed, steps=steps, warmup=config.warmup))
    return linear_schedule(optimiser, steps, config.warmup, falls=config.schedule == "linear")


def linear_schedule(
    optimiser: torch.optim.Optimizer, steps: int, warmup: float, *, falls: bool = True
) -> torch.optim.lr_scheduler.LambdaLR:
    """Rise linearly from 0 over the first `warmup` share of `steps`, then fall linearly to 0, or stay."""
    rising = max(round(steps * warmup), 1)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return max(steps - step, 0) / max(steps - rising, 1) if falls else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _accelerator(config: TrainingConfig, *, partial: bool) -> "Accelerator":
    for package in ("accelerate", "tensorboard"):
        if find_spec(package) is None:
            raise MissingPackageError(
                f"{package} is not installed", allowed="training needs it", todo='pip install "gmner[train]"'
            )
    from accelerate import Accelerator, DistributedDataParallelKwargs

    return Accelerator(
        cpu=not torch.accelerator.is_available(),  # otherwise several processes without a GPU train apart
        mixed_precision="bf16" if config.bf16 else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)] if partial else None,
    )


def _own(batches: Sequence[Any], accelerator: "Accelerator") -> Sequence[Any]:
    """This process's share: every n-th batch, the first ones again until all processes have equally many."""
    processes = accelerator.num_processes
    missing = -len(batches) % processes
    return [*batches, *batches[:missing]][accelerator.process_index :: processes]


def _stopped(history: Sequence[Epoch], patience: int) -> bool:
    best = max(history, key=lambda epoch: epoch.key).number if history else 0
    return bool(patience) and len(history) - best >= patience


def _save(
    path: Path,
    task: Task,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    about: Mapping[str, Any],
    history: Sequence[Epoch],
    best: dict[str, Tensor],
) -> None:
    state = {
        "about": about,
        "model": task.model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "history": [asdict(epoch) for epoch in history],
        "best": best,
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _saved(path: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """The run that `path` holds, if there is one."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = read_tensors(path)
    except CheckpointError as error:
        raise CheckpointError(
            error.given, allowed="an unfinished run is read whole", todo="delete the file, and it begins anew"
        ) from None
    begun = state.get("about", {})
    if other := [name for name in {**begun, **about} if begun.get(name) != about.get(name)]:
        raise CheckpointError(
            f"{path} holds an unfinished run of other settings or data ({', '.join(other)})",
            allowed="a run goes on with the settings and data that it began with",
            todo="choose another output folder or delete the file",
        )
    return state


class _Log:
    """What a watcher sees: a progress bar with rate and time left, a line an epoch, TensorBoard's curves."""

    def __init__(self, folder: Path, accelerator: "Accelerator", batches: int, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        main = accelerator.is_main_process
        self.done = done
        self.writer: SummaryWriter | None = SummaryWriter(str(folder / "tensorboard")) if main else None
        self.progress = progress_bar("batches", shown=main)
        self.bar: TaskID = self.progress.add_task("training", total=batches, completed=done)

    def __enter__(self) -> "_Log":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()
        if self.writer is not None:
            self.writer.close()

    def batch(self, loss: float, rate: float) -> None:
        self.done += 1
        self.progress.update(self.bar, advance=1, description=f"loss {loss:.3f}")
        self._scalars({"loss/train": loss, "rate": rate}, self.done)

    def epoch(self, epoch: Epoch) -> None:
        logger.info("epoch %d: loss %.4f in %.0f s, dev %s", epoch.number, epoch.loss, epoch.seconds, epoch.scores)
        self._scalars({f"dev/{name}": value for name, value in epoch.scores.items()}, epoch.number)

    def _scalars(self, values: dict[str, float], step: int) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
