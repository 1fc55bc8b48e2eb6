"""A vocabulary of sub-words learned from the texts of posts: for networks from random weights.

A published vocabulary has tens of thousands of sub-words, of which the posts of one data set use a tenth. Each costs a
row of the embedding table, which every training step clears, adds up and moves, and what is rare is not learned.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gmner.expression import EXPANSION_KEY
from gmner.types import Example

SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The first sub-words, in this order."""


def texts_of(examples: Sequence[Example]) -> list[str]:
    """What there is to read in posts: sentences, captions, descriptions, knowledge, and expansions of gold names."""
    texts = [text for e in examples for text in (e.text, e.caption, e.description, e.knowledge) if text]
    entities = (entity for example in examples for entity in example.entities or ())
    return texts + [entity.extra[EXPANSION_KEY] for entity in entities if EXPANSION_KEY in entity.extra]


def learn_pieces(texts: Iterable[str], size: int) -> Any:
    """A tokenizer of transformers with at most `size` sub-words: WordPiece, in lower case (Devlin et al. 2019)."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learned = sorted(tokenizer.get_vocab().keys() - set(SPECIAL))  # which they are is certain, their order is not
    return BertTokenizer(vocab={piece: number for number, piece in enumerate((*SPECIAL, *learned))})
