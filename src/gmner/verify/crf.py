"""The CRF against a fixture: scores, partition, likelihoods, best paths, gradients."""

from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gmner.nn.crf import CRF
from gmner.verify.fixture import EXACT, Comparison, Fixture, compare

WEIGHTS: Final = ("start_transitions", "end_transitions", "transitions")


def checks(fixture: Fixture) -> list[Comparison]:
    """Every output of every case. A file holds one case, or several under prefixes such as `case0.`."""
    cases = [name.removesuffix(WEIGHTS[0]) for name in fixture.under("weight/") if name.endswith(WEIGHTS[0])]
    comparisons = []
    for case in sorted(cases):
        ours = _outputs(
            {name: fixture[f"weight/{case}{name}"] for name in WEIGHTS},
            *(fixture[f"input/{case}{name}"] for name in ("emissions", "tags", "mask")),
        )
        comparisons += [
            compare(case + name, ours[name], expected, EXACT if name == "viterbi" else fixture.tolerance)
            for name, expected in fixture.under(f"output/{case}").items()
            if name in ours
        ]
    return comparisons


def _outputs(
    weights: dict[str, Tensor],
    emissions: Float[Tensor, "batch time tags"],
    tags: Int[Tensor, "batch time"],
    mask: Int[Tensor, "batch time"],
) -> dict[str, Tensor]:
    """All that the CRF with these weights says, under the names of the fixture (its README says what each means)."""
    crf = CRF(len(weights["start_transitions"]))
    crf.load_state_dict(weights)
    emissions, mask = emissions.clone().requires_grad_(), mask.bool()
    likelihood = crf.log_likelihood(emissions, tags, mask)
    inputs = (emissions, crf.transitions, crf.start_transitions, crf.end_transitions)
    gradients = torch.autograd.grad(-likelihood.mean(), inputs)
    viterbi = best_paths(crf, emissions, mask)
    return {
        "path_score": crf.score(emissions, tags, mask),
        "log_partition": crf.log_partition(emissions, mask),
        "llh": likelihood,
        "llh_sum": likelihood.sum(),
        "llh_mean": likelihood.mean(),
        "llh_token_mean": likelihood.sum() / mask.sum(),
        "viterbi": viterbi,
        "viterbi_score": crf.score(emissions, viterbi, mask),
        "grad_emissions_of_mean_nll": gradients[0],
        "grad_transitions_of_mean_nll": gradients[1],
        "grad_start_of_mean_nll": gradients[2],
        "grad_end_of_mean_nll": gradients[3],
    }


def best_paths(
    crf: CRF, emissions: Float[Tensor, "batch time tags"], mask: Bool[Tensor, "batch time"]
) -> Int[Tensor, "batch time"]:
    """The best path of each sequence as fixtures have it: -1 where the mask does not hold."""
    paths = torch.full_like(mask, -1, dtype=torch.long)
    for row, path in enumerate(crf.decode(emissions, mask)):
        paths[row, mask[row]] = torch.tensor(path)
    return paths
