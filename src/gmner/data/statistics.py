"""Every count that is known of the data sets (specs/datasets.md sections 2 and 3), from the files as they are.

Entities are read leniently unless a name says otherwise. A mention is groundable if the file of its image has a box
of its name; every mention counts, repeated ones too.
"""

import math
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

from gmner.data.bio import Tweet
from gmner.data.corpus import Corpus, NamedMasks
from gmner.data.matching import Reason, why_unmatched
from gmner.data.voc import Annotation, NamedBox
from gmner.geometry import mask_area, mask_iou
from gmner.tagging import OUTSIDE, TokenSpan, illegal_steps, read_bio
from gmner.types import ENTITY_TYPES, Box, EntityType

Value = int | float | str
Counts = dict[str, Value]

ALL: Final = "all"
"""The column that counts all splits together."""


def count(corpus: Corpus) -> dict[str, dict[str, Counts]]:
    """All counts: section (text, boxes, pictures, masks), then split or `all`, then name, then value.

    Boxes and pictures are counted where the data set has annotations, masks where it has masks.
    """
    columns = {**corpus.splits, ALL: corpus.tweets}
    sections = {"text": {name: text_counts(tweets) for name, tweets in columns.items()}}
    if corpus.annotations is not None:
        sections["boxes"] = {name: box_counts(tweets, corpus.annotations) for name, tweets in columns.items()}
        annotated = {
            name: [corpus.annotations[tweet.id] for tweet in tweets if tweet.id in corpus.annotations]
            for name, tweets in corpus.splits.items()
        }
        pictures = {**annotated, ALL: list(corpus.annotations.values())}
        sections["pictures"] = {name: picture_counts(annotations) for name, annotations in pictures.items()}
    if corpus.masks is not None:
        sections["masks"] = {name: mask_counts(tweets, corpus.masks) for name, tweets in columns.items()}
    return sections


def text_counts(tweets: Sequence[Tweet]) -> Counts:
    """The counts of tokens, tags and entities."""
    spans = [read_bio(tweet.tags) for tweet in tweets]
    mentions = [span_texts(tweet, found) for tweet, found in zip(tweets, spans, strict=True)]
    types = Counter(span.type for found in spans for span in found)
    opened = Counter(span.type for tweet in tweets for span in read_bio(tweet.tags, strict=True))
    steps = [(tweet, position) for tweet in tweets for position in illegal_steps(tweet.tags)]
    lengths = Counter(span.end - span.start for found in spans for span in found)
    entities = types.total()
    gone = [[tag for token, tag in zip(tweet.tokens, tweet.tags, strict=True) if vanishes(token)] for tweet in tweets]
    tokens = [token for tweet in tweets for token in tweet.tokens]
    return {
        "tweets": len(tweets),
        "tokens": len(tokens),
        "entities": entities,
        "B- tags": opened.total(),
        **{kind: types[kind] for kind in ENTITY_TYPES},
        **{f"B-{kind}": opened[kind] for kind in ENTITY_TYPES},
        "tweets without entity": sum(not found for found in spans),
        "illegal tag steps": len(steps),
        "illegal tag steps after O or at the start": sum(
            at == 0 or tweet.tags[at - 1] == OUTSIDE for tweet, at in steps
        ),
        "repeated mentions of a string": sum(len(names) - len(set(names)) for names in mentions),
        "tweets with a string of two types": sum(
            len({(name, span.type) for name, span in zip(names, found, strict=True)}) > len(set(names))
            for names, found in zip(mentions, spans, strict=True)
        ),
        "tokens per tweet, mean": _mean([len(tweet.tokens) for tweet in tweets]),
        "tokens per tweet, most": max((len(tweet.tokens) for tweet in tweets), default=0),
        "entities per tweet, most": max(map(len, spans), default=0),
        "tokens per entity, most": max(lengths, default=0),
        "entities of one token, %": _percent(lengths[1], entities),
        "entities of two tokens, %": _percent(lengths[2], entities),
        "tokens that BERT's clean-up removes": sum(map(len, gone)),
        "tagged tokens that it removes": sum(tag != OUTSIDE for tags in gone for tag in tags),
        "tweets with a token that it removes": sum(map(bool, gone)),
        "tokens with U+FE0F": sum("\ufe0f" in token for token in tokens),
        "tokens that are U+FE0F alone": tokens.count("\ufe0f"),
        "tokens that start with &": sum(token.startswith("&") for token in tokens),
    }


