"""The CRF against exhaustive enumeration of all paths, in double precision, and its promises about masks and steps."""

from itertools import pairwise, product
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gmner.nn.crf import CRF, Constraints, bio_constraints
from gmner.tagging import TAGS, illegal_steps

BIO = ("O", "B-PER", "I-PER", "B-LOC")


class Batch(NamedTuple):
    crf: CRF
    emissions: Tensor
    tags: Tensor
    mask: Tensor


@st.composite
def batches(draw: st.DrawFn, scale: float = 3.0) -> Batch:
    """Up to three sequences of at most four positions, with holes and empty rows, free or bound to BIO."""
    allowed = draw(st.sampled_from([None, bio_constraints(BIO)]))
    num_tags = len(BIO) if allowed else draw(st.integers(1, 4))
    size, time = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=size * time, max_size=size * time))).view(size, time)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    crf = CRF(num_tags, allowed).double()
    for parameter in crf.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.double) * scale
    emissions = torch.randn(size, time, num_tags, generator=generator, dtype=torch.double) * scale
    tags = torch.randint(num_tags, (size, time), generator=generator)
    return Batch(crf, emissions.masked_fill(~mask.unsqueeze(2), torch.nan), tags.masked_fill(~mask, -100), mask)


def paths(crf: CRF, emissions: Tensor) -> dict[tuple[int, ...], float]:
    """The score of every allowed path of one sequence without padding, by the definition."""
    scores = {}
    start, end, steps = crf.start_transitions.detach(), crf.end_transitions.detach(), crf.transitions.detach()
    for path in product(range(crf.num_tags), repeat=len(emissions)):
        score = sum(float(emissions[time, tag]) for time, tag in enumerate(path))
        score += sum(float(steps[step]) for step in pairwise(path))
        if path:
            score += float(start[path[0]] + end[path[-1]])
        if crf.allowed_steps is None or not illegal_steps([BIO[tag] for tag in path]):
            scores[path] = score
    return scores


@given(batches())
@settings(deadline=None, max_examples=60)
def test_everything_agrees_with_enumeration(batch: Batch) -> None:
    crf, emissions, tags, mask = batch
    scores, partitions = crf.score(emissions, tags, mask), crf.log_partition(emissions, mask)
    likelihoods, marginals = crf.log_likelihood(emissions, tags, mask), crf.marginals(emissions, mask)
    decoded = crf.decode(emissions, mask)
    for row in range(len(mask)):
        known = paths(crf, emissions[row, mask[row]])
        values = torch.tensor(list(known.values()), dtype=torch.double)
        gold = known.get(tuple(tags[row, mask[row]].tolist()), -torch.inf)
        total = values.logsumexp(0)
        assert scores[row].item() == pytest.approx(gold, rel=1e-9, abs=1e-9)
        assert partitions[row].item() == pytest.approx(total.item(), rel=1e-9, abs=1e-9)
        assert likelihoods[row].item() == pytest.approx(gold - total.item(), rel=1e-9, abs=1e-9)
        assert known[tuple(decoded[row])] == pytest.approx(values.max().item(), rel=1e-9, abs=1e-9)
        expected = torch.zeros_like(marginals[row, mask[row]])
        for path, score in known.items():
            for time, tag in enumerate(path):
                expected[time, tag] += (score - total).exp()
        assert torch.allclose(marginals[row, mask[row]], expected, rtol=1e-9, atol=1e-9)
        assert not marginals[row, ~mask[row]].any()


@given(batches(scale=1.0))
@settings(deadline=None, max_examples=15)
def test_gradients_agree_with_finite_differences(batch: Batch) -> None:
    crf, emissions, tags, mask = batch
    legal = torch.zeros_like(tags)  # O throughout is legal under every constraint
    # gradcheck moves the parameters in place, so that they need not be handed on.
    assert torch.autograd.gradcheck(
        lambda emissions, *_: crf.log_likelihood(emissions, legal, mask),
        (emissions.nan_to_num().requires_grad_(), *crf.parameters()),
    )


def ragged(num_tags: int, allowed: Constraints | None = None, scale: float = 3.0) -> Batch:
    """Five sequences of 30, 17, 2, 1 and 0 positions, single precision."""
    generator = torch.Generator().manual_seed(7)
    crf = CRF(num_tags, allowed)
    for parameter in crf.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    mask = torch.arange(30) < torch.tensor([30, 17, 2, 1, 0]).unsqueeze(1)
    emissions = torch.randn(5, 30, num_tags, generator=generator) * scale
    return Batch(crf, emissions, torch.randint(num_tags, (5, 30), generator=generator), mask)


