"""The tagger with the packaged encoder and random heads: codec, batching, saving."""

import copy
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from gmner.errors import CheckpointError, TextError
from gmner.models.tagger import weights
from gmner.models.tagger.codec import TaggerCodec, gold_spans, stretches, word_shape
from gmner.models.tagger.config import TaggerConfig
from gmner.models.tagger.model import Spans, Tagger
from gmner.nn.encoders import load_encoder, load_tokenizer
from gmner.stages.recognise import LONG, TaggerRecogniser
from gmner.stages.stage import LEFT_OUT
from gmner.tagging import illegal_steps, word_offsets
from gmner.training.loop import TrainingConfig, parameter_groups, train
from gmner.training.recognise import RecogniseRecipe, accuracy, calibrate, groundable_logits
from gmner.types import Box, Entity, Example, Prediction

POSTS = (
    Example(
        text="Ada Lovelace visits Rome",
        entities=(Entity("Ada Lovelace", "PER", 0, 12, (Box(0, 0, 1, 1),)), Entity("Rome", "LOC", 20, 24)),
    ),
    Example(tokens=("@", "Acme", "is", "hiring", "!"), entities=(Entity("Acme", "ORG", 2, 6),)),
    Example(text="nothing to see here, just a longer sentence without any name at all 🎉🎉", entities=()),
)


@pytest.fixture(scope="module")
def tagger() -> tuple[Tagger, TaggerCodec]:
    torch.manual_seed(0)
    config = TaggerConfig()
    model = Tagger(config, load_encoder(config.encoder)).eval()
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    return model, TaggerCodec(config, load_tokenizer(config.encoder))


@pytest.mark.parametrize(
    ("word", "shape"),
    [("rome", 1), ("Rome", 2), ("NASA", 3), ("A", 4), ("iPhone", 5), ("McDonald", 5), ("2026", 6), ("F16", 7),
     ("@", 8), ("🎉", 8), ("東京", 9), ("Ω", 4), ("it's", 1)],
)  # fmt: skip
def test_word_shapes(word: str, shape: int) -> None:
    assert word_shape(word) == shape


def test_first_pieces_stand_for_words(tagger: tuple[Tagger, TaggerCodec]) -> None:
    _, codec = tagger
    [encoded] = codec.encode([Example(tokens=("Hello", "antidisestablishment", "\u200b", "x"))])
    pieces = codec.tokenizer.convert_ids_to_tokens(encoded.pieces)
    assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
    assert [pieces[index] for index in encoded.first] == ["hello", "anti", "[UNK]", "x"]
    assert encoded.shapes[0] == encoded.shapes[-1] == 0


def test_gold_becomes_tags_and_back(tagger: tuple[Tagger, TaggerCodec]) -> None:
    _, codec = tagger
    encoded = codec.encode(POSTS)
    names = [[codec.config.tags[column] for column in row] for row in codec.tags(encoded).tolist()]
    assert names[0][:4] == ["B-PER", "I-PER", "O", "B-LOC"]
    assert names[1][:5] == ["O", "B-ORG", "O", "O", "O"]
    assert [len(gold_spans(item)) for item in encoded] == [2, 1, 0]


def test_an_entity_that_cuts_a_word_is_no_tag(tagger: tuple[Tagger, TaggerCodec]) -> None:
    _, codec = tagger
    [encoded] = codec.encode([Example(text="Rooome", entities=(Entity("Roo", "LOC", 0, 3),))])
    assert gold_spans(encoded) == []


