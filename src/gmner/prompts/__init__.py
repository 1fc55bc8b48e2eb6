"""What language models are asked: one TOML file a question, and the way from its words to a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from gmner.config import read_toml
from gmner.llm import Request

NOTHING = "none"
"""What a block says where there is nothing to say: no picture, no description."""


@dataclass(frozen=True)
class Prompt:
    """A question: a line about the task (`system`), and blocks of one form, the last of which waits for its answer.

    Args:
        version: raised with every change of the words. Kept answers are found by the words themselves, so that those
            to older words are never taken for answers to newer ones.
        block: the form of a block, with the names of its fields in braces; `{answer}` is the last of them.
        system: what the model is told of the task.
        examples: the fields of worked examples that every question begins with.
    """

    version: int
    block: str
    system: str = ""
    examples: tuple[dict[str, str], ...] = ()

    def request(
        self,
        fields: Mapping[str, str | None],
        shown: Sequence[Mapping[str, str | None]] = (),
        *,
        images: tuple[bytes, ...] = (),
        id: str = "",  # noqa: A002 - as a Request calls it
    ) -> Request:
        """The question about `fields`, after the worked examples and those `shown` in addition.

        A field that is empty or None reads "none". Line breaks within a field become blanks, so that no field can be
        taken for another block.

        Raises:
            TextError: a field is not Unicode.
        """
        blocks = [self.block.format_map(_on_one_line(example)) for example in (*self.examples, *shown)]
        question = self.block.format_map({**_on_one_line(fields), "answer": ""}).rstrip()
        return Request("\n\n".join([*blocks, question]), self.system, images, id)


def read_prompt(name: Literal["knowledge", "expansion", "caption", "description"]) -> Prompt:
    """The packaged prompt `name`. One of your own is read with `config.read_toml(Prompt, path)`."""
    return read_toml(Prompt, Path(str(resources.files("gmner.prompts") / f"{name}.toml")))


def _on_one_line(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: " ".join((text or NOTHING).split()) for name, text in fields.items()}