@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_padding_changes_no_bit_of_results_or_gradients(garbage: float) -> None:
    crf, emissions, tags, mask = ragged(9)
    results = []
    for extra in (0, 5):
        padding = (0, extra)
        wide_mask = torch.nn.functional.pad(mask, padding)
        wide_tags = torch.nn.functional.pad(tags, padding).masked_fill(~wide_mask, -100 * extra)
        wide = torch.nn.functional.pad(emissions, (0, 0, *padding))
        wide = wide.masked_fill(~wide_mask.unsqueeze(2), garbage if extra else 0.0).requires_grad_()
        crf.zero_grad()
        likelihood = crf.log_likelihood(wide, wide_tags, wide_mask)
        likelihood.sum().backward()
        gradients = [parameter.grad.clone() for parameter in crf.parameters()]
        marginals = crf.marginals(wide, wide_mask)
        assert not wide.grad[~wide_mask].any()
        assert crf.decode(wide, wide_mask) == crf.decode(emissions, mask)
        results.append([likelihood, wide.grad[:, :30], marginals[:, :30], *gradients])
    for narrow, wide in zip(*results, strict=True):
        assert torch.equal(narrow, wide)


def test_a_sequence_fares_the_same_alone_as_in_a_batch() -> None:
    crf, emissions, _, mask = ragged(9, bio_constraints(TAGS))
    together, decoded = crf.log_partition(emissions, mask), crf.decode(emissions, mask)
    marginals = crf.marginals(emissions, mask)
    for row in range(5):
        alone = (emissions[row : row + 1], mask[row : row + 1])
        assert torch.allclose(crf.log_partition(*alone), together[row], rtol=1e-6, atol=1e-6)
        assert torch.allclose(crf.marginals(*alone), marginals[row], rtol=1e-5, atol=1e-6)
        assert crf.decode(*alone) == [decoded[row]]


def test_holes_in_the_mask_are_as_if_cut_out() -> None:
    crf, emissions, tags, mask = ragged(9)
    holes = mask & (torch.arange(30) % 3 > 0)
    cut_emissions, cut_tags, cut_mask = emissions[:1, holes[0]], tags[:1, holes[0]], torch.ones(1, 20, dtype=torch.bool)
    whole, cut = (emissions[:1], tags[:1], holes[:1]), (cut_emissions, cut_tags, cut_mask)
    assert torch.equal(crf.log_likelihood(*whole), crf.log_likelihood(*cut))
    assert crf.decode(emissions[:1], holes[:1]) == crf.decode(cut_emissions, cut_mask)
    assert torch.equal(crf.marginals(emissions[:1], holes[:1])[0, holes[0]], crf.marginals(cut_emissions, cut_mask)[0])


@pytest.mark.parametrize(("size", "time"), [(0, 5), (2, 0), (2, 4)])
def test_the_empty_sequence_has_one_path_of_score_zero(size: int, time: int) -> None:
    crf, mask = CRF(3), torch.zeros(size, time, dtype=torch.bool)
    emissions = torch.randn(size, time, 3, requires_grad=True)
    tags = torch.zeros(size, time, dtype=torch.long)
    for result in (
        crf.score(emissions, tags, mask),
        crf.log_partition(emissions, mask),
        crf.log_likelihood(emissions, tags, mask),
    ):
        assert torch.equal(result, torch.zeros(size))
    assert crf.decode(emissions, mask) == [[]] * size
    assert torch.equal(crf.marginals(emissions, mask), torch.zeros(size, time, 3))
    crf.log_likelihood(emissions, tags, mask).sum().backward()
    assert not emissions.grad.any()
    assert not any(parameter.grad.any() for parameter in crf.parameters())


def test_illegal_steps_neither_come_out_nor_get_probability() -> None:
    crf, emissions, _, mask = ragged(9, bio_constraints(TAGS))
    inside = [column for column, tag in enumerate(TAGS) if tag.startswith("I-")]
    tempting = emissions.clone()
    tempting[:, ::2, inside] += 1000.0  # an unbound CRF follows these
    free = CRF(9)
    free.load_state_dict(crf.state_dict())
    assert any(illegal_steps([TAGS[tag] for tag in path]) for path in free.decode(tempting, mask))
    for path in crf.decode(tempting, mask):
        assert illegal_steps([TAGS[tag] for tag in path]) == []
    marginals = crf.marginals(tempting, mask)
    assert not marginals[:, 0, inside].any()
    assert torch.allclose(marginals[mask].sum(1), torch.ones(int(mask.sum())), atol=1e-6)
    stray = torch.full_like(mask, inside[0], dtype=torch.long)
    assert crf.log_likelihood(emissions, stray, mask).tolist() == [-torch.inf] * 4 + [0.0]


