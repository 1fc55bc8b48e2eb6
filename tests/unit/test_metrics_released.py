"""The released scorers as protocols: each departure from `span` by hand, and their recorded scores."""

import doctest
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shared import SHARED, needs_shared
from tests.unit.scored_posts import FAR, FRAMES, HALF, MOST, SQUARE, answer, echo, entity, post, scored

from gmner.data import read
from gmner.errors import ConfigError, MismatchError
from gmner.metrics import evaluate
from gmner.metrics.posts import Post
from gmner.metrics.protocols.mqspn import Quadruple, parsed, tally_quadruples
from gmner.metrics.score import averaged
from gmner.tagging import locate_tokens, read_bio, to_entity
from gmner.types import ENTITY_TYPES, Box, Entity, Prediction

pytestmark = pytest.mark.slow

NAME = "Grace Hopper of the US Navy"


def cells(count):
    """Candidates that do not touch each other."""
    return [Box(20 * i, 0, 20 * i + 10, 10) for i in range(count)]


def counts(gold, predicted, protocol, task="gmner", **settings):
    """(right, predicted, gold) of one post."""
    return evaluate([gold], [predicted], protocol=protocol, **settings)[task].row()[5:]


class TestRiveg:
    def test_reaching_the_threshold_is_enough(self):
        gold = post(NAME, ("US Navy", "ORG", [FAR, SQUARE]))
        assert counts(gold, answer(gold, ("US Navy", "ORG", [HALF])), "riveg") == (1, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG", [HALF])), "span") == (0, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG", [Box(0, 0, 10, 4.9)])), "riveg") == (0, 1, 1)

    def test_strings_stand_for_spans(self):
        text = "US beats US"
        gold = post(text, Entity("US", "LOC", 0, 2))
        other = answer(gold, Entity("US", "LOC", 9, 11))
        assert counts(gold, other, "span") == (0, 1, 1)
        assert counts(gold, other, "riveg") == (1, 1, 1)
        assert counts(gold, answer(gold, Entity("us", "LOC", 0, 2)), "riveg") == (0, 1, 1)  # case matters

    def test_rows_need_no_offsets(self):
        gold = post(NAME, Entity("US Navy", "ORG", boxes=(SQUARE,)))
        assert counts(gold, answer(gold, Entity("US Navy", "ORG", boxes=(MOST,))), "riveg") == (1, 1, 1)

    def test_a_gold_entity_is_used_once(self):
        gold = post(NAME, ("US Navy", "ORG"))
        twice = answer(gold, ("US Navy", "ORG"), ("US Navy", "ORG"))
        assert counts(gold, twice, "riveg") == (1, 2, 1)

    def test_predictions_choose_greedily_in_file_order(self):
        gold = post(NAME, ("US", "LOC", [SQUARE]), ("US", "ORG", [HALF]))
        both, first = entity(NAME, "US", "LOC", [MOST]), entity(NAME, "US", "PER", [SQUARE])
        assert counts(gold, answer(gold, first, both), "riveg", "eeg") == (2, 2, 2)
        # MOST overlaps both, takes the first, and leaves HALF to SQUARE, which reaches 0.5 of it as well;
        assert counts(gold, answer(gold, both, first), "riveg", "eeg") == (2, 2, 2)
        # a guess that fits the first gold box only comes too late.
        narrow = entity(NAME, "US", "PER", [Box(0, 4, 10, 10)])
        assert counts(gold, answer(gold, narrow, both), "riveg", "eeg") == (2, 2, 2)
        assert counts(gold, answer(gold, both, narrow), "riveg", "eeg") == (1, 2, 2)
        assert counts(gold, answer(gold, both, narrow), "span", "eeg") == (2, 2, 2)

    def test_tasks(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]))
        report = evaluate([gold], [answer(gold, ("US Navy", "PER", [SQUARE]))], protocol="riveg")
        assert {task: score.right for task, score in report.scores.items()} == {"mner": 0, "eeg": 1, "gmner": 0}

    @given(scored(posts=st.integers(1, 3)))
    def test_gold_against_itself_may_lose_only_by_greed(self, case):
        gold, _ = case
        for score in evaluate(gold, echo(gold), protocol="riveg", tasks=["mner"]).scores.values():
            assert score.right == score.gold == score.predicted

    @given(scored(posts=st.integers(1, 3), repeated_spans=False))
    def test_gold_of_distinct_spans_against_itself_is_one(self, case):
        gold, _ = case
        for score in evaluate(gold, echo(gold), protocol="riveg").scores.values():
            assert score.right == score.gold == score.predicted


