"""Training OFA on coloured squares: batches, windows, losses, recipes, and that it learns to look."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gmner.data.pairs import EntailmentPair, Reference
from gmner.errors import CheckpointError
from gmner.models.ofa import weights
from gmner.models.ofa.config import BOS, EOS, PAD, OFAConfig, Released
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.training.loop import TrainingConfig, train
from gmner.training.ofa import (
    EntailTask,
    GroundTask,
    OFAEntailRecipe,
    OFAGroundRecipe,
    Seen,
    Shown,
    cut,
    random_window,
    score_entailment,
    score_grounding,
)
from gmner.training.pointing import Looking
from gmner.types import Box, Entity, Example

COLOURS = {"red": (230, 20, 20), "blue": (20, 20, 230)}
PLACES = (Box(0, 0, 48, 48), Box(48, 0, 96, 48), Box(0, 48, 48, 96), Box(48, 48, 96, 96))
NARROW = OFAConfig(
    width=32,
    inner_width=64,
    encoder_layers=2,
    decoder_layers=1,
    heads=2,
    trunk_blocks=(1, 1, 1),
    trunk_channels=8,
    trunk_width=8,
    bpe_symbols=340,
    codes=0,
    bins=9,
    positions=126,
    token_buckets=8,
    image_buckets=2,
    code_positions=1,
    encoder_entangled=True,
    dropout=0.0,
    drop_path=0.0,
    initial_std=0.15,
    image_size=32,
)
TRAINING = TrainingConfig(epochs=4, batch_size=8, lr=3e-3, weight_decay=0.0, seed=1)


def posts(count: int, seed: int = 0) -> list[Example]:
    """Pictures with a square in one quarter; one entity is of its colour, and one of the other."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        colour, place = draw.choice(list(COLOURS)), PLACES[draw.integers(4)]
        picture = draw.integers(90, 160, (96, 96, 3), dtype=np.uint8)
        picture[int(place.y1) : int(place.y2), int(place.x1) : int(place.x2)] = COLOURS[colour]
        entities = [Entity(name, "OTHER", expression=f"the {name} one") for name in COLOURS]
        shown = [replace(entity, boxes=(place,)) if entity.text == colour else entity for entity in entities]
        made.append(Example(id=str(number), text="red blue", image=picture, entities=tuple(shown)))
    return made


ENTAIL = OFAEntailRecipe("VE.", form="paper", model=NARROW, training=TRAINING)
GROUND = OFAGroundRecipe("VG.", form="paper", model=NARROW, training=TRAINING)


def test_an_entailment_batch() -> None:
    task = ENTAIL.prepare(posts(6), posts(1))
    [batch] = task.batches(100, torch.Generator().manual_seed(0))
    assert sorted(batch) == list(range(12))
    assert all(task.owners[batch[place]] == task.owners[batch[place + 1]] for place in range(0, 12, 2))
    made = task.collate(batch)
    assert made.pixels.shape == (6, 3, 32, 32)
    for row, index in enumerate(batch):
        prompt = task.sources[index][:-1]
        assert made.written[row, : len(prompt)].tolist() == prompt
        wanted = made.target[row][made.target[row] != PAD].tolist()
        assert wanted == [*task.codec.answers.answers[task.labels[index]], EOS]
    assert made.allowed is not None
    assert made.allowed.sum(1).tolist() == [3, 1] * 12
    assert float(task(made)) < 2  # among three answers, and the end that is certain


