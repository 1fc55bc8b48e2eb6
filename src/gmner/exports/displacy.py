"""displaCy's page: the texts of posts with their entities marked, as spaCy's users know it."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise
from typing import Any

from gmner.data.label_studio import COLOURS
from gmner.exports.doc import to_doc
from gmner.exports.extras import require
from gmner.types import Example, Prediction


def displacy_page(posts: Iterable[Example | Prediction]) -> str:
    """One HTML page of posts, each below its id; its pictures are not shown (`gmner show` makes a page with them).

    Entities are marked in the text; if some of any post overlap, they are underlined in all (displaCy's style `span`).

    Raises:
        MissingPackageError: spaCy is not installed.
        EntityError: an entity has no offsets.
    """
    require("spacy")
    from spacy import displacy

    shown = [_shown(post) for post in posts]
    overlap = any(one["end"] > other["start"] for post in shown for one, other in pairwise(post["ents"]))
    html: str = displacy.render(
        shown, style="span" if overlap else "ent", page=True, manual=True, jupyter=False, options={"colors": COLOURS}
    )
    return html


def _shown(post: Example | Prediction) -> dict[str, Any]:
    """A post as displaCy takes it, in both of its styles; it escapes the text, but not the title."""
    doc = to_doc(post)
    spans = sorted(doc.spans["gmner"], key=lambda span: (span.start, span.end))
    entities = [
        {
            "start": span.start_char,
            "end": span.end_char,
            "start_token": span.start,
            "end_token": span.end,
            "label": span.label_,
        }
        for span in spans
    ]
    tokens = [token.text for token in doc]
    return {"text": post.text, "title": escape(post.id), "ents": entities, "spans": entities, "tokens": tokens}
