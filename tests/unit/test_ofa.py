"""OFA with tiny random weights: sizes, vocabulary, codec, trunk, decoding, weights, predictors, learning."""

import argparse
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmner.errors import CheckpointError, ConfigError, TextError
from gmner.geometry import pair_iou
from gmner.image import Picture
from gmner.models.ofa import weights
from gmner.models.ofa.codec import OFACodec, clean, questions
from gmner.models.ofa.config import BOS, EOS, PAD, RELEASED, SIZES, UNKNOWN, OFAConfig, Released
from gmner.models.ofa.decoding import pad, score_answers, search
from gmner.models.ofa.loss import smoothed_loss
from gmner.models.ofa.model import OFA
from gmner.models.ofa.positions import image_buckets, patch_ids, token_buckets
from gmner.models.ofa.predictor import OFAEntailer, OFAGrounder
from gmner.models.ofa.trunk import Trunk
from gmner.models.ofa.vocabulary import Vocabulary, learn_vocabulary, read_vocabulary
from gmner.nn.beam import Hypothesis, Trie
from gmner.types import Box

EXPRESSIONS = ("Ada Lovelace (PER) - a woman in red", "the one in blue", "Rome")
TEXTS = [*EXPRESSIONS, "a woman in a street", "two people"]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return learn_vocabulary(questions(TEXTS * 3), 320)


@pytest.fixture(scope="module")
def config(vocabulary: Vocabulary) -> OFAConfig:
    return OFAConfig(
        width=16,
        inner_width=24,
        encoder_layers=2,
        decoder_layers=2,
        heads=2,
        trunk_blocks=(1, 2, 1),
        trunk_channels=4,
        trunk_width=4,
        bpe_symbols=vocabulary.size,
        codes=3,
        bins=40,
        positions=126,
        token_buckets=8,
        image_buckets=4,
        code_positions=2,
        image_size=64,
    )


def test_heads_that_can_not_share_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="7 heads of attention for a width of 128"):
        OFAConfig(width=128, heads=7)


def ofa(config: OFAConfig, seed: int = 0) -> OFA:
    """A model whose numbers vary more than fresh ones."""
    torch.manual_seed(seed)
    model = OFA(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(tensor + torch.randn_like(tensor) * (0.1 if "norm" in name or "bn" in name else 0.15))
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def model(config: OFAConfig) -> OFA:
    return ofa(config)


@pytest.fixture(scope="module")
def codec(config: OFAConfig, vocabulary: Vocabulary) -> OFACodec:
    return OFACodec(config, vocabulary)


def released(codec: OFACodec, **habits: bool) -> OFACodec:
    return replace(codec, config=replace(codec.config, released=Released(**habits)))


def picture(seed: int, height: int = 90, width: int = 120) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Sizes


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ("tiny", 33_488_336),
        ("medium", 92_892_000),
        ("base", 182_238_536),
        ("large", 472_977_152),
        ("huge", 929_486_848),
    ],
)
def test_published_sizes(size: str, count: int) -> None:
    with torch.device("meta"):
        model = OFA(SIZES[size])
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert SIZES[size].vocabulary == 59_457
    assert SIZES[size].first_bin == 58_457


def test_the_trunk_of_large() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Trunk((3, 8, 36)).parameters()) == 43_179_072


def test_every_habit_of_the_released_code_has_a_switch_that_is_off() -> None:
    assert all(getattr(Released(), field.name) is False for field in fields(Released))
    assert all(getattr(RELEASED, field.name) is True for field in fields(Released))


# Positions


def test_token_buckets_grow_with_the_distance() -> None:
    row = token_buckets(256)[1023]
    assert (row.diff() <= 0).all()
    assert row[[1023, 0]].tolist() == [255, 510]
    assert (token_buckets(8) + token_buckets(8).T == 14).all()  # symmetric about bucket 7


