"""Muon beside torch's, and what it leaves to AdamW."""

import pytest
import torch
from torch import nn

from gmner.training import muon
from gmner.training.loop import TrainingConfig, new_optimiser
from gmner.training.muon import orthogonal

CONFIG = TrainingConfig(lr=1e-3, weight_decay=0.1, optimiser="muon")
ADAMW = TrainingConfig(lr=1e-3, weight_decay=0.1)


@pytest.mark.parametrize("rows, columns", [(24, 24), (32, 8), (8, 32)])
def test_matrices_take_the_steps_of_torchs_muon(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    ours = nn.Linear(columns, rows, bias=False)
    theirs = nn.Parameter(ours.weight.detach().clone())
    optimiser = new_optimiser(ours, CONFIG)
    double = torch.optim.Muon(  # 0.2 of a rate of 2 is 0.4 of 1
        [theirs], lr=2e-3, weight_decay=0.05, adjust_lr_fn="match_rms_adamw", ns_steps=muon.STEPS
    )
    begun = theirs.detach().clone()
    for _ in range(5):
        ours.weight.grad = torch.randn(rows, columns)
        theirs.grad = ours.weight.grad.clone()
        optimiser.step()
        double.step()
    moved = float((theirs.detach() - begun).abs().mean())
    away = float((ours.weight - theirs).detach().abs().max())
    assert moved > 1e-4
    assert away < moved / 20  # bfloat16 rounds products of both in their own order


def test_all_else_takes_adamws_steps() -> None:
    model, copy = (nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 3)) for _ in range(2))
    copy.load_state_dict(model.state_dict())
    for network, optimiser in ((model, new_optimiser(model, CONFIG)), (copy, new_optimiser(copy, ADAMW))):
        for step in range(3):
            for number, parameter in enumerate(network.parameters()):
                torch.manual_seed(10 * step + number)
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()
    others = copy.state_dict()
    same = {name: torch.equal(tensor, others[name]) for name, tensor in model.state_dict().items()}
    assert same == {name: name != "2.weight" for name in same}


def test_singular_values_are_about_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 16, 40)).float())
    assert values.shape == (3, 16)
    assert 0.3 < float(values.min()) <= float(values.max()) < 1.3
    assert torch.equal(orthogonal(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4, dtype=torch.bfloat16))


def test_what_has_no_gradient_stays() -> None:
    model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    before = model[1].weight.detach().clone()
    model[0](torch.ones(1, 4)).sum().backward()
    new_optimiser(model, CONFIG).step()
    assert torch.equal(model[1].weight, before)