class TestHIndex:
    def test_a_region_is_a_candidate(self):
        inside = Box(1, 0, 10, 10)
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[FAR, inside, HALF])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [inside])), "h-index") == (1, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG", [HALF])), "h-index") == (0, 1, 1)  # IoU must exceed 0.5
        assert counts(gold, answer(gold, ("US Navy", "ORG", [FAR])), "h-index") == (0, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG")), "h-index") == (0, 1, 1)

    def test_a_box_that_is_no_candidate_is_wrong_and_told(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[MOST])
        report = evaluate([gold], [answer(gold, ("US Navy", "ORG", [SQUARE]))], protocol="h-index")
        assert report["gmner"].right == 0
        assert report.notes == ("1 of 1 predicted regions are none of the first 18 candidates: counted wrong",)
        rounded = answer(gold, ("US Navy", "ORG", [Box(0.004, 0, 10, 6)]))
        report = evaluate([gold], [rounded], protocol="h-index")
        assert (report["gmner"].right, report.notes) == (1, ())

    def test_only_the_first_candidates_are_kept(self):
        gold = post(NAME, ("US Navy", "ORG", [cells(3)[2]]), candidates=cells(3))
        guess = answer(gold, ("US Navy", "ORG", [cells(3)[2]]))
        assert counts(gold, guess, "h-index", top=3) == (1, 1, 1)
        assert counts(gold, guess, "h-index", top=2) == (0, 1, 1)
        assert counts(gold, guess, "h-index") == (1, 1, 1)
        with pytest.raises(ConfigError, match="top 0 candidates"):
            counts(gold, guess, "h-index", top=0)

    def test_an_annotated_entity_that_no_candidate_covers_is_never_right(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[FAR])
        for region in ([], [SQUARE], [FAR]):
            assert counts(gold, answer(gold, ("US Navy", "ORG", region)), "h-index") == (0, 1, 1)
        no_boxes = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[])
        assert counts(no_boxes, answer(no_boxes, ("US Navy", "ORG")), "h-index") == (0, 1, 1)

    def test_a_cover_of_exactly_one_half_is_never_right(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[HALF])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [HALF])), "h-index") == (0, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG")), "h-index") == (0, 1, 1)

    def test_uncovered_boxes_are_forgotten_beside_covered_ones(self):
        gold = post(NAME, ("US Navy", "ORG", [FAR, SQUARE]), candidates=[MOST])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [MOST])), "h-index") == (1, 1, 1)

    def test_what_is_not_annotated_wants_no_region(self):
        gold = post(NAME, ("US Navy", "ORG"), candidates=[SQUARE])
        assert counts(gold, answer(gold, ("US Navy", "ORG")), "h-index") == (1, 1, 1)
        assert counts(gold, answer(gold, ("US Navy", "ORG", [SQUARE])), "h-index") == (0, 1, 1)

    def test_a_span_predicted_again_overwrites(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[SQUARE])
        good, bad = entity(NAME, "US Navy", "ORG", [SQUARE]), entity(NAME, "US Navy", "PER")
        assert counts(gold, answer(gold, bad, good), "h-index") == (1, 1, 1)
        assert counts(gold, answer(gold, good, bad), "h-index") == (0, 1, 1)

    def test_tasks(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), ("Grace Hopper", "PER"), candidates=[SQUARE])
        guess = answer(gold, ("US Navy", "PER", [SQUARE]), ("Grace Hopper", "PER", [SQUARE]))
        report = evaluate([gold], [guess], protocol="h-index")
        assert {task: score.right for task, score in report.scores.items()} == {"mner": 1, "eeg": 1, "gmner": 0}

    def test_candidates_are_needed_where_gold_has_regions(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), post_id="17")
        for protocol in ("h-index", "mqspn"):
            with pytest.raises(MismatchError, match=r"gold regions but without candidate regions: 1 \('17'\)"):
                counts(gold, answer(gold), protocol)
        bare = post(NAME, ("US", "LOC"))
        assert counts(bare, answer(bare, ("US", "LOC")), "h-index") == (1, 1, 1)

    @given(scored())
    def test_gold_that_is_made_of_candidates_against_itself(self, case):
        gold, _ = case
        distinct = [
            post(
                one.text,
                *{(e.start, e.end): on_frame(e) for e in one.entities}.values(),
                post_id=one.id,
                candidates=FRAMES,
            )
            for one in gold
        ]
        for score in evaluate(distinct, echo(distinct), protocol="h-index").scores.values():
            assert score.right == score.gold == score.predicted


