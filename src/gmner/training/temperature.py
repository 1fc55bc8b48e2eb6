"""One number that makes a head's probabilities honest."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def temperature(logits: Float[Tensor, "*shape"], right: Float[Tensor, "*shape"]) -> float:
    """What to divide `logits` by so that their probabilities fit best what was `right` (1) and what was not (0).

    A head that is trained past its best likelihood is right as often and too sure (Guo et al. 2017, On Calibration of
    Modern Neural Networks).
    """
    from scipy.optimize import minimize_scalar

    def cross_entropy(log_temperature: float) -> float:
        return float(F.binary_cross_entropy_with_logits(logits / math.exp(log_temperature), right))

    return math.exp(minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded").x)


def cool(layer: nn.Linear, degrees: float) -> None:
    """Divide the logits of a last layer by a temperature, which goes into its weights."""
    layer.weight.data.div_(degrees)
    layer.bias.data.div_(degrees)
