"""DeLong's variance and test, against published figures and the definition written out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from lnmdetect.metrics.delong import auc_with_delong, compare_delong
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.ranked_nodes import midranks

Truth = NDArray[np.bool_]
Values = NDArray[np.float64]

# Hanley, McNeil 1982, Radiology 143:29, table I: 109 CT images by certainty, 1 to 5.
CT_NORMAL, CT_ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
# S100B of 113 patients after subarachnoid haemorrhage (Turck et al. 2010, Intensive Care Med
# 36:107; data set aSAH of pROC): patients with good and with poor outcome by rising distinct value.
GOOD = (
    *(0, 5, 3, 2, 6, 6, 6, 7, 4, 0, 3, 4, 4, 3, 2, 1, 2, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0),
    *(1, 0, 1, 1, 2, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
)
POOR = (
    *(1, 0, 0, 0, 3, 1, 2, 2, 1, 1, 2, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1),
    *(0, 2, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1),
)


def rated(negatives: tuple[int, ...], positives: tuple[int, ...]) -> tuple[Truth, Values]:
    """Truth and ratings of cases that are given as counts by rising rating."""
    ratings = np.arange(len(negatives), dtype=float)
    truth = np.repeat([False, True], [sum(negatives), sum(positives)])
    return truth, np.concatenate([np.repeat(ratings, negatives), np.repeat(ratings, positives)])


def by_pairs(truth: Truth, ranking: Values) -> tuple[Values, Values]:
    """DeLong's structural components by the definition: every positive against every negative."""
    positive, negative = ranking[truth][:, None], ranking[~truth][None, :]
    right = (positive > negative) + 0.5 * (positive == negative)
    return right.mean(axis=1), right.mean(axis=0)


def test_tied_values_share_their_mean_rank() -> None:
    assert midranks(np.array([5.0, 1.0, 5.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_the_interval_of_hanley_and_mcneils_images_is_the_published_one() -> None:
    # Stata Base Reference Manual, roctab: area 0.8932, standard error 0.0307 (DeLong).
    figure = auc_with_delong(*rated(CT_NORMAL, CT_ABNORMAL))
    assert figure.value == pytest.approx(0.8932, abs=5e-5)
    assert figure.independent_interval == pytest.approx((0.83295, 0.95339), abs=5e-6)
    assert figure.n == 109


def test_the_variance_of_s100b_is_the_one_of_proc() -> None:
    # tests/testthat of pROC 1.18: AUC 0.731368563685637, var (DeLong) 0.00266868245717244.
    figure = auc_with_delong(*rated(GOOD, POOR))
    assert figure.value == pytest.approx(0.73136856368563685, abs=1e-14)
    low, high = figure.independent_interval or (0.0, 0.0)
    assert ((high - low) / 2 / norm.ppf(0.975)) ** 2 == pytest.approx(
        0.00266868245717244, abs=1e-15
    )


@pytest.mark.parametrize("steps", [3, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_midranks_give_the_variance_of_all_pairs(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(150) < 0.4
    ranking = np.round(rng.random(150) * steps + truth * steps / 5)
    of_positive, of_negative = by_pairs(truth, ranking)
    variance = of_positive.var(ddof=1) / truth.sum() + of_negative.var(ddof=1) / (~truth).sum()
    half = norm.ppf(0.975) * math.sqrt(variance)
    figure = auc_with_delong(truth, ranking)
    area = roc_auc_score(truth, ranking)
    assert figure.value == pytest.approx(area, abs=1e-12)
    assert figure.independent_interval == pytest.approx((area - half, area + half), abs=1e-9)
    assert figure.independent_method == "DeLong"


@pytest.mark.parametrize("seed", range(4))
def test_the_paired_test_is_that_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(120) < 0.5
    first = np.round(rng.normal(truth * 1.0), 1)
    second = np.round(first + rng.normal(truth * 0.4), 1)
    (first_10, first_01), (second_10, second_01) = by_pairs(truth, first), by_pairs(truth, second)
    covariance = np.cov(first_10, second_10) / truth.sum() + np.cov(first_01, second_01) / (
        (~truth).sum()
    )
    difference = first_10.mean() - second_10.mean()
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    test = compare_delong(truth, first, second)
    assert test.difference == pytest.approx(difference, abs=1e-12)
    assert test.z == pytest.approx(difference / error, abs=1e-9)
    assert test.p_value == pytest.approx(2 * norm.sf(abs(difference / error)), abs=1e-9)
    half = norm.ppf(0.975) * error
    assert test.interval == pytest.approx((difference - half, difference + half), abs=1e-9)


def test_the_difference_is_first_minus_second() -> None:
    truth = np.array([True, True, True, False, False, False])
    good, bad = np.array([3.0, 6, 5, 4, 1, 2]), np.array([3.0, 1, 5, 4, 6, 2])
    one, other = compare_delong(truth, good, bad), compare_delong(truth, bad, good)
    assert (one.difference or 0) > 0
    assert other.difference == pytest.approx(-(one.difference or 0))
    assert other.p_value == one.p_value


def test_the_interval_ends_at_one() -> None:
    truth = np.array([True, True, True, False, False, False])
    low, high = auc_with_delong(truth, np.array([3.0, 5, 6, 4, 1, 2])).independent_interval or (
        0,
        0,
    )
    assert high == 1.0
    assert 0 < low < 1


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_order_has_no_interval_and_says_why(sign: int) -> None:
    truth = np.array([True, True, False, False])
    figure = auc_with_delong(truth, sign * np.array([4.0, 3, 2, 1]))
    assert figure.value == (1.0 if sign > 0 else 0.0)
    assert figure.independent_interval is None
    assert figure.independent_method == "none: DeLong's variance is 0 here"


def test_a_single_node_of_a_class_has_an_area_and_no_variance() -> None:
    truth, ranking = np.array([True, False, False]), np.array([2.0, 1, 3])
    figure = auc_with_delong(truth, ranking)
    assert figure.value == 0.5
    assert figure.independent_method == "none: DeLong's variance needs two of each class"
    test = compare_delong(truth, ranking, -ranking)
    assert (test.p_value, test.reason) == (None, "DeLong's variance needs two of each class")


def test_two_rankings_of_the_same_order_cannot_be_tested() -> None:
    truth, ranking = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1])
    test = compare_delong(truth, ranking, ranking * 0.5)
    assert (test.difference, test.p_value) == (0.0, None)
    assert test.reason == "DeLong's variance is 0 here"


def test_one_class_alone_is_undefined_and_names_the_missing_one() -> None:
    ranking = np.array([0.2, 0.3])
    assert auc_with_delong(np.array([True, True]), ranking) == Figure(None, "no benign node")
    assert compare_delong(np.zeros(2, bool), ranking, ranking).reason == "no metastatic node"
    assert compare_delong(np.zeros(0, bool), ranking[:0], ranking[:0]).reason == "no node"
