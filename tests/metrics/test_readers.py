import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.delong import auc_with_delong, compare_delong
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.paired_tests import mcnemar
from lnmdetect.metrics.readers import Nodes, ReaderAnswers, model_figures, reader_figures
from lnmdetect.metrics.resampling import Resamples

RNG = np.random.default_rng(0)
TRUTH = RNG.random(80) < 0.5
KNOWN = RNG.random(80) < 0.9
PATIENT = RNG.integers(0, 10, 80)
NODES = Nodes(TRUTH, KNOWN, PATIENT, Resamples(10, count=100))
P = 1 / (1 + np.exp(-RNG.normal(TRUTH * 1.5)))
MODEL = Answers(RNG.random(80) < 0.8, P, P > 0.6)
RATING = np.round(RNG.normal(TRUTH * 1.0 + 3))
READER = Answers(RNG.random(80) < 0.9, RATING, RATING >= 4)


def test_a_reader_is_scored_on_the_known_nodes_that_he_answered() -> None:
    found = reader_figures(ReaderAnswers("A", READER, True, True), MODEL, NODES)
    rows = READER.given & KNOWN
    assert (found.reader, found.n, found.auc_of) == ("A", rows.sum(), "ratings")
    assert found.unanswered == (KNOWN & ~READER.given).sum()
    assert found.auc.value == pytest.approx(roc_auc_score(TRUTH[rows], RATING[rows]))
    delong = auc_with_delong(TRUTH[rows], RATING[rows])
    assert found.auc.independent_interval == delong.independent_interval
    assert found.sensitivity.value == recall_score(TRUTH[rows], RATING[rows] >= 4)
    assert found.specificity.value == recall_score(~TRUTH[rows], RATING[rows] < 4)
    assert found.sensitivity.interval_method == "bootstrap over patients"
    assert found.sensitivity.independent_method == "Wilson"


def test_model_and_reader_are_compared_on_the_nodes_of_both() -> None:
    found = reader_figures(ReaderAnswers("A", READER, True, True), MODEL, NODES).against_model
    assert found is not None
    rows = READER.given & KNOWN & MODEL.given
    assert found.n == rows.sum()
    assert found.auc.a.value == pytest.approx(roc_auc_score(TRUTH[rows], P[rows]))
    assert found.auc.b.value == pytest.approx(roc_auc_score(TRUTH[rows], RATING[rows]))
    assert found.delong == compare_delong(TRUTH[rows], P[rows], RATING[rows])
    right = (P > 0.6) == TRUTH, (RATING >= 4) == TRUTH
    assert found.mcnemar == mcnemar(right[0][rows], right[1][rows])


def test_calls_alone_have_the_area_under_their_one_point() -> None:
    calls = Answers(READER.given, (RATING >= 4).astype(float), RATING >= 4)
    found = reader_figures(ReaderAnswers("B", calls, True, False), MODEL, NODES)
    assert found.auc_of == "calls"
    mean = ((found.sensitivity.value or 0) + (found.specificity.value or 0)) / 2
    assert found.auc.value == pytest.approx(mean)


def test_ratings_alone_have_no_point_and_no_test_of_calls() -> None:
    ratings = Answers(READER.given, RATING, np.zeros(80, dtype=bool))
    found = reader_figures(ReaderAnswers("C", ratings, False, True), MODEL, NODES)
    reason = "the reader gives ratings and no calls"
    assert found.sensitivity == found.specificity == Figure(None, reason)
    assert found.against_model is not None
    assert found.against_model.mcnemar is None
    assert found.against_model.sensitivity is None
    assert found.against_model.delong.p_value is not None


def test_the_model_has_its_curve_on_the_known_nodes_that_it_answered() -> None:
    found = model_figures(MODEL, NODES)
    rows = MODEL.given & KNOWN
    assert (found.n, found.unanswered) == (rows.sum(), (KNOWN & ~MODEL.given).sum())
    assert found.auc.value == pytest.approx(roc_auc_score(TRUTH[rows], P[rows]))
    assert found.sensitivity.value == recall_score(TRUTH[rows], P[rows] > 0.6)
    assert np.trapezoid(found.roc.tpr, found.roc.fpr) == pytest.approx(found.auc.value)
    assert found.roc.band is not None


def test_without_a_common_node_there_is_nothing_against_the_model() -> None:
    nobody = Answers(np.zeros(80, dtype=bool), P, P > 0.6)
    found = reader_figures(ReaderAnswers("A", READER, True, True), nobody, NODES)
    assert found.against_model is None
    assert model_figures(nobody, NODES).roc.reason == "no node"
    assert model_figures(nobody, NODES).auc == Figure(None, "no node")
