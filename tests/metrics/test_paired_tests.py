import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, chi2
from sklearn.metrics import roc_auc_score

from lnmdetect.metrics.paired_tests import (
    PairedTest,
    difference_figure,
    mcnemar,
    permutation_test,
    two_sided_p,
)
from lnmdetect.metrics.ranked_nodes import midranks
from lnmdetect.metrics.resampling import Resamples


def right_calls(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, first, second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


@pytest.mark.parametrize(("first", "second"), [(1, 0), (5, 1), (3, 3), (20, 4), (2, 22)])
def test_few_discordant_nodes_take_the_exact_binomial(first: int, second: int) -> None:
    found = mcnemar(*right_calls(30, first, second, 7))
    assert found.method == "exact binomial"
    assert found.p_value == pytest.approx(binomtest(first, first + second).pvalue, abs=1e-12)
    assert found.statistic is None
    assert (found.both_right, found.first_only, found.second_only, found.both_wrong) == (
        30,
        first,
        second,
        7,
    )


def test_many_discordant_nodes_take_chi_squared() -> None:
    # Agresti 2002, Categorical Data Analysis, 10.1: 794, 150, 86, 570; McNemar's z^2 = 17.36.
    found = mcnemar(*right_calls(794, 150, 86, 570))
    assert found.method == "chi-squared without continuity correction"
    assert found.statistic == pytest.approx((150 - 86) ** 2 / 236)
    assert found.statistic == pytest.approx(17.36, abs=5e-3)
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1), abs=1e-12)
    assert mcnemar(*right_calls(0, 12, 12, 0)).method == "exact binomial"
    assert mcnemar(*right_calls(0, 13, 12, 0)).method.startswith("chi-squared")


def test_two_that_are_always_right_together_cannot_be_told_apart() -> None:
    found = mcnemar(*right_calls(5, 0, 0, 2))
    assert found.p_value is None
    assert found.reason == "none on which one of the two alone is right"


def test_the_permutation_test_is_the_loop_over_swapped_patients() -> None:
    rng = np.random.default_rng(0)
    truth, patient = rng.random(40) < 0.5, rng.integers(0, 9, 40)
    first, second = rng.normal(truth * 1.5), np.round(rng.normal(truth * 0.5), 1)
    resamples = Resamples(9, count=300, seed=8)
    ranks = midranks(first), midranks(second)

    def difference(swap: np.ndarray) -> float:
        of_node = swap[patient]
        one, other = np.where(of_node, ranks[1], ranks[0]), np.where(of_node, ranks[0], ranks[1])
        return float(roc_auc_score(truth, one) - roc_auc_score(truth, other))

    observed = difference(np.zeros(9, dtype=bool))
    keeps = np.random.default_rng(8).random((300, 9)) < 0.5
    as_large = sum(abs(difference(~keep)) >= abs(observed) - 1e-12 for keep in keeps)
    found = permutation_test(truth, (first, second), patient, resamples)
    assert found.difference == pytest.approx(observed, abs=1e-12)
    assert found.p_value == pytest.approx((1 + as_large) / 301, abs=1e-12)
    assert found.method == "permutation by patient, 300 swaps"
    assert found == permutation_test(truth, (first, second), patient, resamples)


def test_the_permutation_test_comes_near_the_count_of_all_swaps() -> None:
    rng = np.random.default_rng(3)
    truth, patient = rng.random(30) < 0.5, np.arange(30) % 8
    first, second = midranks(rng.normal(truth * 1.5)), midranks(rng.normal(truth * 0.2))

    def gap(swap: tuple[bool, ...]) -> float:
        of_node = np.array(swap)[patient]
        one, other = np.where(of_node, second, first), np.where(of_node, first, second)
        return float(abs(roc_auc_score(truth, one) - roc_auc_score(truth, other)))

    all_gaps = np.array([gap(swap) for swap in itertools.product([False, True], repeat=8)])
    exact = float((all_gaps >= all_gaps[0] - 1e-12).mean())
    found = permutation_test(truth, (first, second), patient, Resamples(8, count=5000))
    assert found.p_value == pytest.approx(exact, abs=0.02)


def test_only_the_order_of_the_answers_counts() -> None:
    rng = np.random.default_rng(1)
    truth, patient = rng.random(30) < 0.5, rng.integers(0, 5, 30)
    first, second = rng.random(30), rng.random(30)
    resamples = Resamples(5, count=200)
    found = permutation_test(truth, (first, second), patient, resamples)
    squeezed = permutation_test(truth, (first, second * 0.001), patient, resamples)
    assert found == squeezed


def test_two_equal_models_have_p_one() -> None:
    rng = np.random.default_rng(2)
    truth, patient, ranking = rng.random(30) < 0.5, rng.integers(0, 5, 30), rng.random(30)
    found = permutation_test(truth, (ranking, ranking), patient, Resamples(5, count=50))
    assert (found.difference, found.p_value) == (0.0, 1.0)


def test_what_cannot_be_tested_says_why() -> None:
    two, ranking = np.array([0, 1]), np.array([0.1, 0.9])
    one_class = permutation_test(np.array([True, True]), (ranking, ranking), two, Resamples(2))
    assert (one_class.p_value, one_class.reason) == (None, "no benign node")
    truth = np.array([False, True])
    unasked = permutation_test(truth, (ranking, ranking), two, Resamples(2, count=0))
    assert (unasked.difference, unasked.reason) == (0.0, "no swaps asked for")
    with pytest.raises(ValueError, match="expected a reason"):
        PairedTest("DeLong", 3)
    with pytest.raises(ValueError, match="expected finite numbers"):
        PairedTest("DeLong", 3, z=float("inf"), p_value=0.1)


def test_a_difference_has_the_interval_of_differences_drawn_together() -> None:
    resamples = Resamples(12, count=500, seed=4)
    patient = np.arange(12)
    first = resamples.totals(patient, np.arange(12.0)) / 12
    second = resamples.totals(patient, np.arange(12.0) - 0.5) / 12
    figure = difference_figure(resamples, first, second * 0.5, n=12)
    assert figure.value == pytest.approx(5.5 - 2.5)
    assert figure.interval == pytest.approx(
        np.quantile(first - second * 0.5, [0.025, 0.975]), abs=0.02
    )
    # What always differs by the same amount differs so for certain, however much both vary.
    same = difference_figure(resamples, first, second)
    assert same.value == pytest.approx(0.5)
    assert same.interval is None or np.ptp(same.interval) < 1e-12
    lacking = np.full(501, np.nan)
    assert difference_figure(resamples, first, lacking, reason="no box").reason == "no box"


def test_a_normal_deviate_of_two_has_the_tables_p() -> None:
    assert two_sided_p(1.959963984540054) == pytest.approx(0.05, abs=1e-12)
    assert two_sided_p(-2.0) == pytest.approx(0.0455002638963584, abs=1e-12)
