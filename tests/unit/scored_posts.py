"""Posts to score: short builders for cases by hand, and strategies for any."""

import numpy as np
from hypothesis import strategies as st

from gmner.geometry import encode_mask
from gmner.types import ENTITY_TYPES, Box, Candidate, Entity, Example, Prediction

SQUARE = Box(0, 0, 10, 10)
HALF = Box(0, 0, 10, 5)  # IoU with SQUARE is exactly 0.5
MOST = Box(0, 0, 10, 6)  # 0.6
FAR = Box(100, 100, 120, 120)


def mask(x1, y1, x2, y2, size=(20, 20)):
    pixels = np.zeros(size, dtype=bool)
    pixels[y1:y2, x1:x2] = True
    return encode_mask(pixels)


def post(text, *entities, post_id="1", candidates=None):
    """A gold post; `entities` are (phrase, type, boxes) or (phrase, type, boxes, masks), or Entity values."""
    return Example(
        id=post_id,
        text=text,
        entities=tuple(entity(text, *parts) if isinstance(parts, tuple) else parts for parts in entities),
        candidates=None if candidates is None else tuple(Candidate(box, "object", 0.5) for box in candidates),
    )


def entity(text, phrase, kind, boxes=(), masks=()):
    start = text.index(phrase)
    return Entity(phrase, kind, start, start + len(phrase), boxes=tuple(boxes), masks=tuple(masks))


def answer(gold, *entities):
    """A prediction of a gold post's text."""
    found = [entity(gold.text, *parts) if isinstance(parts, tuple) else parts for parts in entities]
    return Prediction(example=Example(id=gold.id, text=gold.text), entities=tuple(found))


def echo(gold):
    """Gold given back as the prediction."""
    return [Prediction(example=Example(id=one.id, text=one.text), entities=one.entities) for one in gold]


WORDS = 6
TEXT = " ".join(f"w{i}" for i in range(WORDS))

corners = st.integers(0, 3)
small_boxes = st.builds(
    lambda x, y, w, h: Box(5 * x, 5 * y, 5 * (x + w), 5 * (y + h)),
    corners,
    corners,
    st.integers(1, 3),
    corners.map(lambda n: n + 1),
)
FRAMES = [Box(5 * x, 5 * y, 5 * x + 10, 5 * y + 10) for y in range(3) for x in range(4)]
"""Twelve different candidates of one picture."""


def as_mask(box):
    return mask(int(box.x1), int(box.y1), int(box.x2), int(box.y2), size=(40, 40))


@st.composite
def entities(draw, boxes=small_boxes):
    """Any entity of TEXT, in the picture or not, each region as a box and as a mask."""
    start = draw(st.integers(0, WORDS - 1))
    end = draw(st.integers(start + 1, min(start + 2, WORDS)))
    regions = draw(st.lists(boxes, max_size=2))
    phrase = " ".join(f"w{i}" for i in range(start, end))
    return entity(TEXT, phrase, draw(st.sampled_from(ENTITY_TYPES)), regions, map(as_mask, regions))


few_posts = st.integers(0, 3)


@st.composite
def scored(draw, posts=few_posts, repeated_spans=True, **options):
    """Gold posts and as many predictions, unrelated but in a small world where much agrees by chance."""
    unique = None if repeated_spans else (lambda one: (one.start, one.end))
    gold, predicted = [], []
    for number in range(draw(posts)):
        truth = draw(st.lists(entities(**options), max_size=4, unique_by=unique))
        example = post(TEXT, *truth, post_id=f"p{number}", candidates=FRAMES)
        gold.append(example)
        predicted.append(answer(example, *draw(st.lists(entities(**options), max_size=4))))
    return gold, predicted