def test_what_is_found_does_not_depend_on_the_batch(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, codec = tagger
    together = codec.predict(model, codec.encode(POSTS))
    assert any(together)
    for post, found in zip(POSTS, together, strict=True):
        [alone] = codec.predict(model, codec.encode([post]))
        assert [replace(e, score=None, groundable=None) for e in alone] == [
            replace(e, score=None, groundable=None) for e in found
        ]
        for one, other in zip(alone, found, strict=True):
            assert (one.score, one.groundable) == pytest.approx((other.score, other.groundable), abs=1e-5)
    stage = TaggerRecogniser(model, codec)
    drafts = [Prediction(example=post) for post in POSTS]
    found_by_stage = stage(drafts, [None] * 3)
    for draft, found in zip(drafts, found_by_stage, strict=True):
        assert stage([draft], [None]) == [found]  # to the last digit


def test_predictions_are_legal_and_probable(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, codec = tagger
    encoded = codec.encode(POSTS)
    batch = codec.batch(encoded)
    with torch.inference_mode():
        paths = model.crf.decode(model.emissions(model(batch)), batch.words)
    assert [len(path) for path in paths] == [len(item.first) for item in encoded]
    assert not any(illegal_steps([codec.config.tags[column] for column in path]) for path in paths)
    for post, entities in zip(POSTS, codec.predict(model, codec.encode(POSTS)), strict=True):
        for entity in entities:
            assert post.text[entity.start : entity.end] == entity.text
            assert 0 < (entity.score or 0) <= 1
            assert 0 <= (entity.groundable or 0) <= 1


def test_too_long_a_text_is_an_error_and_never_cut(tagger: tuple[Tagger, TaggerCodec]) -> None:
    _, codec = tagger
    fits = Example(text="a " * 510)
    assert len(codec.encode([fits])[0].pieces) == 512
    with pytest.raises(TextError, match="has 511 sub-words; the recogniser reads at most 510; split the text"):
        codec.encode([Example(text="a " * 511)])


def test_on_request_long_texts_are_read_in_windows(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, codec = tagger
    narrow = replace(codec, config=TaggerConfig(window=12))
    text = " ".join(f"Ada{number} met Bob in Rome" for number in range(9))
    windows = narrow.windows([Example(text=text)])[0]
    assert len(windows) > 3
    assert all(len(window.pieces) <= 12 for window in windows)
    assert {offset for window in windows for offset in window.offsets} == set(word_offsets(Example(text=text)))
    found = narrow.predict_stretches(model, [windows])[0]
    assert found
    assert len({(entity.start, entity.end) for entity in found}) == len(found)
    assert [entity.start for entity in found] == sorted(entity.start or 0 for entity in found)
    with pytest.raises(TextError, match="ask for windows"):
        narrow.encode([Example(text=text)])
    with pytest.raises(TextError):  # one word that no window holds
        narrow.windows([Example(text="x" + "q1" * 40)])
    short = Example(text="Ada met Bob")
    whole = narrow.predict(model, narrow.encode([short]))
    assert narrow.predict_stretches(model, narrow.windows([short])) == whole
    stage = TaggerRecogniser(model, narrow, windows=True)
    [long, brief] = stage([Prediction(example=Example(text=text)), Prediction(example=short)], [None, None])
    assert long.notes == (f"the text is long: it was read in {len(windows)} windows",)
    assert brief.notes == ()


@given(st.lists(st.integers(1, 5), max_size=40), st.integers(5, 12), st.floats(0, 0.9))
def test_stretches_fit_overlap_and_cover(lengths: list[int], room: int, overlap: float) -> None:
    parts = stretches(lengths, room, overlap)
    assert {index for part in parts for index in part} == set(range(len(lengths)))
    assert all(sum(lengths[index] for index in part) <= room for part in parts)
    assert all(left.start < right.start <= left.stop < right.stop for left, right in pairwise(parts))


def tiny(kind: str) -> Any:
    """A tiny random encoder of a real class."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.AutoConfig.for_model(kind, vocab_size=30522, max_position_embeddings=140, **sizes)
    return transformers.AutoModel.from_config(config).eval()


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta", "deberta-v2", "electra", "distilbert"])
def test_any_encoder_of_transformers_will_do(kind: str, tagger: tuple[Tagger, TaggerCodec]) -> None:
    torch.manual_seed(1)
    model = Tagger(TaggerConfig(window=128), tiny(kind)).eval()
    codec = tagger[1]
    batch, encoded = codec.batch(codec.encode(POSTS)), codec.encode(POSTS)
    with torch.inference_mode():
        together = model(batch)
        for row, item in enumerate(encoded):
            alone = model(codec.batch([item]))
            assert torch.allclose(together[row, : len(item.first)], alone[0], atol=1e-5)
    assert len(codec.predict(model, codec.encode(POSTS))) == 3


def test_words_one_by_one_are_the_words_of_the_sentence() -> None:
    vocabulary = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁Rom", -1.0),
        ("e", -1.0),
        ("▁in", -1.0),
    ]
    xlmr = transformers.XLMRobertaTokenizer(vocab=vocabulary)
    codec = TaggerCodec(TaggerConfig(casing=False), xlmr)
    [encoded] = codec.encode([Example(tokens=("in", "Rome", "in"))])
    assert encoded.pieces == xlmr("in Rome in")["input_ids"]
    assert encoded.first == [1, 2, 4]


def test_knowledge_follows_the_sentence_and_is_cut_to_fit(tagger: tuple[Tagger, TaggerCodec]) -> None:
    codec = replace(tagger[1], config=TaggerConfig(knowledge=True, window=12))
    [short] = codec.encode([Example(text="one two", knowledge="three four")])
    assert codec.tokenizer.decode(short.pieces) == "[CLS] one two [SEP] three four [SEP]"
    [cut] = codec.encode([Example(text="one two", knowledge="x " * 50)])
    assert len(cut.pieces) == 12
    assert cut.first == [1, 2]
    [none_left] = codec.encode([Example(text="a " * 10, knowledge="x")])
    assert codec.tokenizer.decode(none_left.pieces).endswith("a [SEP]")
    assert [item.left_out for item in (short, cut, none_left)] == [0, 50 - (12 - 5), 1]


def test_knowledge_without_room_is_told(tagger: tuple[Tagger, TaggerCodec], caplog: pytest.LogCaptureFixture) -> None:
    model, codec = tagger[0], replace(tagger[1], config=TaggerConfig(knowledge=True, window=12))
    posts = [Example(text="one two", knowledge="x " * 50), Example(text="one two", knowledge="three four")]
    cut, whole = TaggerRecogniser(model, codec)([Prediction(example=post) for post in posts], [None] * 2)
    assert cut.notes == (LEFT_OUT.format(43),)
    assert whole.notes == ()
    long = Example(text="a " * 12, knowledge="x " * 50)  # ten words and then four: these leave room for five
    [read] = TaggerRecogniser(model, codec, windows=True)([Prediction(example=long)], [None])
    assert read.notes == (LONG.format(2), LEFT_OUT.format(45))
    recipe = RecogniseRecipe("", model=codec.config)
    recipe.prepare(posts, posts[1:])
    assert [record.getMessage() for record in caplog.records] == [
        "of 1 of 2 posts not all is read that stands beside the sentence: 43 sub-words have no room"
    ]


def test_groundable_head_means_over_spans(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, _ = tagger
    assert model.groundable is not None
    words = torch.randn(2, 3, 384)
    present = torch.tensor([[True, True, True], [True, False, False]])
    spans = Spans(*(torch.tensor(column) for column in ([0, 1], [1, 0], [3, 1], [0, 2])))
    together = model.groundable(words, present, spans)
    changed = words.clone()
    changed[1, 1:] = 100.0  # padding must not matter
    assert torch.allclose(model.groundable(changed, present, spans), together)
    longer = torch.nn.functional.pad(words, (0, 0, 0, 4))
    assert torch.allclose(
        model.groundable(longer, torch.nn.functional.pad(present, (0, 4)), spans), together, atol=1e-6
    )


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path, tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, codec = tagger
    with torch.no_grad():
        changed = model.encoder.encoder.layer[0].output.dense.weight
        changed += 0.01 * torch.randn_like(changed)
    weights.save(tmp_path / "m", model)
    loaded, again = weights.load(tmp_path / "m")
    assert loaded.config == model.config
    difference = (loaded.encoder.encoder.layer[0].output.dense.weight - changed).abs().max()
    assert difference < 0.05 / 254  # half a step of 1/127 of the largest difference, about 0.05
    before, after = codec.predict(model, codec.encode(POSTS)), again.predict(loaded, again.encode(POSTS))
    assert [[e.text for e in found] for found in after] == [[e.text for e in found] for found in before]
    assert (tmp_path / "m" / "model.safetensors").stat().st_size < 3_000_000  # the encoder is not stored again


def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path: Path, tagger: tuple[Tagger, TaggerCodec]) -> None:
    from gmner import checkpoint

    model, _ = tagger
    weights.save(tmp_path, model)
    config, tensors = checkpoint.load(tmp_path, TaggerConfig)
    del tensors["classifier.bias"]
    checkpoint.save(tmp_path, config, tensors)
    with pytest.raises(CheckpointError, match=r"lacks classifier.bias \(1\)"):
        weights.load(tmp_path)
    checkpoint.save(tmp_path, config, {**tensors, "classifier.bias": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"holds classifier.bias in other shapes"):
        weights.load(tmp_path)


def test_an_encoder_that_is_not_there() -> None:
    with pytest.raises(CheckpointError, match="the model 'no/such-encoder' can not be loaded"):
        load_encoder("no/such-encoder")


@pytest.mark.slow
def test_training_learns_a_toy_language_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    rates = {"classifier": 1e-2, "crf": 1e-2, "groundable": 1e-2}
    config = TrainingConfig(epochs=6, batch_size=4, lr=3e-4, lr_groups=rates, seed=1)
    names = ["Ada", "Bob", "Cleo", "Dora", "Emil", "Fay"]
    posts = [
        Example(
            id=name + place,
            text=f"{name} lives in {place}",
            entities=(
                Entity(name, "PER", 0, len(name), (Box(0, 0, 1, 1),)),
                Entity(place, "LOC", len(name) + 10, len(name) + 10 + len(place)),
            ),
        )
        for name in names
        for place in ("Rome", "Oslo", "Lima")
    ]
    recipe = RecogniseRecipe("", training=TrainingConfig(seed=1), frozen=("encoder.embeddings",))
    task = recipe.prepare(posts[:-3], posts[-3:])
    history = train(task, config, tmp_path)
    best = max(epoch.scores["mner_f1"] for epoch in history)
    assert best > 95
    assert task.evaluate()["mner_f1"] == best
    assert accuracy(*groundable_logits(task.model, task.codec, task.dev)) > 0.9


def test_calibration_makes_a_head_that_is_too_sure_honest(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, codec = copy.deepcopy(tagger[0]), tagger[1]
    assert model.groundable is not None
    dev = [
        Example(text=f"{name} is here", entities=(Entity(name, "PER", 0, len(name), seen),))
        for name, seen in [("Ada", (Box(0, 0, 1, 1),)), ("Bob", ()), ("Cleo", (Box(0, 0, 1, 1),))]
    ]
    with torch.no_grad():
        model.groundable.out.weight.zero_()
        model.groundable.out.bias.fill_(9.0)  # everything is visible, says the head: right two times of three
    temperature = calibrate(model, codec, codec.encode(dev))
    assert temperature == pytest.approx(9 / math.log(2), rel=0.02)
    logits, visible = groundable_logits(model, codec, codec.encode(dev))
    assert visible.tolist() == [1, 0, 1]
    assert logits.sigmoid().tolist() == pytest.approx([2 / 3] * 3, abs=0.01)


def test_groups_of_parameters(tagger: tuple[Tagger, TaggerCodec]) -> None:
    model, _ = tagger
    config = TrainingConfig(lr=1.0, lr_groups={"crf": 2.0, "crf.start": 3.0}, weight_decay=0.5)
    groups = parameter_groups(model, config)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(len(group["params"]) for group in groups) == len(trained)
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = 3.0 if name.startswith("crf.start") else 2.0 if name.startswith("crf") else 1.0
        assert found[id(parameter)] == (rate, 0.5 if parameter.ndim > 1 else 0.0)
