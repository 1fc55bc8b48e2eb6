"""spaCy's `Doc`: a post's text as tokens, its entities as spans that begin and end exactly where ours do.

`doc.spans["gmner"]` holds every entity in order; `doc.ents`, which spaCy allows no overlaps in, those that do not
overlap (the longer before the shorter, as `spacy.util.filter_spans` chooses). Each span knows its regions as
`span._.boxes` ([x1, y1, x2, y2] in pixels) and `span._.masks` (COCO's run-length codes), and further
`span._.groundable`, `span._.score` and `span._.expression`; the picture is `doc._.image`. All of it is plain data, so
that a `Doc` whose picture has a path can be saved (`to_bytes`, `DocBin(store_user_data=True)`) and read again.
"""

from dataclasses import replace
from itertools import pairwise
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final

from gmner.data.rows import example_from_row, prediction_from_row, row_from_example, row_from_prediction
from gmner.errors import EntityError
from gmner.exports.extras import require
from gmner.exports.plain import plain
from gmner.tagging import word_offsets
from gmner.types import Entity, Example, Prediction

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span
    from spacy.vocab import Vocab

SPANS: Final = "gmner"
"""The key of `doc.spans` that the entities stand under, and of `doc.user_data` that the post's row does."""

_ATTRIBUTES: Final[dict[str, Any]] = {"boxes": [], "masks": [], "groundable": None, "score": None, "expression": None}
"""What a span says of its entity, and what any other span does."""

_PREFIX: Final = "gmner-"  # a span's id is this and the place of its entity in the row


def to_doc(post: Example | Prediction, vocab: "Vocab | None" = None) -> "Doc":
    """The post as a `Doc` whose text is the post's, character by character.

    Its tokens are the post's words (its own tokens, or those that `tagging.split_words` finds), cut where an entity
    begins or ends within one, and the white space between them as spaCy has it. Of an example the entities are gold.

    Args:
        post: an example or a prediction; all that a row holds of it comes back with `from_doc`.
        vocab: that of the pipeline that the `Doc` is for (`nlp.vocab`).

    Raises:
        MissingPackageError: spaCy is not installed.
        EntityError: an entity has no offsets, so that nobody knows which span it is.
    """
    require("spacy")
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

    prepare()
    example = post.example if isinstance(post, Prediction) else post
    words, spaces = _tokens(example, [_span(entity) for entity in post.entities or ()])
    doc = Doc(Vocab() if vocab is None else vocab, words=words, spaces=spaces)
    doc._.image = fspath(example.image) if isinstance(example.image, PathLike) else example.image
    annotate(doc, post)
    return doc


def from_doc(doc: "Doc") -> Prediction:
    """The prediction that a `Doc` holds.

    Its entities are the spans of `doc.spans["gmner"]`, or where there are none under this key those of `doc.ents`, so
    that a `Doc` of any pipeline can be read whose labels are our types.

    Raises:
        EntityError: a label is none of our types.
    """
    prepare()
    row = _row(doc)
    spans = doc.spans.get(SPANS, doc.ents)
    records = [
        {**_record(span), "text": span.text, "type": span.label_, "start": span.start_char, "end": span.end_char}
        for span in spans
    ]
    prediction = prediction_from_row({**row, "entities": records}, "doc")
    return replace(prediction, example=replace(prediction.example, image=doc._.image))


def post_of(doc: "Doc") -> Example:
    """The post that a `Doc` is of, with what is known of it and without its entities."""
    prepare()
    row = {key: value for key, value in _row(doc).items() if key not in ("entities", "notes")}
    return replace(example_from_row(row, "doc"), image=doc._.image)


