"""Counts, checks and differences of small invented sets."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from tests.twitter_sample import BOXES, DEV, TEST, TRAIN, tweet_text, voc_text, write_gmner, write_mner
from tokenizers.normalizers import BertNormalizer

from gmner.data import read, write
from gmner.data.check import check
from gmner.data.corpus import read_corpus
from gmner.data.difference import AnnotationChange, Mention, TweetChange, difference
from gmner.data.leakage import agreement, overlap
from gmner.data.statistics import count, vanishes
from gmner.errors import DataError
from gmner.types import Box


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


class TestCounts:
    def test_text(self, tmp_path: Path) -> None:
        counts = count(read_corpus(write_gmner(tmp_path / "gmner")))["text"]
        assert list(counts) == ["train", "dev", "test", "all"]
        names = ("tweets", "tokens", "entities", "B- tags", "PER", "LOC", "ORG", "OTHER", "tweets without entity")
        assert [counts["train"][name] for name in names] == [3, 11, 4, 4, 1, 1, 2, 0, 1]
        assert [counts["test"][name] for name in names] == [2, 7, 2, 1, 1, 1, 0, 0, 0]
        assert [counts["all"][name] for name in names] == [6, 22, 7, 6, 2, 2, 2, 1, 1]
        assert counts["test"]["illegal tag steps"] == counts["test"]["illegal tag steps after O or at the start"] == 1
        assert counts["train"]["repeated mentions of a string"] == 1
        assert counts["test"]["tokens per entity, most"] == 3
        assert counts["train"]["entities of two tokens, %"] == 25.0

    def test_boxes(self, tmp_path: Path) -> None:
        boxes = {**BOXES, "103": [("nothing", (1, 1, 2, 2)), ("nothing", (1, 1, 3, 3)), ("Otters", (1, 1, 2, 2))]}
        counts = count(read_corpus(write_gmner(tmp_path / "gmner", boxes=boxes)))["boxes"]["train"]
        expected = {
            "tweets with annotation file": 3,
            "tweets with a groundable entity": 2,
            "groundable mentions": 3,
            "groundable PER": 1,
            "groundable ORG": 2,
            "groundable, repeated strings once": 2,
            "boxes in the files": 6,
            "boxes with a matching name": 3,
            "boxes counted per mention": 5,
            "mentions with 1 box": 1,
            "mentions with 2 boxes": 2,
            "multi-box mentions": 2,
            "box names matching no entity": 2,
            "boxes of names matching no entity": 3,
            "names matching no entity: untagged": 1,
            "names matching no entity: not in the text": 1,
            "files where no name matches": 1,
        }
        assert {name: counts[name] for name in expected} == expected

    def test_pictures(self, tmp_path: Path) -> None:
        odd = [("R&B", (0, 0, 400, 300)), ("#1", (0, 0, 400, 300)), ("#1", (0, 0, 400, 300)), ("Å", (1.5, 2, 402, 3))]
        folder = write_gmner(tmp_path / "gmner", boxes={**BOXES, "alien": odd, "none": []})
        put(folder / "xml" / "103.xml", voc_text([("x'", (5, 5, 5, 9))], size=(0, 10)))
        counts = count(read_corpus(folder))["pictures"]["all"]
        expected = {
            "files": 6,
            "boxes": 9,
            "files without a box": 1,
            "pictures without size": 1,
            "pictures with one box under two names": 1,
            "boxes under two names": 1,
            "boxes given twice": 1,
            "boxes without area": 1,
            "boxes that reach out of the picture": 1,
            "boxes with fractions of pixels": 1,
            "boxes that touch 0": 3,
            "boxes over at least 98 % of the picture": 3,
            "names with apostrophe": 2,
            "names with #": 2,
            "names with &": 1,
            "names with non-ASCII characters": 2,
        }
        assert {name: counts[name] for name in expected} == expected

    def test_rows_are_counted_as_the_folder_they_came_from(self, tmp_path: Path) -> None:
        folder = write_gmner(tmp_path / "gmner")
        write(tmp_path / "rows.jsonl", read(folder))
        rows, files = count(read_corpus(tmp_path / "rows.jsonl")), count(read_corpus(folder))
        assert rows["boxes"] == files["boxes"]
        # Rows say the gold itself, not how it was tagged.
        differing = {name for name, value in files["text"]["all"].items() if rows["text"]["all"][name] != value}
        assert differing == {
            "B- tags",
            "B-PER",
            "illegal tag steps",
            "illegal tag steps after O or at the start",
        }

    def test_text_alone_and_nothing(self, tmp_path: Path) -> None:
        assert list(count(read_corpus(put(tmp_path / "some.txt", tweet_text(TEST))))["text"]) == ["some", "all"]
        nothing = count(read_corpus(put(tmp_path / "empty.txt", "")))["text"]["all"]
        assert set(nothing.values()) == {0}


def test_tokens_vanish_as_in_the_clean_up_of_a_bert() -> None:
    clean_up = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    given_out = [chr(code) for code in range(1, 0x3000) if unicodedata.category(chr(code)) != "Cn"]
    differing = {sign for sign in given_out if vanishes(sign) != (not clean_up.normalize_str(sign).strip())}
    assert differing <= set("\u0890\u0891\u08e2")  # Arabic format signs, younger than the library's Unicode tables
    assert all(map(vanishes, ("\u200b", "\u200d", "\ufffd", "\x92", "\xa0", "\xad", "\u200b\x92")))
    assert not any(map(vanishes, ("a", "\u200ba", "\ufe0f", ".")))


def test_shared_posts(tmp_path: Path) -> None:
    gmner = read_corpus(write_gmner(tmp_path / "gmner"))
    older = read_corpus(
        write_mner(
            tmp_path / "twitter2017",
            {
                "train": {"101": TRAIN["101"], "16_05_01_9": DEV["16_05_01_9"].replace("OTHER", "MISC"), "x": "x/O"},
                "valid": {"102": "other/O tokens/O"},
                "test": {"103": "nothing/B-PER here/O"},
            },
        )
    )
    assert overlap(gmner, older) == {
        "train": {"train": 1, "dev": 1, "test": 1},
        "dev": {"train": 1, "dev": 0, "test": 0},
        "test": {"train": 0, "dev": 0, "test": 0},
    }
    assert agreement(gmner, [older]) == {
        "shared tweets": 4,
        "identical tokens and tags": 2,
        "identical tokens, other tags": 1,
        "other tokens": 1,
    }


class TestCheck:
    def found(self, path: Path) -> set[tuple[str, str, str]]:
        """Findings as (level, kind, file:line), paths from the data set's folder."""
        folder = f"{path if path.is_dir() else path.parent}/"
        return {(finding.level, finding.kind, finding.where.removeprefix(folder)) for finding in check(path)}

    def test_a_clean_set(self, tmp_path: Path) -> None:
        texts = {"train": {"101": TRAIN["101"]}, "dev": DEV, "test": {"O_8": TEST["O_8"]}}
        boxes = {name: BOXES[name] for name in ("101", "O_8")}
        assert check(write_gmner(tmp_path / "gmner", texts, boxes)) == []

    def test_texts(self, tmp_path: Path) -> None:
        folder = write_gmner(tmp_path / "gmner")
        train = (
            tweet_text({"1": "Ada/B-PER Bo/I-LOC x/O \u200b/O", "2": "Ada/B-PER and/O Ada/B-LOC"})
            + "IMGID:3\nx\tO\nIMGID:4\nno tab\n\n"
            + tweet_text({"1": "again/O"})
        )
        put(folder / "txt" / "train.txt", train.removesuffix("\n"))
        put(folder / "txt" / "dev.txt", tweet_text({"2": "x/O"}))
        (folder / "txt" / "test.txt").write_bytes(b"IMGID:9\n\xff\tO\n\n")
        for path in (folder / "xml").iterdir():
            path.unlink()
        assert self.found(folder) == {
            ("error", "unreadable line", "txt/train.txt:15"),
            ("error", "id twice", "txt/train.txt:17"),
            ("error", "id in two splits", "txt/dev.txt:1"),
            ("error", "unreadable file", "txt/test.txt:2"),
            ("warning", "illegal tag step", "txt/train.txt:3"),
            ("warning", "token that BERT's clean-up removes", "txt/train.txt:5"),
            ("warning", "repeated string", "txt/train.txt:7"),
            ("warning", "string of two types", "txt/train.txt:7"),
            ("warning", "no empty line between tweets", "txt/train.txt:14"),
            ("warning", "no empty line at the end", "txt/train.txt:19"),
        }
        assert [finding.level for finding in check(folder)] == ["error"] * 4 + ["warning"] * 6

    def test_boxes(self, tmp_path: Path) -> None:
        texts = {"train": {"101": TRAIN["101"], "103": TRAIN["103"], "104": "Ada/B-PER", "105": "Bo/B-PER"}}
        folder = write_gmner(tmp_path / "gmner", texts, {})
        ada = (10, 20, 110, 220)
        objects = [
            ("Ada Quill", ada),
            ("Fenwick", ada),
            ("Ada Quill", ada),
            ("Ada Quill", (390, 5, 410, 9)),
            ("Ada Quil", (1.5, 5, 9, 9)),
            ("Ada Quil", (1, 5, 5, 9)),
            ("Fenwick", (5, 5, 5, 9)),
        ]
        put(folder / "xml" / "101.xml", voc_text(objects))
        put(folder / "xml" / "103.xml", voc_text([("Ada", (1, 1, 2, 2))], size=(0, 0)))
        put(folder / "xml" / "104.xml", voc_text([]))
        put(folder / "xml" / "105.xml", "<annotation>\n")
        put(folder / "xml" / "106.xml", voc_text([("Ada", (1, 1, 2, 2))]))
        assert self.found(folder) == {
            ("error", "box without area", "xml/101.xml:62"),
            ("error", "unreadable annotation", "xml/105.xml:2"),
            ("warning", "box under two names", "xml/101.xml:17"),
            ("warning", "box given twice", "xml/101.xml:26"),
            ("warning", "box out of the picture", "xml/101.xml:35"),
            ("warning", "box with fractions of pixels", "xml/101.xml:44"),
            ("warning", "name that matches no entity", "xml/101.xml:44"),
            ("warning", "picture without size", "xml/103.xml"),
            ("warning", "name that matches no entity", "xml/103.xml:8"),
            ("warning", "file where no name matches", "xml/103.xml"),
            ("warning", "annotation without box", "xml/104.xml"),
            ("warning", "annotation without tweet", "xml/106.xml"),
        }

    def test_text_folders_and_files(self, tmp_path: Path) -> None:
        folder = write_mner(tmp_path / "twitter2015", {"train": TRAIN, "test": TEST})
        kinds = Counter(kind for _, kind, _ in self.found(folder))
        assert kinds == {"no empty line at the end": 2, "repeated string": 1, "illegal tag step": 1}
        assert len(self.found(folder / "test.txt")) == 2

    def test_rows(self, tmp_path: Path) -> None:
        entity = '{"text": "Ada", "type": "PER", "boxes": [[0, 0, 9, 9]]}'
        lines = [
            f'{{"text": "Ada", "image": "1.jpg", "image_size": [8, 9], "entities": [{entity}]}}',
            '{"text": "Ada", "image": "https://example.org/1.jpg"}',
            '{"text": 3}',
            "no row",
            f'{{"text": "Ada", "image": "{"x" * 5000}"}}',
        ]
        path = put(tmp_path / "rows.jsonl", "\n".join(lines))
        assert self.found(path) == {
            ("error", "unreadable row", "rows.jsonl:3"),
            ("error", "unreadable row", "rows.jsonl:4"),
            ("warning", "picture is missing", "rows.jsonl:1"),
            ("warning", "picture is missing", "rows.jsonl:5"),
            ("warning", "box out of the picture", "rows.jsonl:1"),
        }

    def test_what_is_no_set(self, tmp_path: Path) -> None:
        (tmp_path / "gmner" / "txt").mkdir(parents=True)
        with pytest.raises(DataError, match="no folder xml"):
            check(tmp_path / "gmner")


