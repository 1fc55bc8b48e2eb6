"""Drawn data sets as files: `gmner data draw`, its command line, `--like`, and pixels that stay what they were."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
from typer.testing import CliRunner

from gmner.cli.data import app
from gmner.data import read, read_examples
from gmner.data.drawn import draw_folder, draw_like, draw_post, draw_posts, orders, orders_like
from gmner.data.twitter_gmner import write_twitter_gmner
from gmner.errors import DataError
from gmner.geometry import pair_iou
from gmner.image import open_image
from gmner.types import Box, Entity, Example

GOLDEN = Path(__file__).parents[1] / "golden" / "drawn.json"
SIZES = {"train": 5, "dev": 2, "test": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("drawn") / "set"
    draw_folder(output, orders(SIZES, seed=3))
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_can_be_read_back(folder: Path) -> None:
    for split, size in SIZES.items():
        found = read(folder / f"{split}.jsonl", split)
        assert len(found) == size
        for post, drawn in zip(found, draw_posts(split, size, seed=3), strict=True):
            assert (post.id, post.text, post.tokens, post.entities) == (
                drawn.id,
                drawn.text,
                drawn.tokens,
                drawn.entities,
            )
            assert (post.caption, post.description, post.candidates) == (
                drawn.caption,
                drawn.description,
                drawn.candidates,
            )
            assert (post.image_size, post.extra) == (drawn.image_size, drawn.extra)
            picture = open_image(post.image)
            assert picture.shape == drawn.image.shape
            assert np.abs(picture.astype(int) - drawn.image).mean() < 6  # what JPEG takes away


def test_any_number_of_processes_draws_the_same(folder: Path, tmp_path: Path) -> None:
    done = []
    draw_folder(tmp_path / "two", orders(SIZES, seed=3), processes=2, advance=lambda: done.append(1))
    assert contents(tmp_path / "two") == contents(folder)
    assert len(done) == sum(SIZES.values())


def test_a_smaller_set_is_the_start_of_a_larger_one(folder: Path, tmp_path: Path) -> None:
    draw_folder(tmp_path / "few", orders({"train": 2}, seed=3))
    few, many = contents(tmp_path / "few"), contents(folder)
    assert many["train.jsonl"].startswith(few.pop("train.jsonl"))
    assert few.items() <= many.items()


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(DataError, match="not empty"):
        draw_folder(folder, orders({"train": 1}, seed=0))


def test_the_command(tmp_path: Path) -> None:
    output = tmp_path / "set"
    asked = ["draw", str(output), "--seed", "3", "--train", "2", "--dev", "1", "--test", "0", "--processes", "1"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "2 train, 1 dev posts drawn" in result.stderr
    assert len(read_examples(output / "train.jsonl")) == 2
    assert not (output / "test.jsonl").exists()


def models() -> list[Example]:
    """Posts with boxes that do not fit any figure of their own accord: flat, high, nested, twice the same."""
    return [
        Example(
            id="1",
            text="Ada meets Bob , says Ada of NASA",
            tokens=("Ada", "meets", "Bob", ",", "says", "Ada", "of", "NASA"),
            entities=(
                Entity("Ada", "PER", 0, 3, boxes=(Box(10, 20, 150, 290),)),
                Entity("Bob", "PER", 10, 13),
                Entity("Ada", "PER", 21, 24, boxes=(Box(10, 20, 150, 290),)),
                Entity("NASA", "ORG", 28, 32, boxes=(Box(200, 30, 380, 70), Box(220, 200, 280, 260))),
            ),
            image_size=(400, 300),
            extra={"split": "train"},
        ),
        Example(
            id="2",
            text="The Stones in Rome",
            tokens=("The", "Stones", "in", "Rome"),
            entities=(
                Entity("The Stones", "ORG", 0, 10, boxes=(Box(20, 40, 80, 200), Box(120, 30, 190, 210))),
                Entity("Rome", "LOC", 14, 18, boxes=(Box(0, 0, 240, 220),)),
            ),
            image_size=(240, 220),
            extra={"split": "test"},
        ),
        Example(
            id="3",
            text="Nothing from Rome",
            tokens=("Nothing", "from", "Rome"),
            entities=(Entity("Rome", "LOC", 13, 17),),
            extra={"split": "test"},
        ),
    ]


@pytest.fixture
def twitter(tmp_path: Path) -> Path:
    write_twitter_gmner(
        tmp_path / "twitter", [*models(), Example(id="4", text="Hi", entities=(), extra={"split": "dev"})]
    )
    return tmp_path / "twitter"


def test_like_keeps_text_tags_sizes_and_boxes() -> None:
    for number, model in enumerate(models()):
        post = draw_like(model, number, seed=0)
        assert (post.id, post.text, post.tokens) == (model.id, model.text, model.tokens)
        assert post.image.shape[:2] == (post.image_size[1], post.image_size[0])
        assert model.image_size in (None, post.image_size)
        for gold, drawn in zip(model.entities, post.entities, strict=True):
            assert (gold.text, gold.type, gold.start, gold.end) == (drawn.text, drawn.type, drawn.start, drawn.end)
            assert len(drawn.boxes) == len(gold.boxes)
            assert drawn.expression.startswith(f"{gold.text} ({gold.type}) - ")
            for box in gold.boxes:
                assert max(pair_iou(box, other) for other in drawn.boxes) > 0.8


def test_like_leaves_out_what_is_hidden_or_too_small() -> None:
    place, speck = Box(20, 20, 180, 180), Box(5, 5, 7, 7)
    model = Example(
        id="1",
        text="Ada Bob Cid",
        entities=(
            Entity("Ada", "PER", 0, 3, boxes=(place,)),
            Entity("Bob", "PER", 4, 7, boxes=(Box(20, 20, 180, 179),)),
            Entity("Cid", "PER", 8, 11, boxes=(speck,)),
        ),
        image_size=(200, 200),
    )
    post = draw_like(model, 0, seed=0)
    assert sorted(len(entity.boxes) for entity in post.entities) == [0, 0, 1]
    assert not post.entities[2].boxes


def test_the_command_draws_like_a_folder(twitter: Path, tmp_path: Path) -> None:
    output = tmp_path / "like"
    asked = ["draw", str(output), "--like", str(twitter), "--test", "1", "--processes", "1"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert [post.id for post in read_examples(output / "train.jsonl")] == ["1"]
    assert [post.id for post in read_examples(output / "test.jsonl")] == ["2"]


def test_a_folder_without_boxes_is_refused(tmp_path: Path) -> None:
    write_twitter_gmner(tmp_path / "bare", [Example(id=s, text="Hi", entities=(), extra={"split": s}) for s in SIZES])
    with pytest.raises(DataError, match="no entity with a box"):
        orders_like(tmp_path / "bare", {"train": None}, seed=0)


def golden_posts() -> list[dict[str, object]]:
    return [
        {
            "id": post.id,
            "text": post.text,
            "gold": [[entity.expression, [list(box) for box in entity.boxes]] for entity in post.entities],
            "pixels": hashlib.sha256(post.image.tobytes()).hexdigest(),
        }
        for split, number in (("train", 0), ("train", 1), ("dev", 2), ("test", 3), ("test", 14))
        for post in [draw_post(split, number, seed=0)]
    ]


def versions() -> dict[str, str]:
    """What the last bit of a pixel may depend on."""
    return {"pillow": PIL.__version__, "opencv": cv2.__version__.rsplit(".", 1)[0], "numpy": np.__version__}


def test_posts_are_those_of_other_machines() -> None:
    """Text, expressions and boxes are what was recorded elsewhere; so is every pixel, where the same versions of the
    libraries draw it. (With others an edge may move by a subpixel: boxes then may move by one.)"""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    same = versions() == golden["versions"]
    for found, expected in zip(golden_posts(), golden["posts"], strict=True):
        assert (found["id"], found["text"]) == (expected["id"], expected["text"])
        if same:
            assert found == expected
        for (expression, boxes), (as_recorded, recorded) in zip(found["gold"], expected["gold"], strict=True):
            assert expression == as_recorded
            assert np.allclose(np.reshape(boxes, (-1, 4)), np.reshape(recorded, (-1, 4)), atol=1)


if __name__ == "__main__":
    record = {"versions": versions(), "posts": golden_posts()}
    GOLDEN.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
