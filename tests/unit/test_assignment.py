"""Assignments against all permutations; padding, equal columns, what can not be."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmner.errors import ConfigError
from gmner.nn.assignment import assign


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_sum_is_the_least_of_all(rows: int, columns: int, seed: int) -> None:
    columns = min(rows, columns)
    cost = torch.randint(-4, 5, (rows, columns), generator=torch.Generator().manual_seed(seed)).float()
    chosen = assign(cost, torch.ones(columns, dtype=torch.bool)).tolist()
    assert len(set(chosen)) == columns
    sums = [
        sum(cost[row, column].item() for column, row in enumerate(rows)) for rows in permutations(range(rows), columns)
    ]
    assert sum(cost[row, column].item() for column, row in enumerate(chosen)) == min(sums)


def test_padding_is_not_assigned_and_costs_nothing() -> None:
    cost = torch.tensor([[[0.0, 9.0], [1.0, -99.0]], [[3.0, 1.0], [1.0, 2.0]]])
    present = torch.tensor([[True, False], [True, True]])
    assert assign(cost, present).tolist() == [[0, -1], [1, 0]]
    assert assign(cost.expand(3, 2, 2, 2), present.expand(3, 2, 2)).shape == (3, 2, 2)


def test_equal_columns_take_a_row_each() -> None:
    cost = torch.tensor([[1.0, 1.0, 5.0], [2.0, 2.0, 5.0], [9.0, 9.0, 5.0]])
    assert sorted(assign(cost, torch.ones(3, dtype=torch.bool)).tolist()[:2]) == [0, 1]


def test_no_columns_and_no_matrices() -> None:
    assert assign(torch.zeros(2, 4, 0), torch.zeros(2, 0, dtype=torch.bool)).shape == (2, 0)
    assert assign(torch.zeros(0, 4, 3), torch.zeros(0, 3, dtype=torch.bool)).shape == (0, 3)


def test_what_can_not_be() -> None:
    with pytest.raises(ValueError, match="3 columns can not be assigned to 2 rows"):
        assign(torch.zeros(2, 3), torch.ones(3, dtype=torch.bool))
    with pytest.raises(ConfigError, match="lower the learning rates"):
        assign(torch.full((2, 1), torch.nan), torch.ones(1, dtype=torch.bool))