def test_difference(tmp_path: Path) -> None:
    old = write_gmner(
        tmp_path / "old",
        {
            "train": {
                "moved": "The/B-LOC old/O The/O Pier/I-LOC",
                "added": "Ada/I-PER",
                "removed": "Ada/B-PER Quill/B-PER",
                "longer": "Ada/B-PER Quill/O",
                "words": "Ada/O",
                "same": "x/O",
                "gone": "x/O",
            },
            "dev": {"wanders": "x/O"},
        },
        {
            "added": [("Ad", (1, 1, 2, 2)), ("Bo", (3, 3, 4, 4))],
            "same": [("x", (1, 1, 2, 2))],
            "gone": [("x", (1, 1, 2, 2))],
        },
    )
    new = write_gmner(
        tmp_path / "new",
        {
            "train": {
                "moved": "The/O old/O The/B-LOC Pier/I-LOC",
                "added": "Ada/B-PER",
                "removed": "Ada/B-PER Quill/I-PER",
                "longer": "Ada/B-PER Quill/I-PER",
                "words": "Bo/O",
                "same": "x/O",
                "wanders": "x/O",
                "fresh": "x/O",
            }
        },
        {"added": [("Ada", (1, 1, 2, 2))], "same": [("x", (1, 1, 2, 2))], "fresh": [("x", (1, 1, 2, 2))]},
    )
    put(new / "xml" / "same.xml", voc_text([("x", (1, 1, 2, 2))]).replace("useless", "renamed"))
    changes = difference(read_corpus(old), read_corpus(new))
    ada, both = Mention(0, "Ada", "PER"), Mention(0, "Ada Quill", "PER")
    assert changes.tweets == (
        TweetChange(
            "moved",
            "train",
            "B- moved to an equal word",
            (Mention(0, "The", "LOC"), Mention(3, "Pier", "LOC")),
            (Mention(2, "The Pier", "LOC"),),
        ),
        TweetChange("added", "train", "B- added", (), ()),
        TweetChange("removed", "train", "B- removed", (ada, Mention(1, "Quill", "PER")), (both,)),
        TweetChange("longer", "train", "other tags", (ada,), (both,)),
        TweetChange("words", "train", "other tokens", (), ()),
    )
    assert (changes.tweets_removed, changes.tweets_added, changes.tweets_moved) == (("gone",), ("fresh",), ("wanders",))
    ad = Box(1, 1, 2, 2)
    assert changes.annotations == (
        AnnotationChange("added", False, (("Ad", ad), ("Bo", Box(3, 3, 4, 4))), (("Ada", ad),)),
    )
    assert (changes.annotations[0].boxes_lost, changes.annotations[0].boxes_gained) == (1, 0)
    assert (changes.annotations_removed, changes.annotations_added) == (("gone",), ("fresh",))
    assert changes.counts()["tweets changed"] == 5
