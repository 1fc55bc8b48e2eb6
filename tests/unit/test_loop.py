"""The training loop on a task of two numbers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gmner.errors import CheckpointError, ConfigError
from gmner.training import loop
from gmner.training.loop import (
    Task,
    TrainingConfig,
    finish,
    linear_schedule,
    new_optimiser,
    new_schedule,
    parameter_groups,
    train,
)


class Line(Task):
    """Fit y = 2x + 1 through dropout, so that a lost generator state would show."""

    def __init__(self, scores: Sequence[float] = ()) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.told = list(scores)
        self.seen: list[list[float]] = []

    def batches(self, batch_size: int, generator: torch.Generator) -> list[list[float]]:
        order = torch.rand(24, generator=generator).tolist()
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def collate(self, batch: list[float]) -> Tensor:
        self.seen.append(batch)
        return torch.tensor(batch)[:, None]

    def forward(self, tensors: Tensor) -> Tensor:
        return ((self.model(tensors) - 2 * tensors - 1) ** 2).mean()

    def evaluate(self) -> dict[str, float]:
        if self.told:
            return {"told": self.told.pop(0)}
        x = torch.linspace(0, 1, 10)[:, None]
        with torch.inference_mode():
            return {"fit": -float(((self.model(x) - 2 * x - 1) ** 2).mean())}


CONFIG = TrainingConfig(epochs=4, batch_size=4, lr=0.05, seed=3)


def weights(task: Task) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


def test_it_learns_leaves_the_best_epoch_and_keeps_its_state_until_it_is_finished(tmp_path: Path) -> None:
    task = Line()
    before = task.evaluate()["fit"]
    history = train(task, CONFIG, tmp_path)
    assert [epoch.number for epoch in history] == [1, 2, 3, 4]
    best = max(epoch.key for epoch in history)
    assert task.evaluate()["fit"] == best > before
    again = Line()
    assert train(again, CONFIG, tmp_path) == history and not again.seen  # nothing is computed again
    assert torch.equal(weights(again), weights(task))
    finish(tmp_path)
    assert not (tmp_path / loop.STATE_FILE).exists()
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    results = []
    for run, seed in enumerate((3, 3, 4)):
        task = Line()
        train(task, TrainingConfig(epochs=2, batch_size=4, lr=0.05, seed=seed), tmp_path / str(run))
        results.append(weights(task))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("killed_after, optimiser", [(1, "adamw"), (2, "adamw"), (3, "adamw"), (2, "muon")])
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int, optimiser: Any
) -> None:
    config = replace(CONFIG, optimiser=optimiser)
    whole = Line()
    history = train(whole, config, tmp_path / "whole")

    class KilledError(Exception):
        pass

    killed = Line()
    evaluate = killed.evaluate

    def evaluate_or_die() -> dict[str, float]:
        if len(killed.seen) > 6 * killed_after:
            raise KilledError
        return evaluate()

    monkeypatch.setattr(killed, "evaluate", evaluate_or_die)
    with pytest.raises(KilledError):
        train(killed, config, tmp_path / "killed")
    torch.manual_seed(99)  # another process would not have our generator's state either
    again = Line()
    resumed = train(again, config, tmp_path / "killed")
    assert torch.equal(weights(again), weights(whole))
    assert [epoch.scores for epoch in resumed] == [epoch.scores for epoch in history]
    assert len(again.seen) == 6 * (4 - killed_after)


STAGES = replace(CONFIG, epochs=3, first_epochs=1, first_frozen=("2.",), optimiser="uncorrected", schedule="delayed")


def test_the_first_stage_freezes_and_the_second_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Line()
    kept = task.model[0].weight.requires_grad_(False)  # frozen for good
    seen: list[tuple[list[Tensor], list[bool], int]] = []
    evaluate = task.evaluate

    def look() -> dict[str, float]:
        seen.append(([weights(task)], [p.requires_grad for p in task.model.parameters()], len(made[-1].state)))
        return evaluate()

    made: list[torch.optim.Optimizer] = []

    def remember(*given: Any) -> torch.optim.Optimizer:
        made.append(new_optimiser(*given))
        return made[-1]

    monkeypatch.setattr(task, "evaluate", look)
    monkeypatch.setattr(loop, "new_optimiser", remember)
    before = task.model[2].weight.detach().clone()
    first = kept.clone()
    train(task, STAGES, tmp_path)
    assert [flags for _, flags, _ in seen] == [[False, True, False, False], *[[False, True, True, True]] * 2]
    assert torch.equal(seen[0][0][0][16:24], before.flatten())
    assert not torch.equal(seen[1][0][0][16:24], before.flatten())
    assert torch.equal(kept, first)
    assert [remembered for *_, remembered in seen] == [1, 3, 3]
    assert len(made) == 2


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_run_of_two_stages_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    whole = Line()
    train(whole, STAGES, tmp_path / "whole")
    killed = Line()
    evaluate = killed.evaluate
    left = [True] * killed_after
    monkeypatch.setattr(killed, "evaluate", lambda: left.pop() and evaluate())
    with pytest.raises(IndexError):
        train(killed, STAGES, tmp_path / "killed")
    again = Line()
    train(again, STAGES, tmp_path / "killed")
    assert torch.equal(weights(again), weights(whole))
    assert len(again.seen) == 6 * (3 - killed_after)


def test_a_prefix_that_names_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'first_frozen' names 'encoder'"):
        train(Line(), replace(CONFIG, first_epochs=1, first_frozen=("encoder",)), tmp_path)


def test_vectors_are_decayed_where_a_pattern_names_them() -> None:
    groups = {
        pattern: {
            group["weight_decay"]: sum(p.numel() for p in group["params"])
            for group in parameter_groups(Line().model, replace(CONFIG, decayed_vectors=pattern))
        }
        for pattern in ((), ("2.*",), ("*",))
    }
    assert groups == {(): {0.01: 16, 0.0: 9}, ("2.*",): {0.01: 17, 0.0: 8}, ("*",): {0.01: 25}}


def test_an_unfinished_run_of_other_settings_or_data_is_refused(tmp_path: Path) -> None:
    train(Line(), CONFIG, tmp_path, {"recipe": {"width": 3}, "posts": "ab"})
    for config, about, name in (
        (replace(CONFIG, epochs=5), {"recipe": {"width": 3}, "posts": "ab"}, "training"),
        (CONFIG, {"recipe": {"width": 4}, "posts": "ab"}, "recipe"),
        (CONFIG, {"recipe": {"width": 3}, "posts": "cd"}, "posts"),
        (CONFIG, {}, "recipe, posts"),
    ):
        with pytest.raises(CheckpointError, match=rf"an unfinished run of other settings or data \({name}\)"):
            train(Line(), config, tmp_path, about)


def test_a_damaged_unfinished_run_is_told(tmp_path: Path) -> None:
    (tmp_path / loop.STATE_FILE).write_bytes(b"")
    with pytest.raises(CheckpointError, match="delete the file, and it begins anew"):
        train(Line(), CONFIG, tmp_path)


def test_patience_stops_early_and_the_earliest_best_counts(tmp_path: Path) -> None:
    config = TrainingConfig(epochs=9, batch_size=4, patience=2)
    assert len(train(Line([1, 5, 5, 4, 9, 9, 9]), config, tmp_path / "a")) == 4
    assert len(train(Line(range(9)), config, tmp_path / "b")) == 9


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    results = []
    for name, config in {
        "large": TrainingConfig(epochs=1, batch_size=12, lr=0.05),
        "small": TrainingConfig(epochs=1, batch_size=4, accumulate=3, lr=0.05),
    }.items():
        task = Line()
        task.model[1].p = 0.0
        train(task, config, tmp_path / name)
        results.append(weights(task))
    assert torch.allclose(results[0], results[1], atol=1e-6)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lower the learning rates"):
        train(Line(), TrainingConfig(epochs=50, batch_size=4, lr=1e30, clip=0), tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"accumulate": 0},
        {"lr": -1.0},
        {"lr": float("nan")},
        {"lr_groups": {"crf": -1.0}},
        {"warmup": 1.5},
        {"patience": -1},
        {"first_epochs": 5, "first_frozen": ("a",)},
        {"first_epochs": 2},
        {"first_frozen": ("a",)},
        {"first_epochs": -1},
    ],
)
def test_settings_that_no_training_can_have_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TrainingConfig(**settings)


def test_the_rate_rises_and_falls_linearly() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = linear_schedule(optimiser, steps=10, warmup=0.2)
    rates = []
    for _ in range(10):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert schedule.get_last_lr() == [0.0]


def test_a_constant_rate_and_a_delayed_one() -> None:
    found = {}
    for kind in ("constant", "delayed"):
        config = replace(CONFIG, lr=1.0, warmup=0.5, schedule=kind)
        optimiser = new_optimiser(nn.Linear(1, 1), config)
        schedule = new_schedule(optimiser, 4, config)
        rates = []
        for _ in range(4):
            rates.append(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
        found[kind] = rates
    assert found == {"constant": [0.5, 1.0, 1.0, 1.0], "delayed": [0.0, 0.5, 1.0, 0.5]}


def test_processes_share_the_batches_equally() -> None:
    class Process:
        num_processes = 3

        def __init__(self, index: int) -> None:
            self.process_index = index

    shares = [loop._own(list(range(7)), Process(index)) for index in range(3)]  # type: ignore[arg-type]
    assert shares == [[0, 3, 6], [1, 4, 0], [2, 5, 1]]


def test_batches_of_the_same_step_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [1, 9, 2, 8, 3, 7, 4, 6, 5]
    draw = torch.Generator().manual_seed(0)
    alone = loop.alike(items, 2, float, draw)
    assert sorted(map(sorted, alone)) == [[1, 2], [3, 4], [5, 6], [7, 8], [9]]
    monkeypatch.setenv("WORLD_SIZE", "2")
    batches = loop.alike(items, 2, float, draw)
    steps = [sorted([*batches[at], *batches[at + 1]]) for at in range(0, len(batches) - 1, 2)]
    assert all(step[-1] - step[0] < 4 for step in steps[: batches.index([9]) // 2])
    assert sorted(map(sorted, batches)) == [[1, 3], [2, 4], [5, 7], [6, 8], [9]]
    cut = loop.shuffled(items, 2, draw)
    assert [len(batch) for batch in cut] == [2, 2, 2, 2, 1] and sorted(
        item for batch in cut for item in batch
    ) == sorted(items)
