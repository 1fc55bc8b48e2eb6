"""The blind reader with the packaged encoder and random heads: codec, boxes, training, and the system `blind`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gmner import checkpoint
from gmner.cli.main import app
from gmner.data import read_predictions, write_rows
from gmner.errors import CheckpointError, ConfigError, TextError
from gmner.metrics import evaluate
from gmner.models.blind import weights
from gmner.models.blind.boxes import choose_boxes, grid, overlapping, relative_boxes
from gmner.models.blind.codec import BlindCodec, Judgement, answered, places
from gmner.models.blind.config import BlindConfig
from gmner.models.blind.model import CAPTION, DESCRIPTION, Blind
from gmner.models.tagger import weights as tagger_weights
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.stages.words import NO_SIZE, JudgeByWords
from gmner.systems import load
from gmner.systems.blind import Blindfold
from gmner.training.blind import BlindRecipe, calibrate, judge, score
from gmner.training.loop import TrainingConfig, train
from gmner.types import Box, Entity, Example, Prediction

ADA, ROME = Entity("Ada Lovelace", "PER", 0, 12), Entity("Rome", "LOC", 20, 24)
POST = Example(
    id="1", text="Ada Lovelace visits Rome", caption="a woman", description="A woman stands in a street. She waves."
)


@pytest.fixture(scope="module")
def blind() -> tuple[Blind, BlindCodec]:
    torch.manual_seed(0)
    config = BlindConfig(boxes=20, hidden=16)
    model = Blind(config, load_encoder(config.encoder)).eval()
    torch.nn.init.normal_(model.mark_embedding.weight, std=0.02)
    boxes = torch.tensor([[0.1, 0.1, 0.1 + side, 0.9] for side in torch.linspace(0.1, 0.9, 20).tolist()])
    model.set_boxes(boxes, torch.linspace(0, 1, 20))
    return model, BlindCodec(config, load_tokenizer(config.encoder))


def test_a_post_is_its_text_with_marked_names_then_the_pictures_words(blind: tuple[Blind, BlindCodec]) -> None:
    codec = replace(blind[1], config=BlindConfig(description=4))
    [encoded] = codec.encode([POST], [[ADA, ROME]])
    pieces = codec.tokenizer.convert_ids_to_tokens(encoded.pieces)
    assert " ".join(pieces) == ("[CLS] ada love ##lace visits rome [SEP] a woman [SEP] a woman stands in [SEP]")
    assert encoded.marks == [0, 1, 1, 1, 0, 2, 0, *[CAPTION] * 3, *[DESCRIPTION] * 5]
    assert encoded.names == [(1, 4, 0, 0), (5, 6, 1, 0)]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (BlindConfig(caption=False, description=0), "[CLS] ada lovelace visits rome [SEP]"),
        (BlindConfig(caption=False, description=2), "[CLS] ada lovelace visits rome [SEP] a woman [SEP]"),
        (BlindConfig(window=9), "[CLS] ada lovelace visits rome [SEP] a [SEP]"),
        (BlindConfig(window=7), "[CLS] ada lovelace visits rome [SEP]"),
    ],
)
def test_what_is_read_is_a_setting(blind: tuple[Blind, BlindCodec], config: BlindConfig, text: str) -> None:
    codec = replace(blind[1], config=config)
    [encoded] = codec.encode([POST], [[ADA]])
    assert codec.tokenizer.decode(encoded.pieces) == text
    with pytest.raises(TextError, match="sub-words; the blind reader reads at most 4"):
        replace(blind[1], config=BlindConfig(window=6)).encode([POST], [[]])


def test_names_without_a_place_in_the_text_are_read_from_the_post_as_a_whole(blind: tuple[Blind, BlindCodec]) -> None:
    model, codec = blind
    ghost = Entity("\u200b", "ORG", 0, 1)
    [encoded] = codec.encode([Example(text="\u200b here")], [[Entity("x", "PER"), ghost]])
    assert [name[:2] for name in encoded.names] == [(0, 1), (0, 1)]
    assert encoded.marks[0] == 0
    assert codec.predict(model, codec.encode([POST, POST], [[], [ADA]]))[0] == []
    assert codec.predict(model, codec.encode([], [])) == []


def test_places_count_names_of_a_type_once() -> None:
    names = [ADA, Entity("Bob", "PER", 30, 33), replace(ADA, text="ada lovelace"), ROME]
    assert places(names) == [4, 5, 4, 0]
    crowd = [Entity(f"n{number}", "PER", number, number + 1) for number in range(9)]
    assert places(crowd) == [12, 13, 14, *[15] * 6]


def test_what_is_said_does_not_depend_on_the_batch(blind: tuple[Blind, BlindCodec]) -> None:
    model, codec = blind
    posts = [POST, Example(text="Rome", caption="ruins " * 40), Example(text="so long " * 20 + "Ada")]
    names = [[ADA, ROME], [Entity("Rome", "LOC", 0, 4)], [Entity("Ada", "PER", 160, 163)]]
    together = codec.predict(model, codec.encode(posts, names))
    for post, own, found in zip(posts, names, together, strict=True):
        [alone] = codec.predict(model, codec.encode([post], [own]))
        assert [judgement.box for judgement in alone] == [judgement.box for judgement in found]
        for one, other in zip(alone, found, strict=True):
            assert (one.visible, one.hit) == pytest.approx((other.visible, other.hit), abs=1e-5)
    stage = JudgeByWords(model, codec)
    drafts = [Prediction(example=post, entities=tuple(own)) for post, own in zip(posts, names, strict=True)]
    assert [stage([draft], [None])[0] for draft in drafts] == stage(drafts, [None] * 3)  # to the last digit


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, (640, 480), (1, 1), (3, 900)]))
def test_a_size_scales_the_box_and_decides_nothing(visible: float, hit: float, size: tuple[int, int] | None) -> None:
    judgement = Judgement(visible, Box(0.25, 0.5, 0.75, 1.0), hit)
    entity = answered(ADA, judgement, size)
    assert bool(entity.boxes) == (visible * hit > 1 - visible)
    assert entity.groundable == visible
    width, height = size or (1, 1)
    assert entity.boxes in ((), (Box(width / 4, height / 2, width * 3 / 4, height),))


def test_the_stage_tells_where_boxes_are_shares(blind: tuple[Blind, BlindCodec]) -> None:
    model, codec = blind
    with torch.no_grad():
        model.visible.bias.fill_(20.0)
    stage = JudgeByWords(model, codec)
    draft = Prediction(example=POST, entities=(ADA, ROME))
    [unsized], [sized] = stage([draft], [None]), stage([replace(draft, image_size=(200, 100))], [None])
    with torch.no_grad():
        model.visible.bias.fill_(-20.0)
    [unseen] = stage([draft], [None])
    assert unsized.notes == (NO_SIZE,) and sized.notes == () and unseen.notes == ()
    for small, large in zip(unsized.entities, sized.entities, strict=True):
        [box] = small.boxes
        assert large.boxes[0] == pytest.approx((200 * box.x1, 100 * box.y1, 200 * box.x2, 100 * box.y2))
        assert replace(small, boxes=()) == replace(large, boxes=())
    assert not any(entity.visible for entity in unseen.entities)
    [untold] = stage([replace(draft, example=replace(POST, caption=None))], [None])
    assert untold.notes == ("the post has no caption: what can be seen was judged without",)


def test_boxes_are_shares_of_the_picture() -> None:
    seen = replace(ADA, boxes=(Box(10, 20, 30, 40),))
    assert relative_boxes(replace(POST, image_size=(100, 200)), seen) == [Box(0.1, 0.1, 0.3, 0.2)]
    assert relative_boxes(POST, seen) == []


def test_chosen_boxes_cover_what_there_is() -> None:
    left, right = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)
    regions = [[left]] * 9 + [[right]] * 3 + [[Box(0, 0, 0.02, 0.02)]]
    boxes = [Box(*row) for row in choose_boxes(regions, 6).tolist()]
    covers = overlapping(regions, boxes)
    assert covers[:9, 0].all() and not covers[9:, 0].any()  # the commonest first
    assert covers[:12].any(1).all() and not covers[12].any()
    assert len(set(boxes)) == 6
    assert set(boxes) <= set(grid())
    assert not overlapping([[]], boxes).any()
    halves = overlapping([[left, right]], [left, right, Box(0.25, 0, 0.75, 1)])
    assert halves.tolist() == [[True, True, False]]  # any region will do; a third is no half


def test_saved_and_loaded_it_says_the_same(tmp_path: Path, blind: tuple[Blind, BlindCodec]) -> None:
    model, codec = blind
    weights.save(tmp_path, model)
    loaded, again = weights.load(tmp_path)
    assert loaded.config == model.config
    encoded = codec.encode([POST], [[ADA, ROME]])
    assert again.predict(loaded, encoded) == codec.predict(model, encoded)
    config, tensors = checkpoint.load(tmp_path, BlindConfig)
    checkpoint.save(tmp_path, replace(config, boxes=21), tensors)
    with pytest.raises(CheckpointError, match=r"holds boxes, hits.bias, hits.weight in other shapes"):
        weights.load(tmp_path)
    del tensors["boxes"]
    checkpoint.save(tmp_path, config, tensors)
    with pytest.raises(CheckpointError, match=r"lacks boxes \(1\)"):
        weights.load(tmp_path)


TOY = [
    Example(
        id=f"{name}{number}",
        text=f"{name} speaks",
        caption="a man on a stage" if number % 2 else "a plate of food",
        image_size=(100, 100) if number % 2 else None,
        entities=(Entity(name, "PER", 0, len(name), (Box(0, 0, 50, 100),) if number % 2 else ()),),
    )
    for name in ("Ada", "Bob", "Cleo", "Dora", "Emil", "Fay")
    for number in range(4)
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader that has learned that men on stages are visible, on the left."""
    folder = tmp_path_factory.mktemp("reader")
    rates = dict.fromkeys(("inner", "visible", "hits", "mark_embedding", "type_embedding"), 1e-2)
    recipe = BlindRecipe(
        about="A toy.",
        model=BlindConfig(boxes=5, hidden=16, description=0),
        training=TrainingConfig(epochs=4, batch_size=4, lr=1e-3, lr_groups=rates, seed=1),
        frozen=("encoder",),
    )
    task = recipe.prepare(TOY[:-4], TOY[-4:])
    history = train(task, recipe.training, folder)
    assert history[-1].scores["answered_right"] == 100
    task.save(folder)
    assert recipe.test(folder, TOY[-4:]).measures == {
        "answered_right": 100,
        "groundable_accuracy": 100,
        "groundable_majority": 50,
        "grounding_precision": 100,
    }
    return folder


