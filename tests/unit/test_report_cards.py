"""Cards come back as they were written, and the page of results holds what they say and nothing else."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.shared import needs_shared
from tests.unit.scored_posts import FAR, SQUARE, answer, echo, post
from typer.testing import CliRunner

import gmner
from gmner.cli.main import app
from gmner.data import read, write_rows
from gmner.errors import ConfigError, DataError
from gmner.report import provenance
from gmner.report.card import Card, CardEpoch, CardScore, card_scores, read_card, write_card
from gmner.report.provenance import commit, data_version, fingerprint, machine
from gmner.report.results import results_page

TEXT = "Ada met Grace Hopper in Rome"
GOLD = [post(TEXT, ("Ada", "PER", [SQUARE]), ("Rome", "LOC"), post_id="1"), post(TEXT, ("Ada", "PER"), post_id="2")]


def scored(f1: float, task: str = "gmner", protocol: str = "span") -> CardScore:
    return CardScore(protocol, "IoU > 0.5", task, f1 + 1, f1 - 1, f1, f1 - 2, f1 + 2)


def card(f1: float = 50.0, **changes) -> Card:
    known = {"data": "twitter-gmner", "version": "v2.0", "split": "test", "posts": 1500, "commit": "abc123"}
    return Card(**{"system": "ours", **known, "scores": (scored(f1),), "recipe": "ours.toml", "seed": 1} | changes)


def test_a_card_comes_back_as_it_was(tmp_path):
    whole = card(
        about="One sentence — with a dash.",
        changes=("training.lr=1e-4",),
        machine="2 cores, no GPU",
        seconds=12.5,
        measures={"groundable_accuracy": 81.25},
        epochs=(CardEpoch(1, 0.5, 6.0, {"mner_f1": 70.5}),),
    )
    for one in (whole, card(seed=None, scores=())):
        write_card(tmp_path / "card.json", one)
        assert read_card(tmp_path / "card.json") == one


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", r"card.json:1: Expecting"),
        ("[]", "no result card"),
        ('{"schema": 2}', "no result card"),
        ('{"schema": 1, "system": "a"}', "'data' is missing"),
        ('{"schema": 1, "sytem": "a"}', "sytem"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path, text, told):
    path = tmp_path / "card.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_card(path)


def test_scores_of_a_card_are_those_of_all_protocols_in_percent():
    predicted = [answer(GOLD[0], ("Ada", "PER", [FAR]), ("Rome", "LOC")), answer(GOLD[1])]
    found = {(score.protocol, score.task): score for score in card_scores(GOLD, predicted)}
    assert {key for key in found if key[0] == "riveg"} == {("riveg", task) for task in ("mner", "eeg", "gmner")}
    score = found["span", "gmner"]
    assert (score.precision, score.recall, score.f1) == (50, 33.3333, 40)
    assert score.low <= score.f1 <= score.high
    assert [score.task for score in card_scores(GOLD, predicted, ["mner"])] == ["mner", "mner"]


def test_a_card_as_the_page_beside_the_weights():
    epochs = (CardEpoch(1, 0.5, 6.0, {"mner_f1": 70.5}), CardEpoch(2, 0.25, 6.4, {"mner_f1": 71.0}))
    page = card(about="A tagger.", command="gmner train a.toml", epochs=epochs, seconds=12.4).markdown()
    assert page.startswith("# ours\n\nA tagger.\n\n- made by: `gmner train a.toml`\n- commit: abc123\n")
    assert "- data: twitter-gmner v2.0, test: 1,500 posts\n- seed: 1\n- seconds: 12\n" in page
    assert "| 2 | 0.2500 | 6 | 71.00 |" in page
    assert "| GMNER | span | IoU > 0.5 | 51.00 | 49.00 | 50.00 | 48.00 to 52.00 |" in page


# The page of results


def page(*cards: Card) -> str:
    return results_page({Path(f"{number}.json"): one for number, one in enumerate(cards)})


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    block = text.split(f"{heading}\n\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines()[2:]]


def test_seeds_are_averaged_and_named():
    text = page(card(50.0, seed=1), card(53.0, seed=3), card(52.0, seed=2, commit="def456"))
    ours = next(row for row in rows(text, "### GMNER") if row[0] == "ours")
    assert ours == [
        *("ours", "ours.toml", "span, IoU > 0.5", "52.67", "50.67", "51.67"),
        *("± 1.53", "1, 2, 3", "abc123, def456"),
    ]


def test_one_seed_has_the_interval_of_its_posts():
    [row] = [row for row in rows(page(card(50.0)), "### GMNER") if row[0] == "ours"]
    assert row[6:] == ["48.00 to 52.00", "1", "abc123"]


def test_what_differs_in_more_than_the_seed_stays_apart():
    text = page(
        card(50.0, changes=("training.seed=1",)),
        card(51.0, seed=2, changes=("training.seed=2",)),
        card(60.0, changes=("training.lr=1e-3", "training.seed=1")),
        card(40.0, inputs="knowledge chatgpt"),
        card(30.0, version="v1"),
    )
    above, v2 = text.split("## twitter-gmner v2.0, test")
    assert "## twitter-gmner v1, test" in above
    ours = [row[:2] + row[5:6] for row in rows(v2, "### GMNER") if row[0] == "ours"]
    assert ours == [
        ["ours", "ours.toml, training.lr=1e-3", "60.00"],
        ["ours", "ours.toml", "50.50"],
        ["ours", "ours.toml, knowledge chatgpt", "40.00"],
    ]


def test_papers_stand_below_with_their_source_where_the_data_is_theirs():
    found = rows(page(card(50.0)), "### GMNER")
    assert found[0][0] == "ours"
    assert [row[5] for row in found[1:]] == sorted((row[5] for row in found[1:]), reverse=True)
    assert ["H-Index", "RiVEG, Table VI", "paper", "56.16", "56.67", "56.41"] in [row[:6] for row in found]
    assert found[1][:6] == ["RiVEG, XLM-R, augmented", "RiVEG, Table VI", "paper", "67.02", "67.10", "67.06"]
    assert len(rows(page(card(50.0, data="drawn")), "### GMNER")) == 1


def test_protocols_stay_apart():
    text = page(card(scores=(scored(50.0), scored(55.0, protocol="riveg"), scored(80.0, task="mner"))))
    assert [row[2].split(",")[0] for row in rows(text, "### GMNER")[:3]] == ["span", "riveg", "paper"]
    assert rows(text, "### MNER")[0][:6] == ["ours", "ours.toml", "span", "81.00", "79.00", "80.00"]


def test_other_measures():
    text = page(
        card(measures={"groundable_accuracy": 81.0}), card(seed=2, measures={"groundable_accuracy": 82.0, "speed": 3.0})
    )
    found = rows(text, "### Other measures")
    assert found[0] == ["groundable accuracy", "ours", "ours.toml", "81.50", "± 0.71", "1, 2", "abc123"]
    assert ["groundable accuracy", "ALBEF, name, type and expansion", "RiVEG, Table X", "83.36"] in [
        r[:4] for r in found
    ]
    assert found[-1][:5] == ["speed", "ours", "ours.toml", "3.00", ""]


def test_every_card_is_listed():
    text = page(card(command="gmner train a|b", machine="2 cores, no GPU", seconds=61.0))
    assert text.rstrip().endswith(
        "| 0.json | gmner train a\\|b | twitter-gmner v2.0, test | abc123 | 1 | 2 cores, no GPU | 61 |"
    )


def test_one_run_has_one_card():
    with pytest.raises(DataError, match=r"1\.json: the same run with the same seed as 0\.json"):
        page(card(), card(60.0))


def test_no_cards_give_an_empty_page():
    assert page().startswith("# Results\n\nThis page is written by `gmner results`")


# Where numbers come from


def test_a_fingerprint_stands_for_posts_and_gold():
    moved = [replace(GOLD[0], entities=(*reversed(GOLD[0].entities or ()),)), GOLD[1]]
    assert fingerprint(GOLD) == fingerprint(GOLD[::-1]) == fingerprint(moved)
    assert fingerprint([replace(GOLD[0], image="a.jpg", caption="x"), GOLD[1]]) == fingerprint(GOLD)
    for other in (GOLD[:1], [replace(GOLD[0], entities=()), GOLD[1]], [replace(GOLD[0], id="3"), GOLD[1]]):
        assert fingerprint(other) != fingerprint(GOLD)
    assert data_version(GOLD, "mine") == ("mine", fingerprint(GOLD))


def test_a_fingerprint_survives_files(tmp_path):
    write_rows(tmp_path / "gold.jsonl", GOLD)
    write_rows(tmp_path / "gold.parquet", GOLD)
    assert {fingerprint(read(tmp_path / f"gold.{ending}")) for ending in ("jsonl", "parquet")} == {fingerprint(GOLD)}


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(
    ("archive", "folder", "known"),
    [
        ("twitter_gmner_v1", ".", ("twitter-gmner", "v1")),
        ("twitter_gmner_v2", ".", ("twitter-gmner", "v2.0")),
        ("twitter_mner", "twitter2015", ("twitter-2015", "as released")),
        ("twitter_mner", "twitter2017", ("twitter-2017", "as released")),
    ],
)
def test_published_test_splits_are_known_by_their_content(research, archive, folder, known):
    path = research(archive) / folder
    assert data_version(read(path, "test"), "?") == known
    assert data_version(read(path, "dev"), "?").name == "?"


def test_the_commit_is_that_of_the_code(monkeypatch, tmp_path):
    folder = Path(gmner.__file__).parent
    asked = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    if asked.returncode == 0:
        assert asked.stdout.startswith(commit().removesuffix("-dirty"))
    monkeypatch.setattr(provenance.gmner, "__file__", str(tmp_path / "gmner" / "__init__.py"))
    assert commit() == f"gmner {gmner.__version__}"


def test_a_repository_of_something_else_is_not_the_code(monkeypatch, tmp_path):
    (tmp_path / "gmner").mkdir()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(provenance.gmner, "__file__", str(tmp_path / "gmner" / "__init__.py"))
    assert commit() == f"gmner {gmner.__version__}"


def test_the_machine_in_general_words():
    words = machine()
    assert words.split()[1].rstrip(",") in ("core", "cores") and "/" not in words


# The commands


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_from_predictions_to_the_page(tmp_path):
    write_rows(tmp_path / "gold.jsonl", GOLD)
    write_rows(tmp_path / "right.jsonl", echo(GOLD))
    common = ["card", "--gold", tmp_path / "gold.jsonl", "--pred", tmp_path / "right.jsonl", "--system", "oracle"]
    for seed in (1, 2):
        told = ["--seed", seed, "--commit", "abc", "--data", "two posts", "--measure", f"speed={seed}"]
        output = run(*common, *told, "--output", tmp_path / f"{seed}.json")
        assert output.startswith("# oracle")
    found = read_card(tmp_path / "2.json")
    assert (found.data, found.version, found.posts, found.commit) == ("two posts", fingerprint(GOLD), 2, "abc")
    assert found.measures == {"speed": 2.0}
    run("results", tmp_path / "1.json", tmp_path / "2.json", "--output", tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    row = "| oracle |  | span, IoU > 0.5 | 100.00 | 100.00 | 100.00 | ± 0.00 | 1, 2 | abc |"
    assert row in text.partition("### GMNER")[2]


@pytest.mark.parametrize("words", ["speed", "=3", "speed=fast"])
def test_a_measure_is_a_name_and_a_number(tmp_path, words):
    write_rows(tmp_path / "gold.jsonl", GOLD)
    common = ["card", "--gold", tmp_path / "gold.jsonl", "--pred", tmp_path / "gold.jsonl", "--system", "a"]
    with pytest.raises(ConfigError, match="measure"):
        run(*common, "--output", tmp_path / "a.json", "--measure", words)


def test_docs_results_is_what_the_cards_give():
    repository = Path(__file__).parents[2]
    page, paths = repository / "docs" / "results.md", sorted((repository / "results").glob("*.json"))
    assert page.exists() == bool(paths)
    if paths:
        assert page.read_text(encoding="utf-8") == results_page({path: read_card(path) for path in paths})


def test_json_is_plain(tmp_path):
    write_card(tmp_path / "card.json", card())
    values = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert values["scores"][0]["f1"] == 50.0 and values["seed"] == 1