def test_a_table_that_was_first_used_to_predict_can_train(model: OFA) -> None:
    token_buckets.cache_clear()
    with torch.inference_mode():
        model.encode(torch.tensor([[BOS, EOS]]), None)
    model.encode(torch.tensor([[BOS, EOS]]), None).states.sum().backward()
    model.zero_grad()


def test_image_buckets_know_rows_and_columns() -> None:
    ids = patch_ids(3, 2, 4)
    assert ids.tolist() == [1, 2, 5, 6, 9, 10]
    buckets = image_buckets(ids, 4)
    rows, columns = torch.arange(3).repeat_interleave(2), torch.arange(2).repeat(3)
    expected = (rows[:, None] - rows + 3) * 7 + columns[:, None] - columns + 3
    assert torch.equal(buckets, expected)


# Vocabulary and texts


def test_a_learned_vocabulary_is_written_and_read(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.write(tmp_path)
    assert read_vocabulary(tmp_path) == vocabulary
    texts = ["a woman in red", " né 日本 🙂", ""]
    encoded = read_vocabulary(tmp_path).encode(texts)
    assert encoded == vocabulary.encode(texts)
    assert encoded[2] == []
    assert max(map(max, encoded[:2])) < 4 + vocabulary.size and UNKNOWN not in encoded[1]


def test_answers_are_single_tokens_of_a_learned_vocabulary(codec: OFACodec) -> None:
    assert [len(answer) for answer in codec.answers.answers] == [1, 1, 1]
    assert codec.answers.forks == [()]


@pytest.mark.parametrize("damage", ["absent", "no json", "other symbols"])
def test_a_damaged_vocabulary_is_refused(vocabulary: Vocabulary, tmp_path: Path, damage: str) -> None:
    vocabulary.write(tmp_path)
    if damage == "absent":
        (tmp_path / "dict.txt").unlink()
    elif damage == "no json":
        (tmp_path / "encoder.json").write_text("404", encoding="utf-8")
    else:
        (tmp_path / "vocab.bpe").write_text("x y\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="holds no vocabulary"):
        read_vocabulary(tmp_path)


def test_a_vocabulary_of_another_size_is_refused(config: OFAConfig) -> None:
    with pytest.raises(CheckpointError, match="a vocabulary of 256 symbols"):
        OFACodec(config, learn_vocabulary(["a"], 300))


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (" #kept?", "#kept?"),
        ("#;~.gone", "gone"),
        ("a\tb\n", "a\tb"),
        ("a \t b", "a b"),
        ("İ", "i̇"),
        (" ".join(["w"] * 90), " ".join(["w"] * 90)),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


def test_texts_are_cut_quoted_and_ended_only_if_asked(codec: OFACodec) -> None:
    long = " ".join(["w"] * 90)
    assert released(codec, cut=True).clean(long) == " ".join(["w"] * 80)
    assert codec.clean('a "b"') == 'a "b"'
    assert released(codec, quoted=True).clean('a "b"') == '"a ""b"""'
    whole, ended = (some.entailment_sources(["a"], ["b: c"]) for some in (codec, released(codec, colon=True)))
    assert ended == codec.entailment_sources(["a"], ["b"])
    assert whole != ended


def test_a_text_that_does_not_fit_is_refused(codec: OFACodec) -> None:
    with pytest.raises(TextError, match="reads at most 126"):
        codec.grounding_sources([" ".join(map(str, range(100)))])


# Pictures and boxes

sizes = st.integers(1, 3000)


@given(width=sizes, height=sizes, places=st.tuples(*[st.floats(0, 1)] * 4))
def test_boxes_come_back_within_a_bin(width: int, height: int, places: tuple[float, ...]) -> None:
    codec = OFACodec(SIZES["large"].at(512), _published_layout())
    (x1, x2), (y1, y2) = sorted(places[::2]), sorted(places[1::2])
    box = Box(x1 * width, y1 * height, x2 * width, y2 * height)
    tokens = codec.bins(box, width, height)
    assert all(codec.config.first_bin <= token < codec.config.vocabulary for token in tokens)
    back = codec.corners(tokens, width, height)
    assert back == pytest.approx(box, abs=0.501 * max(width, height) / 999 + 1e-3)


def _published_layout() -> Vocabulary:
    """A stand-in of the published size, which no text passes through."""
    return Vocabulary({"dict.txt": "x 1\n" * 50_260})


def test_a_gold_box_beyond_the_edges_is_clipped_or_unknown(codec: OFACodec) -> None:
    box, first = Box(-10, 5, 130, 80), codec.config.first_bin
    tokens = codec.bins(box, 120, 90)
    assert tokens[0] == first and tokens[2] == first + 39
    outside = released(codec, unclipped=True).bins(box, 120, 90)
    assert outside == [UNKNOWN, tokens[1], UNKNOWN, tokens[3]]


def test_half_precision_moves_a_decoded_box(codec: OFACodec) -> None:
    tokens = codec.bins(Box(10, 10, 100, 80), 119, 91)
    exact, half = codec.corners(tokens, 119, 91), released(codec, half_ratios=True).corners(tokens, 119, 91)
    assert exact != half
    assert half == pytest.approx(exact, rel=5e-4)


def test_what_may_be_decoded_is_a_box(codec: OFACodec) -> None:
    first, last = codec.config.first_bin, codec.config.vocabulary - 1

    def allowed(*tokens: int) -> list[int]:
        return codec.only_boxes(torch.tensor([[[BOS, *tokens]]]))[0, 0].nonzero()[:, 0].tolist()

    assert allowed() == list(range(first, last))
    assert allowed(first + 3) == list(range(first, last))
    assert allowed(first + 3, first + 9) == list(range(first + 4, last + 1))
    assert allowed(first + 3, first + 9, first + 4) == list(range(first + 10, last + 1))
    assert allowed(first + 3, first + 9, first + 4, first + 10) == [EOS]


def test_a_hypothesis_that_is_no_box_gives_way_to_the_next(codec: OFACodec) -> None:
    first = codec.config.first_bin
    inverted = Hypothesis((first + 9, first, first + 3, first + 9, EOS), -1.0, ())
    text = Hypothesis((5, 6, 7, 8, EOS), -1.5, ())
    box = Hypothesis((first, first, first + 39, first + 39, EOS), -2.0, ())
    assert codec.box([inverted, text, box], 120, 90) == pytest.approx((0, 0, 120, 90))
    assert codec.box([inverted, text], 120, 90) == (0, 0, 120, 90)


def test_a_recompressed_picture_is_nearly_the_same(codec: OFACodec) -> None:
    smooth = np.fromfunction(lambda y, x, c: (y + x + 20 * c) % 256, (90, 120, 3)).astype(np.uint8)
    once, twice = codec.view(smooth), released(codec, recompressed=True).view(smooth)
    difference = np.abs(once.astype(int) - twice)
    assert 0 < difference.mean() < 8


def test_visible_is_yes_or_maybe(codec: OFACodec) -> None:
    scores = torch.tensor([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1]]).log()
    assert codec.visible(scores) == pytest.approx([0.6, 0.3])
    assert released(codec, best_answer=True).visible(scores) == pytest.approx([0.3 / 0.7, 0.2 / 0.9])


# Network


def test_folded_batch_norms_change_nothing(config: OFAConfig) -> None:
    whole = ofa(config)
    pixels = torch.randn(2, 3, 64, 48)
    before = whole.look(pixels)
    after = whole.encoder.trunk.fold()(pixels)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in whole.modules())
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_folding_leaves_the_file_alone(model: OFA, codec: OFACodec, tmp_path: Path) -> None:
    weights.save(tmp_path, model, codec.vocabulary)
    loaded, _ = weights.load(tmp_path)
    loaded.encoder.trunk.fold()
    again, _ = weights.load(tmp_path)
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_encoding_is_the_same_with_gradients(model: OFA) -> None:
    grid, tokens = model.look(torch.randn(1, 3, 64, 64)), torch.tensor([[BOS, 9, 12, EOS]])
    with torch.no_grad():
        expected = model.encode(tokens, grid).states
    torch.testing.assert_close(model.encode(tokens, grid).states, expected, rtol=1e-4, atol=1e-4)


