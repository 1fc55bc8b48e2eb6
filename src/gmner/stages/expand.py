"""Expand: each named entity as a referring expression, which models that know no names can look for in a picture.

Entity expansion expressions, papers/riveg.txt, section IV-B2, and specs/riveg.md, section 2. Entities that have an
expression already keep it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gmner.errors import GmnerError
from gmner.expression import Form, write_expression
from gmner.image import Picture
from gmner.llm import Answer, Progress, Provider, Request
from gmner.prompts import Prompt, read_prompt
from gmner.stages.stage import Stage, with_note
from gmner.types import Entity, Prediction

NO_MODEL: Final = "no language model is configured: referring expressions are names and types"


@dataclass(frozen=True)
class Expander(Stage):
    """Expressions with what a language model says that a name stands for.

    The model is told the picture's description, or its caption where there is no description. Without a `provider`,
    and for an entity that it has no answer for, the expression is `Name (TYPE)`, and the draft says so in a note.
    `progress` is called while the model is asked.
    """

    provider: Provider | None
    form: Form = "paper"
    prompt: Prompt = field(default_factory=lambda: read_prompt("expansion"))
    progress: Callable[[Progress], None] | None = None
    name: str = "expand"

    def requests(self, draft: Prediction) -> list[Request]:
        """What is asked about a draft: one question for each entity that has no expression."""
        example = draft.example
        background = example.description or example.caption
        return [
            self.prompt.request(
                {"description": background, "text": example.text, "name": entity.text},
                id=f"{example.id}: {entity.text}" if example.id else entity.text,
            )
            for entity in draft.entities
            if entity.expression is None
        ]

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        if self.provider is None or self.form == "name":
            return [self._by_name(draft) for draft in drafts]
        requests = [self.requests(draft) for draft in drafts]
        answers = iter(self.provider.ask([request for some in requests for request in some], self.progress))
        return [
            self._by_answers(draft, [next(answers) for _ in some]) for draft, some in zip(drafts, requests, strict=True)
        ]

    def _by_name(self, draft: Prediction) -> Prediction:
        entities = tuple(_named(entity) if entity.expression is None else entity for entity in draft.entities)
        named = replace(draft, entities=entities)
        return named if self.form == "name" or entities == draft.entities else with_note(named, NO_MODEL)

    def _by_answers(self, draft: Prediction, answers: Sequence[Answer | GmnerError]) -> Prediction:
        """The draft with an answer to each of its requests."""
        waiting, entities = iter(answers), []
        for entity in draft.entities:
            answer = next(waiting) if entity.expression is None else None
            if isinstance(answer, Answer):
                entity = self._expanded(entity, answer)
                draft = draft if answer.complete else with_note(draft, f"what {entity.text!r} stands for was cut off")
            elif isinstance(answer, GmnerError):
                entity = _named(entity)
                draft = with_note(draft, f"{entity.text!r} goes by name and type: {answer}")
            entities.append(entity)
        return replace(draft, entities=tuple(entities))

    def _expanded(self, entity: Entity, answer: Answer) -> Entity:
        text = " ".join(answer.text.split())
        expression = write_expression(entity, self.form, text)
        source = f"{answer.model}, expansion prompt {self.prompt.version}"
        return replace(entity, expression=expression, provenance={**entity.provenance, self.name: source})


def _named(entity: Entity) -> Entity:
    return replace(entity, expression=write_expression(entity, "name", ""))
