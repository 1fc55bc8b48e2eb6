"""The report of one or several systems on one gold file: one HTML page that needs nothing else, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import chain
from pathlib import Path
from typing import Final

from gmner.metrics.posts import Missing
from gmner.report import plots
from gmner.report.analysis import analyse
from gmner.report.gallery import gallery, kind_styles, most_entities, worst
from gmner.report.html import asset, link_styles, template
from gmner.report.published import PublishedTable
from gmner.report.scores import compare_all
from gmner.report.sections import Section, facts, sections
from gmner.report.table import Table, markdown_escape
from gmner.types import Example, Prediction

_GALLERY: Final = "Posts with errors"


def write_report(
    folder: Path,
    gold: Sequence[Example],
    systems: Mapping[str, Sequence[Prediction]],
    *,
    source: str,
    papers: Sequence[PublishedTable] = (),
    samples: int = 1000,
    most_posts: int = 40,
    missing: Missing = "error",
) -> None:
    """Write `report.html` and `report.md` into `folder`.

    Args:
        folder: is made if it does not exist.
        gold: posts with gold entities.
        systems: by name, predictions of these posts.
        source: what the gold posts are, in words; it stands at the top.
        papers: published scores to set beside the systems' own.
        samples: of the bootstrap and the paired tests.
        most_posts: how many posts with errors are shown at most.
        missing: as in `metrics.evaluate`.

    Raises:
        MissingPackageError: matplotlib is not installed.
        MismatchError, ConfigError: as `metrics.evaluate` under protocol `span`.
        OSError: a file can not be written.
    """
    plots.require_matplotlib()
    gold = _with_pictures(gold, systems)
    found = [analyse(name, gold, predicted, samples=samples, missing=missing) for name, predicted in systems.items()]
    compared = compare_all([system.scores for system in found], samples=samples)
    wrong = worst(found)
    shown = wrong[:most_posts]
    parts = list(sections(found, compared, papers))
    title = "Report of " + " and ".join(systems)
    told = facts(found, source)
    folder.mkdir(parents=True, exist_ok=True)
    page = template("report.html").substitute(
        title=escape(title),
        style=asset("style.css") + asset("report.css"),
        links=link_styles(most_entities(found, shown)) + kind_styles(),
        facts="".join(f"<li>{escape(fact)}</li>" for fact in told),
        contents="".join(
            f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>'
            for name in [*(part.name for part in parts), _GALLERY]
        ),
        sections="\n".join(map(_html, parts)),
        gallery_anchor=_anchor(_GALLERY),
        gallery_name=_GALLERY,
        gallery_words=escape(_gallery_words(len(wrong), len(shown))),
        gallery=gallery(found, shown),
    )
    (folder / "report.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
    head = [f"# {markdown_escape(title)}", "\n".join(f"- {markdown_escape(fact)}" for fact in told)]
    (folder / "report.md").write_text("\n\n".join([*head, *map(_markdown, parts)]) + "\n", encoding="utf-8")


def _with_pictures(gold: Sequence[Example], systems: Mapping[str, Sequence[Prediction]]) -> list[Example]:
    """The gold posts, with the picture and its size from a prediction where gold does not know them."""
    known: dict[str, list[Prediction]] = {}
    for prediction in chain.from_iterable(systems.values()):
        known.setdefault(prediction.id, []).append(prediction)
    posts: list[Example] = []
    for example in gold:
        said = known.get(example.id, ())
        images = [example.image, *(prediction.example.image for prediction in said)]
        sizes = [example.image_size, *(prediction.image_size for prediction in said)]
        image = next((image for image in images if image is not None), None)
        size = next((size for size in sizes if size is not None), None)
        posts.append(replace(example, image=image, image_size=size))
    return posts


def _gallery_words(wrong: int, shown: int) -> str:
    return (
        f"Posts with errors: {wrong:,}. Shown: {shown:,}, those with the most entities wrong first. An entity that a "
        "system predicted has the number and the colour of the gold entity that it is paired with. Point at an entity, "
        "or reach it with the Tab key, to see where else it is."
    )


def _anchor(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _html(section: Section) -> str:
    words = "\n".join(f"<p>{escape(words)}</p>" for words in section.paragraphs)
    blocks = [*(f'<div class="plots">{figure}</div>' for figure in section.figures), *map(Table.html, section.tables)]
    anchor = _anchor(section.name)
    return f"""<section class="part" aria-labelledby="{anchor}">
<h2 id="{anchor}">{escape(section.name)}</h2>
{words}
<div class="blocks">
{"".join(blocks)}
</div>
</section>"""


def _markdown(section: Section) -> str:
    parts = [f"## {section.name}", *map(markdown_escape, section.paragraphs)]
    return "\n\n".join([*parts, *(table.markdown() for table in section.tables)])