def test_tokens_that_may_not_follow_need_no_scores(model: OFA, codec: OFACodec) -> None:
    encoded = model.encode(torch.tensor([[BOS, 9, 12, EOS]] * 2), model.look(torch.randn(2, 3, 64, 64)))
    every = search(model, encoded, codec.beam, codec.only_boxes)
    some = search(model, encoded, codec.beam, codec.only_boxes, codec.box_tokens)
    assert [[h.tokens for h in found] for found in some] == [[h.tokens for h in found] for found in every]
    for mine, theirs in zip(chain(*some), chain(*every), strict=True):
        assert mine.score == pytest.approx(theirs.score, abs=1e-5)


def test_padding_changes_nothing(model: OFA) -> None:
    grid = model.look(torch.randn(1, 3, 64, 64))
    short = torch.tensor([[BOS, 9, 12, EOS]])
    padded = torch.cat([short, torch.full((1, 3), PAD)], 1)
    alone, among = model.encode(short, grid), model.encode(padded, grid)
    torch.testing.assert_close(alone.states, among.states[:, :-3], rtol=1e-4, atol=1e-5)
    written = torch.tensor([[[BOS, 7]]])
    states = [model.decode(written, model.decoder.memory(encoded))[0] for encoded in (alone, among)]
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)


def test_rows_of_a_sample_do_not_see_each_other(model: OFA) -> None:
    encoded = model.encode(torch.tensor([[BOS, 9, EOS], [BOS, 8, EOS]]), model.look(torch.randn(2, 3, 64, 64)))
    memory = model.decoder.memory(encoded)
    rows = torch.randint(4, 60, (2, 3, 4))
    together, _ = model.decode(rows, memory)
    for row in range(3):
        torch.testing.assert_close(model.decode(rows[:, row : row + 1], memory)[0][:, 0], together[:, row])