def on_frame(found):
    """The entity with the first candidate as its box, if it is in the picture."""
    return Entity(found.text, found.type, found.start, found.end, boxes=tuple(FRAMES[:1]) if found.boxes else ())


class TestMqspn:
    def test_gold_is_one_quadruple_a_candidate(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[FAR, SQUARE, HALF])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [HALF])), "mqspn") == (1, 1, 2)  # 0.5 is enough
        assert counts(gold, answer(gold, ("US Navy", "ORG", [SQUARE])), "mqspn") == (1, 1, 2)

    def test_an_entity_is_lost_that_follows_another_without_a_word_between(self):
        text = "RT Alpha Beta Gamma . Delta"
        every = [("Alpha", "ORG"), ("Beta", "PER"), ("Gamma", "LOC"), ("Delta", "PER")]
        gold = post(text, *every)
        assert [found.text for found in parsed(Post(gold, gold.entities, ()))] == ["Alpha", "Gamma", "Delta"]
        assert counts(gold, echo([gold])[0], "mqspn") == (3, 4, 3)

    def test_an_uncovered_entity_counts_as_not_in_the_picture(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[FAR])
        assert counts(gold, answer(gold, ("US Navy", "ORG")), "mqspn") == (1, 1, 1)

    def test_an_entity_of_late_candidates_only_is_no_gold(self):
        early, late = cells(16)[8], cells(16)[9]
        kept = post(NAME, ("US Navy", "ORG", [early]), candidates=cells(16))  # region number 9
        assert counts(kept, answer(kept, ("US Navy", "ORG", [early])), "mqspn") == (1, 1, 1)
        dropped = post(NAME, ("US Navy", "ORG", [late]), candidates=cells(16))  # number 10
        assert counts(dropped, answer(dropped, ("US Navy", "ORG", [late])), "mqspn") == (0, 1, 0)
        both = post(NAME, ("US Navy", "ORG", [late, early]), candidates=cells(16))
        assert counts(both, answer(both), "mqspn") == (0, 0, 1)
        beyond = post(NAME, ("US Navy", "ORG", [cells(16)[15]]), candidates=cells(16))  # the 16th gets no name at all
        assert counts(beyond, answer(beyond, ("US Navy", "ORG")), "mqspn") == (1, 1, 1)

    def test_later_objects_overwrite_earlier_ones(self):
        gold = post(NAME, ("Grace Hopper", "PER", [SQUARE]), ("US Navy", "ORG", [MOST]), candidates=[SQUARE])
        guess = answer(gold, ("Grace Hopper", "PER"), ("US Navy", "ORG", [SQUARE]))
        assert counts(gold, guess, "mqspn") == (2, 2, 2)  # the first name is lost: not in the picture

    def test_mentions_of_one_string_share_their_boxes(self):
        text = "US beats US"
        gold = post(text, Entity("US", "LOC", 0, 2, boxes=(SQUARE,)), Entity("US", "ORG", 9, 11), candidates=[SQUARE])
        guess = answer(gold, Entity("US", "LOC", 0, 2, boxes=(SQUARE,)), Entity("US", "ORG", 9, 11, boxes=(SQUARE,)))
        assert counts(gold, guess, "mqspn") == (2, 2, 2)

    def test_a_wrong_region_for_what_is_not_in_the_picture_is_found_and_one_false_positive(self):
        gold = post(NAME, ("US Navy", "ORG"), candidates=[SQUARE])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [SQUARE])), "mqspn") == (1, 2, 1)

    def test_a_wrong_region_for_what_is_in_the_picture_is_two_false_positives(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[SQUARE, FAR])
        assert counts(gold, answer(gold, ("US Navy", "ORG", [FAR])), "mqspn") == (0, 2, 1)
        assert counts(gold, answer(gold, ("US Navy", "PER", [FAR])), "mqspn") == (0, 1, 1)  # not for another type

    def test_predictions_are_a_set(self):
        gold = post(NAME, ("US Navy", "ORG", [SQUARE]), candidates=[SQUARE])
        twice = answer(gold, ("US Navy", "ORG", [SQUARE]), ("US Navy", "ORG", [SQUARE]))
        assert counts(gold, twice, "mqspn") == (1, 1, 1)

    def test_the_headline_is_the_macro_average(self):
        gold = post(NAME, ("Grace Hopper", "PER"), ("US", "LOC"), ("Navy", "ORG"))
        # "US" and "Navy" stand side by side: Navy is lost from gold.
        report = evaluate([gold], [answer(gold, ("Grace Hopper", "PER"), ("US", "ORG"))], protocol="mqspn")
        score = report["gmner"]
        assert [row.what for row in score.table()] == ["macro", "micro", "PER", "LOC", "ORG"]
        assert (score.precision, score.recall, score.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))  # PER 1, LOC 0, ORG 0
        assert score.row("micro").f1 == pytest.approx(2 / 4)

    def test_only_the_combined_score_is_released(self):
        gold = post(NAME)
        assert list(evaluate([gold], [answer(gold)], protocol="mqspn").scores) == ["gmner"]
        with pytest.raises(ConfigError, match="task 'mner' under protocol 'mqspn'; this protocol scores gmner"):
            counts(gold, answer(gold), "mqspn", tasks=["mner"])


