"""Auxiliary refined knowledge: an LLM's answer on each tweet, as PLIM's files have it (specs/riveg.md section 1).

A block is the tweet's `token<TAB>tag` lines, then `<EOS>` and the words of the answer, all of these tagged X, then an
empty line. A word is empty where the answer has two blanks in a row. The published files end their lines with CR LF
and name no image. Their blocks are the tweets of their split in its order, with equal tokens (the tags are those of
version 2.0); the last tweet of each split of Twitter-2015, which no empty line ends, has no block.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, NamedTuple

from gmner.data.bio import split_lines
from gmner.data.files import read_text
from gmner.data.sidecars import Entry, SidecarReport, attach
from gmner.errors import DataError
from gmner.tagging import word_offsets
from gmner.types import Example

_END: Final = ("<EOS>", "X")


class KnowledgeBlock(NamedTuple):
    """The tokens of a tweet, the answer's words joined by blanks, and the place of the block (`file:line`)."""

    tokens: tuple[str, ...]
    text: str
    where: str


def with_knowledge(examples: Sequence[Example], *paths: str | Path) -> tuple[list[Example], SidecarReport]:
    """The posts with the knowledge of PLIM's files.

    As blocks name no image, each file is laid beside the posts in order, and a block belongs to the post that it
    meets with equal tokens. Posts may lack on either side (a filtered training set), and the files may come in any
    order, but the posts of each file must be in its order. Blocks that meet no post are alien, by `file:line`.

    Raises:
        DataError: there is no such file, or it breaks its format.
    """
    words = [tuple(example.text[start:end] for start, end in word_offsets(example)) for example in examples]
    entries: list[Entry] = []
    for path in paths:
        blocks = read_knowledge(Path(path))
        owners: dict[int, str] = {}
        matcher = SequenceMatcher(None, [block.tokens for block in blocks], words, autojunk=False)
        for first_block, first_post, length in matcher.get_matching_blocks():
            owners |= {first_block + n: examples[first_post + n].id for n in range(length)}
        entries += [Entry(owners.get(n, block.where), block.text, block.where) for n, block in enumerate(blocks)]
    return attach(examples, entries, "knowledge", lambda example: example.id)


def read_knowledge(path: Path) -> list[KnowledgeBlock]:
    """The blocks of a file of PLIM's.

    Raises:
        DataError: there is no such file, a line is no token with its tag, or a block has no `<EOS>` or goes on after
            it with another tag than X.
    """
    blocks: list[KnowledgeBlock] = []
    block: list[tuple[str, str]] = []
    for number, line in enumerate([*split_lines(read_text(path)), ""], 1):
        if line:
            word, tab, tag = line.rpartition("\t")
            if not tab:
                raise _broken(f"{path}:{number}", f"the line {line[:40]!r}")
            block.append((word, tag))
        elif block:
            blocks.append(_block(block, f"{path}:{number - len(block)}"))
            block = []
    return blocks


def _block(pairs: list[tuple[str, str]], where: str) -> KnowledgeBlock:
    """The block that starts at `where`."""
    end = pairs.index(_END) if _END in pairs else 0
    if end == 0 or any(tag != _END[1] for _, tag in pairs[end:]):
        raise _broken(where, f"a block that starts with {pairs[0][0]!r}")
    return KnowledgeBlock(
        tokens=tuple(token for token, _ in pairs[:end]),
        text=" ".join(word for word, _ in pairs[end + 1 :]),
        where=where,
    )


def _broken(where: str, given: str) -> DataError:
    return DataError(
        where,
        given,
        allowed="a block is a tagged tweet, `<EOS>` and the words of the answer, from `<EOS>` on all tagged X",
        todo="give a knowledge file as PLIM published them",
    )
