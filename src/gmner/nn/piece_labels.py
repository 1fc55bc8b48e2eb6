"""A label for every sub-word: a word's tag on its first piece, X on the others, labels of their own on special tokens.

The way of BERT's first taggers (UMT and UMGF, whose orders of the labels differ).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gmner.errors import TextError
from gmner.nn.crf import CRF
from gmner.nn.encoders import word_pieces
from gmner.tagging import OUTSIDE, read_bio, to_entity, to_token_span, word_offsets, write_bio
from gmner.types import Entity, Example

PAD: Final = "PAD"
CONTINUATION: Final = "X"
FIRST: Final = "[CLS]"
LAST: Final = "[SEP]"

_IMPOSSIBLE: Final = -1e9


@dataclass(frozen=True)
class Sentence:
    """The sentence of a post as numbers.

    `pieces` are the sub-words with special tokens, `frame` their label columns if there were no entity: [CLS], O for
    the first piece of each word, X for the others, [SEP]. `first` says where each word's first piece stands; None for
    a word that the network does not see.
    """

    example: Example
    offsets: list[tuple[int, int]]
    pieces: list[int]
    frame: list[int]
    first: list[int | None]


@dataclass(frozen=True)
class PieceLabels:
    """The labels of a network in the order of its output columns."""

    names: tuple[str, ...]

    @cached_property
    def column(self) -> dict[str, int]:
        """Where each label stands."""
        return {label: column for column, label in enumerate(self.names)}

    @cached_property
    def tags(self) -> frozenset[str]:
        """The labels that a word may have."""
        return frozenset(label for label in self.names if label[:2] in (OUTSIDE, "B-", "I-"))

    @cached_property
    def possible(self) -> Bool[Tensor, "labels labels"]:
        """Row by row: which labels may stand where the frame of a sentence has this one."""
        return torch.tensor(
            [[other in self.tags if label == OUTSIDE else other == label for other in self.names]
             for label in self.names]
        )  # fmt: skip

    def sentences(
        self, tokenizer: Any, examples: Sequence[Example], window: int, *, released: bool = False
    ) -> list[Sentence]:
        """The sentences of posts, of at most `window` sub-words with special tokens.

        As `released`, words that the tokenizer's clean-up removes have no sub-word, and longer texts are cut.

        Raises:
            TextError: a sentence is longer, and not cut.
        """
        offsets = [word_offsets(example) for example in examples]
        words = [[e.text[s:t] for s, t in spans] for e, spans in zip(examples, offsets, strict=True)]
        known = word_pieces(tokenizer, (word for row in words for word in row), unknown=not released)
        special = (tokenizer.cls_token_id, tokenizer.sep_token_id)
        whole = [
            self._frame(example, spans, [known[word] for word in row], *special)
            for example, spans, row in zip(examples, offsets, words, strict=True)
        ]
        return [self._fitting(sentence, window, cut=released) for sentence in whole]

    def _frame(
        self, example: Example, offsets: list[tuple[int, int]], words: list[list[int]], opening: int, closing: int
    ) -> Sentence:
        pieces, frame = [opening], [self.column[FIRST]]
        first: list[int | None] = []
        for word in words:
            first.append(len(pieces) if word else None)
            pieces += word
            frame += [self.column[OUTSIDE], *[self.column[CONTINUATION]] * (len(word) - 1)][: len(word)]
        return Sentence(example, offsets, [*pieces, closing], [*frame, self.column[LAST]], first)

    def _fitting(self, sentence: Sentence, window: int, *, cut: bool) -> Sentence:
        length, room = len(sentence.pieces), window - 1
        if length <= window:
            return sentence
        if not cut:
            raise TextError(
                f"the text of post {sentence.example.id!r} has {length - 2:,} sub-words",
                allowed=f"the model reads at most {window - 2:,}",
                todo="split the text into several posts",
            )
        return replace(
            sentence,
            pieces=[*sentence.pieces[:room], sentence.pieces[-1]],
            frame=[*sentence.frame[:room], sentence.frame[-1]],
            first=[position if position is not None and position < room else None for position in sentence.first],
        )

    def gold(self, sentence: Sentence) -> list[int]:
        """The gold label of every piece. Entities without offsets or that cut through words are left out.

        Every entity begins with B-.
        """
        row = list(sentence.frame)
        found = (to_token_span(entity, sentence.offsets) for entity in sentence.example.entities or ())
        tags = write_bio([span for span in found if span is not None], len(sentence.first))
        for position, tag in zip(sentence.first, tags, strict=True):
            if position is not None:
                row[position] = self.column[tag]
        return row

    def decode(
        self,
        crf: CRF,
        emissions: Float[Tensor, "batch pieces labels"],
        attention: Bool[Tensor, "batch pieces"],
        sentences: Sequence[Sentence],
        *,
        released: bool = False,
    ) -> list[tuple[Entity, ...]]:
        """The entities of the best path of every sentence.

        Only labels that can stand at a position are decoded there; as `released`, any label may be.
        """
        emissions = emissions.float()
        if not released:
            frames = torch.nn.utils.rnn.pad_sequence([torch.tensor(s.frame) for s in sentences], batch_first=True)
            emissions = emissions.masked_fill(~self.possible[frames].to(emissions.device), _IMPOSSIBLE)
        paths = crf.decode(emissions, attention)
        marginals = crf.marginals(emissions, attention).cpu()
        return [
            tuple(self.read(sentence, path, probabilities[range(len(path)), path].tolist()))
            for sentence, path, probabilities in zip(sentences, paths, marginals, strict=True)
        ]

    def read(self, sentence: Sentence, path: Sequence[int], probabilities: Sequence[float]) -> Iterable[Entity]:
        """The entities that a path of columns says; `score` is the smallest probability of their words' labels.

        An I- that continues nothing opens an entity.
        """
        labels = [OUTSIDE if position is None else self.names[path[position]] for position in sentence.first]
        for span in read_bio([label if label in self.tags else OUTSIDE for label in labels]):
            positions = [position for position in sentence.first[span.start : span.end] if position is not None]
            score = min(probabilities[position] for position in positions)
            yield replace(to_entity(span, sentence.example.text, sentence.offsets), score=score)
