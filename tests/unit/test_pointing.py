"""Pointing: which cells a box covers, and what pointing elsewhere and wrong names cost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmner.errors import ConfigError
from gmner.training.pointing import Looking, coverage, pointing_loss, shares, words_loss

sides = st.integers(0, 64).map(lambda step: step / 64)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 1, 1), [1 / 6] * 6),
        ((0, 0, 1 / 3, 1 / 2), [1, 0, 0, 0, 0, 0]),
        ((0.5, 0, 1, 0.5), [0, 1 / 3, 2 / 3, 0, 0, 0]),
        ((0.9, 0.4, 1.2, 0.6), [0, 0, 0.5, 0, 0, 0.5]),
        ((0, 0, 0, 0), [0] * 6),
        ((1.1, 0, 1.2, 1), [0] * 6),
    ],
)
def test_coverage(box: tuple[float, ...], expected: list[float]) -> None:
    assert coverage(torch.tensor([box]), 2, 3)[0].tolist() == pytest.approx(expected, abs=1e-6)


@given(st.tuples(sides, sides, sides, sides), st.integers(1, 5), st.integers(1, 5))
def test_what_lies_in_the_grid_is_all_there(box: tuple[float, ...], rows: int, columns: int) -> None:
    x1, x2, y1, y2 = *sorted(box[:2]), *sorted(box[2:])
    total = float(coverage(torch.tensor([[x1, y1, x2, y2]]), rows, columns).sum())
    assert total == pytest.approx(1 if x1 < x2 and y1 < y2 else 0, abs=1e-4)


def test_pointing() -> None:
    here = coverage(torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]), 1, 2)
    right = pointing_loss(torch.tensor([[9.0, -9.0], [-9.0, -9.0]]), here)
    assert right < 1e-3
    assert pointing_loss(torch.tensor([[-9.0, 9.0], [-9.0, -9.0]]), here) == pytest.approx(9, rel=0.01)
    assert pointing_loss(torch.tensor([[9.0, -9.0], [9.0, -9.0]]), here) == pytest.approx(4.5, rel=0.01)


def test_words() -> None:
    cells = torch.tensor([[[10.0, 0.0], [0.0, 10.0]]]).expand(2, -1, -1)
    regions = coverage(torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]), 1, 2)
    table = torch.eye(2)
    called = shares([[0, 0], [1]], 2)
    assert called.tolist() == [[1, 0], [0, 1]]
    assert words_loss(cells, regions, called, table, torch.zeros(2)) < 1e-3
    assert words_loss(cells, regions.flip(0), called, table, torch.zeros(2)) > 9


@pytest.mark.parametrize("wrong", [{"passes": -1}, {"pointing": -0.1}, {"pictures": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"it is [01] or more"):
        Looking(**wrong)
