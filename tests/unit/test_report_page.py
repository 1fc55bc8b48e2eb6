"""The report of systems: everything is on it, it stands alone, and nothing that is said becomes part of it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from tests.shared import SHARED, needs_shared
from tests.unit.html_page import Page
from tests.unit.scored_posts import FAR, SQUARE, answer, mask, post
from typer.testing import CliRunner

from gmner.cli.report import name_files, report
from gmner.data import write_rows
from gmner.errors import MismatchError, UnknownNameError
from gmner.report.page import write_report
from gmner.report.published import all_tables, published
from gmner.types import Candidate, Entity, Example, Prediction

TEXT = "Ada met Grace Hopper of the US Navy in Rome"
WHOLE = mask(0, 0, 10, 10, size=(120, 160))


def seen(example: Example, folder: Path) -> Example:
    """The post with a picture of 160 x 120 pixels."""
    path = folder / f"{example.id}.png"
    Image.fromarray(np.full((120, 160, 3), 200, np.uint8)).save(path)
    return replace(example, image=str(path), caption="a grey picture")


@pytest.fixture
def gold(tmp_path: Path) -> list[Example]:
    """Three posts: with a picture, with the size of one, with neither."""
    first = post(TEXT, ("Ada", "PER", [SQUARE], [WHOLE]), ("Grace Hopper", "PER"), ("Rome", "LOC"), post_id="first")
    second = post(TEXT, ("Ada", "PER", [FAR], [WHOLE]), post_id="second")
    third = post(TEXT, ("US Navy", "ORG"), post_id="third")
    return [seen(first, tmp_path), replace(second, image_size=(160, 120)), third]


def guesses(gold: list[Example]) -> list[Prediction]:
    """One entity called absent, one spurious and one missed in the first post; a box in the second; the third right."""
    first = [("Ada", "PER"), ("US Navy", "ORG"), ("Grace Hopper", "PER")]
    second = [("Ada", "PER", [SQUARE], [WHOLE])]
    return [answer(gold[0], *first), answer(gold[1], *second), answer(gold[2], ("US Navy", "ORG"))]


def right(gold: list[Example]) -> list[Prediction]:
    return [
        Prediction(
            example=replace(one, entities=None), entities=tuple(replace(e, groundable=0.8) for e in one.entities)
        )
        for one in gold
    ]


def written(folder: Path, gold: list[Example], **systems: list[Prediction]) -> tuple[Page, str]:
    """The page read back, and the Markdown."""
    write_report(folder / "out", gold, systems, source="three posts", samples=20)
    pages = [(folder / "out" / f"report.{ending}").read_text(encoding="utf-8") for ending in ("html", "md")]
    return Page(pages[0]), pages[1]


def test_every_section_is_there(tmp_path, gold):
    page, markdown = written(tmp_path, gold, good=right(gold), poor=guesses(gold))
    for words in (
        *("Report of good and poor", "three posts: 3 posts, 5 entities, 2 of them in the picture", "good less poor"),
        *("Protocol span: IoU > 0.5, micro average", "Protocol riveg: IoU >= 0.5", "poor gives no probabilities"),
        *("By type", "F1 against the IoU threshold", "What goes wrong", "Where F1 is lost", "Calibration"),
    ):
        assert words in page.words, words
        assert words in markdown, words
    assert "good, poor: not scored under protocol mqspn: posts with gold regions but without candidate" in page.words
    assert (
        "first: 3 entities wrong in all" in page.words and "third" not in page.words.rpartition("Posts with errors")[2]
    )
    assert len(page.all("svg", "plot")) == 5
    anchors = {a["href"].removeprefix("#") for a in page.all("a")}
    assert anchors == {a["id"] for a in page.all("h2")}


def test_one_system_alone(tmp_path, gold):
    page, markdown = written(tmp_path, gold, poor=guesses(gold))
    assert "Differences" not in page.words and "p, bootstrap" not in markdown
    assert "Masks are judged for poor" in markdown
    assert "| missed | poor | 1 | 1 | 0 | 1 | 0 | 0 |" in markdown
    assert "| called absent | poor | 1 | 1 | 1 | 0 | 0 | 0 |" in markdown
    assert "| spurious | poor | 1 | 1 | 0 | 0 | 1 | 0 |" in markdown
    assert "| box | poor | 1 | 1 | 1 | 0 | 0 | 0 |" in markdown
    assert "| right | poor | 2 | 2 | 1 | 0 | 1 | 0 |" in markdown


def test_the_page_needs_nothing_else(tmp_path, gold):
    page, _ = written(tmp_path, gold, good=right(gold), poor=guesses(gold))
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert not page.all("script") and not page.all("link") and not page.all("img")
    assert all(a["href"].startswith("data:image/jpeg;base64,") for a in page.all("image"))
    assert all(a["href"].startswith("#") for a in page.all("a") + page.all("use"))
    assert "@import" not in page.source and "://" not in page.source
    assert all(part.startswith("(#") for part in page.source.split("url")[1:])


def test_a_picture_is_embedded_once_and_sizes_make_frames(tmp_path, gold):
    page, _ = written(tmp_path, gold, good=right(gold), poor=guesses(gold))
    assert len(page.all("image")) == 1
    [name] = {a["id"] for a in page.all("image")}
    assert [a["href"] for a in page.all("use") if "picture" in a["href"]] == [f"#{name}"] * 2
    assert len(page.all("rect", "blank")) == 3
    assert {a["viewbox"] for a in page.all("svg", "shot")} == {"0 0 160 120"}


def test_pictures_come_from_predictions_where_gold_has_none(tmp_path, gold):
    bare = [replace(one, image=None, image_size=None) for one in gold]
    answers = [replace(guesses(gold)[0], example=replace(gold[0], entities=None)), *guesses(gold)[1:]]
    page, _ = written(tmp_path, bare, poor=answers)
    assert len(page.all("image")) == 1 and not page.all("rect", "blank")


def test_a_lost_picture_leaves_its_error(tmp_path, gold):
    Path(str(gold[0].image)).unlink()
    page, _ = written(tmp_path, gold, poor=guesses(gold))
    assert "does not exist" in page.words and not page.all("image")


def test_gold_and_prediction_share_number_and_colour(tmp_path, gold):
    page, _ = written(tmp_path, gold, poor=guesses(gold))
    lines = [a for a in page.all("li") if "class" in a]
    assert len([a for a in lines if a["class"].split()[0] == "e0"]) == 2 * 2
    ada = {a["style"].split(";")[0] for a in lines if a["class"].split()[0] == "e0"}
    assert len(ada) == 1
    assert "called absent" in page.words and "missed" in page.words


def test_the_gallery_can_be_cut_down_to_a_kind(tmp_path, gold):
    page, _ = written(tmp_path, gold, poor=guesses(gold))
    kinds = {a["id"].removeprefix("only-") for a in page.all("input")}
    assert kinds == {"all", "called-absent", "box", "spurious", "missed"}
    assert [{name for name in kinds if f"has-{name}" in a["class"].split()} for a in page.all("article", "case")] == [
        {"called-absent", "spurious", "missed"},
        {"box"},
    ]
    assert "main:has(#only-box:checked) .case:not(.has-box)" in page.source


def test_the_worst_post_comes_first_and_the_rest_is_left_out(tmp_path, gold):
    write_report(tmp_path, gold, {"poor": guesses(gold)}, source="x", samples=5, most_posts=1)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [a["aria-label"] for a in page.all("article")] == ["first: 3 wrong"]
    assert "Posts with errors: 2. Shown: 1," in page.words


ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;${title}</svg>]]>"


def test_nothing_that_is_said_becomes_part_of_the_page(tmp_path):
    entity = Entity(ATTACK, "PER", 0, len(ATTACK), boxes=(SQUARE,), expression=ATTACK, provenance={ATTACK: ATTACK})
    example = Example(id=ATTACK, text=ATTACK, caption=ATTACK, knowledge=ATTACK, image_size=(9, 9), entities=(entity,))
    wrong = Prediction(example=example, entities=(replace(entity, type="LOC", groundable=0.5),))
    write_report(tmp_path, [example], {ATTACK: [wrong]}, source=ATTACK, samples=5)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not page.all("script") and not page.all("img") and page.words.count(ATTACK) >= 12
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script" not in (tmp_path / "report.md").read_text(encoding="utf-8").replace("\\<script", "")


def test_candidates_let_all_protocols_score(tmp_path, gold):
    some = [replace(one, candidates=(Candidate(SQUARE, "object", 0.9),)) for one in gold]
    page, markdown = written(tmp_path, some, poor=guesses(gold))
    assert "Protocol mqspn: IoU >= 0.5, macro average" in markdown and "not scored" not in page.words


def test_posts_without_a_prediction(tmp_path, gold):
    with pytest.raises(MismatchError, match="without a prediction"):
        written(tmp_path, gold, poor=guesses(gold)[:2])
    write_report(tmp_path, gold, {"poor": guesses(gold)[:2]}, source="x", samples=5, missing="empty")
    assert "1 posts without a prediction counted as empty" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_nothing_predicted_and_nothing_wrong(tmp_path, gold):
    page, _ = written(tmp_path, gold, none=[answer(one) for one in gold])
    assert "none: 0 of 3 right" in page.words and len(page.all("article")) == 3
    page, _ = written(tmp_path, gold, good=right(gold))
    assert not page.all("article") and len(page.all("svg", "plot")) == 4  # no gain to draw


def test_papers_stand_beside_the_systems(tmp_path, gold):
    write_report(tmp_path, gold, {"poor": guesses(gold)}, source="x", samples=5, papers=published("twitter-gmner"))
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| H-Index | paper | 79.73 | 61.18 | 56.41 | 59.22 | 54.53 |" in markdown
    assert "| RiVEG, XLM-R, augmented | paper | 85.94 | 70.01 | 67.06 | 66.79 | 63.92 |" in markdown
    assert "| poor | riveg | 80.00 | 40.00 | 40.00 |" in markdown.partition("Beside the papers")[2]


def test_published_numbers_are_read_and_add_up():
    with pytest.raises(UnknownNameError, match="twitter-gmner"):
        published("twitter-gmnr")
    for table in all_tables():
        for method, scores in table.rows.items():
            for precision, recall, f1 in scores.values():
                if not np.isnan(precision):
                    assert abs(2 * precision * recall / (precision + recall) - f1) < 0.08, (table.source, method)


@needs_shared
@pytest.mark.shared
def test_published_numbers_are_those_of_the_paper():
    assert SHARED is not None
    paper = (SHARED / "papers" / "riveg.txt").read_text(encoding="utf-8").replace("90.2 3", "90.23")
    lines = [re.findall(r"(?<![\w.-])\d+\.\d+", line) for line in paper.splitlines()]
    for table in all_tables():
        if not table.source.startswith("RiVEG"):
            continue
        for method, scores in table.rows.items():
            numbers = [f"{rate:.2f}" for rates in scores.values() for rate in rates if not np.isnan(rate)]
            assert any(contains(line, numbers) for line in lines), (table.source, method)
        for method, measures in table.measures.items():
            assert any({f"{value:.2f}" for value in measures.values()} <= {*line} for line in lines), method


def contains(line: list[str], numbers: list[str]) -> bool:
    """Whether the numbers stand in the line one after another."""
    return any(line[start : start + len(numbers)] == numbers for start in range(len(line)))


# The command


def test_the_command_names_systems_by_their_files(tmp_path, gold):
    write_rows(tmp_path / "gold.jsonl", gold)
    for name, posts in {"a": right(gold), "b": guesses(gold)}.items():
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "test.jsonl", posts)
    app = typer.Typer()
    app.command()(report)
    files = [str(tmp_path / name / "test.jsonl") for name in ("a", "b")]
    arguments = ["--gold", str(tmp_path / "gold.jsonl"), "--pred", files[0], "--pred", files[1]]
    result = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out"), "--bootstrap", "10"])
    assert result.exit_code == 0, result.exception
    assert "a/test less b/test" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.jsonl"], ["a"]),
        (["x/a.jsonl", "x/b.jsonl"], ["a", "b"]),
        (["x/test.jsonl", "y/test.jsonl"], ["x/test", "y/test"]),
        (["r/x/1/test.jsonl", "r/y/1/test.jsonl", "r/a.jsonl"], ["x/1/test", "y/1/test", "a"]),
        (["x/a.jsonl", "x/a.jsonl"], ["a"]),
        (["x/a.jsonl", "x/a.parquet"], ["x/a.jsonl", "x/a.parquet"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths, names):
    assert [name.removeprefix(f"{Path.cwd()}/") for name in name_files([Path(path) for path in paths])] == names
