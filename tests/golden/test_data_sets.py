"""The published data sets against every number that is known of them (datasets.md, sections 1 to 4)."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.shared import needs_shared
from typer.testing import CliRunner

from gmner.cli.data import app
from gmner.data import drop_leaked, read, with_captions, with_descriptions, with_knowledge
from gmner.data.bio import format_tweets, read_tweets
from gmner.data.check import check
from gmner.data.corpus import read_corpus
from gmner.data.difference import difference
from gmner.data.pairs import entailment_pairs, references
from gmner.types import Example

pytestmark = [needs_shared, pytest.mark.shared]

Research = Callable[[str], Path]
Gmner = Callable[[str], list[Example]]

# name: v1 train, dev, test; v2.0 train, dev, test (the rows of section 2's table, in its order)
TEXT = {
    "tweets": (7000, 1500, 1500, 7000, 1500, 1500),
    "tokens": (112542, 24199, 23738, 112542, 24199, 23738),
    "entities": (11782, 2453, 2543, 11779, 2450, 2543),
    "B- tags": (11778, 2450, 2542, 11779, 2450, 2543),
    "PER": (5019, 1072, 1104, 5019, 1072, 1104),
    "LOC": (1919, 408, 404, 1918, 407, 404),
    "ORG": (3035, 595, 638, 3035, 595, 638),
    "OTHER": (1809, 378, 397, 1807, 376, 397),
    "tweets without entity": (358, 87, 82, 358, 87, 82),
    "illegal tag steps": (4, 3, 1, 0, 0, 0),
    "repeated mentions of a string": (75, 12, 14, 75, 12, 14),
    # text oddities and "other facts"
    "tokens that BERT's clean-up removes": (11, 2, 2, 11, 2, 2),
    "tweets with a token that it removes": (5, 1, 2, 5, 1, 2),
    "tagged tokens that it removes": (0, 0, 0, 0, 0, 0),
    "tokens with U+FE0F": (90, 22, 19, 90, 22, 19),
    "tokens that start with &": (183, 37, 26, 183, 37, 26),
    "tweets with a string of two types": (1, 0, 0, 1, 0, 0),
    "tokens per tweet, most": (39, 38, 40, 39, 38, 40),
    "entities per tweet, most": (6, 5, 6, 6, 5, 6),
}
BOXES = {
    "tweets with annotation file": (3926, 832, 855, 3925, 832, 855),
    "tweets with a groundable entity": (3898, 830, 849, 3925, 832, 855),
    "groundable mentions": (4694, 986, 1036, 4733, 991, 1046),
    "groundable PER": (3244, 693, 703, 3266, 698, 711),
    "groundable LOC": (167, 42, 40, 168, 42, 40),
    "groundable ORG": (824, 139, 181, 834, 139, 181),
    "groundable OTHER": (459, 112, 112, 465, 112, 114),
    "groundable, repeated strings once": (4658, 981, 1027, 4696, 986, 1037),
    "boxes in the files": (5655, 1164, 1242, 5652, 1164, 1242),
    "boxes with a matching name": (5610, 1159, 1232, 5652, 1164, 1242),
    "boxes counted per mention": (5680, 1166, 1244, 5723, 1171, 1254),
    "mentions with 1 box": (4275, 901, 933, 4312, 906, 943),
    "mentions with 2 boxes": (231, 44, 69, 231, 44, 69),
    "mentions with 3 boxes": (88, 16, 12, 90, 16, 12),
    "mentions with 4 or more boxes": (100, 25, 22, 100, 25, 22),
    "multi-box mentions": (419, 85, 103, 421, 85, 103),
    "box names matching no entity": (41, 5, 10, 0, 0, 0),
    "boxes of names matching no entity": (45, 5, 10, 0, 0, 0),
    "files where no name matches": (28, 2, 6, 0, 0, 0),
}
# name: v1 in all, v2.0 in all (None: the page says nothing)
ALL = {
    ("text", "tokens per entity, most"): (9, 9),
    ("pictures", "files"): (5613, 5612),
    ("pictures", "boxes"): (8061, 8058),
    ("pictures", "files with 1 box"): (None, 4227),
    ("pictures", "boxes per file, most"): (None, 27),
    ("pictures", "files without a box"): (0, 0),
    ("pictures", "files marked as verified"): (12, 12),
    ("pictures", "files that call their image <id>_region.jpg"): (766, 765),
    ("pictures", "smallest side"): (None, 58),
    ("pictures", "largest side"): (None, 1200),
    ("pictures", "smallest picture"): (None, "74 x 58"),
    ("pictures", "pictures with a side below 224"): (None, 136),
    ("pictures", "pictures without size"): (0, 0),
    ("pictures", "boxes over at least 98 % of the picture"): (175, 175),
    ("pictures", "boxes over less than 0.1 %"): (153, 153),
    ("pictures", "pictures with one box under two names"): (None, 3),
    ("pictures", "boxes under two names"): (None, 4),
    ("pictures", "boxes given twice"): (0, 0),
    ("pictures", "boxes without area"): (0, 0),
    ("pictures", "boxes that reach out of the picture"): (0, 0),
    ("pictures", "boxes with fractions of pixels"): (0, 0),
    ("pictures", "boxes that touch 0"): (0, 0),
    ("pictures", "names with apostrophe"): (None, 25),
    ("pictures", "names with #"): (None, 9),
    ("pictures", "names with &"): (None, 3),
    ("pictures", "names with @"): (None, 0),
    ("pictures", "names with non-ASCII characters"): (None, 18),
    ("pictures", "names with a line break"): (2, 0),
    ("boxes", "names matching no entity: written differently"): (13, 0),
    ("boxes", "names matching no entity: part of a mention or more"): (33, 0),
    ("boxes", "names matching no entity: not in the text"): (8, 0),
    ("boxes", "names matching no entity: untagged"): (1, 0),
    ("boxes", "names matching no entity: stray white space"): (1, 0),
}
# section 3's table: tweets, tokens, entities, PER, LOC, ORG, OTHER, B- tags, illegal steps, no entity
MNER_COLUMNS = (
    "tweets",
    "tokens",
    "entities",
    "PER",
    "LOC",
    "ORG",
    "OTHER",
    "B- tags",
    "illegal tag steps",
    "tweets without entity",
)
MNER = {
    ("twitter2015", "train"): (4000, 64439, 6352, 2285, 2135, 957, 975, 6166, 186, 104),
    ("twitter2015", "dev"): (1000, 16178, 1594, 567, 543, 251, 233, 1541, 53, 31),
    ("twitter2015", "test"): (3257, 52822, 5207, 1873, 1720, 860, 754, 5072, 135, 89),
    ("twitter2017", "train"): (3373, 53007, 6049, 2943, 731, 1674, 701, 6049, 0, 392),
    ("twitter2017", "dev"): (723, 11309, 1324, 626, 173, 375, 150, 1324, 0, 76),
    ("twitter2017", "test"): (723, 11330, 1351, 621, 178, 395, 157, 1351, 0, 86),
}
# and the text below it, train, dev, test
MNER_FACTS = {
    ("twitter2015", "B-PER"): (2217, 552, 1816),
    ("twitter2015", "B-LOC"): (2091, 522, 1697),
    ("twitter2015", "B-ORG"): (927, 247, 839),
    ("twitter2015", "B-OTHER"): (931, 220, 720),
    ("twitter2015", "illegal tag steps after O or at the start"): (175, 52, 129),
    ("twitter2015", "tokens that BERT's clean-up removes"): (0, 1, 0),
    ("twitter2017", "tokens that BERT's clean-up removes"): (14, 1, 1),
    ("twitter2015", "tagged tokens that it removes"): (0, 0, 0),
    ("twitter2017", "tagged tokens that it removes"): (0, 0, 0),
    ("twitter2015", "tokens per tweet, most"): (37, 41, 36),
    ("twitter2017", "tokens per tweet, most"): (50, 33, 33),
}
# section 4's table: image ids shared with GMNER train, dev, test
OVERLAP = {
    ("twitter2015", "train"): (1967, 419, 404),
    ("twitter2015", "dev"): (482, 110, 108),
    ("twitter2015", "test"): (1563, 348, 326),
    ("twitter2017", "train"): (2073, 439, 482),
    ("twitter2017", "dev"): (448, 91, 98),
    ("twitter2017", "test"): (467, 93, 82),
}
SPLITS = ("train", "dev", "test")


def stats(*arguments: object) -> dict:
    """What `gmner data stats` prints as JSON."""
    result = CliRunner().invoke(app, ["stats", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def gmner(research: Research) -> Gmner:
    """The posts of Twitter-GMNER by version, read once."""
    return cache(lambda version: read(research(f"twitter_gmner_{version}")))


@pytest.mark.parametrize(("version", "first"), [("v1", 0), ("v2", 3)])
def test_counts_of_twitter_gmner(research: Research, version: str, first: int) -> None:
    mner = research("twitter_mner")
    against = ("--against", mner / "twitter2015", "--against", mner / "twitter2017")
    counts = stats(research(f"twitter_gmner_{version}"), *against)
    for section, table in (("text", TEXT), ("boxes", BOXES)):
        found = {name: tuple(counts[section][split][name] for split in SPLITS) for name in table}
        assert found == {name: values[first : first + 3] for name, values in table.items()}
    expected = {key: values[first // 3] for key, values in ALL.items() if values[first // 3] is not None}
    assert {(section, name): counts[section]["all"][name] for section, name in expected} == expected
    for (name, theirs), shared in OVERLAP.items():
        overlap = counts["overlap"][str(mner / name)]
        assert tuple(overlap[split][theirs] for split in SPLITS) == shared, (name, theirs)
    assert counts["agreement"] == {
        "shared tweets": 10000,
        "identical tokens and tags": 3779,
        "identical tokens, other tags": 490,
        "other tokens": 5731,
    }
    assert round(counts["text"]["all"]["tokens per tweet, mean"]) == 16
    # The page's shares of entities of one and two tokens are those of the training split.
    assert round(counts["text"]["train"]["entities of one token, %"]) == 47
    assert round(counts["text"]["train"]["entities of two tokens, %"]) == 42
    assert round(counts["pictures"]["all"]["picture covered by a box, median %"]) == 25


@pytest.mark.parametrize("name", ["twitter2015", "twitter2017"])
def test_counts_of_twitter_mner(research: Research, name: str) -> None:
    counts = stats(research("twitter_mner") / name)["text"]
    table = {split: values for (of, split), values in MNER.items() if of == name}
    assert {split: tuple(counts[split][column] for column in MNER_COLUMNS) for split in SPLITS} == table
    facts = {fact: values for (of, fact), values in MNER_FACTS.items() if of == name}
    assert {fact: tuple(counts[split][fact] for split in SPLITS) for fact in facts} == facts


def test_strict_reading_of_twitter_2015(research: Research) -> None:
    folder = research("twitter_mner") / "twitter2015"
    for strict, entities in ((False, 5207), (True, 5072)):
        examples = read(folder, "test", strict=strict)
        assert sum(len(example.entities or ()) for example in examples) == entities


@pytest.mark.parametrize(
    ("version", "groundable", "boxes"), [("v1", (4694, 986, 1036), 8090), ("v2", (4733, 991, 1046), 8148)]
)
def test_reading_as_examples_gives_the_same_gold(
    gmner: Gmner, version: str, groundable: tuple[int, ...], boxes: int
) -> None:
    examples = gmner(version)
    visible = Counter(example.extra["split"] for example in examples for entity in example.entities if entity.visible)
    assert tuple(visible[split] for split in SPLITS) == groundable
    assert sum(len(entity.boxes) for example in examples for entity in example.entities) == boxes


def test_difference_of_the_versions(research: Research) -> None:
    changes = difference(read_corpus(research("twitter_gmner_v1")), read_corpus(research("twitter_gmner_v2")))
    ids = {split: {change.id for change in changes.tweets if change.split == split} for split in SPLITS}
    assert ids == {
        "train": {"117533", "34026", "951168", "34965", "1908781"},
        "dev": {"72448", "31911", "221490"},
        "test": {"15427"},
    }
    assert Counter(change.kind for change in changes.tweets) == {
        "B- moved to an equal word": 6,
        "B- added": 2,
        "other tags": 1,
    }
    assert [change.id for change in changes.tweets if change.kind == "other tags"] == ["1908781"]
    assert len(changes.annotations) == 48
    assert {change.id for change in changes.annotations if change.boxes_lost} == {"O_2033", "16_05_15_1021"}
    assert not any(change.boxes_gained or change.size_changed for change in changes.annotations)
    assert changes.annotations_removed == ("17_06_4689",)
    assert not changes.annotations_added + changes.tweets_added + changes.tweets_removed + changes.tweets_moved


CHECK = {
    "v1": {
        "repeated string": 99,
        "token that BERT's clean-up removes": 15,
        "string of two types": 1,
        "illegal tag step": 8,
        "name that matches no entity": 56,
        "file where no name matches": 36,
        "box under two names": 4,
    },
    "v2": {
        "repeated string": 99,  # strings; some are mentioned three times
        "token that BERT's clean-up removes": 15,
        "string of two types": 1,
        "box under two names": 4,
    },
}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_check_finds_what_is_known_and_no_more(research: Research, version: str) -> None:
    findings = check(research(f"twitter_gmner_{version}"))
    assert {finding.level for finding in findings} == {"warning"}
    assert Counter(finding.kind for finding in findings) == CHECK[version]


def test_only_twitter_2015_lacks_the_last_empty_line(research: Research) -> None:
    for name, number in (("twitter2015", 3), ("twitter2017", 0)):
        kinds = Counter(finding.kind for finding in check(research("twitter_mner") / name))
        assert kinds["no empty line at the end"] == number


def test_tagged_text_comes_back_byte_by_byte(research: Research) -> None:
    for split in SPLITS:
        path = research("twitter_gmner_v2") / "txt" / f"{split}.txt"
        assert format_tweets(read_tweets(path)).encode() == path.read_bytes()


@pytest.mark.parametrize("target", ["rows.jsonl", "rows.parquet", "folder"])
def test_conversion_loses_nothing(research: Research, gmner: Gmner, tmp_path: Path, target: str) -> None:
    command = ["convert", str(research("twitter_gmner_v2")), str(tmp_path / target), "--split", "test"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert read(tmp_path / target) == [example for example in gmner("v2") if example.extra["split"] == "test"]


def test_descriptions_lack_one_picture_a_split(research: Research, gmner: Gmner) -> None:
    folder = research("captions") / "mplug_owl"
    lacking = {}
    for split in SPLITS:
        examples = [example for example in gmner("v2") if example.extra["split"] == split]
        filled, report = with_descriptions(examples, folder / f"owl{split}caption_1.txt")
        assert (report.filled, report.duplicate, report.alien, report.empty) == (len(examples) - 1, (), (), ())
        assert [example.id for example in filled if example.description is None] == list(report.missing)
        lacking[split] = report.missing
    assert lacking == {"train": ("8778",), "dev": ("555663",), "test": ("15772",)}


def test_captions_of_both_sets_cover_twitter_gmner(research: Research, gmner: Gmner) -> None:
    files = [research("captions") / "blip2" / f"BLIP2_{year}.txt" for year in (15, 17)]
    examples = gmner("v2")
    filled, report = with_captions(examples, *files)
    assert (report.filled, report.missing, report.empty) == (9999, ("770560",), ("770560",))
    assert report.duplicate == ("17_06_4705",)  # a picture of Twitter-2017 that is in both files
    assert [example.id for example in filled if example.caption is None] == ["770560"]
    assert len(report.alien) == 8288 + 4819 - 1 - len(examples)


# published file of knowledge: data set, split, posts without a block
KNOWLEDGE = {
    ("twitter2015", "train"): 1,
    ("twitter2015", "valid"): 1,
    ("twitter2015", "test"): 1,
    ("twitter2017", "train"): 0,
    ("twitter2017", "valid"): 0,
    ("twitter2017", "test"): 0,
}


@pytest.mark.parametrize(("name", "split"), KNOWLEDGE)
def test_knowledge_of_twitter_mner(research: Research, name: str, split: str) -> None:
    examples = read(research("twitter_mner") / name, split)
    _, report = with_knowledge(examples, research("plim_knowledge") / name / f"{split}.txt")
    lacking = KNOWLEDGE[name, split]
    assert (report.filled, report.alien, report.duplicate) == (len(examples) - lacking, (), ())
    assert report.missing == tuple(example.id for example in examples[len(examples) - lacking :])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_knowledge_of_twitter_gmner(research: Research, gmner: Gmner, version: str) -> None:
    files = [research("plim_knowledge") / "twitter_gmner" / f"{split}.txt" for split in ("test", "train", "valid")]
    filled, report = with_knowledge(gmner(version), *files)
    assert (report.filled, report.missing, report.alien, report.duplicate) == (10000, (), (), ())
    assert filled[0].knowledge.startswith("Named entities:")
    # A filtered list keeps its own knowledge.
    some = [example for example in filled if int(example.id[-1]) % 2]
    again, report = with_knowledge([replace(example, knowledge=None) for example in some], *files)
    assert again == some
    assert len(report.alien) == 10000 - len(some)


def test_dropping_leaks_from_training_on_the_older_sets(research: Research, gmner: Gmner) -> None:
    held_out = [example for example in gmner("v2") if example.extra["split"] != "train"]
    for name, total, leaked in (("twitter2015", 4000, 419 + 404), ("twitter2017", 3373, 439 + 482)):
        kept, dropped = drop_leaked(read(research("twitter_mner") / name, "train"), held_out)
        assert (len(kept), len(dropped)) == (total - leaked, leaked)


def test_pairs_and_references_have_the_counts_of_table_iv(gmner: Gmner, research: Research, tmp_path: Path) -> None:
    """VE and VG of v2.0; the paper's VE sets lack two mentions of train, three of dev, and its test sets one."""
    posts = [replace(post, image=f"{post.id}.jpg") for post in gmner("v2")]
    counts = {
        split: (len(entailment_pairs(some)), len(references(some)))
        for split in ("train", "dev", "test")
        for some in [[post for post in posts if post.extra["split"] == split]]
    }
    assert counts == {"train": (11779, 4733), "dev": (2450, 991), "test": (2543, 1046)}
    told = CliRunner().invoke(app, ["ve", str(research("twitter_gmner_v2")), str(tmp_path / "ve")])
    assert told.exception is None and told.output.startswith("11779 rows")