@torch.inference_mode()
def test_answers_of_several_tokens_are_scored_as_one_pass_each_would(model: OFA) -> None:
    trie = Trie([[30], [41, 52], [41, 60, 33]])
    sources = [[BOS, 9, 12, EOS], [BOS, 8, EOS]]
    encoded = model.encode(pad(sources), model.look(torch.randn(2, 3, 64, 64)))
    scores = score_answers(model, encoded, [source[:-1] for source in sources], trie)
    for sample, source in enumerate(sources):
        alone = model.encode(torch.tensor([source]), model.look(torch.zeros(1, 3, 64, 64)))
        alone = alone._replace(
            states=torch.cat([encoded.states[sample, :16], encoded.states[sample, 16 : 16 + len(source)]])[None],
            absent=torch.zeros(1, 16 + len(source), dtype=torch.bool),
            positions=encoded.positions[: 16 + len(source)],
        )
        for number, answer in enumerate(trie.answers):
            written = [*source[:-1], *answer]
            states, _ = model.decode(torch.tensor([[written]]), model.decoder.memory(alone))
            total = 0.0
            for place, token in enumerate((*answer, EOS)):
                allowed = trie.successors(answer[:place])
                steps = model.logits(states[0, 0, len(source) - 2 + place], allowed).log_softmax(-1)
                total += float(steps[token])
            assert float(scores[sample, number]) == pytest.approx(total, abs=1e-4)


