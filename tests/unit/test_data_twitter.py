"""The formats of the Twitter sets: reading, errors, writing, and one door for all of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.twitter_sample import BOXES, DEV, TEST, TRAIN, tweet_text, voc_text, write_gmner, write_mner

from gmner.data import read, recognise, write
from gmner.data.bio import Tweet, format_tweets, iterate_tweets, read_tweets
from gmner.data.losses import left_out
from gmner.data.matching import why_unmatched
from gmner.data.tweets import example_of, tweet_of
from gmner.data.voc import Annotation, NamedBox, format_annotation, read_annotation
from gmner.errors import ConfigError, DataError, UnknownNameError
from gmner.types import Box, Entity, Example, Mask


@pytest.fixture
def gmner(tmp_path: Path) -> Path:
    return write_gmner(tmp_path / "gmner")


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


class TestTwitterGmner:
    def test_a_post_has_its_gold(self, gmner: Path) -> None:
        [post] = [post for post in read(gmner, "train") if post.id == "101"]
        assert post == Example(
            id="101",
            tokens=("Ada", "Quill", "greets", "Fenwick"),
            entities=(Entity("Ada Quill", "PER", 0, 9, (Box(10, 20, 110, 220),)), Entity("Fenwick", "LOC", 17, 24)),
            image_size=(400, 300),
            extra={"split": "train"},
        )

    def test_repeated_strings_share_all_their_boxes(self, gmner: Path) -> None:
        [post] = [post for post in read(gmner) if post.id == "102"]
        both = (Box(1, 1, 50, 60), Box(60, 5, 90, 80))
        assert [(entity.text, entity.start, entity.boxes) for entity in post.entities] == [
            ("Otters", 3, both),
            ("Otters", 12, both),
        ]

    def test_tags_are_read_leniently(self, gmner: Path) -> None:
        [first, second] = read(gmner, "test")
        assert [entity.text for entity in first.entities] == ["Quill"]
        assert [(entity.text, len(entity.boxes)) for entity in second.entities] == [("Café ' s", 1)]

    def test_names_match_exactly_or_not_at_all(self, tmp_path: Path) -> None:
        names = ["ada Quill", "Ada Quill ", "Ada", "AdaQuill"]
        folder = write_gmner(tmp_path / "v1", boxes={"101": [(name, (1, 1, 2, 2)) for name in names]})
        [post] = [post for post in read(folder) if post.id == "101"]
        assert [entity.visible for entity in post.entities] == [False, False]

    def test_splits_and_pictures(self, gmner: Path, tmp_path: Path) -> None:
        assert [post.extra["split"] for post in read(gmner)] == ["train"] * 3 + ["dev"] + ["test"] * 2
        assert [post.id for post in read(gmner, "valid")] == ["16_05_01_9"]
        (tmp_path / "pictures").mkdir()
        assert read(gmner, "dev", tmp_path / "pictures")[0].image == str(tmp_path / "pictures" / "16_05_01_9.jpg")
        with pytest.raises(UnknownNameError, match=r"there is no split 'tset'; known are .*; did you mean 'test'"):
            read(gmner, "tset")
        with pytest.raises(DataError, match="no such folder"):
            read(gmner, images=tmp_path / "absent")
        (gmner / "txt" / "dev.txt").unlink()
        with pytest.raises(DataError, match=r"no text file of the split 'dev'; .*; choose among train, test"):
            read(gmner, "dev")

    def test_strict_reading_is_not_for_this_set(self, gmner: Path) -> None:
        with pytest.raises(ConfigError, match="strict reading of twitter-gmner"):
            read(gmner, strict=True)

    @pytest.mark.parametrize("part", ["txt", "xml"])
    def test_a_missing_part_is_named(self, gmner: Path, part: str) -> None:
        (gmner / part).rename(gmner / "elsewhere")
        with pytest.raises(DataError, match=f"no folder {part} in it; Twitter-GMNER has txt/train.txt"):
            read(gmner)

    def test_a_picture_of_unknown_size(self, tmp_path: Path) -> None:
        folder = write_gmner(tmp_path / "gmner")
        put(folder / "xml" / "101.xml", voc_text(BOXES["101"], size=(0, 0)))
        assert read(folder)[0].image_size is None


BAD_XML = {
    "cut": ("<annotation>\n<size>", 2, "not XML: no element found"),
    "doctype": ('<!DOCTYPE a [<!ENTITY b "c">]>\n<annotation/>', 1, "a document type declaration"),
    "no size": ("<annotation>\n</annotation>", 1, "<annotation> with 0 <size>"),
    "size of words": (voc_text([]).replace("400", "wide"), 4, "<width> holds 'wide'"),
    "half a pixel": (voc_text([]).replace("400", "400.5"), 3, "<width> is 400.5"),
    "no name": (voc_text(BOXES["101"]).replace("name>", "label>"), 8, "<object> with 0 <name>"),
    "two boxes": (voc_text(BOXES["101"]).replace("</bndbox>", "</bndbox><bndbox/>"), 8, "<object> with 2 <bndbox>"),
    "infinite": (voc_text(BOXES["101"]).replace(">10<", ">inf<"), 11, "<xmin> holds 'inf'"),
    "no area": (voc_text([("Ada Quill", (5, 5, 5, 9))]), 8, r"box \[5.0, 5.0, 5.0, 9.0\] of 'Ada Quill'"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_a_broken_annotation_is_told_with_its_line(gmner: Path, name: str) -> None:
    text, line, message = BAD_XML[name]
    path = put(gmner / "xml" / "101.xml", text)
    with pytest.raises(DataError, match=message) as raised:
        read(gmner)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert len(read(gmner, "test")) == 2  # only the annotations that are asked for are read


def test_an_annotation_comes_back(tmp_path: Path) -> None:
    objects = (NamedBox("R&B <live>", Box(1, 2, 3, 4)), NamedBox("Ada\nQuill", Box(0.1, 2, 3, 1e3 / 3)))
    for verified in (True, False):
        annotation = Annotation("7", (40, 30), objects, filename="7.jpg", verified=verified)
        path = put(tmp_path / "7.xml", format_annotation(annotation))
        found = read_annotation(path)
        lines = [named.line for named in found.objects]
        assert lines == [8, 17]
        assert replace(found, path=None, objects=objects) == annotation
        assert [(name, box) for name, box, _ in found.objects] == [(name, box) for name, box, _ in objects]


BAD_TEXT = {
    "words first": ("word\tO\n" + tweet_text(DEV), {1: "a tweet starts with a line `IMGID:<image id>`"}),
    "no tab": ("IMGID:1\nAda B-PER\nx\tO\n\n", {2: "the line 'Ada B-PER'; a line is a token"}),
    "two tabs": ("IMGID:1\nAda\tB-PER\tO\n\n", {2: "one tab and a tag"}),
    "no token": ("IMGID:1\n\tO\nx\tO\n\n", {2: "one tab and a tag"}),
    "blank": ("IMGID:1\nA da\tO\n\n", {2: "one tab and a tag"}),
    "tag": ("IMGID:1\nAda\tPER\n\n", {2: "'PER'; tags are O, B-TYPE and I-TYPE"}),
    "type": ("IMGID:1\nAda\tB-DATE\n\n", {2: "entity type 'DATE'"}),
    "two lines": ("IMGID:1\nAda\tPER\nBo\tB\n\n", {2: "'PER'", 3: "'B'"}),
    "after": ("IMGID:1\nx\tO\n\ny\tO\n\n", {4: "the line 'y.tO'; after an empty line"}),
    "no words": ("IMGID:1\n\nIMGID:2\nx\tO\n\n", {1: "a tweet has at least one token"}),
    "no id": ("IMGID:\nx\tO\n\n", {1: "the image id ''"}),
    "a path": ("IMGID:../1\nx\tO\n\n", {1: "the image id '../1'"}),
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_a_malformed_line_is_told_and_the_other_tweets_are_read(tmp_path: Path, name: str) -> None:
    text, errors = BAD_TEXT[name]
    path = put(tmp_path / "test.txt", text + tweet_text(TEST))
    found = list(iterate_tweets(path))
    assert [tweet.id for tweet in found if isinstance(tweet, Tweet)][-2:] == ["O_7", "O_8"]
    told = {int(error.where.removeprefix(f"{path}:")): str(error) for error in found if isinstance(error, DataError)}
    assert told.keys() == errors.keys()
    with pytest.raises(DataError, match=next(iter(errors.values()))):
        read(path)
    for line, message in errors.items():
        assert message.replace(".", " ") in told[line].replace("\\", " ").replace(".", " ")


class TestText:
    def test_what_ends_a_line_and_what_does_not(self, tmp_path: Path) -> None:
        odd = ("\x92", "\u2028", "\x85", "\xa0", "\u200b")
        text = "IMGID:1\n" + "".join(f"{token}\tO\n" for token in ("Ada", *odd))
        for ends in (text, text.replace("\n", "\r\n"), "\ufeff" + text, text.removesuffix("\n")):
            [post] = read(put(tmp_path / "t.txt", ends))
            assert post.tokens == ("Ada", *odd)

    def test_ids_are_unique_in_a_file_and_in_a_set(self, gmner: Path) -> None:
        train = put(gmner / "txt" / "train.txt", tweet_text(TRAIN) + tweet_text({"101": "again/O"}))
        with pytest.raises(DataError, match=rf"train\.txt:18: the id '101' for the second time \(first at {train}:1\)"):
            read(gmner, "train")
        put(gmner / "txt" / "train.txt", tweet_text(TRAIN | TEST))
        with pytest.raises(DataError, match=r"test\.txt:1: the id 'O_7' for the second time"):
            read(gmner)

    def test_white_space_alone_is_no_post(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"t\.txt:1: the text of post '1' is empty"):
            read(put(tmp_path / "t.txt", "IMGID:1\n\xa0\tO\n\n"))

    def test_text_that_is_not_utf_8(self, tmp_path: Path) -> None:
        (tmp_path / "t.txt").write_bytes(b"IMGID:1\nCaf\xe9\tO\n\n")
        with pytest.raises(DataError, match=r"t\.txt:2: a byte that is not UTF-8"):
            read(tmp_path / "t.txt")

    def test_tweets_come_back(self, tmp_path: Path) -> None:
        path = put(tmp_path / "t.txt", tweet_text(TRAIN | TEST))
        assert format_tweets(read_tweets(path)) == path.read_text()


class TestTwitterMner:
    def test_strict_and_lenient(self, tmp_path: Path) -> None:
        tweets = {"1": "The/I-OTHER Keys/O of/O Ada/B-PER Quill/I-LOC", "17_06_1": "Otters/B-MISC"}
        folder = write_mner(tmp_path / "twitter2015", {"train": tweets, "valid": DEV, "test": TEST})
        lenient, misc = read(folder, "train")
        strict, _ = read(folder, "train", strict=True)
        names = [(entity.text, entity.type) for entity in lenient.entities]
        assert names == [("The", "OTHER"), ("Ada", "PER"), ("Quill", "LOC")]
        assert [(entity.text, entity.type) for entity in strict.entities] == [("Ada", "PER")]
        assert misc.entities[0].type == "OTHER"
        assert [post.extra["split"] for post in read(folder)] == ["train", "train", "dev", "test", "test"]

    def test_both_names_of_a_split(self, tmp_path: Path) -> None:
        folder = write_mner(tmp_path / "set", {"valid": DEV, "dev": DEV})
        with pytest.raises(DataError, match=r"both dev\.txt and valid\.txt"):
            read(folder)


class TestRecognising:
    def test_each_format(self, gmner: Path, tmp_path: Path) -> None:
        posts = read(gmner)
        write(tmp_path / "rows.jsonl", posts)
        write(tmp_path / "rows.parquet", posts)
        mner = write_mner(tmp_path / "twitter2015", {"test": TEST})
        assert recognise(gmner) == "twitter-gmner"
        assert recognise(mner) == recognise(mner / "test.txt") == "twitter-mner"
        assert (recognise(tmp_path / "rows.jsonl"), recognise(tmp_path / "rows.parquet")) == ("jsonl", "parquet")

    def test_what_is_none(self, gmner: Path, tmp_path: Path) -> None:
        (tmp_path / "rows.tsv").touch()
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="no such file or folder"):
            read(tmp_path / "absent")
        with pytest.raises(DataError, match=r"a file of no known format; .*jsonl"):
            read(tmp_path / "rows.tsv")
        with pytest.raises(
            DataError, match=r"a folder of no known format; .*; choose among the data sets in it: gmner"
        ):
            read(tmp_path)
        with pytest.raises(DataError, match=r"a folder of no known format; .*; check the path"):
            read(tmp_path / "empty")

    def test_splits_and_pictures_of_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        of = {"1": {"split": "train"}, "2": {"split": "valid"}, "3": {}}
        write(path, [Example(id=name, text="x", extra=extra) for name, extra in of.items()])
        assert [post.id for post in read(path)] == ["1", "2", "3"]
        assert [(post.id, post.extra) for post in read(path, "dev")] == [
            ("2", {"split": "dev"}),
            ("3", {"split": "dev"}),
        ]
        own = Example(id="4", text="x", image=tmp_path / "own.jpg")
        write(path, [Example(id="3", text="x"), own])
        assert [post.image for post in read(path, images=tmp_path)] == [
            str(tmp_path / "3.jpg"),
            str(tmp_path / "own.jpg"),
        ]


class TestWriting:
    @pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out"])
    def test_a_set_comes_back(self, gmner: Path, tmp_path: Path, name: str) -> None:
        write(tmp_path / name, read(gmner))
        assert read(tmp_path / name) == read(gmner)

    def test_splits_can_be_added_one_by_one_and_nothing_is_overwritten(self, gmner: Path, tmp_path: Path) -> None:
        for split in ("test", "train", "dev"):
            write(tmp_path / "out", read(gmner, split))
        assert read(tmp_path / "out") == read(gmner)
        with pytest.raises(DataError, match="the file is there already"):
            write(tmp_path / "out", read(gmner, "test"))

    def test_raw_text_becomes_words(self, tmp_path: Path) -> None:
        entities = (Entity("@Ada_Q", "PER", 3, 9, (Box(1, 1, 2, 2),)), Entity("Otters", "ORG", 11, 17))
        post = Example(id="1", text="RT @Ada_Q: Otters!", entities=entities, image_size=(9, 9), extra={"split": "dev"})
        write(tmp_path / "out", [post])
        [back] = read(tmp_path / "out")
        assert back.text == "RT @ Ada _ Q : Otters !"
        assert [(entity.text, entity.boxes) for entity in back.entities] == [
            ("@ Ada _ Q", (Box(1, 1, 2, 2),)),
            ("Otters", ()),
        ]
        assert left_out("twitter-gmner", [post]) == {"the text as it was (words joined by blanks are written)": 1}

    def test_what_is_left_out_is_counted(self) -> None:
        entity = Entity("Ada", "PER", 0, 3, (Box(0, 0, 1, 1),), (Mask((1, 1), "01"),), score=0.5, extra={"x": 1})
        post = Example(
            id="1", tokens=("Ada",), entities=(entity,), caption="c", knowledge="k", image="1.jpg", image_size=(1, 1)
        )
        assert left_out("twitter-gmner", [post, replace(post, entities=(), image_size=(1, 1))]) == {
            "caption": 2,
            "knowledge": 2,
            "image path": 2,
            "image size without regions": 1,
            "masks": 1,
            "scores, expressions and provenance of entities": 1,
            "entities' keys of their own": 1,
        }

    ENTITY = Entity("Ada", "PER", 0, 3)
    POST = Example(id="1", tokens=("Ada", "Ada"), entities=(ENTITY,), image_size=(9, 9), extra={"split": "dev"})
    BOX = (Box(0, 0, 1, 1),)

    @pytest.mark.parametrize(
        ("post", "message"),
        [
            (replace(POST, entities=None), "no gold entities"),
            (replace(POST, extra={}), "no split"),
            (replace(POST, id="a/b"), "the image id 'a/b'"),
            (replace(POST, entities=(Entity("Ad", "PER", 0, 2),)), "'Ad' at 0:2; BIO tags mark whole words"),
            (replace(POST, entities=(Entity("Ada", "PER"),)), "'Ada' at None:None"),
            (replace(POST, entities=(ENTITY, Entity("Ada Ada", "ORG", 0, 7))), "each for one entity only"),
            (replace(POST, entities=(replace(ENTITY, boxes=BOX),), image_size=None), "boxes but no `image_size`"),
            (replace(POST, entities=(replace(ENTITY, masks=(Mask((1, 1), "01"),)),)), "masks but no boxes"),
            (replace(POST, entities=(replace(ENTITY, boxes=BOX), Entity("Ada", "PER", 4, 7))), "the regions of 'Ada'"),
        ],
    )
    def test_what_the_format_can_not_hold(self, tmp_path: Path, post: Example, message: str) -> None:
        with pytest.raises(DataError, match=message):
            write(tmp_path / "out", [post])
        assert not (tmp_path / "out").exists()

    def test_ids_twice_and_other_endings(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="the id '1' for the second time"):
            write(tmp_path / "out", [self.POST, self.POST])
        with pytest.raises(DataError, match=r"the ending \.csv"):
            write(tmp_path / "out.csv", [self.POST])


def test_tweets_and_examples_are_inverse() -> None:
    tweet = Tweet("1", ("Ada", "Quill", "x", "Bo"), ("B-PER", "I-PER", "O", "B-PER"))
    assert tweet_of(example_of(tweet)) == tweet


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Blue Lantern\n", "stray white space"),
        ("blue-lantern", "written differently"),
        ("BLUE", "part of a mention or more"),
        ("The Blue Lantern", "part of a mention or more"),
        ("opens", "untagged"),
        ("Otters", "not in the text"),
        ("!?", "not in the text"),
    ],
)
def test_why_a_name_matches_nothing(name: str, reason: str) -> None:
    assert why_unmatched(name, ["Blue Lantern", "..."], "The Blue Lantern opens ...") == reason


@pytest.mark.parametrize("encoding", ["martian", "gb2312"])
def test_an_annotation_in_an_encoding_that_is_not_read(tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path / "a.xml", f'<?xml version="1.0" encoding="{encoding}"?><annotation/>')
    with pytest.raises(DataError, match=r"a\.xml:1: not XML"):
        read_annotation(path)


def test_a_name_that_xml_can_not_hold_is_refused() -> None:
    with pytest.raises(DataError, match=r"post '7': the character '\\x01'"):
        format_annotation(Annotation("7", (5, 5), (NamedBox("a\x01b", Box(0, 0, 1, 1)),)))