def test_it_learns_a_toy_language(trained: Path) -> None:
    model, codec = weights.load(trained)
    judged = judge(model, codec, TOY)
    assert judged.visible.tolist() == [0, 1] * 12
    assert score(judged)["groundable_accuracy"] == 100


def test_without_boxes_or_words_there_is_nothing_to_learn() -> None:
    recipe = BlindRecipe(about="A toy.", model=BlindConfig(description=8))
    with pytest.raises(ConfigError, match="no training post has both boxes"):
        recipe.prepare([POST], [POST])
    with pytest.raises(ConfigError, match="the recipe reads a caption, and no training post has one"):
        recipe.prepare([replace(POST, caption=None)], [POST])
    with pytest.raises(ConfigError, match="reads a description"):
        recipe.prepare(TOY, [POST])


def test_calibration_makes_both_heads_honest(blind: tuple[Blind, BlindCodec]) -> None:
    model, codec = blind
    with torch.no_grad():
        for layer, bias in ((model.visible, 9.0), (model.hits, -9.0)):
            layer.weight.zero_()
            layer.bias.fill_(bias)
    half = [replace(post, entities=post.entities) for post in TOY]
    calibrate(model, codec, [*half, *half[1::2]])  # two of three are visible
    judged = judge(model, codec, half)
    assert judged.logits.visible.sigmoid().numpy() == pytest.approx(2 / 3, abs=0.01)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained tagger that finds something everywhere."""
    torch.manual_seed(0)
    model = Tagger(TaggerConfig(), load_encoder(TaggerConfig().encoder))
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    folder = tmp_path_factory.mktemp("tagger")
    tagger_weights.save(folder, model)
    return folder


def test_the_system_opens_no_picture(tagger: Path, trained: Path) -> None:
    system = load("blind", tagger=str(tagger), reader=str(trained))
    posts = [replace(post, entities=None, image="no/such/picture.jpg") for post in TOY[:3]]
    found = system.predict(posts)
    assert any(prediction.entities for prediction in found)
    assert all(prediction.example is post for prediction, post in zip(found, posts, strict=True))
    results = system.attempt([posts[0], Example(text="a " * 600), posts[1]])
    assert isinstance(results[1], TextError)
    assert [results[0], results[2]] == found[:2]
    assert system.attempt([]) == []


def test_gold_and_the_pictures_size_decide_nothing(tagger: Path, trained: Path) -> None:
    system = load("blind", tagger=str(tagger), reader=str(trained))
    sized = system.predict([replace(post, image_size=(50, 70)) for post in TOY[:4]])
    bare = system.predict([replace(post, image_size=None, entities=None) for post in TOY[:4]])
    for one, other in zip(sized, bare, strict=True):
        assert [entity.groundable for entity in one.entities] == [entity.groundable for entity in other.entities]
        assert [len(entity.boxes) for entity in one.entities] == [len(entity.boxes) for entity in other.entities]


def test_it_goes_on_from_names_that_are_given(tagger: Path, trained: Path) -> None:
    system = load("blind", tagger=str(tagger), reader=str(trained))
    assert isinstance(system, Blindfold)
    gold = [replace(post, image_size=(100, 100)) for post in TOY]
    found = system.between("words").predict(gold)
    assert evaluate(gold, found)["gmner"].f1 == 1


def test_without_a_reader_it_is_the_plainest_floor(tagger: Path) -> None:
    found = load("blind", tagger=str(tagger)).predict(TOY)
    assert any(prediction.entities for prediction in found)
    assert not any(entity.visible for prediction in found for entity in prediction.entities)
    report = evaluate(TOY, found)
    assert report["gmner"].f1 <= report["mner"].f1


def test_from_the_command_line(tagger: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "blind.toml").write_text(f"tagger = {json.dumps(str(tagger))}\nreader = {json.dumps(str(trained))}\n")
    write_rows(tmp_path / "posts.jsonl", TOY)
    command = ["predict", "--system", "blind", "--config", str(tmp_path / "blind.toml")]
    result = CliRunner().invoke(
        app, [*command, "--input", str(tmp_path / "posts.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    )
    assert result.exception is None, result.output
    found = read_predictions(tmp_path / "out.jsonl")
    assert [prediction.id for prediction in found] == [post.id for post in TOY]
    assert np.isfinite(evaluate(TOY, found)["gmner"].f1)
