"""What an OFA says: answers weighed against each other, and sequences found by beam search."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.models.ofa.config import PAD
from gmner.models.ofa.model import OFA, Encoded, Past, choose_rows
from gmner.nn.beam import Beam, Constraint, Hypothesis, Trie, beam_search


def pad(rows: Sequence[Sequence[int]]) -> Int64[Tensor, "rows longest"]:
    """Token rows as one tensor, padded on the right."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)


def score_answers(
    model: OFA, encoded: Encoded, prompts: Sequence[Sequence[int]], trie: Trie
) -> Float[Tensor, "samples answers"]:
    """The log-probability of every answer among the trie's, after each sample's prompt.

    One pass of the decoder over the prompts and the places where the answers part: with answers of one token, over the
    prompts alone (specs/ofa.md, section 7; released code makes a pass for every answer).
    """

    def logits(forks: list[tuple[int, ...]]) -> Float[Tensor, "samples forks vocabulary"]:
        rows = [[*prompt, *fork] for prompt in prompts for fork in forks]
        tokens = pad(rows).view(len(prompts), len(forks), -1).to(model.device)
        states, _ = model.decode(tokens, model.decoder.memory(encoded))
        last = torch.tensor([len(row) - 1 for row in rows], device=model.device)
        ends = states.flatten(0, 1)[torch.arange(len(rows)), last]
        return model.logits(ends.view(*tokens.shape[:2], -1), trie.choices)

    return trie.score(logits)


def search(
    model: OFA,
    encoded: Encoded,
    beam: Beam,
    constraint: Constraint | None = None,
    among: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """What beam search finds beside each sample's encoder output; `among` are all tokens that `constraint` allows."""
    memory = model.decoder.memory(encoded)

    def decode(
        tokens: Int64[Tensor, "samples rows"], past: Past | None
    ) -> tuple[Float[Tensor, "samples rows vocabulary"], Past | None]:
        states, past = model.decode(tokens[..., None], memory, past)
        return model.logits(states[:, :, 0], among), past

    def reorder(past: Past | None, chosen: Int64[Tensor, "samples beam"]) -> Past | None:
        return None if past is None else choose_rows(past, chosen)

    return beam_search(decode, reorder, None, len(encoded.states), beam, constraint, model.device)
