"""A step of spaCy's pipelines: `nlp.add_pipe("gmner", config={"system": "lite"})`.

spaCy finds it by the entry point `spacy_factories`, so that nothing has to be imported. This module imports spaCy.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.util import minibatch

from gmner.errors import GmnerError
from gmner.exports.doc import annotate, post_of, prepare
from gmner.systems import load
from gmner.systems.system import System


class Gmner(Pipe):  # type: ignore[misc]
    """A system as a step: it reads `doc.text` and the picture `doc._.image`, and writes what `doc.annotate` says.

    A `Doc` that `to_doc` made brings along all that is known of its post (tokens, caption, knowledge, candidates). One
    without words has no entities. A post that can not be read is handed to spaCy's error handler: unless another one
    is set (`nlp.set_error_handler`), its GmnerError is raised.
    """

    def __init__(self, name: str, system: System) -> None:
        self.name, self.system = name, system
        prepare()

    def __call__(self, doc: Doc) -> Doc:
        for error in self._read([doc]):
            if error is not None:
                raise error
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 32) -> Iterator[Doc]:
        """The same in bulk; `batch_size` is that of `nlp.pipe`."""
        handle = self.get_error_handler()
        for batch in minibatch(stream, size=batch_size):
            for doc, error in zip(batch, self._read(batch), strict=True):
                if error is None:
                    yield doc
                else:
                    handle(self.name, self, [doc], error)

    def _read(self, docs: list[Doc]) -> list[GmnerError | None]:
        """Write into each `Doc` what the system finds, or say what is wrong with it."""
        worded = [doc for doc in docs if doc.text.strip()]
        errors: dict[int, GmnerError] = {}
        posts = []
        for doc in worded:
            try:
                posts.append((doc, post_of(doc)))
            except GmnerError as error:
                errors[id(doc)] = error
        for (doc, _), result in zip(posts, self.system.attempt([post for _, post in posts]), strict=True):
            try:
                if isinstance(result, GmnerError):
                    raise result
                annotate(doc, result)
            except GmnerError as error:
                errors[id(doc)] = error
        return [errors.get(id(doc)) for doc in docs]


@Language.factory(  # type: ignore[untyped-decorator]
    "gmner",
    assigns=["doc.ents", "doc.spans"],
    retokenizes=True,
    default_config={"system": "lite", "settings": {}},
)
def make(nlp: Language, name: str, system: str, settings: Mapping[str, Any]) -> Gmner:
    """The component; `system` and `settings` are those of `gmner.load(system, **settings)`, and it raises as that."""
    return Gmner(name, load(system, **settings))
