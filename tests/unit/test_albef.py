"""ALBEF: what depends on what, texts, pictures, augmentation, weights on disk, the predictor, training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch.nn import functional as F

from gmner.errors import CheckpointError, TextError
from gmner.models.albef import augment, weights
from gmner.models.albef.augment import Augmentation, random_piece
from gmner.models.albef.codec import ALBEFCodec, clean, probabilities, squeeze
from gmner.models.albef.config import CONTRADICTION, ENTAILMENT, ALBEFConfig, TextSize, VisionSize
from gmner.models.albef.distillation import distilled_loss, follow, new_teacher
from gmner.models.albef.model import ALBEF
from gmner.models.albef.predictor import ALBEFEntailer
from gmner.nn.attention import MultiHeadAttention, plain_attention
from gmner.nn.encoders import load_tokenizer
from gmner.nn.vit import VisionTransformer, resize_positions
from gmner.training import albef as training
from gmner.training.albef import ALBEFRecipe, Distillation, accuracy, judge
from gmner.training.loop import TrainingConfig, train
from gmner.training.telling import UNMASKED, Telling, mask, told_sentences
from gmner.types import Box, Entity, Example

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "red", "blue", "a", "one", "the", "in", "per", "bo", "-", "##b"]
CONFIG = ALBEFConfig(VisionSize(32, 16, 16, 2, 2), TextSize(len(WORDS), 12, 16, 3, 2, 32, 1), dropout=0.0)
RED, BLUE = (np.full((20, 30, 3), colour, dtype=np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))


def tokenizer() -> Any:
    return transformers.BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})


def network(config: ALBEFConfig = CONFIG, seed: int = 0) -> ALBEF:
    torch.manual_seed(seed)
    model = ALBEF(config)
    for parameter in model.parameters():  # no zeros and ones that would hide a mistake
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def entailer(batch_size: int = 4) -> ALBEFEntailer:
    return ALBEFEntailer(network(), ALBEFCodec(CONFIG, tokenizer()), batch_size)


def post(number: int, colour: str, picture: np.ndarray, visible: bool) -> Example:
    boxes = (Box(0, 0, 30, 20),) if visible else ()
    entity = Entity("Bob", "PER", 0, 3, boxes=boxes, expression=f"Bob (PER) - the one in {colour}")
    return Example(
        id=str(number),
        text="Bob",
        image=picture,
        entities=(entity,),
        caption=f"a {'red' if picture is RED else 'blue'} one",
    )


# What the network is


def test_padding_and_company_change_nothing() -> None:
    model, codec = network(), ALBEFCodec(CONFIG, tokenizer())
    pixels = codec.pixels([RED, BLUE])
    texts = codec.encode(["a red one", "bob in the blue", ""])
    owners = [0, 1, 1]
    together = model(codec.batch(texts), pixels, torch.tensor(owners))
    for index, (text, owner) in enumerate(zip(texts, owners, strict=True)):
        alone = model(codec.batch([text]), pixels[owner : owner + 1], torch.tensor([0]))
        torch.testing.assert_close(together[index], alone[0])


def test_both_picture_and_text_are_read() -> None:
    [[red, blue], [other, _]] = entailer().entail([RED, BLUE], [["red", "blue"], ["red", "blue"]], [None, None])
    assert len({red, blue, other}) == 3


def test_plain_attention_is_the_fused_one() -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(2, 3, rows, 4, requires_grad=True) for rows in (5, 6, 6)]
    allowed = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])[:, None, None]
    ours, theirs = plain_attention(*tensors, allowed), F.scaled_dot_product_attention(*tensors, attn_mask=allowed)
    torch.testing.assert_close(ours, theirs)
    for mine, its in zip(torch.autograd.grad(ours.square().sum(), tensors),
                         torch.autograd.grad(theirs.square().sum(), tensors), strict=True):  # fmt: skip
        torch.testing.assert_close(mine, its)
    dropped = plain_attention(*tensors, allowed, dropout=0.9)
    assert not torch.allclose(dropped, theirs)


def test_attention_trains_in_bfloat16_as_in_float32() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(16, 2, dropout=0.0, source_width=8)
    queries, source = torch.randn(2, 3, 16), torch.randn(2, 5, 8)
    expected = attention(queries, source)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = attention(queries, source)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), expected, atol=0.02, rtol=0.02)


def test_the_vision_transformer_is_that_of_transformers() -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=16,
        layer_norm_eps=1e-6, qkv_bias=True,
    )  # fmt: skip
    theirs = transformers.ViTModel(config, add_pooling_layer=False).eval()
    ours = VisionTransformer(32, 16, 16, 2, 2)
    ours.load_state_dict(dict(zip(ours.state_dict(), _in_our_order(theirs.state_dict()), strict=True)))
    pixels = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(pixels), theirs(pixels).last_hidden_state)


def _in_our_order(state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The tensors of a ViTModel in the order of our `VisionTransformer`."""

    def rank(name: str) -> tuple[int, int, int]:
        parts = ["cls_token", "position_embeddings", "patch_embeddings", "layer.", "layers.", "layernorm"]
        stage = next((index for index, part in enumerate(parts) if part in name), len(parts))
        number = next((int(piece) for piece in name.split(".") if piece.isdigit()), 0)
        inner = ["before", "query", "q_proj", "key", "k_proj", "value", "v_proj", "attention.output", "o_proj",
                 "after", "intermediate", "fc1", "output", "fc2"]  # fmt: skip
        return stage, number, next((index for index, part in enumerate(inner) if part in name), 0)

    return [state[name] for name in sorted(state, key=lambda name: (*rank(name), not name.endswith("weight")))]


