"""Training SeqTR: batches, targets, and learning which of two squares an expression means."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gmner.errors import ConfigError
from gmner.geometry import box_mask, mask_iou
from gmner.models.seqtr import weights
from gmner.models.seqtr.config import Mode, SeqTRConfig
from gmner.training.loop import TrainingConfig, train
from gmner.training.pointing import Looking
from gmner.training.seqtr import Glance, SeqTRRecipe
from gmner.types import Box, Entity, Example

COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 230)}
CONFIG = SeqTRConfig(
    points=4,
    bins=24,
    side=64,
    max_words=4,
    word_width=8,
    channels=2,
    repeats=(1, 1, 1, 1, 1, 1),
    width=64,
    heads=4,
    inner_width=64,
    encoder_layers=1,
    decoder_layers=2,
    dropout=0.0,
)
RECIPE = SeqTRRecipe(
    about="Squares.",
    model=CONFIG,
    training=TrainingConfig(epochs=10, batch_size=8, lr=2e-3, weight_decay=0.0, seed=1),
)


def post(number: int) -> Example:
    """A picture of two squares on grey, one of them a half of the picture away from the other."""
    random = np.random.default_rng(number)
    pixels = np.full((96, 96, 3), 128, np.uint8)
    entities = []
    columns = random.permutation([0, 48])
    for (name, colour), column in zip(COLOURS.items(), columns, strict=True):
        side = int(random.integers(24, 44))
        x, y = int(column + random.integers(0, 48 - side)), int(random.integers(0, 96 - side))
        pixels[y : y + side, x : x + side] = colour
        box = Box(x, y, x + side, y + side)
        entities.append(
            Entity(name, "OTHER", boxes=(box,), masks=(box_mask(box, 96, 96),), expression=f"the {name} one")
        )
    return Example(id=f"{number}", text="red and blue", image=pixels, entities=tuple(entities))


POSTS = [post(number) for number in range(120)]
UNSEEN = [post(number) for number in range(1000, 1020)]


def test_boxes_and_outlines_are_learned_and_kept(tmp_path: Path) -> None:
    recipe = replace(RECIPE, model=replace(CONFIG, mode="both"))
    torch.set_num_threads(1)
    task = recipe.prepare(POSTS, UNSEEN)
    history = train(task, recipe.training, tmp_path)
    task.save(tmp_path)
    tested = recipe.test(tmp_path, UNSEEN)
    assert tested.measures["vg_prec@0.5"] > 30  # boxes are still rough by then ...
    assert tested.measures["mask_miou"] > 30
    right = [
        (found.boxes[0].x1 + found.boxes[0].x2 < 96) == (gold.boxes[0].x2 <= 48)
        for prediction, post in zip(tested.predictions, UNSEEN, strict=True)
        for found, gold in zip(prediction.entities, post.entities or (), strict=True)
    ]
    assert np.mean(right) > 0.9  # ... but around the square that was asked for
    best = max(epoch.scores["vg_prec@0.5"] for epoch in history)
    assert tested.measures["vg_prec@0.5"] == pytest.approx(best, abs=5)  # the norms are folded there: a bin may tip
    [prediction, *_] = tested.predictions
    assert [entity.text for entity in prediction.entities] == ["red", "blue"]
    assert all(len(entity.boxes) == len(entity.masks) == 1 for entity in prediction.entities)
    assert prediction.entities[0].boxes != UNSEEN[0].entities[0].boxes


@pytest.mark.parametrize(("mode", "length"), [("boxes", 5), ("masks", 9), ("both", 14)])
def test_batches_hold_every_reference_once_and_what_is_to_be_written(mode: Mode, length: int) -> None:
    recipe = replace(RECIPE, model=replace(CONFIG, mode=mode, bins=96))
    task = recipe.prepare(POSTS[:20], UNSEEN[:1])
    batches = task.batches(16, torch.Generator().manual_seed(0))
    assert sorted(id(draw.row) for batch in batches for draw in batch) == sorted(map(id, task.rows))
    assert [len(batch) for batch in batches].count(16) == 2
    again = task.batches(16, torch.Generator().manual_seed(0))
    assert [[draw.seed for draw in batch] for batch in again] == [[draw.seed for draw in batch] for batch in batches]
    batch = task.collate(batches[0])
    assert batch.targets.shape == (len(batches[0]), length)
    for draw, targets in zip(batches[0], batch.targets.numpy(), strict=True):
        reference, frame = draw.row.reference, draw.row.view.frame
        if mode != "masks":
            assert task.codec.box(frame, targets) == pytest.approx(reference.label, abs=1.5)
        if mode != "boxes":
            # The outline runs through the middles of the outer pixels, and misses some corners of the square.
            assert mask_iou([task.codec.mask(frame, targets)], reference.masks).max() > 0.6
    assert task(batch).item() > 0


def test_jitter_moves_what_is_to_be_written() -> None:
    task = replace(RECIPE, jitter=True).prepare(POSTS[:20], UNSEEN[:1])
    [first, *_] = task.batches(16, torch.Generator().manual_seed(0))
    plain = replace(RECIPE).prepare(POSTS[:20], UNSEEN[:1]).collate(first)
    assert not task.collate(first).targets.equal(plain.targets)
    assert task.collate(first).targets.equal(task.collate(first).targets)


def test_several_regions_give_the_largest() -> None:
    small, large = Box(0, 0, 20, 20), Box(40, 40, 90, 90)
    masks = tuple(box_mask(box, 96, 96) for box in (small, large))
    entity = Entity("red", "OTHER", boxes=(small, large), masks=masks)
    task = replace(RECIPE, model=replace(CONFIG, mode="both", bins=96)).prepare(
        [replace(POSTS[0], entities=(entity,))], UNSEEN[:1]
    )
    [[draw]] = task.batches(4, torch.Generator())
    batch = task.collate([draw])
    frame, targets = draw.row.view.frame, batch.targets[0].numpy()
    assert task.codec.box(frame, targets) == pytest.approx(large, abs=1.5)
    assert mask_iou([task.codec.mask(frame, targets)], masks[1:]) > 0.6


def test_what_starts_from_a_file_is_frozen_and_what_starts_anew_is_not(tmp_path: Path) -> None:
    new = RECIPE.prepare(POSTS[:2], UNSEEN[:1]).model
    assert all(parameter.requires_grad for parameter in new.parameters())
    torch.save({"state_dict": weights.to_published(new.seqtr.state_dict())}, tmp_path / "best.pth")
    tuned = replace(RECIPE, start=tmp_path / "best.pth").prepare(POSTS[:2], UNSEEN[:1]).model
    frozen = {name.split(".")[2] for name, parameter in tuned.named_parameters() if not parameter.requires_grad}
    assert frozen == {f"{part}" for part in range(12)}
    (tmp_path / "vectors.txt").write_text("red 1 2 3 4 5 6 7 8\n", encoding="utf-8")
    words = (
        replace(RECIPE, word_vectors=tmp_path / "vectors.txt").prepare(POSTS[:2], UNSEEN[:1]).model.seqtr.language.words
    )
    assert not words.weight.requires_grad
    assert words.weight[3:].tolist() == [[0.0] * 8, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], *[[0.0] * 8] * 2]


def test_masks_are_not_learned_without_masks() -> None:
    bare = replace(POSTS[0], entities=(Entity("red", "OTHER", boxes=(Box(0, 0, 9, 9),)),))
    with pytest.raises(ConfigError, match="post '0' has a region without a mask"):
        replace(RECIPE, model=replace(CONFIG, mode="masks")).prepare([bare], UNSEEN[:1])


def test_looking_comes_first_and_pictures_are_seen_once() -> None:
    task = replace(RECIPE, looking=Looking(pictures=8)).prepare(POSTS[:20], UNSEEN[:1])
    batches = task.batches(16, torch.Generator().manual_seed(0))
    glances = [batch for batch in batches if isinstance(batch, Glance)]
    assert [len(glance.rows) for glance in glances] == [16, 16, 8]
    glance = task.collate(glances[0])
    assert glance.pixels.shape[0] == 8 and glance.boxes.shape == (16, 4)
    reference = glances[0].rows[0].reference
    assert glance.boxes[0].tolist() == pytest.approx([side * 64 / 96 for side in reference.label], abs=1e-4)
    words = set(task.codec.vocabulary.encode(reference.expression))
    assert set(glance.called[0].nonzero()[:, 0].tolist()) == words
    asked = task.collate(batches[-1])
    assert len(asked.pairs.pixels) == len(asked.pairs.words) / 2
    assert torch.isfinite(task(glance)) and torch.isfinite(task(asked))


def test_it_learns_to_look(tmp_path: Path) -> None:
    training = replace(RECIPE.training, epochs=5)
    task = replace(RECIPE, looking=Looking(pictures=8)).prepare(POSTS, UNSEEN)
    assert train(task, training, tmp_path)[-1].scores["vg_prec@0.5"] > 30
