"""Posts with errors, the worst first: gold beside what each system predicted, words and picture."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import Final, NamedTuple

from gmner.errors import GmnerError
from gmner.image import Picture, open_image
from gmner.report.analysis import Analysis
from gmner.report.html import (
    Numbered,
    attributes,
    background,
    check_masks,
    data_url,
    figure,
    marked_text,
    problem,
    said,
    who,
)
from gmner.report.taxonomy import KINDS, Kind
from gmner.show import visibility
from gmner.types import Entity, Example

_LONGEST_SIDE: Final = 640  # pixels of an embedded picture
_SHOWN: Final = (360, 400)  # pixels on a screen: as wide as the one, or as high as the other


class Case(NamedTuple):
    """A post by its position in the analyses' `posts`, and how many of its matches are wrong, over all systems."""

    position: int
    wrong: int


def worst(systems: Sequence[Analysis]) -> list[Case]:
    """The posts with errors, those with the most entities wrong (over all systems) first, equals in order of id."""
    wrong = [
        sum(match.kind != "right" for system in systems for match in system.matches[position])
        for position in range(len(systems[0].posts))
    ]
    cases = [Case(position, number) for position, number in enumerate(wrong) if number]
    return sorted(cases, key=lambda case: -case.wrong)


def most_entities(systems: Sequence[Analysis], cases: Iterable[Case]) -> int:
    """The largest count of entities, gold or spurious, that one system has in one of the posts."""
    return max((len(system.matches[case.position]) for case in cases for system in systems), default=0)


def gallery(systems: Sequence[Analysis], cases: Sequence[Case]) -> str:
    """The posts as HTML, with a choice of the kinds of error to show. Pictures are opened one after another."""
    posts = [_post(systems, case) for case in cases]
    kinds = [_kinds(systems, case) for case in cases]
    choices = [("all", len(cases)), *((kind, sum(kind in found for found in kinds)) for kind in KINDS[1:])]
    buttons = "".join(
        f'<label><input type="radio" name="kind" id="only-{_slug(kind)}"{" checked" if kind == "all" else ""}> '
        f"{kind} <b>{number}</b></label>"
        for kind, number in choices
        if number
    )
    return f'<div class="kinds" role="radiogroup" aria-label="Kind of error">{buttons}</div>\n' + "\n".join(posts)


def kind_styles() -> str:
    """The styles by which a chosen kind of error hides the posts without it."""
    return "\n".join(
        f"main:has(#only-{_slug(kind)}:checked) .case:not(.has-{_slug(kind)}) {{ display: none; }}"
        for kind in KINDS[1:]
    )


def _post(systems: Sequence[Analysis], case: Case) -> str:
    post = systems[0].posts[case.position]
    example = post.example
    gold = list(enumerate(post.gold))
    picture, size, told = _open(example, [*post.gold, *(e for s in systems for e in s.posts[case.position].predicted)])
    panels = [
        _panel("Gold", gold, _shown(case, picture, size, gold, first=True), [_line(n, entity) for n, entity in gold]),
        *(_system_panel(system, case, picture, size) for system in systems),
    ]
    classes = "".join(f" has-{_slug(kind)}" for kind in _kinds(systems, case))
    name = f"{post.id}: {case.wrong} entities wrong in all" if len(systems) > 1 else f"{post.id}: {case.wrong} wrong"
    return f"""<article class="post case{classes}" aria-label="{escape(name)}">
<h3>{escape(name)}</h3>
<p class="words" dir="auto">{marked_text(example.text, gold)}</p>
{told}<div class="panels">
{"".join(panels)}</div>
{background(example)}</article>"""


def _open(example: Example, entities: Sequence[Entity]) -> tuple[Picture | None, tuple[int, int] | None, str]:
    """The picture, the size of its frame (that of the data set, where there is no picture), and what went wrong."""
    if example.image is None:
        return None, example.image_size, ""
    try:
        picture = open_image(example.image)
        check_masks(entities, picture)
    except GmnerError as error:
        return None, example.image_size, problem(error)
    return picture, (picture.shape[1], picture.shape[0]), ""


def _shown(
    case: Case, picture: Picture | None, size: tuple[int, int] | None, entities: Numbered, *, first: bool
) -> str:
    """The picture with entities, or an empty frame where only its size is known. It is embedded once for all panels."""
    if size is None:
        return ""
    width, height = size
    if picture is None:
        inside = f'<rect class="blank" width="{width}" height="{height}"/>'
    elif first:
        source = data_url(picture, _LONGEST_SIDE)
        inside = f'<image id="picture-{case.position}" href="{source}" width="{width}" height="{height}"/>'
    else:
        inside = f'<use href="#picture-{case.position}"/>'
    label = escape(f"{'The picture' if picture is not None else 'An empty frame'}, with {who(entities)}")
    image = f'<svg class="shot" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{inside}</svg>'
    return figure(image, entities, size, min(_SHOWN[0], _SHOWN[1] * width / height))


def _system_panel(system: Analysis, case: Case, picture: Picture | None, size: tuple[int, int] | None) -> str:
    """What a system predicted; an entity has the number and colour of the gold entity that it is paired with."""
    post, matches = system.posts[case.position], system.matches[case.position]
    entities = [(n, post.predicted[match.predicted]) for n, match in enumerate(matches) if match.predicted is not None]
    predicted = dict(entities)
    lines = [
        _line(n, predicted[n], " + ".join(match.faults) or match.kind) if n in predicted else _missed(n, post.gold[n])
        for n, match in enumerate(matches)
    ]
    right = sum(match.kind == "right" for match in matches)
    heading = f"{system.name}: {right} of {len(matches)} right"
    return _panel(heading, entities, _shown(case, picture, size, entities, first=False), lines)


def _panel(heading: str, entities: Numbered, image: str, lines: Sequence[str]) -> str:
    body = "\n".join(lines) or '<li class="quiet">no entities</li>'
    return f"""<section class="panel">
<h4>{escape(heading)}</h4>
{image}<ul class="entities">
{body}
</ul>
</section>
"""


def _line(number: int, entity: Entity, verdict: str = "") -> str:
    tag = f'<span class="tag{"" if entity.visible else " absent"}">{number + 1}</span>'
    told = f' <span class="verdict {"good" if verdict == "right" else "bad"}">{verdict}</span>' if verdict else ""
    about = f'<span class="quiet">{entity.type}, visible: {visibility(entity)}</span>'
    return f"<li {attributes(number, entity)}>{tag} <bdi>{escape(entity.text)}</bdi> {about}{told}{said(entity)}</li>"


def _missed(number: int, gold: Entity) -> str:
    """A gold entity without what only gold knows of it."""
    return _line(number, replace(gold, expression=None, provenance={}), "missed")


def _kinds(systems: Sequence[Analysis], case: Case) -> set[Kind]:
    """Every kind of error in the post, and every fault that another one hides."""
    matches = [match for system in systems for match in system.matches[case.position]]
    return {kind for match in matches for kind in (match.kind, *match.faults)} - {"right"}


def _slug(kind: str) -> str:
    return kind.replace(" ", "-")