@given(before=st.integers(1, 6), after=st.integers(1, 6))
def test_resized_positions_keep_the_class_row(before: int, after: int) -> None:
    table = torch.randn(1, 1 + before**2, 3)
    resized = resize_positions(table, 1 + after**2)
    assert resized.shape == (1, 1 + after**2, 3)
    assert torch.equal(resized[:, 0], table[:, 0])
    assert before != after or torch.equal(resized, table)


def test_positions_of_no_square_are_refused() -> None:
    with pytest.raises(ValueError, match="a square and one"):
        resize_positions(torch.zeros(1, 6, 3), 10)
    with pytest.raises(ValueError, match="do not fill"):
        VisionTransformer(30, 16, 16, 1, 1)


# Distillation


def test_the_teacher_follows_and_is_not_trained() -> None:
    student = network()
    teacher = new_teacher(student)
    with torch.no_grad():
        student.classifier[0].bias += 1
    before = teacher.classifier[0].bias.clone()
    follow(teacher, student, 0.75)
    torch.testing.assert_close(teacher.classifier[0].bias, before + 0.25)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_distilled_loss_mixes_hard_and_soft_labels() -> None:
    logits, taught, targets = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 2, 2, 0])
    hard = F.cross_entropy(logits, targets)
    soft = -(taught.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(distilled_loss(logits, taught, targets, 0.4), 0.6 * hard + 0.4 * soft)


# Texts


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("New York(LOC)-A large city", "new york loc a large city"),
        ("Mara Ellin (PER) - a man in a T-shirt", "mara ellin per a man in a t shirt"),
        ('O\'Neill: "AC/DC"!', "oneill ac dc"),
        ("(PER)", "per"),
        ("", ""),
    ],
)
def test_brackets_leave_a_blank_unless_glued(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_glued_brackets_and_cut_words_are_settings() -> None:
    assert clean("New York(LOC)-A large city", glue_brackets=True) == "new yorkloc a large city"
    assert clean("one two three four", 3) == "one two three"


def test_expressions_begin_with_cls_and_have_no_sep() -> None:
    codec = ALBEFCodec(CONFIG, tokenizer())
    assert codec.encode(["A red one.", ""]) == [[1, 7, 5, 8], [1]]
    assert codec.encode([]) == []


def test_a_text_longer_than_the_positions_is_refused_not_cut() -> None:
    codec = ALBEFCodec(CONFIG, tokenizer())
    assert len(codec.encode(["red " * 11])[0]) == 12
    with pytest.raises(TextError, match="12 sub-words; this ALBEF reads at most 11"):
        codec.encode(["red", "red " * 12])
    assert len(ALBEFCodec(replace(CONFIG, max_words=5), tokenizer()).encode(["red " * 12])[0]) == 6


def test_the_packaged_tokenizer_has_berts_vocabulary() -> None:
    packaged = load_tokenizer(ALBEFConfig().tokenizer)
    assert len(packaged) == ALBEFConfig().text.vocabulary
    assert (packaged.pad_token_id, packaged.cls_token_id, packaged.mask_token_id) == (0, 101, 103)


def test_decisions() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.0], [0.0, 1.0, 2.0], [2.0, 0.0, 1.0]])
    assert (probabilities(logits, "pair") > 0.5).tolist() == [True, True, False]
    assert (probabilities(logits, "argmax") > 0.5).tolist() == (logits.argmax(1) == ENTAILMENT).tolist()
    chosen = logits[:, [CONTRADICTION, ENTAILMENT]].softmax(1)[:, 1]
    torch.testing.assert_close(probabilities(logits, "pair"), chosen)


