"""What training changed, on disk."""

import torch

from gmner.nn import changes


def test_quantised_rows_are_off_by_half_a_step() -> None:
    values = torch.randn(5, 7, 3) * torch.logspace(-6, 3, 5)[:, None, None]
    codes, scale = changes.quantise(values)
    error = (changes.dequantise(codes, scale) - values).abs().flatten(1).amax(1)
    assert (error <= scale * 0.5001).all()
    codes, scale = changes.quantise(torch.zeros(2, 2))
    assert not changes.dequantise(codes, scale).any()
