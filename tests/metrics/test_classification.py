import json
import time

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
)

from lnmdetect.metrics.classification import (
    Classification,
    Confusion,
    auc_by_ranks,
    auc_over_patients,
    classification,
)
from lnmdetect.metrics.delong import auc_with_delong
from lnmdetect.metrics.figure import Figure, figures_to_json
from lnmdetect.metrics.ranked_nodes import Flags, Values
from lnmdetect.metrics.resampling import Resamples


def figures(truth: Flags, p_metastatic: Values, called: Flags) -> Classification:
    """Figures of nodes of as many patients."""
    n = len(truth)
    patient, resamples = np.arange(n), Resamples(n, count=50)
    return classification(truth, p_metastatic, called, patient=patient, resamples=resamples)


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    positive = np.array([True, True, False, False])
    # Pairs: .9>.5, .9>.1, .5=.5 (half), .5>.1: 3.5 of 4.
    assert auc_by_ranks(positive, np.array([0.9, 0.5, 0.5, 0.1])).value == 0.875
    assert auc_by_ranks(positive, np.zeros(4)).value == 0.5
    assert auc_by_ranks(~positive, np.array([0.9, 0.5, 0.5, 0.1])).value == 0.125


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("steps", [3, 1000])
def test_auc_is_that_of_scikit_learn(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(200) < 0.3
    ranking = rng.integers(0, steps, 200) / steps + 0.2 * positive
    figure = auc_by_ranks(positive, ranking)
    assert figure.value == pytest.approx(roc_auc_score(positive, ranking), abs=1e-12)


def test_auc_of_one_class_is_undefined_and_names_the_missing_one() -> None:
    ranking = np.array([0.2, 0.3])
    assert auc_by_ranks(np.array([True, True]), ranking) == Figure(None, "no benign node")
    assert auc_by_ranks(np.array([False, False]), ranking) == Figure(None, "no metastatic node")
    assert auc_by_ranks(np.zeros(0, bool), np.zeros(0)) == Figure(None, "no node")


def test_the_figures_of_ten_nodes_are_those_counted_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
    called = np.array([1, 1, 1, 1, 1, 0, 0, 1, 0, 0], dtype=bool)
    result = figures(truth, called * 0.5, called)
    assert result.confusion == Confusion(5, 2, 1, 2)
    assert result.n == 10
    assert result.accuracy.value == pytest.approx(7 / 10)
    assert result.majority_accuracy.value == pytest.approx(7 / 10)
    assert result.tpr.value == pytest.approx(5 / 7)
    assert result.tnr.value == pytest.approx(2 / 3)
    assert result.ppv.value == pytest.approx(5 / 6)
    assert result.npv.value == pytest.approx(2 / 4)
    assert result.per_class["benign"].n == 3
    assert result.per_class["benign"].recall == result.tnr
    assert result.per_class["benign"].precision == result.npv
    assert result.per_class["metastatic"].n == 7
    assert result.per_class["metastatic"].precision == result.ppv


def test_the_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, called = rng.random(300) < 0.6, rng.random(300) < 0.5
    result = figures(truth, called.astype(np.float64), called)
    (tn, fp), (fn, tp) = confusion_matrix(truth, called)
    assert result.confusion == Confusion(tp, fn, fp, tn)
    assert result.accuracy.value == pytest.approx(accuracy_score(truth, called))
    assert result.tpr.value == pytest.approx(recall_score(truth, called))
    assert result.tnr.value == pytest.approx(recall_score(~truth, ~called))
    assert result.ppv.value == pytest.approx(precision_score(truth, called))
    assert result.npv.value == pytest.approx(precision_score(~truth, ~called))


def test_one_class_leaves_the_figures_of_the_other_undefined() -> None:
    truth = np.array([True, True])
    result = figures(truth, np.array([0.9, 0.8]), truth)
    assert result.tnr == Figure(None, "no benign node")
    assert result.npv == Figure(None, "no node called benign")
    assert result.accuracy.value == 1.0
    assert result.auc == Figure(None, "no benign node")


def test_no_node_leaves_every_figure_undefined() -> None:
    result = figures(np.zeros(0, bool), np.zeros(0), np.zeros(0, bool))
    assert result.accuracy == Figure(None, "no node")
    assert result.majority_accuracy == Figure(None, "no node")
    assert result.pr_auc == result.balanced_accuracy == Figure(None, "no node")
    assert (result.n, result.patients, result.decision_curve) == (0, 0, ())
    assert result.roc.reason == result.precision_recall.reason == "no node"


def drawn(seed: int, n: int = 120) -> tuple[Flags, Values, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    return truth, 1 / (1 + np.exp(-rng.normal(truth * 1.5 - 0.5))), rng.integers(0, 15, n)


def test_every_figure_over_patients_is_that_of_a_loop_over_the_drawn_nodes() -> None:
    truth, p, patient = drawn(0)
    called, resamples = p >= 0.5, Resamples(15, count=200, seed=7)
    found = classification(truth, p, called, patient=patient, resamples=resamples)
    loops: dict[str, list[float]] = {
        "auc": [],
        "pr_auc": [],
        "accuracy": [],
        "balanced_accuracy": [],
        "ppv": [],
    }
    for counts in resamples.weights[1:].astype(int):
        rows = np.repeat(np.arange(len(p)), counts[patient])
        y, calls = truth[rows], called[rows]
        loops["auc"].append(roc_auc_score(y, p[rows]))
        loops["pr_auc"].append(average_precision_score(y, p[rows]))
        loops["accuracy"].append(accuracy_score(y, calls))
        loops["balanced_accuracy"].append(balanced_accuracy_score(y, calls))
        loops["ppv"].append(precision_score(y, calls))
    for name, values in loops.items():
        expected = np.quantile(values, [0.025, 0.975])
        assert getattr(found, name).interval == pytest.approx(expected, abs=1e-9), name
    assert found.auc.value == pytest.approx(roc_auc_score(truth, p), abs=1e-12)
    assert found.pr_auc.value == pytest.approx(average_precision_score(truth, p), abs=1e-12)
    assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, called))
    assert (found.n, found.patients) == (120, 15)