def annotate(doc: "Doc", post: Example | Prediction) -> None:
    """Put the entities of `post`, which is of the text of `doc`, into it; earlier ones are replaced.

    A token is split where an entity begins or ends within it: no entity is widened to fit the tokens.

    Raises:
        EntityError: an entity has no offsets, or begins or ends between the tokens.
    """
    from spacy.util import filter_spans

    prepare()
    entities = post.entities or ()
    _split_tokens(doc, {cut for entity in entities for cut in _span(entity)})
    spans = []
    for number, entity in enumerate(entities):
        start, end = _span(entity)
        span = doc.char_span(start, end, label=entity.type, span_id=f"{_PREFIX}{number}")
        if span is None:
            raise EntityError(
                f"entity {entity.text!r} at {start}:{end} begins or ends with a blank",
                allowed="spaCy's spans are of whole tokens, and a single blank after a token is none",
                todo="take the blanks off the entity",
            )
        spans.append(span)
    doc.spans[SPANS] = spans
    doc.set_ents(filter_spans(spans))
    row = row_from_prediction(post) if isinstance(post, Prediction) else row_from_example(replace(post, image=None))
    doc.user_data[SPANS] = {key: value for key, value in row.items() if key not in ("schema", "text", "image")}


def prepare() -> None:
    """Tell spaCy of the attributes; those that somebody else has set under these names are left alone."""
    from spacy.tokens import Doc, Span

    if not Doc.has_extension("image"):
        Doc.set_extension("image", default=None)
    for name, default in _ATTRIBUTES.items():
        if not Span.has_extension(name):
            Span.set_extension(name, getter=lambda span, name=name, default=default: _record(span).get(name, default))


def _row(doc: "Doc") -> dict[str, Any]:
    """What is known of the post, as our row has it."""
    return {**plain(doc.user_data.get(SPANS, {})), "text": doc.text}


def _record(span: "Span") -> dict[str, Any]:
    """What is known of the entity that a span is; nothing if it is none of ours."""
    records = span.doc.user_data.get(SPANS, {}).get("entities", ())
    place = span.id_.removeprefix(_PREFIX)
    if place == span.id_ or not place.isdecimal() or int(place) >= len(records):
        return {}
    record: dict[str, Any] = plain(records[int(place)])
    return record


def _span(entity: Entity) -> tuple[int, int]:
    """The offsets of an entity."""
    if entity.start is None or entity.end is None:
        raise EntityError(
            f"entity {entity.text!r} has no offsets",
            allowed="an entity of a Doc is a span of its text",
            todo="give it `start` and `end`",
        )
    return entity.start, entity.end


def _tokens(example: Example, entities: list[tuple[int, int]]) -> tuple[list[str], list[bool]]:
    """Words of spaCy, and for each whether one blank follows it.

    The blank after a word is part of no token, unless an entity begins or ends with it; other white space is a token.
    """
    text, starts, ends = example.text, {start for start, _ in entities}, {end for _, end in entities}
    cuts = {0, len(text), *starts, *ends, *(cut for offsets in word_offsets(example) for cut in offsets)}
    words: list[str] = []
    spaces: list[bool] = []
    reached = 0
    for cut in sorted(cuts - {0}):
        if text[reached] == " " and words and not spaces[-1] and reached not in starts and reached + 1 not in ends:
            spaces[-1] = True
            reached += 1
        if reached < cut:
            words.append(text[reached:cut])
            spaces.append(False)
        reached = cut
    return words, spaces


def _split_tokens(doc: "Doc", cuts: set[int]) -> None:
    """Split the tokens that a cut goes through; the first part keeps the token's place in the sentence's tree."""
    inner: dict[int, list[int]] = {}
    for token in doc:
        within = sorted(cut - token.idx for cut in cuts if token.idx < cut < token.idx + len(token))
        if within:
            inner[token.i] = [0, *within, len(token)]
    with doc.retokenize() as retokenizer:
        for place, bounds in inner.items():
            token = doc[place]
            parts = [token.text[start:end] for start, end in pairwise(bounds)]
            head = token.head if token.head.i != place and token.head.i not in inner else (token, 0)
            retokenizer.split(token, parts, heads=[head, *[(token, 0)] * (len(parts) - 1)])