# Pictures


def some_picture(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 200, (height, width, 3), dtype=np.uint8)


def test_augmentation_without_chance_is_the_whole_picture() -> None:
    picture = some_picture(0)
    still = Augmentation(smallest=1, operations=0)(picture, 16, np.random.default_rng(0))
    assert np.array_equal(still, squeeze(picture, 16))
    mirrored = {Augmentation(1, 0, mirror=True)(picture, 16, np.random.default_rng(s)).tobytes() for s in range(20)}
    assert mirrored == {still.tobytes(), np.ascontiguousarray(still[:, ::-1]).tobytes()}


def test_augmentation_depends_on_its_draws_only() -> None:
    vary, picture = Augmentation(), some_picture(1)
    once, again = (vary(picture, 16, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(once, again)
    assert len({vary(picture, 16, np.random.default_rng(seed)).tobytes() for seed in range(30)}) > 25


def test_a_quarter_of_the_pictures_has_no_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(augment, "OPERATIONS", {"count": lambda square, sign, wrap: counted.append("") or square})
    draw = np.random.default_rng(0)
    untouched = 0
    for _ in range(400):
        before = len(counted)
        Augmentation()(some_picture(2), 8, draw)
        untouched += len(counted) == before
    assert 70 <= untouched <= 130


@given(width=st.integers(1, 400), height=st.integers(1, 400), seed=st.integers(0, 9))
def test_random_pieces_lie_inside(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = random_piece(width, height, 0.5, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if 0.75 <= width / height <= 4 / 3 and min(width, height) > 50:
        assert (right - left) * (bottom - top) >= 0.48 * width * height


def test_auto_contrast_stretches_or_wraps() -> None:
    picture = some_picture(3)
    stretched = augment.auto_contrast(picture)
    assert np.abs(stretched.astype(int) - np.asarray(ImageOps.autocontrast(Image.fromarray(picture)))).max() <= 1
    assert (augment.auto_contrast(picture, wrap=True) == 255).all()
    black = picture.copy()
    black[0, 0] = 0
    assert np.array_equal(augment.auto_contrast(black), augment.auto_contrast(black, wrap=True))
    assert np.array_equal(augment.auto_contrast(RED, wrap=True), RED)


def test_sharpening_clips_or_wraps() -> None:
    picture = np.zeros((5, 5, 3), dtype=np.uint8)
    picture[2, 2] = 255
    assert augment.sharpen(picture)[2, 2, 0] == 255
    assert augment.sharpen(picture, wrap=True)[2, 2, 0] < 128
    assert augment.sharpen(picture)[1, 1, 0] == 0
    grey = some_picture(4) // 4 + 100
    ours, pillows = augment.sharpen(grey), ImageEnhance.Sharpness(Image.fromarray(grey)).enhance(augment.FACTOR)
    assert np.array_equal(ours, augment.sharpen(grey, wrap=True))
    assert np.abs(ours.astype(int) - np.asarray(pillows)).max() <= 1


def test_directions_of_shifts_shears_and_turns() -> None:
    """A bright square at (x, y) = (30, 20) of 41 x 41 pixels."""
    picture = np.zeros((41, 41, 3), dtype=np.uint8)
    picture[19:22, 29:32] = 255

    def bright(square: np.ndarray) -> tuple[int, int]:
        rows, columns = np.nonzero(square[..., 0] > 200)
        return round(columns.mean()), round(rows.mean())

    assert bright(augment.shift(picture, 7, 0)) == (23, 20)
    assert bright(augment.shift(picture, 0, 7)) == (30, 13)
    assert bright(augment.shear(picture, 0.2, 0)) == (34, 20)
    assert bright(augment.shear(picture, 0, 0.2)) == (30, 26)
    assert bright(augment.turn(picture, 90)) == (20, 11)


# On disk


def test_a_folder_gives_the_same_answers(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = network(ALBEFConfig(CONFIG.vision, replace(CONFIG.text, vocabulary=30522)))
    weights.save(folder, model)
    loaded = ALBEFEntailer.load(folder)
    assert loaded.codec.config == model.config
    asked = [RED, BLUE], [["a red one"], ["Bob (PER) - blue", "red"]], [None, None]
    expected = ALBEFEntailer(model, loaded.codec).entail(*asked)
    assert loaded.entail(*asked) == expected


def test_a_folder_of_other_sizes_is_refused(tmp_path: Path) -> None:
    weights.save(tmp_path, network())
    config = (tmp_path / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "config.toml").write_text(config.replace("inner = 32", "inner = 40"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"other shapes: text.layers.0.inner.bias \(32,\) for \(40,\)"):
        weights.load(tmp_path)


def published(model: ALBEF, teacher: ALBEF | None = None) -> dict[str, torch.Tensor]:
    student = weights.to_published(model.state_dict())
    return weights.join_momentum(student, weights.to_published(teacher.state_dict())) if teacher else student


@pytest.fixture
def tiny_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load_tokenizer", lambda name: tokenizer())


@pytest.mark.usefixtures("tiny_tokenizer")
def test_a_published_file_is_read_with_or_without_its_momentum_copy(tmp_path: Path) -> None:
    model, other = network(seed=1), network(seed=2)
    for contents in ({"model": published(model, other), "epoch": 4, "config": {"alpha": 0.4}}, published(model)):
        torch.save(contents, tmp_path / "albef.pth")
        loaded, _ = weights.load_published(CONFIG, tmp_path / "albef.pth")
        assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())
        assert not loaded.training


@pytest.mark.usefixtures("tiny_tokenizer")
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda model: model.pop("visual_encoder.blocks.1.attn.qkv.bias"), r"lacks visual_encoder.blocks.1.attn.qkv"),
        (lambda model: model.update(extra=torch.zeros(1)), r"also holds extra \(1\)"),
        (lambda model: model.update({"cls_head.2.bias": torch.zeros(2)}), r"classifier.2.bias \(2,\) for \(3,\)"),
        (lambda model: model.update({"visual_encoder.pos_embed": torch.zeros(1, 7, 16)}), r"positions of shape"),
        (lambda model: model.update(epoch=3), r"holds cls_head.0.bias"),
    ],
)
def test_wrong_published_files_are_refused_by_name(tmp_path: Path, change: Any, match: str) -> None:
    contents: dict[str, Any] = published(network())
    change(contents)
    torch.save(contents, tmp_path / "albef.pth")
    with pytest.raises(CheckpointError, match=match):
        weights.load_published(CONFIG, tmp_path / "albef.pth")


@pytest.mark.parametrize("damage", ["page", "half", "none"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "albef.pth"
    if damage == "page":
        path.write_text("<!DOCTYPE html><html><body>Sign in</body></html>", encoding="utf-8")
    elif damage == "half":
        torch.save({"model": published(network())}, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"albef.pth"):
        weights.load_published(CONFIG, path)


def test_fine_tuning_starts_from_a_pretrained_file(tmp_path: Path) -> None:
    """Of another picture size, with `bert.` in its names, heads of its own and no classifier."""
    small = replace(CONFIG, vision=replace(CONFIG.vision, resolution=16))
    source, slow = network(small, 1), network(small, 2)
    contents = {
        name.replace("text_encoder.", "text_encoder.bert.").replace("text_encoder_m.", "text_encoder_m.bert."): tensor
        for name, tensor in published(source, slow).items()
        if not name.startswith("cls_head")
    }
    for name in ("text_encoder.cls.predictions.bias", "vision_proj.weight", "text_proj_m.bias", "itm_head.weight",
                 "temp", "image_queue", "queue_ptr"):  # fmt: skip
        contents[name] = torch.zeros(2)
    torch.save({"model": contents}, tmp_path / "albef.pth")
    student = network(seed=3)
    teacher, head = new_teacher(student), student.classifier[2].weight.clone()
    weights.start_from(tmp_path / "albef.pth", student, teacher)
    for model, origin in ((student, source), (teacher, slow)):
        assert torch.equal(model.text.words.weight, origin.text.words.weight)
        assert torch.equal(model.vision.positions, resize_positions(origin.vision.positions, 5))
        assert torch.equal(model.classifier[2].weight, head)
    del contents["text_encoder.bert.embeddings.LayerNorm.bias"]
    torch.save({"model": contents}, tmp_path / "albef.pth")
    with pytest.raises(CheckpointError, match=r"lacks text_encoder.embeddings.LayerNorm.bias \(1\)"):
        weights.start_from(tmp_path / "albef.pth", student, teacher)


def test_a_file_without_momentum_copy_gives_the_teacher_the_student(tmp_path: Path) -> None:
    source, student = network(seed=1), network(seed=3)
    teacher = new_teacher(network(seed=4))
    torch.save({"model": published(source)}, tmp_path / "albef.pth")
    weights.start_from(tmp_path / "albef.pth", student, teacher)
    assert torch.equal(teacher.classifier[0].weight, source.classifier[0].weight)


def test_fine_tuning_goes_on_from_a_folder_of_another_picture_size(tmp_path: Path) -> None:
    small = network(replace(CONFIG, vision=replace(CONFIG.vision, resolution=16)), 1)
    weights.save(tmp_path / "small", small)
    student = network(seed=3)
    teacher = new_teacher(student)
    weights.start_from(tmp_path / "small", student, teacher)
    for model in (student, teacher):
        assert torch.equal(model.vision.positions, resize_positions(small.vision.positions, 5))
        assert torch.equal(model.classifier[2].weight, small.classifier[2].weight)


# The predictor


@settings(max_examples=10)
@given(counts=st.lists(st.integers(0, 4), max_size=5), batch_size=st.integers(1, 6))
def test_entailment_does_not_depend_on_the_batch(counts: list[int], batch_size: int) -> None:
    texts = ["a red one", "blue", "", "bob in the red"]
    pictures = [some_picture(index) for index in range(len(counts))]
    predictor = entailer(batch_size)
    alone = replace(predictor, batch_size=1)
    found = predictor.entail(pictures, [texts[:count] for count in counts], [None] * len(counts))
    assert [len(row) for row in found] == counts
    for picture, row in zip(pictures, found, strict=True):
        for text, probability in zip(texts, row, strict=False):
            assert probability == pytest.approx(alone.entail([picture], [[text]], [None])[0][0], abs=1e-5)


def test_each_picture_is_seen_once_and_only_if_it_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, seen = entailer(batch_size=2), []
    whole = predictor.model.vision.forward
    monkeypatch.setattr(predictor.model.vision, "forward", lambda pixels: seen.append(len(pixels)) or whole(pixels))
    predictor.entail([RED, BLUE, RED], [["red", "blue", "a", "one", "bob"], [], ["red"]], [None, "a", None])
    assert sum(seen) == 2


def test_nothing_to_judge() -> None:
    assert entailer().entail([], [], []) == []
    assert entailer().entail([RED], [[]], [None]) == [[]]


# Training


@pytest.fixture
def small_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_tokenizer", lambda name: tokenizer())
    monkeypatch.setattr(weights, "load_tokenizer", lambda name: tokenizer())


POSTS = [
    post(number, colour, picture, visible=(colour == "red") == (picture is RED))
    for number, (colour, picture) in enumerate([("red", RED), ("blue", RED), ("red", BLUE), ("blue", BLUE)] * 2)
]


@pytest.mark.usefixtures("small_vocabulary")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distillation": Distillation()},
        {"telling": Telling()},
        {"augmentation": Augmentation(smallest=0.9), "distillation": Distillation(), "telling": Telling(sentences=1)},
    ],
    ids=["plain", "distilled", "told", "all"],
)
def test_every_loss_falls_and_reaches_every_parameter(changes: dict[str, Any]) -> None:
    recipe = ALBEFRecipe("x.", model=CONFIG, **changes)
    task = recipe.prepare(POSTS, [])
    optimiser = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], 2e-3)
    losses = []
    for step in range(25):
        [batch] = task.batches(len(POSTS), torch.Generator().manual_seed(step))
        loss = task(task.collate(batch))
        loss.backward()
        losses.append(float(loss.detach()))
        if not step:
            untouched = [name for name, p in task.model.named_parameters() if p.requires_grad and p.grad is None]
            assert untouched == []
        optimiser.step()
        optimiser.zero_grad()
    assert np.mean(losses[-5:]) < np.mean(losses[:3])