def box_counts(tweets: Sequence[Tweet], annotations: Mapping[str, Annotation]) -> Counts:
    """The counts of how the boxes of `tweets` meet their mentions."""
    files = boxes = matched = matched_tweets = unmatched_files = distinct = 0
    boxes_of_mentions: list[tuple[EntityType, int]] = []
    unmatched: list[tuple[Reason, int]] = []
    for tweet in tweets:
        if tweet.id not in annotations:
            continue
        spans = read_bio(tweet.tags)
        mentions = span_texts(tweet, spans)
        names = Counter(named.name for named in annotations[tweet.id].objects)
        found = [(span.type, names[name]) for span, name in zip(spans, mentions, strict=True) if name in names]
        files += 1
        boxes += names.total()
        matched += sum(number for name, number in names.items() if name in mentions)
        matched_tweets += bool(found)
        unmatched_files += not found
        distinct += len(names.keys() & set(mentions))
        boxes_of_mentions += found
        unmatched += [
            (why_unmatched(name, mentions, tweet.text), number)
            for name, number in names.items()
            if name not in mentions
        ]
    types = Counter(kind for kind, _ in boxes_of_mentions)
    numbers = Counter(min(number, 4) for _, number in boxes_of_mentions)
    reasons = Counter(reason for reason, _ in unmatched)
    return {
        "tweets with annotation file": files,
        "tweets with a groundable entity": matched_tweets,
        "groundable mentions": len(boxes_of_mentions),
        **{f"groundable {kind}": types[kind] for kind in ENTITY_TYPES},
        "groundable, repeated strings once": distinct,
        "boxes in the files": boxes,
        "boxes with a matching name": matched,
        "boxes counted per mention": sum(number for _, number in boxes_of_mentions),
        "mentions with 1 box": numbers[1],
        "mentions with 2 boxes": numbers[2],
        "mentions with 3 boxes": numbers[3],
        "mentions with 4 or more boxes": numbers[4],
        "multi-box mentions": numbers.total() - numbers[1],
        "box names matching no entity": len(unmatched),
        "boxes of names matching no entity": sum(number for _, number in unmatched),
        **{f"names matching no entity: {reason}": reasons[reason] for reason in get_args(Reason)},
        "files where no name matches": unmatched_files,
    }


def mask_counts(tweets: Sequence[Tweet], masks: Mapping[str, NamedMasks]) -> Counts:
    """The counts of RiVEG's Table III and Fig. 5, by mention and by string, and how masks lie.

    The paper does not say whether a mask that two mentions of one string share is one or two; both are counted.
    """
    mentions = [
        (span.type, masks.get(tweet.id, {}).get(name, ()))
        for tweet in tweets
        for spans in [read_bio(tweet.tags)]
        for span, name in zip(spans, span_texts(tweet, spans), strict=True)
    ]
    entities = [
        {name: masks[tweet.id][name] for name in span_texts(tweet, read_bio(tweet.tags)) if name in masks[tweet.id]}
        for tweet in tweets
        if tweet.id in masks
    ]
    types = Counter(kind for kind, some in mentions if some)
    drawn = [mask for named in entities for some in named.values() for mask in some]
    per_picture = Counter(min(sum(map(len, masks.get(tweet.id, {}).values())), 2) for tweet in tweets)
    return {
        "tweets": len(tweets),
        "entities": len(mentions),
        "groundable entities": types.total(),
        **{f"groundable {kind}": types[kind] for kind in ENTITY_TYPES},
        "masks": len(drawn),
        "masks counted per mention": sum(len(some) for _, some in mentions),
        "masks in the files": sum(len(some) for tweet in tweets for some in masks.get(tweet.id, {}).values()),
        "entities of several masks": sum(len(some) > 1 for _, some in mentions),
        "pictures without a mask, %": _percent(per_picture[0], len(tweets)),
        "pictures with one mask, %": _percent(per_picture[1], len(tweets)),
        "pictures with several masks, %": _percent(per_picture[2], len(tweets)),
        "masks that overlap one of another name": sum(map(_overlapping, entities)),
        "picture covered by a mask, median %": (
            _percent(statistics.median(mask_area(mask) / math.prod(mask.size) for mask in drawn), 1) if drawn else 0.0
        ),
    }