def test_dropped_samples_keep_their_residual(config: OFAConfig) -> None:
    torch.manual_seed(0)
    branch = OFA(replace(config, drop_path=0.5, dropout=0.0)).encoder.layers[1].fed.train()
    residual, update = torch.randn(200, 3, 16), torch.randn(200, 3, 16)
    out = branch(residual, update)
    dropped = (out == residual).all((1, 2))
    assert 60 < int(dropped.sum()) < 140
    torch.testing.assert_close(out[~dropped], (residual + update / 0.5)[~dropped])


def test_the_smoothed_loss_is_torchs_where_both_are_defined() -> None:
    logits, target = torch.randn(6, 11), torch.randint(0, 11, (6,))
    plain = smoothed_loss(logits, target)
    assert plain.total / plain.tokens == pytest.approx(float(torch.nn.functional.cross_entropy(logits, target)))
    # torch spreads over all classes, the target's own included, where OFA spreads over the others
    ours = smoothed_loss(logits, target, smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1 * 11 / 10)
    assert float(ours.total / ours.tokens) == pytest.approx(float(expected), rel=1e-5)
    worst = smoothed_loss(logits, target, drop_worst=0.5)
    each = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    assert float(worst.total) == pytest.approx(float(each.sort().values[:3].sum()))


# Weights


def test_a_folder_gives_back_the_model(model: OFA, codec: OFACodec, tmp_path: Path) -> None:
    weights.save(tmp_path, model, codec.vocabulary)
    loaded, its_codec = weights.load(tmp_path)
    assert its_codec == codec
    assert not loaded.training
    for (name, mine), (other, theirs) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other and torch.equal(mine, theirs)
    again, _ = weights.load(tmp_path, replace(codec.config, dropout=0.3))
    assert again.config.dropout == 0.3


def fairseq(model: OFA, path: Path, **changes: torch.Tensor | None) -> Path:
    """A checkpoint as fairseq writes it, settings and all."""
    tensors = weights.to_published(model.state_dict(), model.config) | {"encoder.version": torch.tensor([3.0])}
    tensors = {name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}
    settings = argparse.Namespace(arch="ofa_large", nested=argparse.Namespace(lr=[1e-5]))
    torch.save({"args": None, "cfg": {"model": settings, "score": np.float64(1.0)}, "model": tensors}, path)
    return path


def test_a_checkpoint_of_fairseq_is_read_without_running_its_code(model: OFA, tmp_path: Path) -> None:
    loaded = weights.load_published(fairseq(model, tmp_path / "ofa.pt"), model.config)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert loaded.tokens.weight.requires_grad and not loaded.decoder.image_code.norm.weight.requires_grad


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("it ran",))


def test_a_harmful_checkpoint_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"cfg": Harmful(), "model": {}}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError):
        weights.load_published(tmp_path / "bad.pt", SIZES["tiny"])
    assert capsys.readouterr().out == ""
    torch.load(tmp_path / "bad.pt", weights_only=False)
    assert "it ran" in capsys.readouterr().out


def test_a_folder_of_the_fork_is_read(model: OFA, tmp_path: Path) -> None:
    published = weights.to_published(model.state_dict(), model.config)
    forked = {weights.fork_name(name): tensor for name, tensor in published.items()}
    assert "decoder.layers.0.cross_attn_mid_layer_norm.weight" in forked
    for prefix in ("", "model."):
        torch.save({prefix + name: tensor for name, tensor in forked.items()}, tmp_path / "pytorch_model.bin")
        loaded = weights.load_published(tmp_path, model.config)
        assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"encoder.pos_ln.bias": None}, r"lacks encoder.pos_ln.bias \(1\)"),
        ({"classification_heads.x": torch.ones(1)}, r"also holds classification_heads.x \(1\)"),
        ({"decoder.output_projection.weight": torch.ones(2)}, "output_projection.weight of its own"),
        ({"encoder.pos_ln.bias": torch.ones(3)}, "size"),
    ],
)
def test_a_wrong_checkpoint_is_named(
    model: OFA, tmp_path: Path, changes: dict[str, torch.Tensor | None], match: str
) -> None:
    with pytest.raises(CheckpointError, match=match):
        weights.load_published(fairseq(model, tmp_path / "ofa.pt", **changes), model.config)


