"""OFA's tokens: GPT-2's byte-level BPE, renumbered by a dictionary (specs/ofa.md, section 2)."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from gmner.errors import CheckpointError
from gmner.models.ofa.config import UNKNOWN

DICTIONARY: Final = "dict.txt"
SYMBOLS: Final = "encoder.json"
MERGES: Final = "vocab.bpe"
FIRST_SYMBOL: Final = 4
"""The id of the dictionary's first line; the special tokens come before."""


@dataclass(frozen=True)
class Vocabulary:
    """The three files of a vocabulary, as texts by their names; `read_vocabulary` reads them.

    There are no special tokens in a text: `<mask>` in a post is ordinary characters. Nothing is cut.
    """

    files: Mapping[str, str] = field(repr=False)

    @property
    def size(self) -> int:
        """How many symbols the dictionary lists."""
        return len(self.files[DICTIONARY].splitlines())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without begin and end."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[self._ids.get(symbol, UNKNOWN) for symbol in encoding.ids] for encoding in encodings]

    def write(self, folder: Path) -> None:
        """The three files into an existing folder."""
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")

    @cached_property
    def _ids(self) -> dict[int, int]:
        """Our id of every BPE symbol, which the dictionary names by its number; fillers name none."""
        names = (line.rpartition(" ")[0] for line in self.files[DICTIONARY].splitlines())
        return {int(name): number for number, name in enumerate(names, FIRST_SYMBOL) if name.isdecimal()}

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers

        symbols = json.loads(self.files[SYMBOLS])
        lines = [line for line in self.files[MERGES].splitlines() if line and not line.startswith("#version")]
        tokenizer = Tokenizer(models.BPE(vocab=symbols, merges=[_pair(line) for line in lines]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer


def read_vocabulary(folder: Traversable) -> Vocabulary:
    """The vocabulary of a folder that holds `dict.txt`, `encoder.json` and `vocab.bpe`.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    try:
        vocabulary = Vocabulary({name: (folder / name).read_text("utf-8") for name in (DICTIONARY, SYMBOLS, MERGES)})
        vocabulary.encode([" "])
    except Exception as error:  # the tokenizer raises whatever the damage makes it stumble over
        raise CheckpointError(
            f"{folder} holds no vocabulary of OFA ({str(error).partition(chr(10))[0][:100]})",
            allowed=f"a vocabulary is a folder with {DICTIONARY}, {SYMBOLS} and {MERGES}",
            todo="copy the files that OFA is released with",
        ) from None
    return vocabulary


def learn_vocabulary(texts: Iterable[str], size: int) -> Vocabulary:
    """A small vocabulary of the same form from texts: at most `size` symbols, the most frequent first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    texts = list(texts)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    counts = Counter(symbol for encoding in tokenizer.encode_batch(texts) for symbol in encoding.ids)
    order = sorted(model["vocab"].values(), key=lambda symbol: (-counts[symbol], symbol))
    return Vocabulary(
        {
            DICTIONARY: "".join(f"{symbol} {counts[symbol]}\n" for symbol in order),
            SYMBOLS: json.dumps(model["vocab"]),
            MERGES: "".join(f"{left} {right}\n" for left, right in model["merges"]),
        }
    )


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split(" ")
    return left, right