@pytest.mark.usefixtures("small_vocabulary")
def test_a_recipe_trains_saves_and_tests(tmp_path: Path) -> None:
    """Visible or not is told by the picture alone here, which a few steps can learn."""
    posts = [replace(POSTS[0], id="0"), replace(POSTS[2], id="1")] * 8
    recipe = ALBEFRecipe("x.", model=CONFIG, training=TrainingConfig(epochs=3, batch_size=2, lr=1e-2, seed=1))
    task = recipe.prepare(posts, posts[:2])
    history = train(task, recipe.training, tmp_path)
    assert history[-1].scores == {"ve_accuracy": 100, "ve_majority": 50}
    task.save(tmp_path)
    tested = recipe.test(tmp_path, posts)
    assert tested.measures == {"ve_accuracy": 100, "ve_majority": 50}
    assert all(not entity.boxes for prediction in tested.predictions for entity in prediction.entities)


@pytest.mark.usefixtures("small_vocabulary")
def test_a_batch_says_the_same_however_it_is_collated() -> None:
    recipe = ALBEFRecipe("x.", model=CONFIG, telling=Telling(), augmentation=Augmentation())
    task = recipe.prepare(POSTS, POSTS)
    batch = task.batches(3, torch.Generator().manual_seed(1))[0]
    once, again = task.collate(batch), task.collate(batch)
    assert torch.equal(once.pixels, again.pixels)
    assert torch.equal(once.texts.pieces, again.texts.pieces)
    assert torch.equal(once.named, again.named)
    assert len(once.named) + len(once.labels) == len(once.owners) == len(once.texts.pieces)


