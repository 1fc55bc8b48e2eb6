"""Known expansions as the recorded answers of a language model: who has them can run a cascade without one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gmner.data.files import replacing
from gmner.errors import DataError
from gmner.expression import EXPANSION_KEY
from gmner.llm import Answer, LLMSettings
from gmner.llm.request import asked
from gmner.stages.expand import Expander
from gmner.types import Example, Prediction


def write_expansions(path: Path, examples: Sequence[Example], model: str, where: str = "posts") -> int:
    """Write what the gold entities are said to be as answers of `model` to the expand stage's questions, and count.

    A `Replay` of the file answers for the names of gold and for no others, as if a language model were asked that
    knows all of them: so drawn posts, whose names are invented, go through a whole cascade. `where` is the file that
    the examples are from, to be named in errors.

    Raises:
        DataError: no entity has an expansion (the key `expansion` of its row), or the file can not be written.
    """
    lines = dict.fromkeys(_lines(examples, LLMSettings(model=model)))
    if not lines:
        raise DataError(
            where,
            "no entity has an expansion" if examples else "no posts",
            allowed=f"entities have what they stand for under the key `{EXPANSION_KEY}`, as those of drawn posts do",
            todo="give such a data set, or ask a language model",
        )
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _lines(examples: Sequence[Example], settings: LLMSettings) -> Iterable[str]:
    expander = Expander(provider=None)
    for example in examples:
        for entity in example.entities or ():
            expansion = entity.extra.get(EXPANSION_KEY)
            if isinstance(expansion, str) and expansion.strip():
                draft = Prediction(example=example, entities=(replace(entity, expression=None),))
                [request] = expander.requests(draft)
                answer = Answer(expansion, settings.model)
                yield json.dumps({**asked(request, settings), "answer": asdict(answer)}, ensure_ascii=False)
