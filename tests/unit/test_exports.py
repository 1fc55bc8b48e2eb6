"""Posts as other libraries hold them: what goes in comes out again, and the libraries themselves can work with it."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import spacy
import supervision
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin, Span
from typer.testing import CliRunner

from gmner.cli.main import app
from gmner.data.rows import write_rows
from gmner.errors import DataError, EntityError, GmnerError, MismatchError, MissingPackageError, TextError
from gmner.exports import displacy_page, from_detections, from_doc, from_frame, to_detections, to_doc, to_frame
from gmner.exports.component import Gmner
from gmner.geometry import box_mask, decode_mask, encode_mask
from gmner.systems import SYSTEMS, Entry
from gmner.systems.system import System
from gmner.types import ENTITY_TYPES, Box, Candidate, Entity, Example, Mask, Prediction

REPOSITORY = Path(__file__).parents[2]
WIDTH, HEIGHT = 9, 7
TEXT = "Ada Lovelace  in\nNew York"
MASK = box_mask(Box(1, 1, 4, 5), WIDTH, HEIGHT)
ADA = Entity(
    "Ada Lovelace",
    "PER",
    0,
    12,
    (Box(1, 1, 4, 5), Box(0.5, 0.25, 8, 6)),
    (MASK,),
    score=0.75,
    groundable=0.5,
    expression="Ada Lovelace (PER) - a woman",
    provenance={"ground": "a face"},
    extra={"seen": [1, 2]},
)
YORK = Entity("New York", "LOC", 17, 25, score=0.5)
PREDICTION = Prediction(
    example=Example(id="7", text=TEXT, image="a/b.jpg", caption="two people", extra={"own": 1}),
    entities=(ADA, YORK),
    candidates=(Candidate(Box(0, 0, 2, 2), "face", 0.5),),
    image_size=(WIDTH, HEIGHT),
    notes=("a note",),
)

PROBABILITIES = st.none() | st.floats(0, 1)
SIDES = st.floats(0.25, 4, width=16)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), SIDES, SIDES, SIDES, SIDES)
MASKS = st.lists(st.booleans(), min_size=WIDTH * HEIGHT, max_size=WIDTH * HEIGHT).map(
    lambda bits: encode_mask(np.array(bits).reshape(HEIGHT, WIDTH))
)


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    """Any text, with entities anywhere in it: overlapping, nested, twice the same, with white space at their ends."""
    text = draw(st.text(st.sampled_from("aB1 \n\t@-'é\u0301\u00a0\u2028👩\u200d💻ذ\x00"), min_size=1, max_size=20))
    text = draw(st.sampled_from([text, f"{text} x", f"x{text}"])) if text.strip() else f"{text}x"
    entities = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        boxes = tuple(draw(st.lists(BOXES, max_size=2)))
        entity = Entity(
            text[start:end],
            draw(st.sampled_from(ENTITY_TYPES)),
            start,
            end,
            boxes,
            tuple(draw(st.lists(MASKS, max_size=len(boxes)))),
            score=draw(PROBABILITIES),
            groundable=draw(PROBABILITIES),
            expression=draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)),
        )
        entities.append(entity)
    return Prediction(example=Example(id=draw(st.sampled_from(["", "1", "x"])), text=text), entities=tuple(entities))


class TestDoc:
    @given(predictions())
    @settings(deadline=None)
    def test_any_prediction_comes_back(self, prediction: Prediction) -> None:
        doc = to_doc(prediction)
        assert doc.text == prediction.text
        assert from_doc(doc) == prediction
        spans = [(span.start_char, span.end_char, span.label_) for span in doc.spans["gmner"]]
        assert spans == [(entity.start, entity.end, entity.type) for entity in prediction.entities]
        covered = [place for span in doc.ents for place in range(span.start_char, span.end_char)]
        assert len(covered) == len(set(covered))

    @given(predictions())
    @settings(deadline=None, max_examples=30)
    def test_saved_and_read_by_spacy_it_is_the_same(self, prediction: Prediction) -> None:
        nlp = spacy.blank("en")
        [doc] = DocBin(docs=[to_doc(prediction)], store_user_data=True).get_docs(nlp.vocab)
        assert from_doc(doc) == prediction

    def test_all_that_a_row_holds_comes_back(self) -> None:
        assert from_doc(to_doc(PREDICTION)) == PREDICTION
        gold = Example(id="1", tokens=("Ada", "'s", "Rome"), image="a.jpg", entities=(Entity("Rome", "LOC", 7, 11),))
        doc = to_doc(gold)
        assert [token.text for token in doc] == ["Ada", "'s", "Rome"]
        assert from_doc(doc) == Prediction(example=replace(gold, entities=None), entities=gold.entities or ())

    def test_spans_know_their_regions(self) -> None:
        doc = to_doc(PREDICTION)
        ada, york = doc.ents
        assert (ada.text, ada.label_, york.text, york.label_) == ("Ada Lovelace", "PER", "New York", "LOC")
        assert ada._.boxes == [[1, 1, 4, 5], [0.5, 0.25, 8, 6]]
        assert ada._.masks == [{"size": [HEIGHT, WIDTH], "counts": MASK.counts}]
        assert (ada._.groundable, ada._.score, ada._.expression) == (0.5, 0.75, ADA.expression)
        assert (york._.boxes, york._.masks, york._.groundable) == ([], [], None)
        assert doc._.image == "a/b.jpg"
        assert doc[1:3]._.boxes == []

    def test_of_overlapping_entities_the_longest_are_ents_and_all_are_spans(self) -> None:
        inner = Entity("Lovelace", "ORG", 4, 12, (Box(0, 0, 1, 1),))
        doc = to_doc(replace(PREDICTION, entities=(inner, ADA, YORK)))
        assert [span.text for span in doc.ents] == ["Ada Lovelace", "New York"]
        assert doc.spans["gmner"][0]._.boxes == [[0, 0, 1, 1]]
        assert doc.ents[0]._.score == 0.75

    def test_entities_of_another_pipeline(self) -> None:
        nlp = spacy.blank("en")
        nlp.add_pipe("entity_ruler").add_patterns([{"label": "PER", "pattern": "Ada", "id": "gmner"}])
        assert from_doc(nlp("Hi Ada")).entities == (Entity("Ada", "PER", 3, 6),)
        doc = nlp("Hi Ada")
        doc.ents = [Span(doc, 1, 2, label="GPE")]
        with pytest.raises(DataError, match=r"'GPE'.*map your types"):
            from_doc(doc)

    def test_an_entity_without_offsets(self) -> None:
        with pytest.raises(EntityError, match="offsets"):
            to_doc(Example(text="Ada", entities=(Entity("Ada", "PER"),)))

    def test_a_picture_in_memory_goes_along(self) -> None:
        picture = np.zeros((2, 2, 3), dtype=np.uint8)
        assert from_doc(to_doc(Example(text="Ada", image=picture))).example.image is picture


class Finder(System):
    """Finds `Ada` and `York`, and tells what it was given."""

    name = "finder"

    def __init__(self) -> None:
        self.given: list[list[Example]] = []

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        self.given.append(list(examples))
        return [self._find(example) for example in examples]

    def _find(self, example: Example) -> Prediction | GmnerError:
        if "bad" in example.text:
            return TextError("a bad text", allowed="good ones", todo="mend it")
        places = {name: example.text.find(name) for name in ("Ada", "York")}
        entities = [Entity(n, "PER", i, i + len(n), (Box(0, 0, 1, 1),)) for n, i in places.items() if i >= 0]
        return Prediction(example=example, entities=tuple(entities))


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    system = Finder()

    def make(**given: Any) -> Finder:
        assert given in ({}, {"people": False})
        return system

    monkeypatch.setitem(SYSTEMS, "finder", Entry("", "", make))
    return system


class TestComponent:
    def pipeline(self, **config: Any) -> Any:
        nlp = spacy.blank("en")
        nlp.add_pipe("gmner", config={"system": "finder", **config})
        return nlp

    def test_a_doc_with_its_picture(self, finder: Finder) -> None:
        nlp = self.pipeline(settings={"people": False})
        doc = nlp.make_doc("It's Ada's")
        doc._.image = "ada.jpg"
        assert nlp(doc) is doc
        assert [(span.text, span.label_, span._.boxes) for span in doc.ents] == [("Ada", "PER", [[0, 0, 1, 1]])]
        assert finder.given == [[Example(text="It's Ada's", image="ada.jpg")]]
        assert from_doc(doc).example.image == "ada.jpg"

    def test_tokens_are_split_where_entities_begin_and_end(self, finder: Finder) -> None:
        doc = self.pipeline()("See @Ada_x: NewYork!")
        assert [span.text for span in doc.ents] == ["Ada", "York"]
        assert doc.text == "See @Ada_x: NewYork!"
        assert [token.text for token in doc][-3:] == ["New", "York", "!"]

    def test_in_bulk_it_is_the_same(self, finder: Finder) -> None:
        nlp, texts = self.pipeline(), ["Ada", "", "Lady Ada in York", " \n", "nobody"]
        bulk = [from_doc(doc) if doc.text.strip() else doc.ents for doc in nlp.pipe(texts, batch_size=3)]
        assert [len(given) for given in finder.given] == [2, 1]
        assert bulk == [from_doc(nlp(text)) if text.strip() else () for text in texts]

    def test_a_post_that_can_not_be_read(self, finder: Finder) -> None:
        nlp = self.pipeline()
        for run in (nlp, lambda text: list(nlp.pipe(["Ada", text]))):
            with pytest.raises(TextError, match="a bad text"):
                run("bad")
        told: list[GmnerError] = []
        nlp.set_error_handler(lambda name, step, docs, error: told.append(error))
        assert [doc.text for doc in nlp.pipe(["Ada", "bad", "York"])] == ["Ada", "York"]
        assert [type(error) for error in told] == [TextError]

    def test_what_is_known_of_a_post_reaches_the_system(self, finder: Finder) -> None:
        nlp = self.pipeline()
        example = Example(id="9", tokens=("Ada", "'s"), caption="a woman", candidates=(), image="x.jpg")
        nlp(to_doc(example, nlp.vocab))
        assert finder.given == [[example]]

    def test_the_pipeline_is_made_again_from_its_config(self, finder: Finder, tmp_path: Path) -> None:
        self.pipeline(settings={"people": False}).to_disk(tmp_path)
        again = spacy.load(tmp_path)
        assert isinstance(again.get_pipe("gmner"), Gmner)
        assert again("Ada").ents[0].text == "Ada"

    def test_spacy_finds_it_by_its_entry_point(self, tmp_path: Path) -> None:
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        points = project["entry-points"]["spacy_factories"]
        assert EntryPoint("gmner", points["gmner"], "spacy_factories").load()
        info = tmp_path / "installed-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n", encoding="utf-8")
        lines = ["[spacy_factories]", *(f"{name} = {target}" for name, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        code = (
            "import spacy, sys; assert not any(name.startswith('gmner') for name in sys.modules); "
            "nlp = spacy.blank('en'); nlp.add_pipe('gmner', config={'system': 'none such'})"
        )
        path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "src")])
        environment = {**os.environ, "PYTHONPATH": path}
        finished = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert "UnknownNameError: there is no system 'none such'" in finished.stderr  # ours was called


class TestDisplacy:
    def test_names_are_marked_and_nothing_is_taken_for_markup(self) -> None:
        text = "<b>Ada</b> & <script>alert(1)</script>"
        post = Example(id="<i>7</i>", text=text, entities=(Entity("Ada", "PER", 3, 6),))
        for entities in (post.entities or (), (Entity("Ada</b>", "ORG", 3, 10), *(post.entities or ()))):
            page = displacy_page([replace(post, entities=entities)])
            assert "Ada" in page and "PER" in page and "&lt;script&gt;" in "".join(page.split())
            assert "<script" not in page and "<b>" not in page and "<i>" not in page
            assert "&lt;i&gt;7&lt;/i&gt;" in page
            assert all(entity.type in page for entity in entities)

    def test_the_command(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "posts.jsonl", [replace(PREDICTION, example=Example(id="7", text=TEXT))])
        arguments = ["show", str(tmp_path / "posts.jsonl"), "--output", str(tmp_path / "out"), "--displacy"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert "Ada Lovelace" in (tmp_path / "out" / "displacy.html").read_text(encoding="utf-8")


class TestDetections:
    def test_regions_of_a_post(self) -> None:
        detections = to_detections(PREDICTION)
        assert detections.xyxy.tolist() == [[1, 1, 4, 5], [0.5, 0.25, 8, 6]]
        assert detections.class_id.tolist() == [0, 0]
        assert detections.confidence.tolist() == [0.75, 0.75]
        assert detections.data["entity"].tolist() == [0, 0]
        assert detections["class_name"].tolist() == ["PER", "PER"]
        assert detections["text"].tolist() == ["Ada Lovelace"] * 2
        assert (detections.mask[0] == decode_mask(MASK)).all() and not detections.mask[1].any()

    @given(predictions())
    @settings(deadline=None)
    def test_regions_come_back(self, prediction: Prediction) -> None:
        seen = tuple(
            replace(entity, masks=tuple(mask for mask in entity.masks if decode_mask(mask).any()))
            for entity in prediction.entities
        )
        detections = to_detections(prediction)
        bare = replace(prediction, entities=tuple(replace(entity, boxes=(), masks=()) for entity in seen))
        assert from_detections(detections, bare) == replace(prediction, entities=seen)
        example = Example(text=prediction.text, entities=seen)
        assert from_detections(to_detections(example), example) == example

    def test_what_supervision_drops_is_dropped_and_what_it_draws_on_is_drawn(self) -> None:
        detections = to_detections(PREDICTION)
        kept = from_detections(detections[detections.box_area < 20], PREDICTION)
        assert kept.entities == (replace(ADA, boxes=ADA.boxes[:1]), YORK)
        assert from_detections(detections.with_nms(0.1), PREDICTION).entities[0].boxes
        assert from_detections(supervision.Detections.empty(), PREDICTION).entities[0].boxes == ()
        canvas = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        assert supervision.MaskAnnotator().annotate(canvas, detections).any()
        assert supervision.LabelAnnotator().annotate(canvas.copy(), detections) is not None

    def test_a_post_without_regions(self) -> None:
        detections = to_detections(replace(PREDICTION, entities=(YORK,)))
        assert len(detections) == 0 and detections.mask is None
        assert from_detections(detections, PREDICTION).entities == (replace(ADA, boxes=(), masks=()), YORK)

    def test_detections_that_are_not_of_the_post(self) -> None:
        detections = to_detections(PREDICTION)
        with pytest.raises(DataError, match=r"'entity'.*to_detections"):
            from_detections(supervision.Detections(xyxy=detections.xyxy), PREDICTION)
        with pytest.raises(DataError, match="detection 0 is of entity 0"):
            from_detections(detections, replace(PREDICTION, entities=()))
        with pytest.raises(DataError, match="'New York' is LOC, class 1"):
            from_detections(detections, replace(PREDICTION, entities=(YORK, ADA)))
        other = replace(YORK, masks=(Mask((2, 2), "04"),))
        with pytest.raises(EntityError, match="sizes"):
            to_detections(replace(PREDICTION, entities=(ADA, replace(other, boxes=(Box(0, 0, 1, 1),)))))


class TestFrame:
    def test_a_row_for_each_entity(self) -> None:
        frame = to_frame([PREDICTION, Example(id="8", text="nobody", entities=())])
        assert frame["id"].tolist() == ["7", "7"]
        assert frame.groupby("type")["score"].mean().to_dict() == {"PER": 0.75, "LOC": 0.5}
        assert frame["boxes"].str.len().tolist() == [2, 0]
        assert frame["masks"][0] == [{"size": [HEIGHT, WIDTH], "counts": MASK.counts}]
        assert frame["groundable"].isna().tolist() == [False, True]

    @given(st.lists(predictions(), max_size=3))
    @settings(deadline=None)
    def test_predictions_come_back(self, some: list[Prediction]) -> None:
        some = [
            replace(one, example=replace(one.example, id=f"{number}"), candidates=PREDICTION.candidates)
            for number, one in enumerate(some)
        ]
        frame = to_frame(some)
        assert from_frame(frame, some) == some
        examples = [one.example for one in some]
        assert from_frame(frame, examples) == [replace(one, candidates=()) for one in some]

    def test_a_parquet_file_in_between_changes_nothing(self, tmp_path: Path) -> None:
        to_frame([PREDICTION]).to_parquet(tmp_path / "entities.parquet")
        [again] = from_frame(pandas.read_parquet(tmp_path / "entities.parquet"), [PREDICTION])
        ada = replace(ADA, provenance={}, extra={})
        assert again == replace(PREDICTION, entities=(ada, YORK))

    def test_rows_can_be_taken_out_and_columns_left_out(self) -> None:
        frame = to_frame([PREDICTION])
        [kept] = from_frame(frame[frame.type == "LOC"][["text", "id", "type", "start", "end"]], [PREDICTION])
        assert kept.entities == (replace(YORK, score=None),)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda frame: frame.drop(columns="type"), "no column 'type'"),
            (lambda frame: frame.assign(type="GPE"), "row 0 of the table: entity type 'GPE'"),
            (lambda frame: frame.assign(start=1), "row 0 of the table: .* reads"),
            (lambda frame: frame.assign(end="x"), "table: .*'x'"),
            (lambda frame: frame.assign(boxes="[[1, 2, 3, 4]]"), "row 0 of the table: `boxes`"),
            (lambda frame: frame.assign(score=2), "row 0 of the table: .* score"),
        ],
    )
    def test_tables_that_are_none_of_ours(self, change: Any, told: str) -> None:
        with pytest.raises(DataError, match=told):
            from_frame(change(to_frame([PREDICTION])), [PREDICTION])

    def test_posts_that_the_table_is_not_of(self) -> None:
        frame = to_frame([PREDICTION])
        with pytest.raises(MismatchError, match="post '7'"):
            from_frame(frame, [])
        with pytest.raises(MismatchError, match="2 posts that have 1 ids"):
            from_frame(frame, [PREDICTION, PREDICTION])


@pytest.mark.parametrize(
    ("package", "export"),
    [
        ("spacy", to_doc),
        ("spacy", lambda post: displacy_page([post])),
        ("supervision", to_detections),
        ("pandas", lambda post: to_frame([post])),
    ],
)
def test_an_absent_library_is_told_with_its_extra(package: str, export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"{package} is not installed.*gmner\[{package}\]"):
        export(PREDICTION)


def test_the_exports_load_no_library_before_it_is_needed() -> None:
    code = (
        "import sys, gmner.exports; assert not {'spacy', 'supervision', 'pandas', 'torch', 'cv2'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")})