@pytest.mark.usefixtures("small_vocabulary")
def test_told_sentences_stand_beside_their_picture_and_another() -> None:
    recipe = ALBEFRecipe("x.", model=CONFIG, telling=Telling(sentences=5))
    batch = recipe.prepare(POSTS, POSTS).collate([training.Drawn(shown, 0) for shown in _shown(recipe)])
    labels = batch.labels[batch.gold :].tolist()
    assert labels == [ENTAILMENT, CONTRADICTION] * (len(labels) // 2)
    owners = batch.owners[batch.gold : len(batch.labels)].tolist()
    assert all(own != other for own, other in zip(owners[::2], owners[1::2], strict=True))
    masked = batch.texts.pieces[len(batch.labels) :]
    assert torch.equal(masked == 4, batch.named != UNMASKED)


def _shown(recipe: ALBEFRecipe) -> list[training.Shown]:
    return recipe.prepare(POSTS, POSTS).shown[:3]


@pytest.mark.usefixtures("small_vocabulary")
def test_a_lone_post_and_one_without_sentences_can_be_trained_on() -> None:
    recipe = ALBEFRecipe("x.", model=CONFIG, telling=Telling())
    bare = Example(id="9", text="Bob", image=RED, entities=())
    captioned = replace(bare, caption="a red one")
    unsaid = replace(POSTS[1], caption=None)
    task = recipe.prepare([POSTS[1], bare, captioned, unsaid], POSTS)
    assert len(task.shown) == 3
    for batch in task.batches(1, torch.Generator().manual_seed(0)):
        assert torch.isfinite(task(task.collate(batch)))


@given(pieces=st.lists(st.integers(5, 50), max_size=12), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_masks_hide_what_is_named(pieces: list[int], share: float, seed: int) -> None:
    pieces = [1, *pieces]
    hidden, named = mask(pieces, share, 4, np.random.default_rng(seed))
    assert hidden[0] == 1
    restored = [piece if name == UNMASKED else name for piece, name in zip(hidden, named, strict=True)]
    assert restored == pieces
    assert [piece == 4 for piece in hidden] == [name != UNMASKED for name in named]
    assert len(pieces) == 1 or 4 in hidden


def test_told_sentences_are_true_ones() -> None:
    example = replace(POSTS[0], description='A red one. It reads "Bo"! Is it the one?')
    assert told_sentences(example) == [
        "a red one", "A red one.", 'It reads "Bo"!', "Is it the one?", "Bob (PER) - the one in red",
    ]  # fmt: skip
    assert told_sentences(POSTS[1]) == ["a red one"]  # its expression is of what the picture does not show


def test_judged_posts_are_those_with_pictures() -> None:
    bare = replace(POSTS[0], image=None)
    predictions = judge(entailer(), [bare, POSTS[1]], [None, RED], "paper")
    assert [prediction.id for prediction in predictions] == ["1"]
    assert accuracy(predictions)["ve_majority"] == 100
    assert np.isnan(accuracy([])["ve_accuracy"])