def test_the_files_order_only_if_asked() -> None:
    task = ENTAIL.prepare(posts(20), posts(1))
    orders = [[i for b in task.batches(7, torch.Generator().manual_seed(s)) for i in b] for s in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    released = replace(ENTAIL, model=replace(NARROW, released=Released(in_order=True)))
    task = released.prepare(posts(20), posts(1))
    assert [i for b in task.batches(7, torch.Generator()) for i in b] == list(range(40))


def test_a_grounding_batch() -> None:
    task = GROUND.prepare(posts(5), posts(1))
    [batch] = task.batches(100, torch.Generator().manual_seed(0))
    made = task.collate(batch)
    assert made.written[:, 0].tolist() == [BOS] * 5
    assert torch.equal(made.written[:, 1:], made.target[:, :-1])
    for row, index in enumerate(batch):
        box = task.codec.corners(made.target[row, :4].tolist(), 96, 96)
        assert box == pytest.approx(task.references[index].label, abs=96 / 16 + 1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_window_keeps_the_boxes_and_moves_the_labels(seed: int) -> None:
    task = replace(GROUND, crop=0.3).prepare(posts(8, seed), posts(1))
    torch.manual_seed(seed)
    [batch] = task.batches(100, torch.Generator().manual_seed(seed))
    made = task.collate(batch)
    for row, index in enumerate(batch):
        x1, y1, x2, y2 = (round(place) for place in task.codec.corners(made.target[row, :4].tolist(), 32, 32))
        inside = made.pixels[made.owner[row], :, y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean((1, 2))
        strongest = 0 if "red" in task.references[index].expression else 2
        assert inside.argmax() == strongest and inside[strongest] > 0.6


def test_a_window_is_no_larger_than_the_picture() -> None:
    seen = Seen(np.zeros((32, 32, 3), np.uint8), 100, 50)
    assert random_window(seen, [Box(-5, 0, 105, 50)], 0.5) == (0, 0, 100, 50)
    assert random_window(seen, [Box(40, 20, 60, 30)], 0.0) == (0, 0, 100, 50)
    assert cut(seen, Box(0, 0, 100, 50)) is seen.view


def test_a_spread_of_nothing_is_the_plain_loss_and_neighbours_cost_less() -> None:
    task = GROUND.prepare(posts(2), posts(1))
    first, vocabulary = task.codec.config.first_bin, task.codec.config.vocabulary
    target = torch.tensor([first + 4, EOS])

    def loss(bin_: int, spread: float) -> float:
        task.spread = spread
        logits = torch.zeros(2, vocabulary)
        logits[0, first + bin_] = logits[1, EOS] = 6.0
        return float(task.loss(logits, target, None))

    assert loss(3, 0.0) == pytest.approx(loss(1, 0.0))
    assert loss(4, 1e-3) == pytest.approx(loss(4, 0.0), rel=1e-4)
    assert loss(4, 1.0) < loss(3, 1.0) < loss(1, 1.0)


def test_it_learns_to_see_what_is_there(tmp_path: Path) -> None:
    task = ENTAIL.prepare(posts(160), posts(30, 1))
    train(task, TRAINING, tmp_path)
    task.save(tmp_path)
    tested = ENTAIL.test(tmp_path, posts(30, 2))
    assert tested.measures["ve_majority"] == 50
    assert tested.measures["ve_accuracy"] >= 95
    assert tested.predictions == [] and tested.tasks == ()


def test_it_learns_to_see_where(tmp_path: Path) -> None:
    task = GROUND.prepare(posts(160), posts(30, 1))
    train(task, TRAINING, tmp_path)
    task.save(tmp_path)
    measures = GROUND.test(tmp_path, posts(30, 2)).measures
    assert measures["prec@0.5"] >= 95
    # A trained folder is where further training begins, with settings of its own.
    again = replace(GROUND, start=str(tmp_path), model=replace(NARROW, dropout=0.1)).prepare(posts(2), posts(30, 2))
    assert again.model.ofa.config.dropout == 0.1
    assert again.eval() is again and again.evaluate()["prec@0.5"] == measures["prec@0.5"]


def test_scores_count_any_gold_box_and_weigh_no_post() -> None:
    picture = np.zeros((96, 96, 3), np.uint8)
    task = GROUND.prepare(posts(2), posts(1))
    grounder = OFAGrounder(task.model.ofa.eval(), task.codec)
    [[box]] = grounder.ground([picture], [["x"]])
    away = Box(0, 0, 1, 1)
    rows = [Reference("1", picture, "x", (away, box)), Reference("2", picture, "x", (away,))]
    scores = score_grounding(grounder, rows)
    assert scores["prec@0.5"] == 50
    assert 50 <= scores["mean_iou"] < 60
    entailer = OFAEntailer(task.model.ofa, task.codec)
    [[probability]] = entailer.entail([picture], [["x"]], [None])
    pairs = [EntailmentPair(str(n), picture, "x", None, visible) for n, visible in enumerate([True, False, False])]
    right = score_entailment(entailer, pairs)
    assert right["ve_accuracy"] == pytest.approx(100 / 3 if probability >= 0.5 else 200 / 3)
    assert right["ve_majority"] == pytest.approx(200 / 3)


def test_a_start_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        replace(GROUND, start=str(tmp_path / "ofa.pt")).prepare(posts(2), posts(1))


def test_entail_and_ground_tasks_save_what_load_reads(tmp_path: Path) -> None:
    for recipe, kind in ((ENTAIL, EntailTask), (GROUND, GroundTask)):
        task = recipe.prepare(posts(2), posts(1))
        assert isinstance(task, kind)
        task.save(tmp_path)
        model, codec = weights.load(tmp_path)
        assert codec == task.codec
        assert model.config == task.model.ofa.config


def test_looking_comes_first_and_is_part_of_the_loss() -> None:
    looking = replace(GROUND, looking=Looking(passes=2, pictures=4))
    task = looking.prepare(posts(6), posts(1))
    batches = task.batches(4, torch.Generator().manual_seed(0))
    shown = [batch.pictures for batch in batches if isinstance(batch, Shown)]
    assert [len(some) for some in shown] == [4, 2, 4, 2]
    assert sorted(shown[0] + shown[1]) == sorted(shown[2] + shown[3]) == list(range(6))
    assert [isinstance(batch, Shown) for batch in batches] == [True] * 4 + [False] * 2
    glance = task.collate(batches[0])
    row = task.references[shown[0][0]]
    assert glance.boxes[0].tolist() == [side / 96 for side in row.label]
    [pieces] = task.codec.vocabulary.encode([f" {row.expression}"])
    assert set(glance.called[0].nonzero()[:, 0].tolist()) == set(pieces)
    assert torch.isfinite(task(glance))
    asked = task.collate(batches[-1])
    plain = replace(looking, looking=Looking(pointing=0)).prepare(posts(6), posts(1))
    plain.load_state_dict(task.state_dict())
    assert float(task(asked)) > float(plain(asked))


def test_what_is_not_there_is_pointed_at_nowhere() -> None:
    task = replace(ENTAIL, looking=Looking()).prepare(posts(3), posts(1))
    made = task.collate(task.batches(6, torch.Generator().manual_seed(0))[-1])
    there = torch.tensor([bool(box.any()) for box in made.boxes])
    assert there.sum() == 3 and made.boxes.shape == (6, 4)
    assert torch.isfinite(task(made))


def test_questions_of_a_picture_come_a_few_at_a_time() -> None:
    task = replace(ENTAIL, looking=Looking(passes=0, together=1)).prepare(posts(12), posts(1))
    batches = task.batches(8, torch.Generator().manual_seed(0))
    assert sorted(index for batch in batches for index in batch) == list(range(24))
    assert any(len({task.owners[index] for index in batch}) > 4 for batch in batches)


def test_it_learns_to_look(tmp_path: Path) -> None:
    task = replace(GROUND, looking=Looking(pictures=8)).prepare(posts(160), posts(30, 1))
    assert train(task, TRAINING, tmp_path)[-1].scores["prec@0.5"] >= 90