def test_no_checkpoint_and_no_model_in_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        weights.load_published(tmp_path / "absent.pt", SIZES["tiny"])
    torch.save({"weights": {}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no state under the key 'model'"):
        weights.load_published(tmp_path / "other.pt", SIZES["tiny"])


# Predictors

PICTURES = (picture(1), picture(2, 40, 200), picture(3))
ASKED = (EXPRESSIONS, (), EXPRESSIONS[1:])
CAPTIONS = ("a woman in a street", None, None)


def test_entailment_does_not_depend_on_the_batch(model: OFA, codec: OFACodec) -> None:
    said = OFAEntailer(model, codec, batch_size=4).entail(PICTURES, ASKED, CAPTIONS)
    assert [len(some) for some in said] == [3, 0, 2]
    assert all(0 <= probability <= 1 for some in said for probability in some)
    for batch_size in (1, 2, 3):
        other = OFAEntailer(model, codec, batch_size).entail(PICTURES, ASKED, CAPTIONS)
        assert [p for some in other for p in some] == pytest.approx([p for some in said for p in some], abs=1e-5)
    assert OFAEntailer(model, codec).entail([], [], []) == []


def test_boxes_lie_in_their_pictures_whatever_the_batch(model: OFA, codec: OFACodec) -> None:
    found = OFAGrounder(model, codec, batch_size=4).ground(PICTURES, ASKED)
    assert [len(some) for some in found] == [3, 0, 2]
    for shown, boxes in zip(PICTURES, found, strict=True):
        for box in boxes:
            assert 0 <= box.x1 < box.x2 <= shown.shape[1] and 0 <= box.y1 < box.y2 <= shown.shape[0]
    for batch_size in (1, 3):
        other = OFAGrounder(model, codec, batch_size).ground(PICTURES, ASKED)
        for mine, theirs in zip(found, other, strict=True):
            assert all(pair_iou(a, b) > 0.999 for a, b in zip(mine, theirs, strict=True))


def test_any_token_may_be_decoded_only_if_asked(model: OFA, codec: OFACodec) -> None:
    free = released(codec, any_token=True)
    assert free.beam.no_repeat == 3 and codec.beam.no_repeat == 0
    [boxes] = OFAGrounder(model, free).ground(PICTURES[:1], [EXPRESSIONS])
    assert all(box.area > 0 for box in boxes)


def test_the_trunk_runs_once_a_picture(model: OFA, codec: OFACodec) -> None:
    seen: list[int] = []
    handle = model.encoder.trunk.register_forward_hook(lambda trunk, given, grid: seen.append(len(grid)))
    try:
        OFAEntailer(model, codec, batch_size=2).entail(PICTURES, ASKED, CAPTIONS)
    finally:
        handle.remove()
    assert sum(seen) == 2  # the second picture has no expressions


@pytest.mark.parametrize("bf16", [False, True])
def test_a_saved_model_predicts_the_same(model: OFA, codec: OFACodec, tmp_path: Path, bf16: bool) -> None:
    weights.save(tmp_path, model, codec.vocabulary)
    entailer = OFAEntailer.load(tmp_path, bf16=bf16)
    assert entailer.model.dtype == (torch.bfloat16 if bf16 else torch.float32)
    said = entailer.entail(PICTURES[:1], [EXPRESSIONS], ["two people"])
    expected = OFAEntailer(model, codec).entail(PICTURES[:1], [EXPRESSIONS], ["two people"])
    assert said[0] == pytest.approx(expected[0], abs=0.1 if bf16 else 1e-4)
    OFAGrounder.load(tmp_path, bf16=bf16).ground(PICTURES[:1], [EXPRESSIONS])
