import warnings

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from lnmdetect.metrics.calibration import calibration, recalibration
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.ranked_nodes import Flags, Places, Values
from lnmdetect.metrics.resampling import Resamples


def drawn(seed: int, n: int = 400) -> tuple[Flags, Values, Places]:
    """Nodes of 20 patients whose probabilities are too extreme."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.3, 1.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-0.6 * log_odds + 0.4))
    return truth, 1 / (1 + np.exp(-log_odds)), rng.integers(0, 20, n)


def test_brier_and_reliability_are_those_of_scikit_learn() -> None:
    truth, probability, patient = drawn(0)
    found = calibration(truth, probability, patient, Resamples(20, count=100))
    assert found.brier.value == pytest.approx(brier_score_loss(truth, probability), abs=1e-12)
    shares, means = calibration_curve(truth, probability, n_bins=10, strategy="uniform")
    filled = [b for b in found.reliability if b.n]
    assert [b.observed.value for b in filled] == pytest.approx(shares, abs=1e-12)
    assert [b.mean_probability for b in filled] == pytest.approx(means, abs=1e-12)
    for b in filled:
        ends = binomtest(round((b.observed.value or 0) * b.n), b.n).proportion_ci(method="wilson")
        assert b.observed.independent_interval == pytest.approx(tuple(ends), abs=1e-9)


def test_the_calibration_error_of_four_nodes_is_the_one_by_hand() -> None:
    truth = np.array([False, True, True, True])
    probability = np.array([0.12, 0.18, 0.9, 1.0])
    found = calibration(truth, probability, np.zeros(4, dtype=np.int64), Resamples(1))
    # [0.1, 0.2): 0.15 against 1/2, two nodes; [0.9, 1]: 0.95 against 1, two nodes.
    assert found.ece.value == pytest.approx((2 * 0.35 + 2 * 0.05) / 4)
    assert found.bins == len(found.reliability) == 10
    assert [b.n for b in found.reliability] == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.reliability[0].mean_probability is None
    assert found.reliability[0].observed == Figure(None, "no node in the bin")
    assert (found.reliability[9].low, found.reliability[9].high) == (0.9, 1.0)


@pytest.mark.parametrize("tenth", range(10))
def test_a_probability_on_a_border_falls_into_the_upper_bin(tenth: int) -> None:
    one = np.zeros(1, dtype=np.int64)
    found = calibration(np.array([True]), np.array([tenth / 10]), one, Resamples(1))
    assert found.reliability[tenth].n == 1


def test_brier_and_calibration_error_of_a_resample_are_those_of_the_drawn_nodes() -> None:
    truth, probability, patient = drawn(1, n=60)
    resamples = Resamples(20, count=150, seed=2)
    briers, errors = [], []
    for counts in resamples.weights[1:].astype(int):
        rows = np.repeat(np.arange(60), counts[patient])
        y, p = truth[rows], probability[rows]
        briers.append(np.mean((p - y) ** 2))
        bins = np.minimum((p * 10).astype(int), 9)
        gaps = [abs(y[bins == b].mean() - p[bins == b].mean()) for b in np.unique(bins)]
        errors.append(np.average(gaps, weights=np.unique(bins, return_counts=True)[1]))
    found = calibration(truth, probability, patient, resamples)
    assert found.brier.interval == pytest.approx(np.quantile(briers, [0.025, 0.975]), abs=1e-12)
    assert found.ece.interval == pytest.approx(np.quantile(errors, [0.025, 0.975]), abs=1e-12)
    assert "both ends lie high" in (found.ece.interval_method or "")


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_is_that_of_an_unpenalised_regression(seed: int) -> None:
    truth, probability, patient = drawn(seed)
    log_odds = np.log(probability / (1 - probability))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the spelling of "no penalty" changes between versions
        reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
        reference.fit(log_odds[:, None], truth)
    intercept, slope = recalibration(truth, probability, patient)
    assert slope.value == pytest.approx(reference.coef_[0, 0], abs=1e-5)
    alone = minimize(
        lambda a: np.logaddexp(0, np.where(truth, -1, 1) * (log_odds + a[0])).sum(),
        [0.0],
        tol=1e-12,
    )
    assert intercept.value == pytest.approx(alone.x[0], abs=1e-5)


def test_the_intervals_of_the_slope_are_those_of_the_formulas_written_out() -> None:
    truth, probability, patient = drawn(3)
    log_odds = np.log(probability / (1 - probability))
    slope = recalibration(truth, probability, patient)[1]
    # The slope's own equations give its constant: residuals sum to 0.
    design = np.column_stack([np.ones(400), log_odds])
    fit = minimize(
        lambda w: np.logaddexp(0, np.where(truth, -1, 1) * (design @ w)).sum(),
        [0.0, 1.0],
        tol=1e-14,
    )
    expected = 1 / (1 + np.exp(-design @ fit.x))
    bread = np.linalg.inv(
        sum(e * (1 - e) * np.outer(row, row) for e, row in zip(expected, design, strict=True))
    )
    meat = np.zeros((2, 2))
    for p in range(20):
        rows = patient == p
        score = (design[rows] * (truth - expected)[rows, None]).sum(axis=0)
        meat += np.outer(score, score)
    clustered = bread @ meat @ bread * 20 / 19
    for interval, variance in (
        (slope.interval, clustered[1, 1]),
        (slope.independent_interval, bread[1, 1]),
    ):
        half = 1.959963984540054 * np.sqrt(variance)
        assert interval == pytest.approx((fit.x[1] - half, fit.x[1] + half), abs=1e-4)
    assert slope.interval_method == "Wald, variance clustered by patient"


def test_probabilities_that_come_true_have_intercept_zero_and_slope_one() -> None:
    probability = np.repeat([0.25, 0.75], [400, 400])
    truth = np.concatenate([np.arange(400) < 100, np.arange(400) < 300])
    intercept, slope = recalibration(truth, probability, np.arange(800))
    assert intercept.value == pytest.approx(0, abs=1e-9)
    assert slope.value == pytest.approx(1, abs=1e-9)


def test_probabilities_that_are_too_low_have_an_intercept_above_zero() -> None:
    probability = np.repeat([0.1, 0.3], [200, 200])
    truth = np.concatenate([np.arange(200) < 100, np.arange(200) < 150])
    intercept, _ = recalibration(truth, probability, np.arange(400))
    assert (intercept.value or 0) > 1


def test_what_has_no_finite_slope_says_why() -> None:
    patient = np.arange(4)
    truth = np.array([False, False, True, True])
    apart = recalibration(truth, np.array([0.0, 0.2, 0.8, 1.0]), patient)
    assert apart[1] == Figure(None, "the probability separates the classes: no finite slope")
    assert apart[0].value == pytest.approx(0, abs=1e-9)
    same = recalibration(truth, np.full(4, 0.3), patient)
    assert same[1] == Figure(None, "all nodes have the same probability")
    assert same[0].value == pytest.approx(np.log(0.7 / 0.3), abs=1e-9)


def test_probabilities_of_exactly_zero_and_one_stay_finite() -> None:
    truth = np.array([True, False, True, False, True])
    probability = np.array([0.0, 1.0, 1.0, 0.0, 0.5])
    for figure in recalibration(truth, probability, np.arange(5)):
        assert figure.value is not None
        assert np.isfinite(figure.interval or ()).all()


def test_one_sure_mistake_among_sure_answers_has_its_intercept() -> None:
    # Newton's whole step leads to where all expected values round to 1.
    truth = np.array([False] + [True] * 10)
    probability = np.array([0.0] * 7 + [1.0] * 4)
    log_odds = np.where(probability > 0, 1, -1) * np.log((1 - 1e-6) / 1e-6)
    root = brentq(lambda a: (truth - 1 / (1 + np.exp(-log_odds - a))).sum(), 0, 60, xtol=1e-12)
    intercept, slope = recalibration(truth, probability, np.arange(11))
    assert intercept.value == pytest.approx(root, abs=1e-8)
    assert slope.reason == "the probability separates the classes: no finite slope"


def test_patients_whose_residuals_cancel_leave_no_interval() -> None:
    truth = np.array([True, False, False, True])
    probability, patient = np.array([0.9, 0.9, 0.1, 0.1]), np.array([1, 0, 0, 1])
    slope = recalibration(truth, probability, patient)[1]
    assert slope.value == pytest.approx(0, abs=1e-12)
    assert slope.interval is None
    assert slope.interval_method == "none: the variance clustered by patient is 0 here"
    assert np.isfinite(slope.independent_interval or (np.nan, 0.0)).all()


def test_one_class_or_no_node_or_one_patient_is_told() -> None:
    one = np.zeros(2, dtype=np.int64)
    found = calibration(np.array([True, True]), np.array([0.8, 0.9]), one, Resamples(1))
    assert found.slope == found.intercept == Figure(None, "no benign node")
    assert found.brier.value == pytest.approx(0.025)
    both = recalibration(np.array([True, False]), np.array([0.6, 0.6]), one)[0]
    assert (both.interval, both.interval_method) == (None, "none: a single patient")
    nothing = calibration(np.zeros(0, bool), np.zeros(0), one[:0], Resamples(0))
    assert nothing.brier == nothing.ece == nothing.slope == Figure(None, "no node")
    assert [b.n for b in nothing.reliability] == [0] * 10