@pytest.mark.parametrize("protocol", ["riveg", "h-index", "mqspn"])
def test_released_thresholds_are_fixed(protocol):
    with pytest.raises(ConfigError, match="its release fixes IoU"):
        evaluate([], [], protocol=protocol, iou=0.7)
    with pytest.raises(ConfigError, match="its release fixes IoU"):
        evaluate([], [], protocol=protocol, inclusive=True)


def test_signs_are_stated():
    signs = {name: str(evaluate([], [], protocol=name).threshold) for name in ("span", "riveg", "h-index", "mqspn")}
    assert signs == {"span": "IoU > 0.5", "riveg": "IoU >= 0.5", "h-index": "IoU > 0.5", "mqspn": "IoU >= 0.5"}


@given(scored(), st.sampled_from(["riveg", "h-index", "mqspn"]), st.randoms())
def test_order_of_posts_is_no_matter(case, protocol, random):
    gold, predicted = case
    before = evaluate(gold, predicted, protocol=protocol).to_dict()
    random.shuffle(gold)
    random.shuffle(predicted)
    assert evaluate(gold, predicted, protocol=protocol).to_dict() == before


# Recorded scores of the released code.

TYPES = {1: "ORG", 2: "OTHER", 3: "PER", 4: "LOC"}


def fixture(name):
    safetensors = pytest.importorskip("safetensors")
    path = str(SHARED / "fixtures" / "mqspn" / f"{name}.safetensors")
    with safetensors.safe_open(path, "np") as file:
        return json.loads(file.metadata()["fixture"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


@needs_shared
def test_mqspn_scores_are_those_of_the_release():
    _, tensors = fixture("score")

    def quadruples(side, sample):
        rows = tensors[f"input/{side}"].tolist()
        return {
            Quadruple(start, last + 1, TYPES[kind], region)
            for number, start, last, kind, region in rows
            if number == sample
        }

    tallies = [tally_quadruples(quadruples("pred", sample), quadruples("gold", sample)) for sample in range(60)]
    total = np.array([[sum(tally[i].count(kind) for tally in tallies) for i in range(3)] for kind in ENTITY_TYPES])
    got = [100 * rate for average in ("micro", "macro") for rate in averaged(total, average)]
    assert got == pytest.approx(tensors["output/reference_scores"].tolist(), abs=1e-6)


@needs_shared
def test_mqspn_gold_is_that_of_the_release():
    recorded, tensors = fixture("data")
    blocks = [block.split("\n") for block in recorded["text"].strip().split("\n\n")]
    assert len(blocks) == len(recorded["expected"])
    for (header, *rows), expected in zip(blocks, recorded["expected"], strict=True):
        image = header.removeprefix("IMGID:")
        words, tags = zip(*(row.split("\t") for row in rows), strict=True)
        text, offsets = " ".join(words), locate_tokens(" ".join(words), words)
        named = {}
        for drawn in recorded["images"][image]["objects"]:
            named.setdefault(drawn["name"], []).append(Box(*map(float, drawn["box"])))
        bare = [to_entity(span, text, offsets) for span in read_bio(tags)]
        gold = post(
            text,
            *[Entity(one.text, one.type, one.start, one.end, boxes=tuple(named.get(one.text, ()))) for one in bare],
            post_id=image,
            candidates=[Box(*row) for row in tensors[f"input/boxes_{image}"].tolist()],
        )
        starts, ends = {s: i for i, (s, _) in enumerate(offsets)}, {e: i for i, (_, e) in enumerate(offsets)}
        # Gold of the release, given as predictions: all of it is right, nothing is left over.
        candidates = [candidate.box for candidate in gold.candidates]
        quadruples = expected["eval_gold"]
        guesses = [
            Entity(
                text[offsets[start][0] : offsets[last][1]], TYPES[kind], offsets[start][0], offsets[last][1],
                boxes=(candidates[region - 1],) if region else (),
            )
            for start, last, kind, region in quadruples
        ]  # fmt: skip
        assert counts(gold, answer(gold, *guesses), "mqspn") == (len(quadruples),) * 3, image
        kept = [(starts[one.start], ends[one.end] + 1, one.type) for one in parsed(Post(gold, gold.entities, ()))]
        assert kept == [
            (one["start"], one["end_exclusive"], one["type"].replace("MISC", "OTHER")) for one in expected["entities"]
        ]


@needs_shared
def test_h_index_counts_are_those_of_the_release():
    recorded = json.loads((SHARED / "fixtures" / "hindex" / "grouping_cases.json").read_text())
    top, kinds = recorded["box_num"], {4: "LOC", 5: "PER", 6: "OTHER", 7: "ORG"}
    nowhere = Box(999, 0, 1009, 10)  # no candidate covers it
    boxes = {**dict(enumerate(cells(top))), top: None, top + 1: nowhere}
    scored = 0
    for number, case in enumerate(recorded["cases"]):
        want = case["expected"]
        items = want["predicted"] + want["target"]
        if any(item["type"][0] not in kinds for item in items):
            continue  # a token that is no type was generated in its place: no Entity can say that
        words = {tuple(item["span"]): f"w{i}" for i, item in enumerate(items)}  # all that counts is which are equal
        text = " ".join(["-", *words.values()])
        target, predicted = (
            [
                (words[tuple(item["span"])], kinds[item["type"][0]], [boxes[k] for k in item["region"] if boxes[k]])
                for item in want[side]
            ]
            for side in ("target", "predicted")
        )
        gold = post(text, *target, candidates=cells(top))
        right, guessed, true = counts(gold, answer(gold, *predicted), "h-index", top=top)
        assert (right, guessed - right, true - right) == (want["tp"], want["fp"], want["fn"]), number
        assert counts(gold, answer(gold, *predicted), "h-index", "mner", top=top)[0] == want["type_correct"], number
        scored += 1
    assert scored > 40


@pytest.fixture(scope="module")
def twitter_gmner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twitter_gmner")
    with zipfile.ZipFile(SHARED / "data" / "twitter_gmner_v2.zip") as archive:
        archive.extractall(folder)
    (text,) = folder.rglob("txt")
    return text.parent


@needs_shared
@pytest.mark.parametrize(("split", "lost", "entities"), [("train", 119, 11779), ("dev", 27, 2450), ("test", 46, 2543)])
def test_mqspn_loses_as_many_entities_as_its_parser(twitter_gmner, split, lost, entities):
    gold = read(twitter_gmner, split=split)
    found = sum(len(one.entities) for one in gold)
    kept = sum(len(parsed(Post(one, one.entities, ()))) for one in gold)
    assert (found, found - kept) == (entities, lost)


@needs_shared
def test_scores_of_the_published_test_set(twitter_gmner):
    gold = read(twitter_gmner, split="test")
    nothing_seen = [
        Prediction(example=one, entities=tuple(replace(entity, boxes=()) for entity in one.entities)) for one in gold
    ]
    for protocol in ("span", "riveg"):
        report = evaluate(gold, echo(gold), protocol=protocol)
        assert (report.groundable, len(report.ids)) == (1046, 1500)
        assert {score.row()[2:] for score in report.scores.values()} == {(1, 1, 1, 2543, 2543, 2543)}
        blind = evaluate(gold, nothing_seen, protocol=protocol)
        assert blind["mner"].right == 2543
        assert blind["gmner"].right == blind["eeg"].right == 2543 - 1046


def test_the_worked_example_of_the_documentation():
    page = Path(__file__).parents[2] / "docs" / "protocols.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert (failed, tried > 5) == (0, True)
