"""SeqTR, a few channels wide: frames, outlines, words, decoding, weights, asking, jitter."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gmner.errors import CheckpointError, ConfigError, DataError
from gmner.geometry import box_mask, decode_mask, mask_area, mask_iou
from gmner.models.seqtr import weights
from gmner.models.seqtr.codec import SeqTRCodec
from gmner.models.seqtr.config import Mode, SeqTRConfig
from gmner.models.seqtr.frame import Frame, frame_of, scaled_size, view
from gmner.models.seqtr.jitter import jitter
from gmner.models.seqtr.model import SeqTR, cells_inside
from gmner.models.seqtr.outline import fill_outline, sample_outline
from gmner.models.seqtr.predictor import SeqTRGrounder
from gmner.models.seqtr.text import Vocabulary, clean, read_vectors
from gmner.types import Box

CONFIG = SeqTRConfig(
    points=4,
    bins=50,
    side=64,
    max_words=4,
    word_width=6,
    channels=2,
    repeats=(1, 1, 1, 1, 1, 1),
    width=32,
    heads=2,
    inner_width=24,
    encoder_layers=1,
    decoder_layers=2,
)
MODES: tuple[Mode, ...] = ("boxes", "masks", "both")
VOCABULARY = Vocabulary.build(["a red square", "the blue one (PER)"])
PUBLISHED = SeqTRCodec(SeqTRConfig(), VOCABULARY)


def seqtr(mode: Mode = "boxes", seed: int = 0) -> SeqTR:
    """An untrained model whose norms do something and whose tokens vary."""
    torch.manual_seed(seed)
    model = SeqTR(replace(CONFIG, mode=mode), len(VOCABULARY.words))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 1.5)
        for linear in model.predictor:
            linear.weight.mul_(4)
    return model.eval()


def grounder(mode: Mode = "boxes", batch_size: int = 3) -> SeqTRGrounder:
    model = seqtr(mode)
    return SeqTRGrounder(model, SeqTRCodec(model.config, VOCABULARY), batch_size)


def picture(seed: int, height: int = 60, width: int = 90) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Frames

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000)).filter(lambda size: max(size) <= 20 * min(size))


@given(sizes, st.data())
def test_a_box_comes_back_within_a_bin(size: tuple[int, int], data: st.DataObject) -> None:
    width, height = size
    corners = [data.draw(st.floats(0, limit)) for limit in (width, height, width, height)]
    x1, x2 = sorted(corners[0::2])
    y1, y2 = sorted(corners[1::2])
    frame = frame_of(size, scaled_size(size, 640))
    tokens = PUBLISHED.box_tokens(frame, frame.seen_box(Box(x1, y1, x2, y2)))
    assert tokens.min() >= 0
    assert tokens.max() < 1000
    back = PUBLISHED.original_corners(frame, tokens)
    bins = np.tile(np.array(frame.padded) / frame.scale / 1000, 2)
    assert (np.abs(back - [x1, y1, x2, y2]) <= bins * (1 + 1e-5) + 1e-6 * max(size)).all()
    # What is told is a box in the picture, and off by a bin more only where it had to be widened to one.
    box = np.array(PUBLISHED.box(frame, tokens))
    assert (np.abs(box - [x1, y1, x2, y2]) <= 2 * bins * (1 + 1e-5) + 1e-6 * max(size)).all()


@given(sizes, st.lists(st.integers(0, 999), min_size=4, max_size=4))
def test_every_box_lies_in_the_picture_and_has_an_area(size: tuple[int, int], tokens: list[int]) -> None:
    frame = frame_of(size, scaled_size(size, 640))
    box = PUBLISHED.box(frame, np.array(tokens))
    assert 0 <= box.x1 < box.x2 <= size[0]
    assert 0 <= box.y1 < box.y2 <= size[1]


def test_corners_in_the_wrong_order_are_swapped() -> None:
    frame = frame_of((640, 640), (640, 640))
    assert PUBLISHED.box(frame, np.array([500, 750, 250, 0])) == Box(160, 0, 320, 480)


def test_the_far_edge_is_the_last_bin_and_unused_vertices_are_ends_on_any_side() -> None:
    for side in (640, 1280):  # on a side above 1000 pixels, -1 is less than a bin away from 0
        frame = frame_of((side, side), (side, side))
        assert PUBLISHED.box_tokens(frame, Box(0, 0, side, side)).tolist() == [0, 0, 999, 999]
        outline = np.array([[0, 0], [side - 1, 0], [-1, -1]], np.float32)
        assert PUBLISHED.outline_tokens(frame, outline).tolist() == [0, 0, 998 if side == 640 else 999, 0, 1000, 1000]


def test_released_boxes_end_at_the_last_pixels_index() -> None:
    frame = frame_of((100, 50), (640, 320))
    assert frame.seen_box(Box(-5, 10, 100, 60)) == pytest.approx((0, 64, 640, 320))
    assert frame.seen_box(Box(-5, 10, 100, 60), inclusive=True) == pytest.approx((0, 64, 633.6, 313.6))


def test_padding_is_no_part_of_the_picture() -> None:
    inside = cells_inside(torch.tensor([[33, 64], [96, 1]]), 2, 3)
    assert inside.tolist() == [[[True, True, False], [True, True, False]], [[True, True, True], [False, False, False]]]


# Outlines


def ellipse(width: int, height: int) -> np.ndarray:
    canvas = np.zeros((height, width), np.uint8)
    cv2.ellipse(canvas, (width // 2, height // 2), (width // 3, height // 4), 20, 0, 360, 1, -1)
    return canvas.astype(bool)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (200, 640), (640, 100)])
def test_an_outline_comes_back(width: int, height: int) -> None:
    codec = SeqTRCodec(SeqTRConfig(mode="masks", points=18), VOCABULARY)
    frame = frame_of((width, height), scaled_size((width, height), 640))
    pixels = ellipse(width, height)
    seen = cv2.resize(pixels.astype(np.uint8), frame.seen, interpolation=cv2.INTER_NEAREST).astype(bool)
    tokens = codec.targets(frame, Box(0, 0, 1, 1), sample_outline(seen, 18))
    assert len(tokens) == 37
    back = decode_mask(codec.mask(frame, tokens))
    assert back.shape == pixels.shape
    assert (back & pixels).sum() / (back | pixels).sum() > 0.93


def test_lines_dots_and_nothing_have_no_outline() -> None:
    for y1, y2, x1, x2 in ((3, 4, 2, 8), (3, 4, 3, 4), (0, 0, 0, 0)):
        pixels = np.zeros((10, 10), dtype=bool)
        pixels[y1:y2, x1:x2] = True
        assert (sample_outline(pixels, 5) == -1).all()


def test_the_largest_part_is_outlined() -> None:
    pixels = np.zeros((40, 40), dtype=bool)
    pixels[2:6, 2:6] = pixels[20:35, 10:30] = True
    vertices = sample_outline(pixels, 8)
    vertices = vertices[vertices[:, 0] >= 0]
    assert len(vertices) <= 8
    assert vertices[:, 1].min() >= 20


def test_what_stands_behind_the_end_means_nothing_and_half_a_point_none() -> None:
    codec = SeqTRCodec(SeqTRConfig(mode="masks", points=4), VOCABULARY)
    frame = frame_of((640, 640), (640, 640))
    square = [100, 100, 300, 100, 300, 300, 100, 300]
    whole = codec.mask(frame, np.array([*square, 1000]))
    assert mask_area(whole) == pytest.approx(128**2, rel=0.02)
    assert codec.mask(frame, np.array([*square, 999])) == whole  # no end: the odd value is dropped
    triangle = codec.mask(frame, np.array([*square[:6], 1000, 5, 7]))
    assert mask_area(triangle) == pytest.approx(128**2 / 2, rel=0.03)
    for few in (0, 1, 2, 4, 5):
        assert mask_area(codec.mask(frame, np.array([*square[:few], 1000, *square[few:]]))) == 0
    assert fill_outline(np.array([[10.0, 20.0], [30.0, 5.0]]), (64, 64), two_as_box=True).sum() == 150


def test_padding_is_cut_off_before_a_mask_is_scaled_unlike_released() -> None:
    codec = SeqTRCodec(SeqTRConfig(mode="masks", points=4), VOCABULARY)
    frame = Frame((100, 50), (100, 50), (128, 64))
    tokens = codec.targets(frame, Box(0, 0, 1, 1), np.array([[0, 0], [99, 0], [99, 49], [0, 49]], np.float32))
    gold = box_mask(Box(0, 0, 100, 50), 100, 50)
    stretched = SeqTRCodec(replace(codec.config, stretched_masks=True), VOCABULARY)
    assert mask_iou([codec.mask(frame, tokens)], [gold]) > 0.95
    assert mask_iou([stretched.mask(frame, tokens)], [gold]) < 0.65


# Words


def test_words_are_cleaned_and_looked_up() -> None:
    assert clean('AC/DC(ORG)-A "rock" band!') == "ac dcorg a rock band"
    assert VOCABULARY.words == ("PAD", "UNK", "CLS", "a", "red", "square", "the", "blue", "one", "per")
    assert VOCABULARY.encode("A green, square!") == [3, 1, 5]
    assert VOCABULARY.encode("?!") == [1]


def test_long_expressions_are_read_whole_and_change_no_other() -> None:
    model, codec = seqtr(), SeqTRCodec(CONFIG, VOCABULARY)
    long = "a red square a red square the blue one"
    words = codec.words(["a red", long])
    assert words.shape == (2, 9)
    both = model.language(words)
    for vector, expression in zip(both, ("a red", long), strict=True):
        assert torch.allclose(vector, model.language(codec.words([expression]))[0], atol=1e-6)
    assert not torch.allclose(both[1], model.language(codec.words(["a red square a"]))[0], atol=1e-3)
    cut = SeqTRCodec(replace(CONFIG, cut_expressions=True), VOCABULARY)
    assert cut.words([long]).tolist() == codec.words(["a red square a"]).tolist()


def test_word_vectors_come_from_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("red 1 2 3\nrose 4 5 6\nblue -1 0.5 0\n", encoding="utf-8")
    vectors = read_vectors(file, VOCABULARY, 3)
    assert vectors[[4, 7, 5]].tolist() == [[1, 2, 3], [-1, 0.5, 0], [0, 0, 0]]
    with pytest.raises(DataError, match=r"vectors.txt:1: a word with 3 values; the model's words have 4 numbers"):
        read_vectors(file, VOCABULARY, 4)
    with pytest.raises(DataError, match="can not be read"):
        read_vectors(tmp_path / "absent.txt", VOCABULARY, 3)


# Writing


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_tokens_are_those_of_the_whole_prefix(mode: Mode) -> None:
    model = seqtr(mode)
    codec = SeqTRCodec(model.config, VOCABULARY)
    views = [codec.view(picture(seed)) for seed in range(6)]
    scene = model.scene(codec.batch(views, [["a red square", "the blue one"]] * 6))
    written = model.write(scene)
    assert written.shape == (12, model.config.length)
    assert len({tuple(row) for row in written.tolist()}) > 6
    logits = model.recite(scene, written)
    end = model.config.end
    first = {"boxes": 4, "masks": 0, "both": 4}[mode]
    logits[:, :first, end] = -torch.inf
    if mode == "both":
        logits[:, 5:9, end] = -torch.inf
    expected = logits.argmax(-1)
    if first:
        expected[:, 4] = end
    assert torch.equal(written, expected)


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_a_box_does_not_end_and_an_outline_behind_it_not_at_once(mode: Mode) -> None:
    model = seqtr(mode)
    model.predictor[2].bias[-1] = 1e4
    codec = SeqTRCodec(model.config, VOCABULARY)
    ends = model.write(model.scene(codec.batch([codec.view(picture(0))], [["red"]])))[0] == model.config.end
    expected = {"boxes": [False] * 4 + [True], "masks": [True] * 9}
    expected["both"] = expected["boxes"] + [False] * 4 + [True] * 5
    assert ends.tolist() == expected[mode]


def test_the_loss_of_one_token() -> None:
    model = seqtr("boxes")
    targets = torch.tensor([[3, 4, 5, 6, 50]])
    logits = torch.zeros(1, 5, 51)
    # All classes alike: -log(1/51) times the weights, which sum to 0.9 + 50 * 0.1/51 a token and 5.5 tokens of 5.
    expected = np.log(51) * (0.9 + 5 / 51) * 5.5 / 5
    assert float(model.loss(logits, targets)) == pytest.approx(expected, rel=1e-5)
    outlines = torch.tensor([[1, 2, 50, 50, 50, 50, 50, 50, 50]])
    loss = seqtr("masks").loss(torch.zeros(1, 9, 51), outlines)
    assert float(loss) == pytest.approx(np.log(51) * (0.9 + 5 / 51) * 2.7 / 9, rel=1e-5)


def test_frozen_units_keep_their_statistics_unlike_released() -> None:
    for drifting in (False, True):
        model = SeqTR(replace(CONFIG, drifting_norms=drifting), 10)
        for part in list(model.darknet)[:12]:
            part.requires_grad_(False)
        model.train()
        before = {name: tensor.clone() for name, tensor in model.darknet.state_dict().items() if "running" in name}
        model.see(torch.rand(2, 3, 64, 64))
        moved = {
            name.split(".")[0] for name, tensor in before.items() if not tensor.equal(model.darknet.state_dict()[name])
        }
        assert moved == ({f"{part}" for part in range(14)} if drifting else {"12", "13"})


def test_impossible_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        SeqTRConfig(width=48)


# Asking

ASKED = [["a red square", "the blue one", "a"], ["red"], [], ["one", "square"], ["a red square"] * 4]
PICTURES = [picture(0), picture(1, 90, 60), picture(2), picture(3), picture(4, 300, 20)]


@pytest.mark.parametrize("mode", ["boxes", "both"])
def test_boxes_do_not_depend_on_the_batch(mode: Mode) -> None:
    asked = grounder(mode)
    found = asked.ground(PICTURES, ASKED)
    assert [len(boxes) for boxes in found] == [3, 1, 0, 2, 4]
    assert len(set(found[0])) > 1
    for shown, expressions, boxes in zip(PICTURES, ASKED, found, strict=True):
        for expression, box in zip(expressions, boxes, strict=True):
            assert replace(asked, batch_size=1).ground([shown], [[expression]]) == [[box]]
            assert 0 <= box.x1 < box.x2 <= shown.shape[1]
            assert 0 <= box.y1 < box.y2 <= shown.shape[0]


@pytest.mark.parametrize("mode", ["masks", "both"])
def test_masks_do_not_depend_on_the_batch(mode: Mode) -> None:
    asked = grounder(mode)
    found = asked.segment(PICTURES, ASKED)
    assert any(mask_area(mask) for masks in found for mask in masks)
    for shown, expressions, masks in zip(PICTURES, ASKED, found, strict=True):
        for expression, mask in zip(expressions, masks, strict=True):
            assert mask.size == shown.shape[:2]
            assert replace(asked, batch_size=1).segment([shown], [[expression]]) == [[mask]]


def test_a_picture_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = grounder()
    seen: list[int] = []
    see: Callable[[Tensor], Tensor] = asked.model.see
    monkeypatch.setattr(asked.model, "see", lambda pixels: seen.append(len(pixels)) or see(pixels))
    asked.ground(PICTURES, ASKED)
    assert sum(seen) == 4  # nothing is asked about the third
    assert asked.ground([], []) == []


def test_what_a_model_does_not_write_it_is_not_asked_for() -> None:
    with pytest.raises(ConfigError, match="writes masks is asked for boxes"):
        grounder("masks").ground(PICTURES, ASKED)
    with pytest.raises(ConfigError, match="writes boxes is asked for masks"):
        grounder("boxes").segment(PICTURES, ASKED)


# Weights


def test_a_folder_gives_the_same_model(tmp_path: Path) -> None:
    asked = grounder("both")
    weights.save(tmp_path, asked.model, VOCABULARY)
    loaded = SeqTRGrounder.load(tmp_path)
    assert loaded.codec == asked.codec
    assert loaded.ground(PICTURES, ASKED) == asked.ground(PICTURES, ASKED)
    (tmp_path / "words.txt").write_text("PAD\nUNK", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"language.words.weight \(10, 6\) for \(2, 6\)"):
        SeqTRGrounder.load(tmp_path)
    (tmp_path / "words.txt").unlink()
    with pytest.raises(CheckpointError, match=r"words.txt can not be read"):
        SeqTRGrounder.load(tmp_path)


def published(model: SeqTR) -> dict[str, Tensor]:
    return weights.to_published(model.state_dict())


@pytest.mark.parametrize("mode", MODES)
def test_a_published_file_gives_the_same_model(tmp_path: Path, mode: Mode) -> None:
    model, other = seqtr(mode), seqtr(mode, seed=1)
    theirs, ours = published(model), model.state_dict()
    file = tmp_path / "best.pth"
    contents = [
        theirs,
        {"state_dict": {f"module.{name}": tensor for name, tensor in theirs.items()}, "epoch": 3, "lr": 5e-4},
        {"state_dict": published(other), "ema_state_dict": theirs, "optimizer": {"state": {}}},
    ]
    for content in contents:
        torch.save(content, file)
        loaded, _ = weights.load_published(model.config, file, VOCABULARY)
        assert all(tensor.equal(ours[name]) for name, tensor in loaded.state_dict().items())
        assert all(tensor.equal(theirs[name]) for name, tensor in published(loaded).items())


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def test_bad_files_are_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, theirs = Path("best.pth"), published(seqtr())

    def refused(content: object, match: str, words: Vocabulary = VOCABULARY) -> None:
        torch.save(content, file)
        with pytest.raises(CheckpointError, match=match):
            weights.load_published(CONFIG, file, words)

    refused({"state_dict": theirs, "meta": Bomb()}, "can not be read")
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="can not be read"):
        weights.load_published(CONFIG, file, VOCABULARY)
    assert not Path("exploded").exists()
    name = "head.predictor.0.fc.bias"
    refused({key: tensor for key, tensor in theirs.items() if key != name}, rf"lacks {name} \(1\)")
    refused(theirs | {"head.more": torch.zeros(1)}, r"also holds head.more \(1\)")
    refused(theirs | {name: torch.zeros(3)}, r"predictor.0.bias \(3,\) for \(32,\)")
    refused(theirs, r"language.words.weight \(10, 6\) for \(5, 6\)", Vocabulary.build(["a red"]))
    refused({"epoch": 3, "best": 0.5}, "holds 'epoch', 'best'")
    torch.save(theirs, file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="can not be read"):
        weights.load_published(CONFIG, file, VOCABULARY)


@pytest.mark.parametrize("mode", MODES)
def test_tuning_starts_from_another_vocabulary_and_mode(tmp_path: Path, mode: Mode) -> None:
    base = SeqTR(CONFIG, 30)  # boxes
    torch.save({"state_dict": published(base)}, tmp_path / "best.pth")
    model = seqtr(mode, seed=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights.start_from(model, tmp_path / "best.pth")
    kept = {"language.words.weight"} | ({"positions.weight", "tasks.weight"} if mode != "boxes" else set())
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name] if name in kept else base.state_dict()[name]), name
    torch.save(published(SeqTR(replace(CONFIG, channels=4), 30)), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="other shapes"):
        weights.start_from(model, tmp_path / "other.pth")


def test_darknet_files_fill_unit_by_unit(tmp_path: Path) -> None:
    theirs, ours = seqtr(seed=3).darknet, seqtr(seed=4).darknet
    parts: list[np.ndarray] = [np.zeros(5, np.float32)]
    for name, tensor in theirs.state_dict().items():
        if name.endswith("conv.weight"):
            norm = name.replace("conv.weight", "norm.")
            state = theirs.state_dict()
            parts += [state[norm + key].numpy().ravel() for key in ("bias", "weight", "running_mean", "running_var")]
            parts.append(tensor.contiguous().numpy().ravel())
    file = tmp_path / "darknet.weights"
    np.concatenate(parts).tofile(file)
    units = (len(parts) - 1) // 5
    assert weights.read_darknet(ours, file) == units
    assert all(tensor.equal(theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())
    np.concatenate(parts[: 1 + 5 * 3]).tofile(file)
    short = SeqTR(CONFIG, 5).darknet
    assert weights.read_darknet(short, file) == 3
    assert (short.state_dict()["13.norm.running_var"] == 1).all()
    np.concatenate([*parts[: 1 + 5 * 3], parts[16][:2]]).tofile(file)
    with pytest.raises(CheckpointError, match="ends within unit 3"):
        weights.read_darknet(short, file)
    np.zeros(5, np.float32).tofile(file)
    with pytest.raises(CheckpointError, match="is empty"):
        weights.read_darknet(short, file)


# Jitter


@given(st.integers(0, 10**6))
def test_jitter_moves_box_and_mask_with_the_picture(seed: int) -> None:
    random = np.random.default_rng(seed)
    width, height = random.integers(40, 200, 2).tolist()
    x1, y1 = random.integers(0, width - 20), random.integers(0, height - 20)
    x2, y2 = random.integers(x1 + 15, width), random.integers(y1 + 15, height)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    seen = view(pixels, max(width, height))
    moved, box, mask = jitter(seen, Box(x1, y1, x2, y2), pixels[..., 0] > 0, random)
    assert moved.pixels.shape[:2] == moved.frame.seen[::-1]
    assert max(moved.frame.seen) <= max(width, height)
    assert mask is not None
    assert mask.shape == moved.pixels.shape[:2]
    for painted in (moved.pixels[..., 0] > 127, mask):
        rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
        assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == pytest.approx(box, abs=2.5)