def _overlapping(named: NamedMasks) -> int:
    """How many masks share a pixel with one of another name."""
    return sum(
        any(mask_iou([mask], others).any() for other, others in named.items() if other != name)
        for name, some in named.items()
        for mask in some
    )


def picture_counts(annotations: Sequence[Annotation]) -> Counts:
    """The counts of the annotation files for themselves: their boxes, names and sizes, and what is odd in them."""
    objects = [(annotation.size, named) for annotation in annotations for named in annotation.objects]
    boxes = [named.box for _, named in objects]
    names = [named.name for _, named in objects]
    sizes = [annotation.size for annotation in annotations]
    shares = [named.box.area / (width * height) for (width, height), named in objects if width and height]
    per_file = [len(annotation.objects) for annotation in annotations]
    twice_named = [len(boxes_of_two_names(annotation.objects)) for annotation in annotations]
    return {
        "files": len(annotations),
        "boxes": len(boxes),
        "boxes per file, most": max(per_file, default=0),
        "files with 1 box": per_file.count(1),
        "files without a box": per_file.count(0),
        "files marked as verified": sum(annotation.verified for annotation in annotations),
        "files that call their image <id>_region.jpg": sum(
            annotation.filename == f"{annotation.id}_region.jpg" for annotation in annotations
        ),
        "smallest side": min((min(size) for size in sizes), default=0),
        "largest side": max((max(size) for size in sizes), default=0),
        "smallest picture": " x ".join(map(str, min(sizes, key=math.prod, default=()))),
        "pictures with a side below 224": sum(min(size) < 224 for size in sizes),
        "pictures without size": sum(0 in size for size in sizes),
        "picture covered by a box, median %": _percent(statistics.median(shares), 1) if shares else 0.0,
        "boxes over at least 98 % of the picture": sum(share >= 0.98 for share in shares),
        "boxes over less than 0.1 %": sum(share < 0.001 for share in shares),
        "pictures with one box under two names": sum(map(bool, twice_named)),
        "boxes under two names": sum(twice_named),
        "boxes given twice": sum(
            len(annotation.objects) - len({(name, box) for name, box, _ in annotation.objects})
            for annotation in annotations
        ),
        "boxes without area": sum(box.width <= 0 or box.height <= 0 for box in boxes),
        "boxes that reach out of the picture": sum(reaches_out(named.box, size) for size, named in objects),
        "boxes with fractions of pixels": sum(any(side % 1 for side in box) for box in boxes),
        "boxes that touch 0": sum(0 in box for box in boxes),
        "names with apostrophe": sum("'" in name for name in names),
        "names with #": sum("#" in name for name in names),
        "names with &": sum("&" in name for name in names),
        "names with @": sum("@" in name for name in names),
        "names with non-ASCII characters": sum(not name.isascii() for name in names),
        "names with a line break": sum("\n" in name for name in names),
    }


def span_texts(tweet: Tweet, spans: Iterable[TokenSpan]) -> list[str]:
    """The surface strings of spans: their tokens joined by single blanks."""
    return [" ".join(tweet.tokens[span.start : span.end]) for span in spans]


def boxes_of_two_names(objects: Iterable[NamedBox]) -> dict[Box, list[str]]:
    """Boxes that stand in a file under more than one name, with these names in the file's order."""
    names: dict[Box, list[str]] = {}
    for name, box, _ in objects:
        if name not in names.setdefault(box, []):
            names[box].append(name)
    return {box: some for box, some in names.items() if len(some) > 1}


def reaches_out(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box is not wholly in a picture of `size` (width, height); not if that is unknown."""
    width, height = size
    return all(size) and (box.x1 < 0 or box.y1 < 0 or box.x2 > width or box.y2 > height)


def vanishes(token: str) -> bool:
    """Whether BERT's clean-up leaves nothing of a token: it drops control and format signs, U+FFFD and white space."""
    return all(unicodedata.category(character)[0] in "CZ" or character in "\ufffd\t\n\r" for character in token)


def _mean(values: Sequence[int]) -> float:
    return round(statistics.mean(values), 2) if values else 0.0


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
