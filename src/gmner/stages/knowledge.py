"""Knowledge: what a language model says about the named entities of a post, for the recogniser to read beside it.

Auxiliary refined knowledge, papers/riveg.txt, section IV-B1. Posts that have knowledge already keep it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from gmner.data.knowledge import read_knowledge
from gmner.errors import GmnerError
from gmner.image import Picture
from gmner.llm import Progress, Provider, Request
from gmner.prompts import Prompt, read_prompt
from gmner.stages.similar import ExampleSelector
from gmner.stages.stage import Stage, with_note
from gmner.tagging import word_offsets
from gmner.types import Example, Prediction

NO_MODEL = "no language model is configured: the text was read without knowledge"
CUT = "the knowledge was cut off at the model's largest length"


@dataclass(frozen=True)
class LLMKnowledge(Stage):
    """Knowledge from a language model, which is shown the examples that `selector` chooses.

    Without a `provider`, and for a post that it has no answer for, the draft goes on with a note that says so.
    `progress` is called while the model is asked.
    """

    provider: Provider | None
    selector: ExampleSelector
    prompt: Prompt = field(default_factory=lambda: read_prompt("knowledge"))
    progress: Callable[[Progress], None] | None = None
    name: str = "knowledge"

    def check(self, example: Example) -> None:
        self.selector.check(example)

    def requests(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> list[Request]:
        """What is asked about each post: its text, its caption, and before them those of its examples."""
        return [
            self.prompt.request(
                {"text": example.text, "caption": example.caption},
                [{"text": post.example.text, "caption": post.example.caption, "answer": post.answer} for post in shown],
                id=example.id,
            )
            for example, shown in zip(examples, self.selector(examples, pictures), strict=True)
        ]

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        asked = [index for index, draft in enumerate(drafts) if draft.example.knowledge is None]
        results = list(drafts)
        if self.provider is None:
            for index in asked:
                results[index] = with_note(drafts[index], NO_MODEL)
            return results
        requests = self.requests([drafts[index].example for index in asked], [pictures[index] for index in asked])
        for index, answer in zip(asked, self.provider.ask(requests, self.progress), strict=True):
            if isinstance(answer, GmnerError):
                results[index] = with_note(drafts[index], f"no knowledge: {answer}")
                continue
            filled = replace(drafts[index], example=replace(drafts[index].example, knowledge=answer.text.strip()))
            results[index] = filled if answer.complete else with_note(filled, CUT)
        return results


@dataclass(frozen=True)
class RecordedKnowledge(Stage):
    """Knowledge from files that PLIM published, which hold words and answers but no ids: posts are found by words.

    A post whose words have several answers (retweets with other pictures) is left alone with a note;
    `data.with_knowledge` tells such posts apart by their order in the data set.
    """

    answers: Mapping[tuple[str, ...], frozenset[str]]
    name: str = "knowledge"

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """The answers of several files.

        Raises:
            DataError: there is no such file, or it breaks its format.
        """
        answers: dict[tuple[str, ...], set[str]] = {}
        for path in paths:
            for block in read_knowledge(path):
                answers.setdefault(block.tokens, set()).add(block.text)
        return cls({tokens: frozenset(texts) for tokens, texts in answers.items()})

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [self._filled(draft) if draft.example.knowledge is None else draft for draft in drafts]

    def _filled(self, draft: Prediction) -> Prediction:
        example = draft.example
        words = tuple(example.text[start:end] for start, end in word_offsets(example))
        texts = self.answers.get(words, frozenset())
        if len(texts) != 1:
            number = f"{len(texts)} different answers" if texts else "no answer"
            return with_note(draft, f"no knowledge: the recorded files have {number} for sample {example.id!r}")
        [text] = texts
        return replace(draft, example=replace(example, knowledge=text))
