"""Beam search against a search through everything, and answers in a trie."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from gmner.nn.beam import Beam, Hypothesis, Trie, always, beam_search, log_probabilities

VOCABULARY = 13


def scores_after(prefix: tuple[int, ...], sample: int) -> Tensor:
    """Random scores of what follows a prefix, the same whenever it is asked."""
    generator = torch.Generator().manual_seed(hash((prefix, sample)) % 2**31)
    return torch.randn(VOCABULARY, generator=generator)


def search(beam: Beam, samples: int = 2, constraint=None) -> list[list[Hypothesis]]:
    """The state is the written rows themselves, so that a wrong reordering is seen."""

    def decode(tokens, state):
        rows = tokens[..., None] if state is None else torch.cat([state, tokens[..., None]], -1)
        logits = [[scores_after(tuple(row), n) for row in some] for n, some in enumerate(rows.tolist())]
        return torch.stack([torch.stack(some) for some in logits]), rows

    def reorder(state, chosen):
        return state.gather(1, chosen[..., None].expand(-1, -1, state.shape[-1]))

    return beam_search(decode, reorder, None, samples, beam, constraint)


def some(*tokens: int) -> Tensor:
    """Only these tokens are allowed."""
    return torch.zeros(VOCABULARY, dtype=torch.bool).scatter(0, torch.tensor(tokens), True)


def test_a_beam_that_holds_everything_finds_the_best() -> None:
    allowed = some(2, 4, 5, 6, 7)
    found = search(Beam(size=5, shortest=1, longest=1), constraint=always(allowed))
    for sample, hypotheses in enumerate(found):
        expected = {}
        for token in (4, 5, 6, 7):
            steps = [((0,), token), ((0, token), 2)]
            each = [float(log_probabilities(scores_after(row, sample), allowed)[said]) for row, said in steps]
            expected[token, 2] = sum(each) / 2
        assert {h.tokens: h.score for h in hypotheses} == pytest.approx(expected, rel=1e-5)


def test_scores_are_those_of_the_tokens_and_sorted() -> None:
    for sample, hypotheses in enumerate(search(Beam(size=4, shortest=2, longest=5, length_power=0.5))):
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for tokens, score, each in hypotheses:
            assert tokens[-1] == 2 and 3 <= len(tokens) <= 6 and 1 not in tokens
            steps = [
                float(log_probabilities(scores_after((0, *tokens[:place]), sample))[token])
                for place, token in enumerate(tokens)
            ]
            assert each == pytest.approx(steps, abs=1e-5)
            assert score == pytest.approx(sum(steps) / len(tokens) ** 0.5, abs=1e-5)


def test_samples_do_not_influence_each_other() -> None:
    beam = Beam(size=3, shortest=1, longest=6)
    assert search(beam, samples=1)[0] == search(beam, samples=3)[0]


def test_constraints_renormalise_and_are_kept() -> None:
    for hypotheses in search(Beam(size=2, shortest=1, longest=3), constraint=always(some(2, 5, 7))):
        for tokens, _, each in hypotheses:
            assert set(tokens) <= {2, 5, 7}
            assert all(value > math.log(1e-3) for value in each)


def test_no_n_gram_comes_twice() -> None:
    beam = Beam(size=3, shortest=6, longest=6, no_repeat=2)
    for hypotheses in search(beam, constraint=always(some(2, 5, 7))):
        for tokens, _, _ in hypotheses:
            pairs = list(itertools.pairwise((0, *tokens)))
            assert len(pairs) == len(set(pairs))


def test_a_beam_wider_than_the_vocabulary_allows_is_refused() -> None:
    with pytest.raises(ValueError, match="needs more than 14 tokens"):
        search(Beam(size=7, shortest=1, longest=1))


def test_what_may_follow_in_a_trie() -> None:
    trie = Trie([[5], [7, 5], [7, 8, 9]])
    assert trie.successors([]) == [5, 7]
    assert trie.successors([7]) == [5, 8]
    assert trie.successors([5]) == [2]
    assert trie.successors([5, 2]) == []
    assert trie.successors([9]) == [2]
    assert trie.forks == [(), (7,)]
    assert Trie([[5], [7]]).forks == [()]


def test_a_search_in_a_trie_finds_its_answers_with_their_scores() -> None:
    trie = Trie([[5], [7, 5], [7, 8, 9]])

    def logits(forks):
        return torch.stack([torch.stack([scores_after((0, *fork), n) for fork in forks]) for n in range(2)])

    totals = trie.score(logits)
    assert totals.exp().sum(1) == pytest.approx(1.0)
    found = search(Beam(size=3, shortest=0, longest=4), constraint=trie.constraint(VOCABULARY))
    for sample, hypotheses in enumerate(found):
        expected = {(*answer, 2): float(total) for answer, total in zip(trie.answers, totals[sample], strict=True)}
        assert {h.tokens: h.score * len(h.tokens) for h in hypotheses} == pytest.approx(expected, abs=1e-5)


def test_a_single_answer_is_certain() -> None:
    assert Trie([[5, 6]]).score(lambda forks: torch.zeros(1, 0, VOCABULARY)).tolist() == [[0.0]]
