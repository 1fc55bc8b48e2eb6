"""Networks built as shapes."""

import subprocess
import sys

import torch
from torch import nn

from gmner.nn.unfilled import unfilled

BUILD = """
import sys
from gmner.models.albef.config import ALBEFConfig
from gmner.models.albef.model import ALBEF
from gmner.models.h_index.config import HIndexConfig
from gmner.models.h_index.model import HIndex
from gmner.models.mqspn.released import ReleasedConfig, ReleasedMQSPN
from gmner.models.ofa.config import SIZES
from gmner.models.ofa.model import OFA
from gmner.models.seqtr.config import SeqTRConfig
from gmner.models.seqtr.model import SeqTR
from gmner.nn.unfilled import unfilled
with unfilled():
    models = OFA(SIZES["tiny"]), ALBEF(ALBEFConfig()), SeqTR(SeqTRConfig(), 9), HIndex(HIndexConfig())
    models += (ReleasedMQSPN(ReleasedConfig()),)
assert all(weight.is_meta for model in models for weight in model.parameters())
print("sympy" in sys.modules)
"""


def test_shapes_without_numbers() -> None:
    with unfilled():
        network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.Conv2d(3, 2, 1))
        nn.init.kaiming_normal_(network[2].weight)
        network[0].weight.data.normal_()
    assert all(weight.is_meta for weight in network.parameters())
    given = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.Conv2d(3, 2, 1)).state_dict()
    network.load_state_dict(given, assign=True)
    assert all(torch.equal(tensor, given[name]) for name, tensor in network.state_dict().items())


def test_numbers_are_drawn_again_behind_the_block() -> None:
    with unfilled():
        nn.Embedding(2, 2)
    assert nn.Embedding(100, 10).weight.std() > 0.5


def test_nothing_is_imported_to_draw_what_is_not_drawn() -> None:
    told = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
