"""Referring expressions: how a named entity is written for models that know no names."""

from typing import Final, Literal

from gmner.types import Entity

Form = Literal["paper", "released", "expansion", "name", "typed"]

FORMS: Final[dict[Form, str]] = {
    "paper": "{name} ({type}) - {expansion}",
    "released": "{name}({type})-{expansion}",
    "expansion": "{expansion}",
    "name": "{name} ({type})",
    "typed": "{type} - {expansion}",
}
"""How an expression is written: as the paper has it, as the released files do (their models were trained on that), and
the two halves that the paper's Table X compares; `typed` is for models that have seen too few names to make anything of
them. Only `name` needs no language model."""

EXPANSION_KEY: Final = "expansion"
"""The key of an entity's row (of `Entity.extra`) that holds what the name stands for, without the name."""


def write_expression(entity: Entity, form: Form, expansion: str) -> str:
    """An entity's expression in a form.

    >>> write_expression(Entity("Rihanna", "PER"), "paper", "a singer in red")
    'Rihanna (PER) - a singer in red'
    """
    return FORMS[form].format(name=entity.text, type=entity.type, expansion=expansion)


def expression_of(entity: Entity, form: Form = "paper") -> str:
    """The expression of an entity: in `form` if its expansion is known, else as it was given, else name and type."""
    expansion = entity.extra.get(EXPANSION_KEY)
    if isinstance(expansion, str) or form == "name":
        return write_expression(entity, form, str(expansion))
    return entity.expression or write_expression(entity, "name", "")
