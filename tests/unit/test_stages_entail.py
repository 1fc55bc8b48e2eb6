"""Entail: the rule by which the text's prior, faces and lettering make one probability."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sight import blank, face, line, named

from gmner.stages.entail import PRIORS, EntailByEvidence, EvidenceWeights
from gmner.types import ENTITY_TYPES, Candidate, EntityType, Prediction

ONE, TWO = (face(50),), (face(50), face(200))


def judge(draft: Prediction, stage: EntailByEvidence | None = None) -> list[float]:
    [judged] = (stage or EntailByEvidence())([draft], [blank()])
    return [entity.groundable or 0.0 for entity in judged.entities]


@pytest.mark.parametrize(
    ("kind", "prior", "candidates", "seen"),
    [
        ("PER", 0.65, ONE, True),
        ("PER", 0.65, (), False),
        ("PER", 0.3, ONE, False),
        ("PER", 0.95, (), True),
        ("PER", 0.65, (line("RIVERA"),), False),
        ("PER", 0.3, (*ONE, line("RIVERA")), True),
        ("ORG", 0.3, (), False),
        ("ORG", 0.3, (line("RIVERA"),), True),
        ("ORG", 0.3, (*ONE, line("RIVERA")), True),
        ("ORG", 0.3, (line("OTHER WORDS"),), False),
        ("LOC", 0.55, (), True),
        ("LOC", 0.55, ONE, False),
        ("LOC", 0.1, (line("RIVERA"),), True),
        ("LOC", 0.1, (), False),
        ("OTHER", 0.6, (), True),
        ("OTHER", 0.6, ONE, False),
        ("OTHER", 0.3, (*ONE, line("RIVERA")), True),
    ],
)
def test_single_names(kind: EntityType, prior: float, candidates: tuple[Candidate, ...], seen: bool) -> None:
    [probability] = judge(named("Rivera is here", ("Rivera", kind, prior), candidates=candidates))
    assert (probability >= 0.5) is seen


def test_log_odds_are_added() -> None:
    even = EntailByEvidence(EvidenceWeights(face=2.0, lettering=1.0))
    [probability] = judge(named("Rivera", ("Rivera", "PER", 0.5), candidates=(*ONE, line("RIVERA"))), even)
    assert probability == pytest.approx(0.9526, abs=1e-4)  # 1 / (1 + exp(-3))


@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_without_a_prior_the_share_of_the_type_counts(kind: EntityType) -> None:
    assert judge(named("Rivera", ("Rivera", kind, None))) == judge(named("Rivera", ("Rivera", kind, PRIORS[kind])))


def test_priors_are_the_shares_of_the_training_split() -> None:
    shares = {"PER": 3266 / 5019, "LOC": 168 / 1918, "ORG": 834 / 3035, "OTHER": 465 / 1807}  # specs/datasets.md
    assert shares == pytest.approx(PRIORS, abs=0.006)


def test_the_likeliest_names_get_the_faces() -> None:
    names = ("Ana", "PER", 0.6), ("Bea", "PER", 0.8), ("Cleo", "PER", 0.7)
    ana, bea, cleo = judge(named("Ana and Bea and Cleo", *names, candidates=TWO))
    assert bea > cleo > 0.7
    assert ana < 0.5


def test_of_equally_likely_names_the_first_gets_the_face() -> None:
    ana, bea = judge(named("Ana and Bea", ("Ana", "PER", 0.65), ("Bea", "PER", 0.65), candidates=ONE))
    assert ana > 0.5 > bea


def test_a_name_that_is_written_comes_first() -> None:
    ana, bea = judge(named("Ana and Bea", ("Ana", "PER", 0.7), ("Bea", "PER", 0.6), candidates=(*ONE, line("BEA"))))
    assert bea > 0.5 > ana


def test_mentions_that_read_alike_are_one_person() -> None:
    names = ("Ana", "PER", 0.65), ("Bea", "PER", 0.6), ("ANA", "PER", 0.65)
    ana, bea, again = judge(named("Ana with Bea . ANA !", *names, candidates=TWO))
    assert ana == again > 0.5
    assert bea > 0.5


def test_people_off() -> None:
    draft = named("Rivera in Leeds", ("Rivera", "PER", 0.7), ("Leeds", "LOC", 0.1), candidates=(*ONE, line("RIVERA")))
    [judged] = EntailByEvidence(people=False)([draft], [blank()])
    assert judged.entities[0].groundable == pytest.approx(0.7)
    assert "not looked for" in judged.entities[0].provenance["entail"]


def test_without_a_picture_nothing_is_seen() -> None:
    [judged] = EntailByEvidence()([named("Rivera", ("Rivera", "PER", 0.9))], [None])
    assert judged.entities[0].groundable == 0
    assert judged.entities[0].provenance["entail"] == "no picture"


def test_reasons_are_told() -> None:
    [judged] = EntailByEvidence()(
        [named("Rivera at Nike", ("Rivera", "PER", 0.7), ("Nike", "ORG", 0.2), candidates=(*ONE, line("NIKE")))],
        [blank()],
    )
    rivera, nike = (entity.provenance["entail"] for entity in judged.entities)
    assert rivera == "0.70 by the text; a face for it"
    assert nike == "0.20 by the text; the picture reads 'NIKE'"


kinds, priors = st.sampled_from(ENTITY_TYPES), st.floats(0, 1)
sights = st.lists(st.sampled_from([face(10), face(200), line("ANA"), line("HOTEL")]), max_size=4).map(tuple)


@given(kinds, priors, priors, sights)
def test_a_higher_prior_never_lowers_the_probability(
    kind: EntityType, a: float, b: float, seen: tuple[Candidate, ...]
) -> None:
    [low], [high] = (judge(named("Ana", ("Ana", kind, prior), candidates=seen)) for prior in sorted((a, b)))
    assert 0 < low <= high < 1


@given(kinds, priors, sights)
def test_lettering_never_lowers_the_probability(kind: EntityType, prior: float, seen: tuple[Candidate, ...]) -> None:
    draft = named("Ana", ("Ana", kind, prior), candidates=seen)
    assert judge(replace(draft, candidates=(*seen, line("ANA")))) >= judge(draft)


@given(st.lists(st.tuples(kinds, priors, sights), min_size=2, max_size=4))
def test_a_post_is_judged_the_same_in_any_company(posts: list[tuple[EntityType, float, tuple[Candidate, ...]]]) -> None:
    drafts = [named("Ana", ("Ana", kind, prior), candidates=seen) for kind, prior, seen in posts]
    together = EntailByEvidence()(drafts, [blank()] * len(drafts))
    assert together == [EntailByEvidence()([draft], [blank()])[0] for draft in drafts]