def test_the_auc_carries_both_intervals() -> None:
    truth, p, patient = drawn(1)
    resamples = Resamples(15, count=100)
    found = classification(truth, p, p > 0.5, patient=patient, resamples=resamples).auc
    delong = auc_with_delong(truth, p)
    assert found.value == delong.value
    assert found.independent_interval == delong.independent_interval
    assert (found.interval_method, found.independent_method) == (
        "bootstrap over patients",
        "DeLong",
    )
    assert auc_over_patients(truth, p, patient, resamples) == found
    nobody = auc_over_patients(truth[:0], p[:0], patient[:0], resamples)
    assert nobody == Figure(None, "no node")


def test_nodes_of_one_patient_have_no_interval_over_patients() -> None:
    truth, p, _ = drawn(2)
    found = classification(
        truth, p, p > 0.5, patient=np.full(120, 3), resamples=Resamples(15, count=20)
    )
    assert found.patients == 1
    for figure in (found.auc, found.pr_auc, found.accuracy, found.calibration.brier):
        assert (figure.interval, figure.interval_method) == (None, "none: a single patient")
    assert found.roc.band is None


def test_everything_goes_into_json_as_finite_numbers() -> None:
    truth, p, patient = drawn(3)
    found = classification(truth, p, p > 0.5, patient=patient, resamples=Resamples(15, count=20))
    text = json.dumps(figures_to_json(found), allow_nan=False)
    assert len(text) < 60_000
    assert set(json.loads(text)) >= {"auc", "roc", "calibration", "decision_curve", "confusion"}


def test_what_is_no_probability_is_refused() -> None:
    truth = np.array([True, False])
    for wrong in (np.array([0.5, 1.2]), np.array([np.nan, 0.5])):
        with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\]"):
            figures(truth, wrong, truth)


@pytest.mark.slow
def test_two_thousand_resamples_of_twenty_thousand_nodes_take_seconds() -> None:
    truth, p, _ = drawn(4, n=20_000)
    patient, resamples = np.arange(20_000) % 200, Resamples(200)
    started = time.process_time()
    classification(truth, p, p > 0.5, patient=patient, resamples=resamples)
    assert time.process_time() - started < 10


def test_cases_are_called_cases_where_they_are_no_nodes() -> None:
    one_class, p = np.ones(3, dtype=bool), np.array([0.2, 0.4, 0.4])
    found = classification(
        one_class,
        p,
        np.zeros(3, dtype=bool),
        patient=np.arange(3),
        resamples=Resamples(3, count=20),
        of="case",
    )
    figures = (found.auc, found.tnr, found.balanced_accuracy, found.calibration.intercept)
    assert {figure.reason for figure in figures} == {"no benign case"}
    assert found.ppv.reason == "no case called metastatic"
    assert found.calibration.reliability[0].observed.reason == "no case in the bin"
