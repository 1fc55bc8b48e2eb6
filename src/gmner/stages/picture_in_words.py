"""The picture in words, behind the sentence: what ITA's recogniser reads of it (specs/evg_baselines.md, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gmner.image import Picture
from gmner.stages.stage import Stage
from gmner.types import FACE, LETTERING, Candidate, Example, Prediction

UNNAMED = ("object", FACE, LETTERING)
"""Kinds of candidates that name nothing."""


@dataclass(frozen=True)
class PictureInWords(Stage):
    """Fills `knowledge` with what is seen, in words: kinds of objects, caption, lettering, in this order.

    ITA takes objects with attributes from VinVL, captions made of its features, and text that Tesseract reads. Here
    objects are kinds of candidates as far as a detector names them, the caption (and description) are the post's, and
    lettering is what candidates of that kind say. What was there as knowledge makes way.
    """

    name: str = "knowledge"

    def __call__(self, drafts: Sequence[Prediction], pictures: Sequence[Picture | None]) -> list[Prediction]:
        return [replace(draft, example=in_words(draft.example, draft.candidates)) for draft in drafts]


def in_words(example: Example, candidates: Sequence[Candidate]) -> Example:
    """The post with its picture in words as knowledge; None where nothing is known of it."""
    objects = [found.kind for found in candidates if found.kind not in UNNAMED]
    lettering = [found.text for found in candidates if found.kind == LETTERING and found.text]
    texts = [" ".join(dict.fromkeys(objects)), example.caption, example.description, " ".join(lettering)]
    return replace(example, knowledge=" . ".join(text for text in texts if text) or None)