def test_parameters_of_illegal_steps_get_no_gradient() -> None:
    crf, emissions, _, mask = ragged(9, bio_constraints(TAGS))
    crf.log_partition(emissions, mask).sum().backward()
    assert crf.allowed_steps is not None
    assert crf.allowed_starts is not None
    assert not crf.transitions.grad[~crf.allowed_steps].any()
    assert not crf.start_transitions.grad[~crf.allowed_starts].any()
    assert crf.transitions.grad[crf.allowed_steps].all()


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_large_scores_neither_overflow_nor_vanish(scale: float) -> None:
    crf, emissions, _, mask = ragged(9, bio_constraints(TAGS), scale)
    double = CRF(9, bio_constraints(TAGS)).double()
    double.load_state_dict(crf.state_dict())
    assert torch.allclose(
        crf.log_partition(emissions, mask).double(), double.log_partition(emissions.double(), mask), rtol=1e-5
    )
    assert crf.decode(emissions, mask) == double.decode(emissions.double(), mask)
    assert torch.isfinite(crf.marginals(emissions, mask)).all()


def test_a_path_through_a_very_unlikely_state_is_not_lost() -> None:
    """B must be passed to reach I; in the domain of probabilities exp(-2000) would be gone by then."""
    crf = CRF(3, bio_constraints(["O", "B", "I"]))
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    emissions = torch.tensor([[[0.0, -2000.0, 0.0], [0.0, -3000.0, 9000.0]]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert crf.decode(emissions, mask) == [[1, 2]]
    assert crf.log_partition(emissions, mask).item() == pytest.approx(7000.0)


def test_low_precision_input_and_autocast_are_computed_in_single_precision() -> None:
    crf, emissions, tags, mask = ragged(9)
    rounded = emissions.bfloat16()
    expected = crf.log_likelihood(rounded.float(), tags, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = crf.log_likelihood(rounded, tags, mask)
        assert crf.marginals(rounded, mask).dtype == torch.float32
        assert crf.decode(rounded, mask) == crf.decode(rounded.float(), mask)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_of_equal_paths_the_lower_tags_win() -> None:
    crf = CRF(3)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    assert crf.decode(torch.zeros(1, 4, 3), torch.ones(1, 4, dtype=torch.bool)) == [[0, 0, 0, 0]]


def test_inference_mode_and_no_grad_give_the_same_as_training() -> None:
    crf, emissions, tags, mask = ragged(9)
    expected = crf.log_likelihood(emissions, tags, mask)
    with torch.inference_mode():
        assert torch.equal(crf.log_likelihood(emissions, tags, mask), expected)
    with torch.no_grad():
        assert torch.equal(crf.log_likelihood(emissions, tags, mask), expected)


def test_a_checkpoint_holds_the_published_names_only() -> None:
    names = {"start_transitions", "end_transitions", "transitions"}
    assert set(CRF(9, bio_constraints(TAGS)).state_dict()) == names
    assert all(parameter.abs().max() <= 0.1 for parameter in CRF(30).parameters())


def test_bio_constraints_agree_with_tagging() -> None:
    starts, steps = bio_constraints(TAGS)
    for column, tag in enumerate(TAGS):
        assert bool(starts[column]) == (not illegal_steps([tag]))
        for row, before in enumerate(TAGS):
            assert bool(steps[row, column]) == (1 not in illegal_steps([before, tag]))


def test_bio_constraints_of_other_label_sets() -> None:
    starts, steps = bio_constraints(["PAD", "O", "B", "I", "I-MISC", "B-MISC"])
    assert starts.tolist() == [True, True, True, False, False, True]
    assert steps[:, 3].tolist() == [False, False, True, True, False, False]
    assert steps[:, 4].tolist() == [False, False, False, False, True, True]
    assert steps[:, 0].all()


@pytest.mark.parametrize(
    "allowed",
    [
        bio_constraints(["O", "B"]),
        Constraints(torch.zeros(3, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool)),
        Constraints(torch.ones(3, dtype=torch.bool), torch.tensor([[True] * 3, [True] * 3, [False] * 3])),
    ],
)
def test_constraints_that_do_not_fit_or_lead_nowhere_are_refused(allowed: Constraints) -> None:
    with pytest.raises(ValueError, match="constraints"):
        CRF(3, allowed)


def test_shapes_that_do_not_agree_are_refused() -> None:
    crf, mask = CRF(3), torch.ones(2, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="emissions of shape"):
        crf.decode(torch.zeros(2, 5, 3), mask)
    with pytest.raises(ValueError, match="emissions of shape"):
        crf.marginals(torch.zeros(2, 4, 9), mask)
    with pytest.raises(ValueError, match="tags of shape"):
        crf.score(torch.zeros(2, 4, 3), torch.zeros(2, 3, dtype=torch.long), mask)
