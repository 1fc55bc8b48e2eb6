"""Expressions and pictures to tensors, and logits to probabilities, for training and inference alike.

specs/albef.md, sections 6 and 7.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gmner.errors import TextError
from gmner.image import Picture
from gmner.models.albef.config import CONTRADICTION, ENTAILMENT, NEUTRAL, ALBEFConfig, Decision
from gmner.models.albef.model import Texts
from gmner.nn.crops import normalise

_DELETED: Final = re.compile(r"[,.'!?\"*#:;~]")
_BRACKETS: Final = re.compile(r"[()]")


@dataclass(frozen=True)
class ALBEFCodec:
    """Between expressions, pictures and an ALBEF's tensors, for one tokenizer."""

    config: ALBEFConfig
    tokenizer: Any

    def encode(self, expressions: Sequence[str]) -> list[list[int]]:
        """Each expression as [CLS] and its pieces, without [SEP]. An empty one is [CLS] alone.

        Raises:
            TextError: an expression has more pieces than the model has positions.
        """
        if not expressions:
            return []
        cleaned = [clean(text, self.config.max_words, glue_brackets=self.config.glue_brackets) for text in expressions]
        encoded = self.tokenizer(cleaned, add_special_tokens=False, verbose=False)["input_ids"]
        room = self.config.text.positions - 1
        for text, pieces in zip(expressions, encoded, strict=True):
            if len(pieces) > room:
                raise TextError(
                    f"the expression {text[:60]!r} has {len(pieces):,} sub-words",
                    allowed=f"this ALBEF reads at most {room:,}",
                    todo="shorten the expression, or set `max_words`",
                )
        return [[self.tokenizer.cls_token_id, *pieces] for pieces in encoded]

    def batch(self, encoded: Sequence[Sequence[int]]) -> Texts:
        """Encoded expressions, padded to the longest."""
        pieces = pad_sequence([torch.tensor(row) for row in encoded], batch_first=True)
        lengths = torch.tensor([len(row) for row in encoded])
        return Texts(pieces, torch.arange(pieces.shape[1]) < lengths[:, None])

    def pixels(self, pictures: Sequence[Picture]) -> Float[Tensor, "batch 3 side side"]:
        """Whole pictures, each pressed into the model's square."""
        return normalise(
            torch.from_numpy(np.stack([squeeze(picture, self.config.vision.resolution) for picture in pictures]))
        )


def clean(text: str, max_words: int | None = None, *, glue_brackets: bool = False) -> str:
    """An expression as ALBEF's tokenizer is given it: lower-case, without punctuation, of at most `max_words` words.

    Published cleaning deletes brackets like other signs, so that words grow together (`glue_brackets`); otherwise they
    leave a blank.

    >>> clean("New York(LOC)-A well-known city.")
    'new york loc a well known city'
    >>> clean("New York(LOC)-A well-known city.", max_words=4, glue_brackets=True)
    'new yorkloc a well'
    """
    text = _DELETED.sub("", text.lower())
    text = _BRACKETS.sub("" if glue_brackets else " ", text)
    text = text.replace("-", " ").replace("/", " ").replace("<person>", "person")
    text = re.sub(r"\s{2,}", " ", text).rstrip("\n").strip(" ")
    return text if max_words is None else " ".join(text.split(" ")[:max_words])


def squeeze(picture: Picture, side: int) -> Picture:
    """The whole picture as a square, whatever its shape: bicubic, antialiased (Pillow's)."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def probabilities(logits: Float[Tensor, "batch labels"], decision: Decision) -> Float[Tensor, " batch"]:
    """The probability that a picture shows an expression; above 0.5 the answer is yes.

    `pair`: entailment against contradiction. `argmax`: entailment against the likelier of the other two, so that the
    answer is yes exactly if entailment is the likeliest of the three, as in the published evaluation.
    """
    against = logits[:, CONTRADICTION]
    if decision == "argmax":
        against = torch.maximum(against, logits[:, NEUTRAL])
    return (logits[:, ENTAILMENT] - against).sigmoid()
