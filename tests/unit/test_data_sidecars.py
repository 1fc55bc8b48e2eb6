"""Captions, descriptions and knowledge from files beside a data set, and leaks between data sets."""

from dataclasses import replace
from pathlib import Path

import pytest

from gmner.data import drop_leaked, with_captions, with_descriptions, with_knowledge
from gmner.data.image_ids import image_id
from gmner.errors import DataError
from gmner.types import Example

POSTS = [
    Example(id="101", tokens=("Ada", "waves")),
    Example(id="102", tokens=("Go", "Otters")),
    Example(id="O_7", tokens=("Go", "Otters")),
    Example(id="17_06_1", tokens=("nothing", "here")),
]


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


class TestCaptions:
    def test_captions_find_their_pictures(self, tmp_path: Path) -> None:
        first = put(tmp_path / "a.txt", "O_7.jpg :a sign :that says .jpg :x\n101.jpg :a woman\n9.jpg :alien\n")
        second = put(tmp_path / "b.txt", "102.jpg :\n101.jpg :another\n")
        filled, report = with_captions(POSTS, first, second)
        assert [post.caption for post in filled] == ["a woman", None, "a sign :that says .jpg :x", None]
        assert (report.field, report.filled) == ("caption", 2)
        assert (report.missing, report.empty) == (("102", "17_06_1"), ("102",))
        assert (report.duplicate, report.alien) == (("101",), ("9",))

    def test_a_picture_may_serve_several_posts(self, tmp_path: Path) -> None:
        posts = [Example(id="a", text="x", image="some/101.jpg"), Example(id="b", text="y", image=Path("101.jpg"))]
        filled, report = with_captions(posts, put(tmp_path / "a.txt", "101.jpg :a woman\n"))
        assert ([post.caption for post in filled], report.filled) == (["a woman", "a woman"], 2)

    def test_what_a_post_has_stays_where_a_file_says_nothing(self, tmp_path: Path) -> None:
        [post], report = with_captions([replace(POSTS[0], caption="old")], put(tmp_path / "a.txt", "9.jpg :alien\n"))
        assert (post.caption, report.filled, report.missing) == ("old", 0, ())

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        captions = put(tmp_path / "a.txt", "101.jpg :a woman\nimgid:9###words\n")
        with pytest.raises(DataError, match=r"a\.txt:2: the line 'imgid:9###words'; .*give descriptions as such"):
            with_captions(POSTS, captions)
        with pytest.raises(DataError, match=r"a\.txt:1: the line '101.jpg :a woman'; .*give captions as such"):
            with_descriptions(POSTS, captions)


class TestDescriptions:
    def test_texts_run_over_several_lines(self, tmp_path: Path) -> None:
        text = "imgid:101###A woman. \n\nShe waves ### at us.\nimgid:O_7###A sign.\r\nimgid:102###\n\n"
        filled, report = with_descriptions(POSTS, put(tmp_path / "a.txt", text))
        assert [post.description for post in filled] == ["A woman. \n\nShe waves ### at us.", None, "A sign.", None]
        assert (report.missing, report.empty, report.alien) == (("102", "17_06_1"), ("102",), ())

    def test_a_head_without_its_sign(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"a\.txt:2: the line 'imgid:102 no sign'"):
            with_descriptions(POSTS, put(tmp_path / "a.txt", "imgid:101###A woman.\nimgid:102 no sign\n"))


def block(words: str, answer: str) -> str:
    """A block of knowledge with the line ends of the published files."""
    lines = [f"{word}\tO" for word in words.split()] + ["<EOS>\tX"] + [f"{word}\tX" for word in answer.split(" ")]
    return "".join(f"{line}\r\n" for line in [*lines, ""])


class TestKnowledge:
    def test_blocks_are_aligned_by_order_and_tokens(self, tmp_path: Path) -> None:
        # Two posts have the same tokens: their order tells their blocks apart. The tokens of the last are others.
        text = (
            block("Ada waves", "on Ada  twice")
            + block("Go Otters", "on 102")
            + block("Go Otters", "on O_7")
            + block("nothing there", "x")
        )
        filled, report = with_knowledge(POSTS, put(tmp_path / "a.txt", text))
        assert [post.knowledge for post in filled] == ["on Ada  twice", "on 102", "on O_7", None]
        assert (report.filled, report.missing) == (3, ("17_06_1",))
        assert report.alien == (f"{tmp_path / 'a.txt'}:21",)

    def test_posts_may_lack_and_files_may_come_in_any_order(self, tmp_path: Path) -> None:
        train = put(tmp_path / "train.txt", block("Ada waves", "a") + block("Go Otters", "b") + block("Go Otters", "c"))
        test = put(tmp_path / "test.txt", block("nothing here", "d"))
        filled, report = with_knowledge(POSTS, test, train)
        assert [post.knowledge for post in filled] == ["a", "b", "c", "d"]
        assert (report.missing, report.alien, report.duplicate) == ((), (), ())
        fewer, report = with_knowledge([POSTS[0], POSTS[3]], test, train)
        assert [post.knowledge for post in fewer] == ["a", "d"]
        assert [place.rpartition(":")[2] for place in report.alien] == ["6", "11"]

    def test_a_file_given_twice(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.txt", block("Ada waves", "a"))
        [post], report = with_knowledge(POSTS[:1], path, path)
        assert (post.knowledge, report.duplicate) == ("a", ("101",))

    @pytest.mark.parametrize(
        ("text", "line", "message"),
        [
            ("Ada\tO\n\n", 1, "a block that starts with 'Ada'"),
            ("Ada\tO\n<EOS>\tO\nx\tX\n\n", 1, "a block that starts with 'Ada'"),
            (block("Ada", "a") + "Bo\tO\n<EOS>\tX\nx\tO\n\n", 5, "a block that starts with 'Bo'"),
            ("<EOS>\tX\nx\tX\n\n", 1, "a block that starts with '<EOS>'"),
            ("Ada\tO\nno tab\n\n", 2, "the line 'no tab'"),
        ],
    )
    def test_a_broken_block(self, tmp_path: Path, text: str, line: int, message: str) -> None:
        with pytest.raises(DataError, match=message) as raised:
            with_knowledge(POSTS, put(tmp_path / "a.txt", text))
        assert raised.value.where == f"{tmp_path / 'a.txt'}:{line}"


def test_image_ids() -> None:
    assert image_id(Example(id="1", text="x")) == "1"
    assert image_id(Example(id="1", text="x", image="a/17_06_1.jpg")) == "17_06_1"
    assert image_id(Example(id="1", text="x", image=b"bytes")) == "1"


def test_leaks_are_dropped_by_picture() -> None:
    training = [
        Example(id="7", text="other tokens"),
        Example(id="8", text="x"),
        Example(id="row", text="y", image="9.jpg"),
    ]
    held_out = [Example(id="7", text="x"), Example(id="9", text="z")]
    kept, dropped = drop_leaked(training, held_out)
    assert ([post.id for post in kept], [post.id for post in dropped]) == (["8"], ["7", "row"])
